"""The stability window: whom it makes wait, and who has been steady for long enough already."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sparkrig.apply.waiting import Waiter
from sparkrig.defaults import STABLE_WINDOW_S
from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch
from sparkrig.models.objects import ObjectRef

pytestmark = pytest.mark.cluster

LABELS = {"app": "x"}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "spec": {
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "main", "image": "registry.example.org/x:1"}]},
        },
    },
}


class Lagging(ObjectWatch):
    """A watch that has not heard the latest: what it said of an object first it says for ever."""

    def __init__(self, api: KubeApi) -> None:
        super().__init__(api)
        self.frozen: dict[ObjectRef, tuple[dict[str, Any] | None, float | None]] = {}

    def freeze(self, ref: ObjectRef) -> None:
        self.frozen[ref] = super().get(ref), super().since(ref)

    def thaw(self) -> None:
        self.frozen.clear()
        self._notify()

    def get(self, ref: ObjectRef) -> dict[str, Any] | None:
        return self.frozen[ref][0] if ref in self.frozen else super().get(ref)

    def since(self, ref: ObjectRef) -> float | None:
        return self.frozen[ref][1] if ref in self.frozen else super().since(ref)


@pytest.fixture
def watch(api: KubeApi) -> Iterator[Lagging]:
    with Lagging(api) as watch:
        yield watch


@pytest.fixture
def steady(api: KubeApi, watch: Lagging, namespace: str) -> ObjectRef:
    """A Deployment that the watch has seen ready and unchanged for longer than the window."""
    ref = ObjectRef("apps", "v1", "Deployment", namespace, "x")
    api.apply({**DEPLOYMENT, "metadata": {"name": ref.name, "namespace": namespace}})
    waited(api, watch, ref)
    deadline = time.monotonic() + 30
    while time.monotonic() - (watch.since(ref) or 0.0) < STABLE_WINDOW_S + 0.2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return ref


def waited(api: KubeApi, watch: ObjectWatch, ref: ObjectRef) -> tuple[float, list[str]]:
    """Seconds from ready to the end of the wait, and what was said."""
    said: list[str] = []
    ready: list[float] = []
    waiter = Waiter(api, watch)
    when_ready = lambda: ready.append(time.monotonic())  # noqa: E731
    asyncio.run(waiter.until_ready([ref], (), timeout_s=60.0, say=said.append, when_ready=when_ready))
    return time.monotonic() - ready[-1], said


def rolled_out(api: KubeApi, ref: ObjectRef) -> bool:
    found = api.get(api.path_of(ref))
    status = found.get("status", {}) if found else {}
    return bool(found and status.get("observedGeneration") == found["metadata"]["generation"]) and (
        status.get("updatedReplicas") == status.get("readyReplicas") == status.get("replicas") == 1
    )


def touch(api: KubeApi, ref: ObjectRef) -> None:
    api.patch(api.path_of(ref), {"spec": {"template": {"metadata": {"annotations": {"touched": "yes"}}}}})


def test_what_was_not_written_meanwhile_is_not_watched_again(api: KubeApi, watch: Lagging, steady: ObjectRef) -> None:
    seconds, said = waited(api, watch, steady)
    assert seconds < STABLE_WINDOW_S / 2
    assert not [line for line in said if "watched for" in line]


def test_what_was_changed_is_watched_for_the_whole_window(api: KubeApi, watch: Lagging, steady: ObjectRef) -> None:
    touch(api, steady)
    seconds, said = waited(api, watch, steady)
    assert seconds > STABLE_WINDOW_S * 0.9
    assert [line for line in said if "watched for" in line]


def test_a_watch_that_lags_behind_is_not_believed(api: KubeApi, watch: Lagging, steady: ObjectRef) -> None:
    watch.freeze(steady)
    touch(api, steady)
    seconds, _ = waited(api, watch, steady)
    assert seconds > STABLE_WINDOW_S * 0.9


def test_who_needs_a_release_does_not_start_on_what_a_lagging_watch_says(
    api: KubeApi, watch: Lagging, steady: ObjectRef
) -> None:
    watch.freeze(steady)
    touch(api, steady)
    thread = threading.Timer(0.7, watch.thaw)
    thread.start()
    started: list[bool] = []
    waiter = Waiter(api, watch)
    when_ready = lambda: started.append(rolled_out(api, steady))  # noqa: E731
    asyncio.run(waiter.until_ready([steady], (), timeout_s=60.0, say=lambda _: None, when_ready=when_ready))
    thread.join()
    assert started
    assert all(started)


def test_what_is_expected_is_followed_while_helm_works(api: KubeApi, namespace: str) -> None:
    ref = ObjectRef("apps", "v1", "Deployment", namespace, "x")
    api.apply({**DEPLOYMENT, "metadata": {"name": ref.name, "namespace": namespace}})
    with Lagging(api) as watch:
        waited(api, watch, ref)
    with ObjectWatch(api) as watch:
        watch.look([ref])
        Waiter(api, watch).expect([ref])
        assert watch.connections == 3  # Deployments, and of its namespace Pods and ReplicaSets
        time.sleep(STABLE_WINDOW_S + 0.2)  # helm works on something else
        seconds, said = waited(api, watch, ref)
    assert seconds < STABLE_WINDOW_S / 2
    assert not [line for line in said if "watched for" in line]
