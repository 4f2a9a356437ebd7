"""What a controller made for a resource, and whether it is rolled out. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Collection

from sparkrig.models.json import name_of, namespace_of, owners_of
from sparkrig.models.objects import Readiness
from sparkrig.readiness.fields import Object, count, status
from sparkrig.readiness.judge import judge


def owned_by(obj: Object, uids: Collection[object]) -> bool:
    """True when one of the resources owns the object."""
    return any(owner.get("uid") in uids for owner in owners_of(obj))


def rollout(obj: Object, now: datetime.datetime) -> str:
    """Why an operand is not rolled out; empty when it is.

    Unlike a component's own DaemonSet, one with the update strategy OnDelete counts only once each node has a pod of
    the newest template: its controller deletes the old ones.
    """
    name = f"{obj.get('kind')} {namespace_of(obj)}/{name_of(obj)}"
    verdict = judge(obj, now=now)
    if verdict.readiness is not Readiness.READY:
        return f"{name}: {verdict.message}"
    have = status(obj)
    want, updated = count(have, "desiredNumberScheduled"), count(have, "updatedNumberScheduled")
    if obj.get("kind") == "DaemonSet" and updated < want:
        return f"{name}: {updated}/{want} of the newest template"
    return ""
