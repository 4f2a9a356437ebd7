"""Evaluates the ``renders`` assertions of a component's cases on rendered manifests.

An assertion selects objects by ``kind`` and, if given, ``name`` and ``namespace``, and says what must
hold of them; docs/components.md describes the form. No cluster and no helm in here: manifests in,
sentences about what does not hold out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

MISSING: Final = object()
_SELECTORS: Final = ("kind", "name", "namespace")
_CHECKS: Final = ("equals", "contains", "absent", "count")


class BadAssertion(ValueError):
    """The assertion itself is wrong; it must not pass by saying nothing."""


def steps(path: str) -> list[str]:
    r"""Splits a dotted path; a dot that is part of a key is written ``\.``."""
    return [re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"(?:[^.\\]|\\.)+", path)]


def lookup(value: Any, path: str) -> Any:
    """The value at ``path``, or ``MISSING``. A number is a place in a list, as in ``containers.0.image``."""
    for step in steps(path):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value


def covers(actual: Any, wanted: Any) -> bool:
    """True when ``actual`` has everything that ``wanted`` has; maps may have more, lists may not."""
    if isinstance(wanted, Mapping):
        return isinstance(actual, Mapping) and all(covers(actual.get(key, MISSING), wanted[key]) for key in wanted)
    return _same(actual, wanted)


def failures(assertion: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences about what does not hold; empty when the assertion does.

    Raises:
        BadAssertion: the assertion has an unknown key, no check, or no path where it needs one.
    """
    _refuse_nonsense(assertion)
    chosen = [item for item in objects if _selected(item, assertion)]
    wanted = " ".join(str(assertion[key]) for key in _SELECTORS if key in assertion)
    if "count" in assertion:
        if len(chosen) == assertion["count"]:
            return []
        return [f"{wanted}: {len(chosen)} rendered, expected {assertion['count']}"]
    if not chosen:
        return [f"{wanted}: not rendered; there are {sorted({str(item.get('kind')) for item in objects})}"]
    return [text for item in chosen for text in _judge(item, assertion)]


def _refuse_nonsense(assertion: Mapping[str, Any]) -> None:
    unknown = set(assertion) - {*_SELECTORS, *_CHECKS, "path"}
    checks = [key for key in _CHECKS if key in assertion]
    if unknown or "kind" not in assertion or not checks:
        raise BadAssertion(f"expected kind, one of {_CHECKS} and known keys only, found {dict(assertion)}")
    if ("count" in assertion) == ("path" in assertion) or ("count" in assertion and len(checks) > 1):
        raise BadAssertion(f"count stands alone, everything else needs a path: {dict(assertion)}")


def _selected(item: Mapping[str, Any], assertion: Mapping[str, Any]) -> bool:
    metadata = item.get("metadata") or {}
    found = {"kind": item.get("kind"), "name": metadata.get("name"), "namespace": metadata.get("namespace")}
    return all(found[key] == assertion[key] for key in _SELECTORS if key in assertion)


def _judge(item: Mapping[str, Any], assertion: Mapping[str, Any]) -> Iterator[str]:
    path = assertion["path"]
    actual = lookup(item, path)
    where = f"{item.get('kind')} {lookup(item, 'metadata.name')}: {path}"
    if "absent" in assertion and (actual is MISSING) is not assertion["absent"]:
        yield f"{where} is {'absent' if actual is MISSING else repr(actual)}, expected absent: {assertion['absent']}"
    if "equals" in assertion and not _same(actual, assertion["equals"]):
        yield f"{where} is {_show(actual)}, expected {assertion['equals']!r}"
    if "contains" in assertion and not _contains(actual, assertion["contains"]):
        yield f"{where} is {_show(actual)}, expected it to contain {assertion['contains']!r}"


def _contains(actual: Any, wanted: Any) -> bool:
    if isinstance(actual, str):
        return isinstance(wanted, str) and wanted in actual
    if isinstance(actual, list):
        return any(covers(element, wanted) for element in actual)
    return isinstance(wanted, Mapping) and covers(actual, wanted)


def _same(actual: Any, wanted: Any) -> bool:
    """Equal, without Python's True == 1."""
    if isinstance(actual, bool) is not isinstance(wanted, bool):
        return False
    return bool(actual == wanted)


def _show(value: Any) -> str:
    return "absent" if value is MISSING else repr(value)
