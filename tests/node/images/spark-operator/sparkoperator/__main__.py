"""``controller start``: follows SparkApplications and their pods in some namespaces; arguments are the chart's."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import logging
import uuid
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import kopf
from kubernetes import client, config

from sparkoperator import cluster, metrics, states
from sparkoperator.submission import Refused

POLL_S = 0.5
RETRY_S = 5
READY = "http://0.0.0.0:8081/{probe}"
"""Whatever the probe is called: upstream's chart asks /healthz and /readyz."""
# One thing at a time for an application: its own changes and those of its pods come side by side.
locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
logger = logging.getLogger("sparkoperator")


@kopf.on.startup()
async def begin(settings: kopf.OperatorSettings, **_: Any) -> None:
    config.load_incluster_config()
    # Kubernetes' events would need a right that nothing else here does.
    settings.posting.enabled = False
    # Neither new kinds nor new namespaces matter while it runs.
    settings.scanning.disabled = True


@kopf.on.event(cluster.GROUP, cluster.VERSION, cluster.PLURAL)
async def changed(namespace: str, name: str, memo: kopf.Memo, **_: Any) -> None:
    """An application was made or changed, also by what is written below: each state leads to the next."""
    await reconcile(namespace, name, memo.submitting)


@kopf.on.event("v1", "pods", labels={states.APP_LABEL: kopf.PRESENT})
async def pod_changed(namespace: str, labels: dict[str, str], memo: kopf.Memo, **_: Any) -> None:
    """A driver or an executor changed."""
    await reconcile(namespace, labels[states.APP_LABEL], memo.submitting)


async def reconcile(namespace: str, name: str, submitting: asyncio.Semaphore) -> None:
    """Take the next step; tried again while the API server refuses or cannot be reached."""
    while True:
        try:
            async with locks[namespace, name]:
                await step(namespace, name, submitting)
            return
        except (client.ApiException, OSError) as error:
            logger.warning("%s/%s: %s; again in %s s", namespace, name, error, RETRY_S)
            await asyncio.sleep(RETRY_S)


async def step(namespace: str, name: str, submitting: asyncio.Semaphore) -> None:
    application = await call(cluster.read, namespace, name)
    if application is None:
        return
    drivers = await call(cluster.pods, application, "driver")
    wanted = states.next_step(application, drivers[0] if drivers else None)
    if isinstance(wanted, states.Submit):
        await submit(application, wanted, submitting)
    elif isinstance(wanted, states.Report):
        state = wanted.status["applicationState"]["state"]
        told(application, wanted.status["applicationState"])
        ended = {} if state == "RUNNING" else {"terminationTime": now()}
        labels = drivers[0]["metadata"]["labels"] if drivers else {}
        identity = {"sparkApplicationId": labels["spark-app-selector"]} if "spark-app-selector" in labels else {}
        await call(cluster.write, application, {**wanted.status, **ended, **identity, **await seen(application, state)})
    elif (application.get("status") or {}).get("applicationState", {}).get("state") == "RUNNING":
        executors = await seen(application, "RUNNING")
        if executors["executorState"] != application["status"].get("executorState", {}):
            await call(cluster.write, application, executors)


async def seen(application: states.Object, state: str) -> dict[str, Any]:
    """The executors of the application, for its status."""
    pods = await call(cluster.pods, application, "executor")
    known = application["status"].get("executorState") or {}
    return {"executorState": states.executors(pods, known, ended=state == "COMPLETED")}


async def submit(application: states.Object, wanted: states.Submit, submitting: asyncio.Semaphore) -> None:
    """Submit it after the pause, unless it has changed or gone meanwhile."""
    metadata = application["metadata"]
    await asyncio.sleep(wanted.after)
    current = await call(cluster.read, metadata["namespace"], metadata["name"])
    if current is None or current["metadata"]["uid"] != metadata["uid"]:
        return
    number = states.submission_id(current, str(uuid.uuid4()))
    made = {
        "lastSubmissionAttemptTime": now(),
        "submissionID": number,
        "executorState": None,
        **wanted.attempts,
    }
    state = {"state": "SUBMITTED", "errorMessage": None}
    try:
        while not await call(cluster.remove_driver, current):
            await asyncio.sleep(POLL_S)
        async with submitting:
            made |= await call(cluster.submit, current, number)
    except (Refused, cluster.SubmissionFailed) as error:
        state = {"state": "SUBMISSION_FAILED", "errorMessage": str(error)}
    told(application, state)
    await call(cluster.write, current, {**made, "terminationTime": None, "applicationState": state})


def told(application: states.Object, state: states.Object) -> None:
    metrics.counted[state["state"]] += 1
    metadata = application["metadata"]
    why = f": {state['errorMessage']}" if state.get("errorMessage") else ""
    logger.info("%s/%s: %s%s", metadata["namespace"], metadata["name"], state["state"], why)


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(function, *arguments)


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> None:
    """Read what the chart gives; what is not known here (rates, batch schedulers) is left alone."""
    parser = argparse.ArgumentParser(prog="sparkoperator")
    parser.add_argument("part", choices=["controller"])
    parser.add_argument("verb", choices=["start"])
    parser.add_argument("--namespaces", required=True)
    parser.add_argument("--controller-threads", type=int, default=10)
    parser.add_argument("--metrics-bind-address", default="")
    asked, _ = parser.parse_known_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    metrics.serve(asked.metrics_bind_address)
    # Each submission at the same time is a JVM.
    memo = kopf.Memo(submitting=asyncio.Semaphore(asked.controller_threads))
    with contextlib.suppress(KeyboardInterrupt):
        kopf.run(standalone=True, namespaces=asked.namespaces.split(","), liveness_endpoint=READY, memo=memo)


main()
