"""Which of a component's changes reach running pods of others, by what really changes in its objects. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sparkrig.models.component import DisturbedPods, DisturbingChange
from sparkrig.models.objects import ObjectRef
from sparkrig.plan.diff.changes import applies
from sparkrig.plan.diff.fields import changed_fields, path_text

Object = Mapping[str, Any]


def effects(
    served: DisturbedPods, before: Iterable[Object], after: Iterable[Object], values: Iterable[Mapping[str, Any]]
) -> tuple[str, ...]:
    """What going from the objects ``before`` to those ``after`` does to pods of others, a sentence each.

    ``values`` are those of both sides: where ``when`` holds for neither, nothing is reached.
    """
    if not _concerned(served, values):
        return ()
    old, new = _by_key(before), _by_key(after)
    found: dict[str, None] = {}
    for key in dict.fromkeys((*old, *new)):
        rules = [rule for rule in served.changes if (rule.group, rule.kind) == key[:2]]
        if rules:
            changed = [path_text(d.path) for d in changed_fields(old.get(key, _EMPTY), new.get(key, _EMPTY))]
            found.update(dict.fromkeys(rule.does for rule in rules if _reaches(rule, changed)))
    return tuple(found)


def effects_of_drift(
    served: DisturbedPods, touched: Iterable[tuple[ObjectRef, str]], values: Iterable[Mapping[str, Any]]
) -> tuple[str, ...]:
    """What bringing fields back does to pods of others: (object, path) each, the path empty for a whole object."""
    if not _concerned(served, values):
        return ()
    found = {
        rule.does: None
        for ref, path in touched
        for rule in served.changes
        if (ref.group, ref.kind) == (rule.group, rule.kind) and (not path or _reaches(rule, [path]))
    }
    return tuple(found)


_EMPTY: Mapping[str, Any] = {}


def _concerned(served: DisturbedPods, values: Iterable[Mapping[str, Any]]) -> bool:
    return served.when is None or any(applies(served.when, one) for one in values)


def _by_key(objects: Iterable[Object]) -> dict[tuple[str, str, str, str], Object]:
    found = {}
    for item in objects:
        group = str(item.get("apiVersion", "")).rpartition("/")[0]
        metadata = item.get("metadata") or {}
        found[group, str(item.get("kind")), str(metadata.get("namespace")), str(metadata.get("name"))] = item
    return found


def _reaches(rule: DisturbingChange, changed: Iterable[str]) -> bool:
    return any(
        any(_below(text, path) or _below(path, text) for path in rule.paths)
        and not any(_below(text, path) for path in rule.ignore)
        for text in changed
    )


def _below(text: str, path: str) -> bool:
    """Whether a path is another one or leads further down from it."""
    return text == path or text.startswith((f"{path}.", f"{path}["))
