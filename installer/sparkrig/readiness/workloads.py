"""Kinds that run pods: Deployment, StatefulSet, DaemonSet, ReplicaSet, Pod, Job, CronJob."""

from __future__ import annotations

import datetime
from typing import Final

from sparkrig.models.json import dig, mapping_at, mappings_at
from sparkrig.models.objects import Judgement
from sparkrig.readiness.containers import container_trouble
from sparkrig.readiness.fields import Object, condition, count, failed, holds, progressing, ready, said, spec, status

DEADLINE: Final = "ProgressDeadlineExceeded"


def deployment(obj: Object) -> Judgement:
    """Ready when all replicas are of the newest template and available, and no old one is left."""
    want, have = count(spec(obj), "replicas", 1), status(obj)
    updated, available = count(have, "updatedReplicas"), count(have, "availableReplicas")
    progress = condition(obj, "Progressing")
    if progress is not None and progress.get("reason") == DEADLINE:
        return failed(f"{available}/{want} ready, {DEADLINE}: {said(progress)}")
    refused = condition(obj, "ReplicaFailure")
    if refused is not None and refused.get("status") == "True" and available < want:
        return progressing(f"{available}/{want} ready, pods are refused: {said(refused)}")
    if updated < want:
        return progressing(f"rolling out {updated}/{want}")
    if (old := count(have, "replicas") - updated) > 0:
        return progressing(f"rolling out {updated}/{want}, {_pods(old)} of before still to go")
    return _counted(min(available, count(have, "readyReplicas")), want)


def stateful_set(obj: Object) -> Judgement:
    """Ready when all replicas are ready and, but for a partition or OnDelete, of the newest revision."""
    want, have = count(spec(obj), "replicas", 1), status(obj)
    strategy = mapping_at(spec(obj), "updateStrategy")
    running, updated = count(have, "readyReplicas"), count(have, "updatedReplicas")
    if strategy.get("type") != "OnDelete":
        partition = count(mapping_at(strategy, "rollingUpdate"), "partition")
        to_update = max(want - partition, 0)
        changing = have.get("currentRevision") != have.get("updateRevision")
        if changing and updated < to_update:
            return progressing(f"rolling out {updated}/{to_update}, {running}/{want} ready")
    if (extra := count(have, "replicas") - want) > 0:
        return progressing(f"{running}/{want} ready, {_pods(extra)} too many")
    available = count(have, "availableReplicas", running)
    return _counted(min(running, available), want)


def daemon_set(obj: Object) -> Judgement:
    """Ready when every node that should have its pod has an available one of the newest template."""
    want, have = count(status(obj), "desiredNumberScheduled"), status(obj)
    available, updated = count(have, "numberAvailable"), count(have, "updatedNumberScheduled")
    if want == 0:
        return ready("0/0 ready, no node matches")
    if dig(spec(obj), "updateStrategy", "type") != "OnDelete" and updated < want:
        return progressing(f"rolling out {updated}/{want}, {available}/{want} ready")
    return _counted(min(available, count(have, "numberReady")), want)


def replica_set(obj: Object) -> Judgement:
    """Ready when as many pods as asked for are available."""
    want, have = count(spec(obj), "replicas", 1), status(obj)
    available = count(have, "availableReplicas")
    refused = condition(obj, "ReplicaFailure")
    if refused is not None and refused.get("status") == "True":
        return progressing(f"{available}/{want} ready, pods are refused: {said(refused)}")
    if (extra := count(have, "replicas") - want) > 0:
        return progressing(f"{available}/{want} ready, {_pods(extra)} too many")
    return _counted(available, want)


def pod(obj: Object, now: datetime.datetime | None) -> Judgement:
    """Ready when it is, or has run to its end; failed when its containers cannot come up."""
    have = status(obj)
    phase = have.get("phase")
    if phase == "Succeeded":
        return ready("completed")
    if phase == "Failed":
        return failed(_end_of(obj))
    if holds(obj, "Ready"):
        return ready()
    trouble = container_trouble(obj, now)
    if trouble is not None:
        return trouble
    scheduled = condition(obj, "PodScheduled")
    if scheduled is not None and scheduled.get("status") == "False":
        return progressing(f"unschedulable: {said(scheduled)}")
    statuses = mappings_at(have, "containerStatuses")
    if not statuses:
        return progressing("starting" if holds(obj, "PodScheduled") else "waiting for a node")
    running = sum(bool(s.get("ready")) for s in statuses)
    return progressing(f"{running}/{len(statuses)} containers ready")


def job(obj: Object) -> Judgement:
    """Ready when it has completed, or is suspended on purpose; a running one is progressing."""
    have = status(obj)
    if holds(obj, "Complete") or holds(obj, "SuccessCriteriaMet"):
        return ready("completed")
    for kind in ("Failed", "FailureTarget"):
        found = condition(obj, kind)
        if found is not None and found.get("status") == "True":
            return failed(f"{found.get('reason') or 'failed'}: {said(found)}")
    if spec(obj).get("suspend"):
        return ready("suspended")
    want = count(spec(obj), "completions", 1)
    counts = f"{count(have, 'succeeded')}/{want} done"
    if tries := count(have, "failed"):
        counts += f", {tries} failed"
    return progressing(f"{counts}, {count(have, 'active')} running")


def cron_job(obj: Object) -> Judgement:
    """Ready when it exists: its first run may be a month away."""
    return ready("suspended" if spec(obj).get("suspend") else "")


def _counted(have: int, want: int) -> Judgement:
    text = f"{have}/{want} ready"
    return ready(text) if have >= want else progressing(text)


def _pods(number: int) -> str:
    return f"{number} pod" if number == 1 else f"{number} pods"


def _end_of(obj: Object) -> str:
    have = status(obj)
    for found in mappings_at(have, "containerStatuses"):
        ended = mapping_at(found, "state", "terminated")
        if ended.get("exitCode"):
            reason = ended.get("reason") or "Error"
            return f"container {found['name']} ended with exit code {ended['exitCode']} ({reason})"
    return " ".join(str(have.get("message") or have.get("reason") or "failed").split())
