"""What an upgrade may not do, and what a failed first install leaves alone."""

from __future__ import annotations

from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.kube.client import KubeApi

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, annotations: {helm.sh/resource-policy: keep}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""
BREAKABLE = DEPLOYMENT.replace(
    "replicas: {{ .Values.replicas }}",
    "replicas: {{ if .Values.broken }}many{{ else }}{{ .Values.replicas }}{{ end }}",
)


def uid(api: KubeApi, path: str) -> str | None:
    found = api.get(path, missing_ok=True)
    return found["metadata"]["uid"] if found else None


def test_a_release_that_would_move_is_refused_with_the_way_to_do_it(world: World, api: KubeApi) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0
    world.component("a", templates={"c.yaml": CONFIGMAP}, namespace=f"{world.stack}-elsewhere")
    refused = world.up()
    assert refused.code == 4, refused.err
    assert f"a: {world.stack}-a/a -> {world.stack}-elsewhere/a" in refused.err
    assert "switch the component off and run up, then on again" in refused.err
    assert uid(api, f"/api/v1/namespaces/{world.stack}-elsewhere") is None
    assert len(world.run("history", "--output", "json").json["revisions"]) == 1
    # The way it names works.
    world.write_stack(a={"enabled": False})
    assert world.up().code == 0
    world.write_stack()
    assert world.up().code == 0
    assert uid(api, f"/api/v1/namespaces/{world.stack}-elsewhere/configmaps/a")
    assert uid(api, f"/api/v1/namespaces/{world.stack}-a/configmaps/a") is None


def test_a_first_install_that_failed_is_gone_on_with_and_keeps_volumes_and_namespaces(
    world: World, api: KubeApi
) -> None:
    """A release without any good revision: its namespace and its volume claim are those of the first attempt."""
    values = {"replicas": 1, "tag": "1", "text": "x", "broken": True}
    templates = {"d.yaml": BREAKABLE, "p.yaml": CLAIM}
    world.component("a", templates=templates, values=values, keep=["PersistentVolumeClaim"])
    world.write_stack()
    failed = world.up()
    assert failed.code == 1, failed.err
    assert "this was the first install" in failed.out
    space = f"/api/v1/namespaces/{world.stack}-a"
    before = (uid(api, space), uid(api, f"{space}/persistentvolumeclaims/data"))
    assert all(before)
    again = world.up()
    assert again.code == 1, "the same fault fails the same way, and leaves the same behind"
    assert (uid(api, space), uid(api, f"{space}/persistentvolumeclaims/data")) == before
    world.write_stack(a={"values": {"broken": False}})
    mended = world.up()
    assert mended.code == 0, mended.err + mended.out
    assert (uid(api, space), uid(api, f"{space}/persistentvolumeclaims/data")) == before
    statuses = [r["status"] for r in world.run("history", "--output", "json").json["revisions"]]
    assert statuses == ["deployed", "failed", "failed"]
