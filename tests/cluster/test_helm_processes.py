"""No helm outlives its installer or its deadline, and what it left behind can be gone on with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkrig.helm.client import HelmClient
from sparkrig.helm.errors import HelmError, HelmTimeout
from sparkrig.helm.storage.recovery import recover
from sparkrig.kube.client import KubeApi
from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.component import CrdOwner
from sparkrig.models.release import DesiredRelease

pytestmark = pytest.mark.cluster

CASES = Path(__file__).parents[1] / "cases" / "helm"
CHART = CASES / "charts" / "hooked"
HANG = {"hook": {"events": "pre-install,pre-upgrade", "hang": True}}
HANG_ON_INSTALL = {"hook": {"events": "pre-install", "hang": True}}
CALM = {"text": "calm"}


def wanted(release: str, namespace: str, values: dict[str, Any]) -> DesiredRelease:
    return DesiredRelease(
        component=release,
        release=release,
        namespace=namespace,
        namespace_labels={},
        chart=Chart("hooked", "1.0.0", "", "sha256:0", CHART, ChartOrigin.LOCAL),
        values=values,
        needs=(),
        crd_needs=(),
        crd_owner=CrdOwner.NONE,
        crd_labels={},
        rollback="reversible",
        keep=(),
        timeout_s=60.0,
        digest="sha256:0",
    )


@pytest.fixture
def client(sim: ClusterHandle, helm: Path) -> Iterator[HelmClient]:
    client = HelmClient(helm, sim)
    yield client
    client.close()


def status_of(api: KubeApi, namespace: str, release: str) -> tuple[int, str]:
    """Helm revision and status of the newest revision, from the labels."""
    secrets = api.list(f"/api/v1/namespaces/{namespace}/secrets", label_selector=f"owner=helm,name={release}")
    labels = [secret["metadata"]["labels"] for secret in secrets]
    return max((int(entry["version"]), entry["status"]) for entry in labels)


def until(what: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    return what()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def hook_started(api: KubeApi, namespace: str, release: str) -> bool:
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{release}-hook"
    return api.get(path, missing_ok=True) is not None


def data_of(api: KubeApi, namespace: str, name: str) -> dict[str, str]:
    found = api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
    assert found is not None
    return dict(found["data"])


async def while_hanging(
    client: HelmClient,
    api: KubeApi,
    desired: DesiredRelease,
    act: Callable[[int], Any],
    deadline_s: float = 60.0,
) -> BaseException | None:
    """Starts an upgrade whose hook hangs, acts on helm's pid once the hook is there, returns how it ended."""
    work: asyncio.Task[Any] = asyncio.create_task(
        client.install_or_upgrade(desired, stack="lab", deadline_s=deadline_s)
    )
    waited = asyncio.to_thread(until, lambda: hook_started(api, desired.namespace, desired.release))
    assert await waited, "the hook Job appears"
    (pid,) = client.running
    act(pid)
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    assert not alive(pid)
    return outcome if isinstance(outcome, BaseException) else None


def test_killed_installer_takes_helm_with_it(
    sim: ClusterHandle, helm: Path, api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    arguments = [helm, sim.kubeconfig, sim.context, CHART, "demo", namespace, json.dumps(HANG), 60]
    installer = subprocess.Popen(
        [sys.executable, CASES / "install_process.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # a killed process cannot remove its private folder
    )
    with installer:
        assert installer.stdout is not None
        pid = int(installer.stdout.readline())
        assert until(lambda: hook_started(api, namespace, "demo"))
        assert alive(pid)
        installer.kill()
    assert until(lambda: not alive(pid), 5.0)
    assert status_of(api, namespace, "demo") == (1, "pending-install")


def test_helm_that_obeys_term_marks_its_release_failed(client: HelmClient, api: KubeApi, namespace: str) -> None:
    deadline_s = 4.0

    def freeze(pid: int) -> None:
        # helm's own --timeout is shorter than our deadline and would end first: TERM is waiting when it wakes.
        os.kill(pid, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(deadline_s + 0.5, os.kill, pid, signal.SIGCONT)

    outcome = asyncio.run(while_hanging(client, api, wanted("demo", namespace, HANG), freeze, deadline_s))
    assert isinstance(outcome, HelmTimeout)
    assert not outcome.killed
    assert status_of(api, namespace, "demo") == (1, "failed")


@pytest.mark.parametrize(
    ("values", "revision", "installed"),
    [(HANG, "failed", "false"), (HANG_ON_INSTALL, "uninstalled", "true")],
    ids=["upgrade-hooks-too", "install-only-hooks"],
)
def test_install_that_had_to_be_killed_is_recovered(
    client: HelmClient,
    api: KubeApi,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, Any],
    revision: str,
    installed: str,
) -> None:
    monkeypatch.setattr("sparkrig.defaults.HELM_TERM_GRACE_S", 0.5)
    desired = wanted("demo", namespace, values)

    async def story() -> None:
        outcome = await while_hanging(client, api, desired, lambda pid: os.kill(pid, signal.SIGSTOP), deadline_s=3.0)
        assert isinstance(outcome, HelmTimeout)
        assert outcome.killed
        assert status_of(api, namespace, "demo") == (1, "pending-install")
        calm = wanted("demo", namespace, {**CALM, "hook": {**values["hook"], "hang": False}})
        with pytest.raises(HelmError, match="another operation") as refused:
            await client.install_or_upgrade(calm, stack="lab")
        assert refused.value.code == "pending"
        found = await recover(api, "demo", namespace, wanted=True)
        assert found is not None
        assert (found.before, found.after) == ("pending-install", revision)
        result = await client.install_or_upgrade(calm, stack="lab")
        assert (result.revision, result.status) == (2, "deployed")

    asyncio.run(story())
    assert status_of(api, namespace, "demo") == (2, "deployed")
    assert data_of(api, namespace, "demo") == {"text": "calm", "installed": installed}
    # An upgrade over the failed revision would never have run a hook that belongs to installs only.
    assert api.get(f"/api/v1/namespaces/{namespace}/secrets/demo-hook", missing_ok=True) is not None


def test_upgrade_that_died_is_recovered_and_loses_nothing(client: HelmClient, api: KubeApi, namespace: str) -> None:
    async def story() -> None:
        await client.install_or_upgrade(wanted("demo", namespace, {"text": "one"}), stack="lab")
        hanging = wanted("demo", namespace, {"text": "two", **HANG})
        outcome = await while_hanging(client, api, hanging, lambda pid: os.kill(pid, signal.SIGKILL))
        assert isinstance(outcome, HelmError)
        assert outcome.message == "upgrade of demo: helm was killed from outside (SIGKILL)"
        assert status_of(api, namespace, "demo") == (2, "pending-upgrade")
        before = data_of(api, namespace, "demo")
        found = await recover(api, "demo", namespace, wanted=True)
        assert found is not None
        assert (found.revision, found.before, found.after) == (2, "pending-upgrade", "failed")
        assert data_of(api, namespace, "demo") == before
        result = await client.install_or_upgrade(wanted("demo", namespace, {"text": "three"}), stack="lab")
        assert result.revision == 3

    asyncio.run(story())
    assert data_of(api, namespace, "demo")["text"] == "three"


@pytest.mark.parametrize(("event", "left"), [("pre-rollback", "pending-rollback"), ("post-delete", "uninstalling")])
def test_other_operations_that_died_are_recovered(
    client: HelmClient, api: KubeApi, namespace: str, event: str, left: str
) -> None:
    async def story() -> None:
        values = {"text": "one", "hook": {"events": event, "hang": True}}
        await client.install_or_upgrade(wanted("demo", namespace, values), stack="lab")
        dying = (
            client.rollback("demo", namespace, 1) if left == "pending-rollback" else client.uninstall("demo", namespace)
        )
        work: asyncio.Task[Any] = asyncio.create_task(dying)
        assert await asyncio.to_thread(until, lambda: hook_started(api, namespace, "demo"))
        (pid,) = client.running
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(HelmError):
            await work
        before = status_of(api, namespace, "demo")
        assert before[1] == left
        calm = wanted("demo", namespace, CALM)
        with pytest.raises(HelmError, match=r"another operation|has no deployed releases"):
            await client.install_or_upgrade(calm, stack="lab")
        found = await recover(api, "demo", namespace, wanted=True)
        assert found is not None
        assert found.after == "failed"
        result = await client.install_or_upgrade(calm, stack="lab")
        assert (result.revision, result.status) == (before[0] + 1, "deployed")

    asyncio.run(story())
    assert data_of(api, namespace, "demo")["text"] == "calm"


@pytest.mark.parametrize("step", ["rollback", "uninstall"])
def test_rollback_and_uninstall_need_no_recovery(client: HelmClient, api: KubeApi, namespace: str, step: str) -> None:
    async def story() -> None:
        await client.install_or_upgrade(wanted("demo", namespace, {"text": "one"}), stack="lab")
        hanging = wanted("demo", namespace, {"text": "two", **HANG})
        await while_hanging(client, api, hanging, lambda pid: os.kill(pid, signal.SIGKILL))
        assert status_of(api, namespace, "demo") == (2, "pending-upgrade")
        if step == "rollback":
            await client.rollback("demo", namespace, 1)
            assert (await client.status("demo", namespace)).status == "deployed"
            return
        await client.uninstall("demo", namespace)
        assert await recover(api, "demo", namespace, wanted=False) is None

    asyncio.run(story())


def test_recovery_leaves_a_healthy_release_alone(client: HelmClient, api: KubeApi, namespace: str) -> None:
    async def story() -> None:
        await client.install_or_upgrade(wanted("demo", namespace, CALM), stack="lab")
        found = await recover(api, "demo", namespace, wanted=True)
        assert found is not None
        assert not found.changed
        assert await recover(api, "nothing", namespace, wanted=True) is None

    asyncio.run(story())
    assert status_of(api, namespace, "demo") == (1, "deployed")


@pytest.mark.parametrize("mark", [False, True], ids=["as-left", "marked-for-reinstall"])
def test_uninstall_removes_the_objects_of_a_dead_install(
    client: HelmClient, api: KubeApi, namespace: str, mark: bool
) -> None:
    values = {"hook": {"events": "post-install", "hang": True}}

    async def story() -> None:
        desired = wanted("demo", namespace, values)
        await while_hanging(client, api, desired, lambda pid: os.kill(pid, signal.SIGKILL))
        if mark:
            await recover(api, "demo", namespace, wanted=True)
            assert status_of(api, namespace, "demo") == (1, "uninstalled")
        await recover(api, "demo", namespace, wanted=False)
        await client.uninstall("demo", namespace)

    asyncio.run(story())
    assert api.get(f"/api/v1/namespaces/{namespace}/configmaps/demo", missing_ok=True) is None


def test_cancelled_task_ends_helm_and_marks_the_release_failed(
    client: HelmClient, api: KubeApi, namespace: str
) -> None:
    async def story() -> int:
        work = asyncio.create_task(client.install_or_upgrade(wanted("demo", namespace, HANG), stack="lab"))
        assert await asyncio.to_thread(until, lambda: hook_started(api, namespace, "demo"))
        (pid,) = client.running
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        return pid

    pid = asyncio.run(story())
    assert not alive(pid)
    assert status_of(api, namespace, "demo") == (1, "failed")


def test_values_and_environment_do_not_show(
    client: HelmClient, api: KubeApi, namespace: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", "kube-system")
    monkeypatch.setenv("HELM_KUBETOKEN", "not-to-be-inherited")
    caplog.set_level("DEBUG")
    secret = "correct-horse-battery"
    seen: dict[str, str] = {}

    def look(pid: int) -> None:
        for name in ("cmdline", "environ"):
            seen[name] = Path(f"/proc/{pid}/{name}").read_bytes().replace(b"\0", b"\n").decode()
        os.kill(pid, signal.SIGTERM)

    async def story() -> BaseException | None:
        return await while_hanging(client, api, wanted("demo", namespace, {**HANG, "password": secret}), look)

    asyncio.run(story())
    assert "upgrade" in seen["cmdline"].split()
    assert secret not in seen["cmdline"] + seen["environ"] + caplog.text
    assert "not-to-be-inherited" not in seen["environ"]
    inherited = {line for line in seen["environ"].splitlines() if line.startswith("HELM_")}
    assert "HELM_DRIVER=secret" in inherited
    assert not any(line.startswith(("HELM_NAMESPACE", "HELM_KUBETOKEN")) for line in inherited)


def test_nothing_runs_before_it_is_needed(sim: ClusterHandle) -> None:
    def never() -> Path:
        raise AssertionError("helm was looked for")

    client = HelmClient(never, sim)
    assert client.processes == 0
    assert not client.running
    client.close()
