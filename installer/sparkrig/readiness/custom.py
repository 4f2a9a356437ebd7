"""Custom resources, judged by the rule that a component gives for them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Final

from sparkrig.models.component import ReadinessRule
from sparkrig.models.json import JsonObject, conditions_of, text_at
from sparkrig.models.objects import Judgement, Readiness
from sparkrig.readiness.fields import Object, condition, failed, is_behind, progressing, ready, said, value_at
from sparkrig.readiness.freshness import unseen

GOOD: Final = ("Ready", "Available", "Healthy", "Succeeded", "Complete")
BAD: Final = ("Error", "Failed", "Degraded", "Stalled", "ReconcileError")
"""Types of conditions that say why a state elsewhere in the status is not good."""


def by_rule(obj: Object, rule: ReadinessRule, now: datetime.datetime | None = None) -> Judgement:
    """Judge by ``rule``: failed first, then ready.

    ``{condition: T}`` is met by the status "True" (or what ``status`` says) of that condition, unless the condition
    is older than the object's generation; ``{path: P, equals: [..]}`` by one of the values at P. A verdict that may
    be about an older spec (``readiness.freshness``; ``now`` is the API server's time) is not final.
    """
    if rule.failed and _met(obj, rule.failed):
        return _final(obj, rule, rule.failed, failed(_found(obj, rule.failed)), now)
    if _met(obj, rule.ready):
        return _final(obj, rule, rule.ready, ready(_found(obj, rule.ready, good=True)), now)
    return Judgement(Readiness.PROGRESSING, _found(obj, rule.ready), unset=_unset(obj, rule.ready))


def excused(rule: ReadinessRule | None, judgement: Judgement, *, simulated: bool = False) -> bool:
    """True when an object's state is no problem although it is not ready: it is optional and has no state yet."""
    if rule is None or not rule.optional or judgement.readiness is Readiness.READY:
        return False
    return judgement.unset or (rule.real_pods and simulated)


def rule_for(group: str, kind: str, rules: Iterable[ReadinessRule]) -> ReadinessRule | None:
    """The rule for a kind; None where there is none."""
    return next((rule for rule in rules if (rule.group, rule.kind) == (group, kind)), None)


def _final(
    obj: Object, rule: ReadinessRule, test: JsonObject, verdict: Judgement, now: datetime.datetime | None
) -> Judgement:
    if "condition" in test:
        found = condition(obj, text_at(test, "condition"))
        told = found is not None and found.get("observedGeneration") is not None
    else:
        told = not str(test["path"]).startswith("status.")
    why = "" if told else unseen(obj, now, rule.settle_s)
    return progressing(f"{verdict.message}, but {why}") if why else verdict


def _unset(obj: Object, test: JsonObject) -> bool:
    if "condition" in test:
        return condition(obj, text_at(test, "condition")) is None
    return value_at(obj, text_at(test, "path")) in (None, "")


def _met(obj: Object, test: JsonObject) -> bool:
    if "condition" in test:
        found = condition(obj, text_at(test, "condition"))
        return found is not None and not _old(obj, found) and found.get("status") == test.get("status", "True")
    value, wanted = value_at(obj, text_at(test, "path")), test["equals"]
    return value in wanted if isinstance(wanted, list | tuple) else value == wanted


def _old(obj: Object, found: Object) -> bool:
    return found.get("observedGeneration") is not None and is_behind(obj, found)


def _found(obj: Object, test: JsonObject, *, good: bool = False) -> str:
    if "condition" not in test:
        value = value_at(obj, text_at(test, "path"))
        if value in (None, ""):
            return f"{test['path']} is not set yet"
        why = "" if good else reason(obj)
        return f"{test['path']} is {value}{f': {why}' if why else ''}"
    found = condition(obj, text_at(test, "condition"))
    if found is None:
        return f"condition {test['condition']} is not reported yet"
    if _old(obj, found):
        return f"condition {test['condition']} is of generation {found['observedGeneration']}, not of the newest"
    if found.get("status") == test.get("status", "True"):
        return f"condition {test['condition']} is {found.get('status')}"
    return f"condition {test['condition']} is {found.get('status')}: {said(found)}"


def reason(obj: Object) -> str:
    """What the conditions say about a state that is not good, in one line; empty where none does."""
    conditions = conditions_of(obj)
    telling = [c for c in conditions if c.get("type") in BAD and c.get("status") == "True"]
    telling += [c for c in conditions if c.get("type") in GOOD and c.get("status") == "False"]
    texts = [text_at(c, "message") for c in telling] + [text_at(c, "reason") for c in telling]
    return " ".join(next((text for text in texts if text), "").split())
