"""Small readers of objects as the API server sends them, where any field may be missing."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

from sparkrig.models.json import JsonValue, Manifest, conditions_of, mapping_at, number_at
from sparkrig.models.objects import Judgement, Readiness

Object = Manifest

_DOT = re.compile(r"(?<!\\)\.")


def ready(message: str = "") -> Judgement:
    """Return a judgement: nothing to wait for."""
    return Judgement(Readiness.READY, message)


def progressing(message: str) -> Judgement:
    """Return a judgement: not ready, and waiting may help."""
    return Judgement(Readiness.PROGRESSING, message)


def failed(message: str) -> Judgement:
    """Return a judgement: waiting cannot help."""
    return Judgement(Readiness.FAILED, message)


def spec(obj: Object) -> Object:
    """Return ``spec``, empty where there is none."""
    return mapping_at(obj, "spec")


def status(obj: Object) -> Object:
    """Return ``status``, empty where there is none."""
    return mapping_at(obj, "status")


def count(fields: Object, name: str, default: int = 0) -> int:
    """Return a number; the API server leaves zeros out."""
    return number_at(fields, name, default=default)


def condition(obj: Object, kind: str) -> Object | None:
    """Return the condition of one type, None where it is not reported."""
    return next((c for c in conditions_of(obj) if c.get("type") == kind), None)


def holds(obj: Object, kind: str) -> bool:
    """True when the condition is reported with the status True."""
    found = condition(obj, kind)
    return found is not None and found.get("status") == "True"


def said(found: Object) -> str:
    """Return what a condition says, in one line: its message, else its reason."""
    text = str(found.get("message") or found.get("reason") or "no reason given")
    return " ".join(text.split())


def value_at(obj: JsonValue, path: str) -> JsonValue:
    r"""Return the value at a dotted path (``\.`` is a dot in a key, a number an index), None where it is missing."""
    for part in _DOT.split(path):
        key = part.replace("\\.", ".")
        if isinstance(obj, Mapping):
            obj = obj.get(key)
        elif isinstance(obj, list) and key.isdigit() and int(key) < len(obj):
            obj = obj[int(key)]
        else:
            return None
    return obj


def seconds_since(stamp: str | None, now: datetime.datetime | None) -> float | None:
    """Return the seconds from an RFC 3339 time to ``now`` (timezone-aware), None where either is unknown."""
    if not stamp or now is None:
        return None
    return (now - datetime.datetime.fromisoformat(stamp)).total_seconds()


def is_behind(obj: Object, report: Object) -> bool:
    """True when a report (a status or a condition) is of an older generation than the object's."""
    return number_at(report, "observedGeneration") < number_at(obj, "metadata", "generation")
