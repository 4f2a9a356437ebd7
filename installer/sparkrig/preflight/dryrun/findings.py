"""What a dry run found, as findings of preflight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sparkrig.errors import SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.webhooks import read_admission
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import DesiredRelease
from sparkrig.plan.server.changes import Rehearsal, advice, contested_text, refused_text
from sparkrig.plan.server.webhooks import Admission, Answers, Request, silent_webhooks, webhook_named
from sparkrig.preflight.finding import Finding, fail, listed, warn


def judged(api: KubeApi, found: Sequence[Rehearsal], desired: Mapping[str, DesiredRelease]) -> tuple[Finding, ...]:
    """The findings; a webhook that does not answer is named by its configuration and by what it stops."""
    findings = [finding for one in found for finding in _of(one, desired[one.component])]
    dead = [blocked for one in found for blocked in one.blocked if not blocked.denied]
    slow = [ref for one in found for ref in one.slow]
    if dead or slow:
        admission = admission_of(api)
        named = dict.fromkeys(blocked.webhook for blocked in dead)
        for name in named:
            refs = [blocked.ref for blocked in dead if blocked.webhook == name]
            findings += _blocking(admission, name, refs)
        findings += [
            warn("slow-webhook", silent.configuration, silent.text(), silent.hint)
            for silent in silent_webhooks(admission, requests(api, slow))
            if silent.name not in named
        ]
    return tuple(findings)


def admission_of(api: KubeApi) -> Admission:
    """The cluster's webhooks and how they answered."""
    read = read_admission(api)
    answers = {name: Answers(one.asked, one.seconds, one.failed_open) for name, one in read.answers.items()}
    return Admission(read.configurations, read.services, read.slices, read.namespaces, answers)


def requests(api: KubeApi, refs: Sequence[ObjectRef]) -> list[Request]:
    """Objects as webhooks are asked about them, labels unknown; one whose kind is not served is left out."""
    found = []
    for ref in refs:
        try:
            found.append(Request(ref, api.resource_of(ref.group, ref.version, ref.kind).plural))
        except SparkrigError:
            continue
    return found


def _of(one: Rehearsal, desired: DesiredRelease) -> Iterator[Finding]:
    name = one.component
    if desired.conflicts == "fail":
        take = f"let the stack file say what is there, or take it back: components.{name}.conflicts: take"
        for contested in one.contested:
            for field in contested.fields:
                yield fail("conflict", name, contested_text(contested.ref, field), take)
    for refused in one.refused:
        if desired.immutable == "recreate" and refused.recreatable:
            continue
        policy = {"immutable": desired.immutable}
        message = f"{refused.ref} cannot be changed: {refused_text(refused)}"
        yield fail("immutable", name, message, advice(refused, name, policy))
    for rejected in one.rejected:
        message = f"{rejected.ref} is refused: {refused_text(rejected)}"
        yield fail(
            "refused-object", name, message, f"sparkrig render {name} shows the object, sparkrig explain its values"
        )
    for blocked in one.blocked:
        if blocked.denied:
            yield warn("webhook-denies", name, f"{blocked.ref}: {blocked.message}")
    if one.unseen:
        yield warn("not-looked-at", name, listed(one.unseen, 3))


def _blocking(admission: Admission, name: str, refs: Sequence[ObjectRef]) -> Iterator[Finding]:
    for silent in webhook_named(admission, name, refs):
        yield fail("dead-webhook", silent.configuration, silent.text(), silent.hint)
