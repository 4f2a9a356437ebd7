"""Revision records in the cluster: whole whatever their size, and honest when a return fails."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace

import pytest
from tests.mini import AT_WORK, CONFIGMAP, DEPLOYMENT, World
from tests.records import desired, revision, state

from sparkrig.errors import Locked, OperationError
from sparkrig.history.home import ensure_home
from sparkrig.history.store import SECRETS, History
from sparkrig.kube.client import KubeApi
from sparkrig.models.revision import RevisionStatus

SLOW = """
apiVersion: batch/v1
kind: Job
metadata:
  name: slow
  annotations: {helm.sh/hook: pre-upgrade, helm.sh/hook-delete-policy: before-hook-creation}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {sim.sparkrig.dev/runs-for: 4s, sim.sparkrig.dev/exits: "1"}}
    spec:
      restartPolicy: Never
      containers: [{name: main, image: registry.example.org/hook}]
"""


@pytest.fixture
def history(api: KubeApi, request: pytest.FixtureRequest) -> History:
    ensure_home(api)
    return History(api, f"records-{zlib.crc32(request.node.name.encode())}")


def test_a_record_over_one_mebibyte_is_split_and_read_whole(api: KubeApi, history: History) -> None:
    noise = "".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(60_000))
    large = replace(
        revision(1, state(desired("a", values={"noise": noise}))), stack=history._stack, status=RevisionStatus.PENDING
    )
    history.begin(large)
    (info,) = history.infos()
    assert info.parts >= 2
    assert history.read(info) == large
    history.finish(replace(large, status=RevisionStatus.DEPLOYED, after=()))
    (info,) = history.infos()
    assert history.read(info).after == ()
    with pytest.raises(Locked):
        history.begin(large)
    history.delete(info)
    names = [item["metadata"]["name"] for item in api.list(SECRETS, metadata_only=True)]
    assert [name for name in names if history._stack in name] == []


def test_a_damaged_or_halved_record_is_named(api: KubeApi, history: History) -> None:
    small = replace(revision(1, state(desired("a"))), stack=history._stack)
    history.begin(small)
    path = f"{SECRETS}/sparkrig.{history._stack}.v1"
    api.patch(path, {"data": {"revision": "bm90IGd6aXA="}})
    (info,) = history.infos()
    with pytest.raises(OperationError) as damaged:
        history.read(info)
    assert damaged.value.message.startswith(f"the record of revision 1 of stack {history._stack} is damaged (Secret ")
    assert f"kubectl delete secret -n sparkrig-system sparkrig.{history._stack}.v1" in damaged.value.hint
    with pytest.raises(OperationError, match=r"v1\.part2, a part of a revision, is gone"):
        history.read(replace(info, parts=2))
    history.delete(info)  # the cluster is shared: who purges reads what other stacks have


def test_a_return_that_fails_says_what_is_where_and_exits_7(world: World, api: KubeApi) -> None:
    world.component("a", templates={"d.yaml": DEPLOYMENT, "c.yaml": CONFIGMAP})
    world.component("b", templates={"d.yaml": DEPLOYMENT, "h.yaml": SLOW}, needs=["a"])
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(a={"values": {"tag": "2"}}, b={"values": {"tag": "2"}})
    run = world.start("up", "--yes", "--on", world.target)
    assert run.stderr is not None
    for line in run.stderr:
        if " b " in line and AT_WORK.search(line):
            break
    # What a must return to is lost while b fails.
    api.delete(f"/api/v1/namespaces/{world.stack}-a/secrets/sh.helm.release.v1.a.v1")
    out, err = run.communicate(timeout=120)
    assert run.returncode == 7, err + out
    assert "could not be restored" in out
    assert "a 1.0.0: Helm revision" in out
    assert world.run("history", "--output", "json").json["revisions"][0]["status"] == "failed"
    world.component("b", needs=["a"])
    mended = world.up()
    assert mended.code == 0, mended.err + mended.out


def test_a_run_that_died_before_it_superseded_the_one_before_leaves_one_deployed(history: History) -> None:
    """Two Secrets cannot be written at once: the newer success counts, and the next one mends the labels."""
    for number in (1, 2):
        pending = replace(revision(number), stack=history._stack, status=RevisionStatus.PENDING)
        history.begin(pending)
        assert history.is_open(number)
        history.finish(replace(pending, status=RevisionStatus.DEPLOYED))
        assert not history.is_open(number)
    assert [info.status for info in history.infos()] == [RevisionStatus.SUPERSEDED, RevisionStatus.DEPLOYED]
    assert [r.status for r in history.all()] == [RevisionStatus.SUPERSEDED, RevisionStatus.DEPLOYED]
    assert [info.status for info in history._stored()] == [RevisionStatus.DEPLOYED] * 2
    history.supersede(2)
    assert [info.status for info in history._stored()] == [RevisionStatus.SUPERSEDED, RevisionStatus.DEPLOYED]
    for info in history.infos():
        history.delete(info)
