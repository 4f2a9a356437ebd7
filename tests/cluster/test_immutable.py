"""Fields that cannot be changed: found before anything is written, refused, or the object is made anew."""

from __future__ import annotations

from typing import Any

import pytest
from tests.mini import World

from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

STATEFUL = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: {{ .Values.app | quote }}}}
  template:
    metadata: {labels: {app: {{ .Values.app | quote }}}}
    spec:
      containers:
        - {name: main, image: "registry.example.org/db:1", volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: {{ .Values.size }}}}}
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: "registry.example.org/once:{{ .Values.tag }}"}]}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: svc}
spec: {clusterIP: {{ .Values.address | quote }}, selector: {a: b}, ports: [{port: 80}]}
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: files, annotations: {helm.sh/resource-policy: keep}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: {{ .Values.claim }}}}}
"""
CLASS = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: {{ .Release.Namespace }}}
provisioner: example.org/{{ .Values.provisioner }}
"""
WORKER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: worker}
spec:
  selector: {matchLabels: {app: {{ .Values.worker | quote }}}}
  template:
    metadata: {labels: {app: {{ .Values.worker | quote }}}}
    spec: {containers: [{name: main, image: "registry.example.org/worker:1"}]}
"""
BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: binding}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ .Values.role | quote }}}
subjects: [{kind: ServiceAccount, name: default, namespace: default}]
"""
VALUES = {
    "app": "db",
    "size": "2Mi",
    "tag": "1",
    "address": "",
    "claim": "2Mi",
    "provisioner": "one",
    "worker": "one",
    "role": "one",
}
CHANGED = {
    "size": "1Mi",
    "tag": "2",
    "address": "10.0.0.231",
    "claim": "1Mi",
    "provisioner": "two",
    "worker": "two",
    "role": "two",
}
ALL = {
    "db.yaml": STATEFUL,
    "job.yaml": JOB,
    "svc.yaml": SERVICE,
    "claim.yaml": CLAIM,
    "class.yaml": CLASS,
    "worker.yaml": WORKER,
    "binding.yaml": BINDING,
}


def uids(api: KubeApi, world: World, collection: str) -> dict[str, str]:
    items = api.list(f"/api/v1/namespaces/{world.stack}-a/{collection}")
    return {
        item["metadata"]["name"]: item["metadata"]["uid"]
        for item in items
        if item["metadata"]["name"].startswith(("db-", "data-db"))
    }


def stateful(api: KubeApi, world: World) -> dict[str, Any]:
    found = api.get(f"/apis/apps/v1/namespaces/{world.stack}-a/statefulsets/db")
    assert found is not None
    return found


def size(api: KubeApi, world: World) -> str:
    return str(stateful(api, world)["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"])


def test_everything_that_cannot_be_changed_is_named_at_once(world: World, api: KubeApi) -> None:
    world.component("a", templates=ALL, values=VALUES)
    world.write_stack()
    first = world.up()
    assert first.code == 0, first.err
    before = stateful(api, world)["metadata"]["resourceVersion"]
    world.write_stack(a={"values": CHANGED})
    refused = world.run("up", "--yes", "--output", "json")
    assert refused.code == 4, refused.out + refused.err
    said = "\n".join(refused.json["detail"])
    where = f"{world.stack}-a"
    for line in (
        f"[immutable] a: StatefulSet {where}/db cannot be changed: spec.volumeClaimTemplates",
        f"[immutable] a: Job {where}/once cannot be changed: spec.template: field is immutable",
        f"[immutable] a: Service {where}/svc cannot be changed: spec.clusterIPs[0]: ",
        f"[immutable] a: PersistentVolumeClaim {where}/files cannot be changed: spec.resources.requests.storage: ",
        f"[immutable] a: StorageClass {where} cannot be changed: provisioner: ",
        f"[immutable] a: Deployment {where}/worker cannot be changed: spec.selector: ",
        f"[immutable] a: RoleBinding {where}/binding cannot be changed: roleRef: ",
        "its pods and volumes stay): components.a.immutable: recreate",
        "a volume is replaced by hand",
    ):
        assert line in said, said
    assert len(refused.json["detail"]) == 7
    assert stateful(api, world)["metadata"]["resourceVersion"] == before
    shown = world.run("plan")
    assert shown.code == 0
    assert shown.out.count("! cannot be changed:") == 7


def test_recreate_keeps_pods_and_volumes_and_a_volume_is_never_made_anew(world: World, api: KubeApi) -> None:
    world.component("a", templates=ALL, values=VALUES)
    world.write_stack()
    assert world.up().code == 0
    pods, claims = uids(api, world, "pods"), uids(api, world, "persistentvolumeclaims")
    assert len(pods) == len(claims) == 2
    was = stateful(api, world)["metadata"]["uid"]
    world.write_stack(a={"values": CHANGED, "immutable": "recreate"})
    refused = world.run("up", "--yes", "--output", "json")
    assert refused.code == 4, refused.out
    assert len(refused.json["detail"]) == 1
    assert "PersistentVolumeClaim" in refused.json["detail"][0]
    world.write_stack(a={"values": {**CHANGED, "claim": "2Mi"}, "immutable": "recreate"})
    shown = world.run("plan")
    assert f"recreates StatefulSet {world.stack}-a/db, its pods and volumes stay" in " ".join(shown.out.split())
    done = world.up()
    assert done.code == 0, done.out + done.err
    assert stateful(api, world)["metadata"]["uid"] != was
    assert size(api, world) == "1Mi"
    assert uids(api, world, "pods") == pods
    assert uids(api, world, "persistentvolumeclaims") == claims
    owners = {
        p["metadata"]["ownerReferences"][0]["uid"]
        for p in api.list(f"/api/v1/namespaces/{world.stack}-a/pods")
        if p["metadata"]["name"] in pods
    }
    assert owners == {stateful(api, world)["metadata"]["uid"]}, "the new one adopted them"
    service = api.get(f"/api/v1/namespaces/{world.stack}-a/services/svc")
    assert service is not None
    assert service["spec"]["clusterIP"] == CHANGED["address"]
    # And back: what was made anew is made anew on the way back.
    back = world.run("rollback", "--yes")
    assert back.code == 0, back.out + back.err
    assert size(api, world) == "2Mi"
    assert uids(api, world, "pods") == pods
    assert uids(api, world, "persistentvolumeclaims") == claims


def test_a_new_selector_starts_the_pods_anew_and_keeps_the_volumes(world: World, api: KubeApi) -> None:
    world.component("a", templates={"db.yaml": STATEFUL}, values=VALUES)
    world.write_stack()
    assert world.up().code == 0
    pods, claims = uids(api, world, "pods"), uids(api, world, "persistentvolumeclaims")
    world.write_stack(a={"values": {"app": "other"}, "immutable": "recreate"})
    done = world.up()
    assert done.code == 0, done.out + done.err
    now = uids(api, world, "pods")
    assert now.keys() == pods.keys()
    assert not set(now.values()) & set(pods.values())
    assert uids(api, world, "persistentvolumeclaims") == claims


def test_a_failed_change_returns_over_what_it_made_anew(world: World, api: KubeApi) -> None:
    broken = "{{ if .Values.broken }}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {a: [1]}\n{{ end }}"
    world.component("a", templates={"db.yaml": STATEFUL}, values=VALUES)
    world.component("b", templates={"b.yaml": broken, "job.yaml": JOB}, values={**VALUES, "broken": False}, needs=["a"])
    world.write_stack()
    assert world.up().code == 0
    pods, claims = uids(api, world, "pods"), uids(api, world, "persistentvolumeclaims")
    world.write_stack(a={"values": {"size": "1Mi"}, "immutable": "recreate"}, b={"values": {"broken": True}})
    failed = world.up()
    assert failed.code == 6, failed.out + failed.err
    assert size(api, world) == "2Mi"
    assert uids(api, world, "pods") == pods
    assert uids(api, world, "persistentvolumeclaims") == claims
