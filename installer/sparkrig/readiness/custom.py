"""Custom resources, judged by the rule that a component gives for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkrig.model import Judgement, ReadinessRule
from sparkrig.readiness.fields import Object, condition, failed, progressing, ready, said, value_at


def by_rule(obj: Object, rule: ReadinessRule) -> Judgement:
    """Judge by ``rule``: failed first, then ready.

    ``{condition: T}`` is met by the status "True" (or what ``status`` says) of that condition, unless the condition
    is older than the object's generation; ``{path: P, equals: [..]}`` by one of the values at P.
    """
    if rule.failed and _met(obj, rule.failed):
        return failed(_found(obj, rule.failed))
    if _met(obj, rule.ready):
        return ready(_found(obj, rule.ready))
    return progressing(_found(obj, rule.ready))


def _met(obj: Object, test: Mapping[str, Any]) -> bool:
    if "condition" in test:
        found = condition(obj, test["condition"])
        return found is not None and not _old(obj, found) and found.get("status") == test.get("status", "True")
    value, wanted = value_at(obj, test["path"]), test["equals"]
    return value in wanted if isinstance(wanted, list | tuple) else value == wanted


def _old(obj: Object, found: Object) -> bool:
    seen, wanted = found.get("observedGeneration"), (obj.get("metadata") or {}).get("generation")
    return seen is not None and wanted is not None and int(seen) < int(wanted)


def _found(obj: Object, test: Mapping[str, Any]) -> str:
    if "condition" not in test:
        value = value_at(obj, test["path"])
        return f"{test['path']} is not set yet" if value in (None, "") else f"{test['path']} is {value}"
    found = condition(obj, test["condition"])
    if found is None:
        return f"condition {test['condition']} is not reported yet"
    if _old(obj, found):
        return f"condition {test['condition']} is of generation {found['observedGeneration']}, not of the newest"
    if found.get("status") == test.get("status", "True"):
        return f"condition {test['condition']} is {found.get('status')}"
    return f"condition {test['condition']} is {found.get('status')}: {said(found)}"
