"""Found before the write: a release too large for its Secret, pods of others that a change disturbs."""

from __future__ import annotations

import hashlib

from tests.mini import CONFIGMAP, World

from sparkrig.kube.client import KubeApi


def noise(length: int) -> str:
    """Text that does not compress; the same each time."""
    blocks = (hashlib.sha256(str(n).encode()).hexdigest() for n in range(length // 64 + 1))
    return "".join(blocks)[:length]


def test_a_release_over_the_limit_is_refused_with_what_makes_it_large(world: World, api: KubeApi) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP})
    (world.catalog / "a" / "model.txt").write_text(noise(3_000_000))
    world.write_stack()
    done = world.up()
    assert done.code == 4, done.err
    assert "release a would take" in done.err
    assert "chart file model.txt" in done.err
    assert api.get(f"/api/v1/namespaces/{world.stack}-a", missing_ok=True) is None


def test_a_large_release_that_fits_is_installed(world: World) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP})
    (world.catalog / "a" / "model.txt").write_text(noise(900_000))
    world.write_stack()
    assert world.up().code == 0


def test_running_pods_of_others_hold_a_change_up(world: World, api: KubeApi) -> None:
    world.component("driver", templates={"c.yaml": CONFIGMAP}, disturbsPods="nvidia.com/gpu", disturbs="restarts it")
    world.write_stack()
    assert world.up().code == 0
    jobs = f"{world.stack}-jobs"
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": jobs}})
    train = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "train"},
        "spec": {
            "nodeName": next(
                node["metadata"]["name"]
                for node in api.list("/api/v1/nodes")
                if "nvidia.com/gpu" in node["status"]["allocatable"]
            ),
            "containers": [
                {"name": "c", "image": "registry.example.org/t", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
            ],
        },
    }
    api.create(f"/api/v1/namespaces/{jobs}/pods", train)
    world.write_stack(driver={"values": {"text": "newer"}})
    refused = world.up()
    assert refused.code == 4, refused.err
    assert f"driver disturbs 1 running pod on 1 node ({jobs}/train): restarts it" in refused.err
    assert "--allow-disruption driver" in refused.err
    assert world.run("plan", "--detailed-exitcode").code == 2
    assert world.up("--allow-disruption", "driver").code == 0
    # Its namespace goes some time after the test, and the pod with it: the next test counts what runs.
    api.request("DELETE", f"/api/v1/namespaces/{jobs}/pods/train", params={"gracePeriodSeconds": "0"})


SERVER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: server}
spec:
  replicas: 1
  selector: {matchLabels: {app: server}}
  template:
    metadata: {labels: {app: server}}
    spec:
      containers:
        - name: main
          image: registry.example.org/server:1
          resources: {limits: {nvidia.com/gpu: 1}}
"""


def test_only_what_really_changes_disturbs_and_not_the_pods_that_go_too(world: World, api: KubeApi) -> None:
    config = CONFIGMAP.replace("data: {text:", "data: {note: {{ .Values.note | quote }}, text:")
    rules = [{"group": "", "kind": "ConfigMap", "paths": ["data.text"], "does": "restarts the driver"}]
    served = {"resources": ["nvidia.com/gpu*"], "changes": rules, "removal": "removes the driver"}
    values = {"note": "a", "text": "hello"}
    world.component("driver", templates={"c.yaml": config}, values=values, disturbsPods=served)
    world.component("server", templates={"d.yaml": SERVER})
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(driver={"values": {"note": "b"}})
    done = world.up()
    assert done.code == 0, done.err
    world.write_stack(driver={"values": {"text": "newer", "note": "b"}})
    refused = world.up()
    assert refused.code == 4, refused.err
    assert "1 running pod" in refused.err
    assert "restarts the driver" in refused.err
    assert world.up("--allow-disruption", "driver").code == 0
    back = world.run("rollback", "--yes")
    assert back.code == 4, "the way back changes the same field"
    assert "restarts the driver" in back.err
    path = f"/api/v1/namespaces/{world.stack}-driver/configmaps/driver"
    theirs = {"data": {"text": "edited"}}
    merge = "application/merge-patch+json"
    api.request("PATCH", path, body=theirs, params={"fieldManager": "kubectl-edit"}, content_type=merge)
    repair = world.up("--repair")
    assert repair.code == 4, "so does a repair of it"
    assert "restarts the driver" in repair.err
    down = world.run("down", "--yes")
    assert down.code == 0, down.err
