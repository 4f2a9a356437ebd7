"""``controller start``: follows SparkApplications and their pods in some namespaces, while it leads."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import uuid
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import kopf
from kubernetes import client

from sparkoperator import cluster, metrics, states
from sparkoperator.submission import Refused, driver_name

RETRY_S = 0.5
RETRY_MOST_S = 30.0
CONFLICTS = 5
Key = tuple[str, str]
logger = logging.getLogger("sparkoperator")
# What each application's spec was at the last event: a change is noticed by comparing, as upstream's informer does.
# One that comes while no controller leads is not noticed at all.
specs: dict[Key, Any] = {}
locks: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)
waiting: defaultdict[Key, int] = defaultdict(int)
pauses: dict[Key, float] = {}
options = {"page": True}
tasks: set[asyncio.Task[None]] = set()


@kopf.on.startup()
async def begin(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Without rights that upstream's role does not give."""
    settings.posting.enabled = False
    # Neither new kinds nor new namespaces matter while it runs.
    settings.scanning.disabled = True


@kopf.on.event(cluster.GROUP, cluster.VERSION, cluster.PLURAL)
async def changed(event: kopf.RawEvent, namespace: str, name: str, memo: kopf.Memo, **_: Any) -> None:
    """An application was made, changed or deleted; what is written below comes here too."""
    key = (namespace, name)
    if event["type"] == "DELETED":
        specs.pop(key, None)
        return
    before, now = specs.get(key), event["object"].get("spec") or {}
    specs[key] = now
    if before is not None and states.changed(before, now):
        logger.info("%s/%s: its spec has changed", namespace, name)
        await call(cluster.write, event["object"], {"applicationState": {"state": "INVALIDATING"}})
    enqueue(key, memo.submitting)


@kopf.on.event("v1", "pods", labels={states.APP_LABEL: kopf.PRESENT, states.LAUNCHED_LABEL: "true"})
async def pod_changed(namespace: str, labels: dict[str, str], memo: kopf.Memo, **_: Any) -> None:
    """A driver or an executor changed."""
    enqueue((namespace, labels[states.APP_LABEL]), memo.submitting)


def enqueue(key: Key, submitting: asyncio.Semaphore) -> None:
    """Reconcile soon; one that waits for its turn already stands for this too."""
    if waiting[key]:
        return
    waiting[key] += 1
    task = asyncio.create_task(reconcile(key, submitting))
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def reconcile(key: Key, submitting: asyncio.Semaphore) -> None:
    """Take the next step, one at a time for an application; come back while something is in the way."""
    async with locks[key]:
        waiting[key] -= 1
        try:
            again = await step(key, submitting)
            pauses.pop(key, None)
        except (client.ApiException, OSError) as error:
            again = pauses.get(key, RETRY_S)
            pauses[key] = min(again * 2, RETRY_MOST_S)
            logger.warning("%s/%s: %s; again in %s s", *key, error, again)
    if again is not None:
        asyncio.get_running_loop().call_later(again, enqueue, key, submitting)


async def step(key: Key, submitting: asyncio.Semaphore) -> float | None:
    """One step; None, or the seconds after which to look again."""
    application = await call(cluster.read, *key)
    if application is None:
        return None
    if application["metadata"].get("deletionTimestamp"):
        await call(cluster.remove_run, application)
        return None
    state = states.state_of(application)
    driver = await call(cluster.driver, application)
    wanted = states.next_step(application, driver, now())
    if isinstance(wanted, states.Submit):
        return await submit(application, submitting)
    if isinstance(wanted, states.Wait | states.Report) and wanted.delete:
        await call(cluster.remove_run, application)
    if isinstance(wanted, states.Wait):
        return wanted.seconds
    if isinstance(wanted, states.Stuck):
        logger.error("%s/%s: %s", *key, wanted.why)
        return RETRY_MOST_S
    if isinstance(wanted, states.Report):
        return await report(application, wanted)
    if state in states.TERMINATED:
        return await ended(application)
    return None


async def report(application: states.Object, wanted: states.Report) -> float | None:
    """Write a new status, and what goes with it while a run is followed."""
    status, old = dict(wanted.status), states.state_of(application)
    if old in ("SUBMITTED", "RUNNING", "UNKNOWN"):
        new = status.get("applicationState", {}).get("state", old)
        pods = await call(cluster.executor_pods, application)
        known = (application.get("status") or {}).get("executorState") or {}
        if found := states.executors(pods, known, new):
            status["executorState"] = found
        if old == "SUBMITTED" and options["page"]:
            status["driverInfo"] = await call(cluster.page, application)
    if states.merged(application["status"], status) == states.merged(application["status"], {}):
        return None
    if not await call(cluster.write, application, status):
        return RETRY_S
    if status["applicationState"]["state"] != old:
        await told(application, status["applicationState"])
    return None


async def ended(application: states.Object) -> float | None:
    """Follow the executors to their end, and the application to that of its time to live."""
    if states.expired(application, now()):
        await call(cluster.remove, application)
        return None
    known = application["status"].get("executorState") or {}
    pods = await call(cluster.executor_pods, application)
    found = states.executors(pods, known, states.state_of(application))
    if found != known and not await call(cluster.write, application, {"executorState": found}):
        return RETRY_S
    return 1.0 if application["spec"].get("timeToLiveSeconds") else None


async def submit(application: states.Object, submitting: asyncio.Semaphore) -> float | None:
    """Run spark-submit, and only then write a status.

    A controller that dies in between leaves a driver that no status knows of: the next submission finds its pod in
    the way and fails, while the driver runs on.
    """
    number, attempts = str(uuid.uuid4()), application.get("status") or {}
    made: dict[str, Any] = {
        "lastSubmissionAttemptTime": states.text(now()),
        "submissionID": number,
        "submissionAttempts": attempts.get("submissionAttempts", 0) + 1,
        "driverInfo": {"podName": driver_name(application)},
    }
    state = {"state": "SUBMITTED", "errorMessage": None}
    try:
        async with submitting:
            await call(cluster.submit, application, number, cluster.environment())
        made["executionAttempts"] = attempts.get("executionAttempts", 0) + 1
    except (Refused, cluster.SubmissionFailed) as error:
        what = "build spark-submit arguments" if isinstance(error, Refused) else "run spark-submit"
        words = f"failed to submit spark application: failed to {what}: {error}"
        state = {"state": "SUBMISSION_FAILED", "errorMessage": words}
    if not await call(cluster.write, application, {**made, "applicationState": state}):
        # Whoever was faster decides: a state that is still the old one means another spark-submit.
        return RETRY_S
    await told(application, state)
    return None


async def told(application: states.Object, state: states.Object) -> None:
    """Count a new state, log it, and make an event."""
    metrics.counted[state["state"]] += 1
    metadata = application["metadata"]
    why = f": {state['errorMessage']}" if state.get("errorMessage") else ""
    logger.info("%s/%s: %s%s", metadata["namespace"], metadata["name"], state["state"], why)
    await call(cluster.announce, application, state)


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """A blocking call in a thread."""
    return await asyncio.to_thread(function, *arguments)


def now() -> datetime.datetime:
    """The time."""
    return datetime.datetime.now(datetime.UTC)


def run(namespaces: tuple[str, ...], threads: int, *, page: bool) -> None:
    """Follow for ever; ``page``: with a Service for each driver's page."""
    options["page"] = page
    # Each submission at the same time is a JVM.
    memo = kopf.Memo(submitting=asyncio.Semaphore(threads))
    where: dict[str, Any] = {"namespaces": namespaces} if namespaces else {"clusterwide": True}
    with contextlib.suppress(KeyboardInterrupt):
        kopf.run(standalone=True, memo=memo, **where)
