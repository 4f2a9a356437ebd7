"""Changes over which no rollback leads back: said in the plan, refused before anything is written."""

from __future__ import annotations

from typing import Any

import pytest
from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.helm.storage.releases import list_revisions
from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

WIDGET = """
apiVersion: {{ .Release.Namespace }}.example.org/v1
kind: Widget
metadata: {name: one}
spec:
  mode: {{ .Values.mode }}
"""
GUARDED = WIDGET.replace("  mode: {{ .Values.mode }}", "  other: {{ .Values.text }}")
BREAKABLE = DEPLOYMENT.replace(
    "replicas: {{ .Values.replicas }}",
    "replicas: {{ if .Values.broken }}many{{ else }}{{ .Values.replicas }}{{ end }}",
)
VALUES = {"replicas": 1, "tag": "1", "text": "hello", "mode": None, "broken": False}


def crd(group: str, *, default: bool) -> dict[str, Any]:
    mode = {"type": "string", **({"default": "auto"} if default else {})}
    spec = {"type": "object", "properties": {"mode": mode, "other": {"type": "string"}}}
    schema = {"type": "object", "properties": {"spec": spec}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def group(world: World) -> str:
    return f"{world.stack}-a.example.org"


def older(world: World) -> None:
    world.component(
        "a", templates={"w.yaml": WIDGET, "c.yaml": CONFIGMAP}, values=VALUES, crds=[crd(group(world), default=True)]
    )
    world.component("b", templates={"c.yaml": CONFIGMAP}, values=VALUES)


def newer(world: World) -> None:
    world.component(
        "a",
        templates={"w.yaml": GUARDED, "c.yaml": CONFIGMAP},
        values=VALUES,
        crds=[crd(group(world), default=False)],
        version="2.0.0",
    )
    world.component("b", templates={"c.yaml": CONFIGMAP}, values=VALUES, version="2.0.0")


def written(world: World, api: KubeApi) -> dict[str, str]:
    """What a write would change: resource versions of the objects, Helm's revisions."""
    found = {}
    for name, path in {"Widget": f"/apis/{group(world)}/v1/widgets", "ConfigMap": "/api/v1/configmaps"}.items():
        for item in api.list(path):
            metadata = item["metadata"]
            if metadata["namespace"].startswith(f"{world.stack}-"):
                found[f"{name} {metadata['namespace']}/{metadata['name']}"] = metadata["resourceVersion"]
    return {**found, **{f"{s.release} {s.revision}": s.status for s in list_revisions(api, world.stack)}}


def test_a_crd_that_refuses_the_older_manifest_stops_a_rollback_beforehand(world: World, api: KubeApi) -> None:
    older(world)
    world.write_stack()
    assert world.up().code == 0
    newer(world)
    shown = world.run("plan")
    assert shown.code == 0, shown.err
    said = " ".join(shown.out.split())
    assert "! no rollback and no automatic return over this change: Widget" in said
    assert "spec.mode: the CRD would refuse null" in said
    assert world.up().code == 0
    before = written(world, api)
    refused = world.run("rollback", "--yes", "--output", "json")
    assert refused.code == 4, refused.out + refused.err
    (line,) = refused.json["detail"]
    assert line.startswith(f"a: Widget {world.stack}-a/one cannot be brought back: spec.mode: ")
    assert "next: " in line
    assert written(world, api) == before, "nothing is written, not even b, which could go back"
    # The way around: the older chart with a value that the API server takes, by `up`.
    older(world)
    world.write_stack(a={"values": {"mode": "manual"}})
    done = world.up()
    assert done.code == 0, done.err + done.out
    (live,) = api.list(f"/apis/{group(world)}/v1/widgets")
    assert live["spec"]["mode"] == "manual"


def test_after_down_the_manifests_are_asked_about_too(world: World, api: KubeApi) -> None:
    older(world)
    world.write_stack()
    assert world.up().code == 0
    newer(world)
    assert world.up().code == 0
    assert world.run("down", "--yes").code == 0
    refused = world.run("rollback", "1", "--yes", "--output", "json")
    assert refused.code == 4, refused.out + refused.err
    assert "spec.mode" in refused.json["detail"][0]
    assert api.list(f"/apis/{group(world)}/v1/widgets") == []
    assert world.run("rollback", "2", "--yes").code == 0
    assert len(api.list(f"/apis/{group(world)}/v1/widgets")) == 1


def test_a_kind_that_the_revision_brings_comes_back_with_it(world: World, api: KubeApi) -> None:
    """CRDs are part of a revision, so that one that was removed with everything else is no obstacle."""
    older(world)
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(a={"values": {"text": "changed"}}, b={"values": {"text": "changed"}})
    assert world.up().code == 0
    assert world.run("down", "--yes", "--purge", "crds").code == 0
    done = world.run("rollback", "1", "--yes")
    assert done.code == 0, done.out + done.err
    assert len(api.list(f"/apis/{group(world)}/v1/widgets")) == 1


def test_a_kind_of_nobody_that_is_served_no_more_is_found_beforehand(world: World, api: KubeApi) -> None:
    """The CRD is somebody else's: no revision brings it back."""
    place = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group(world)}"
    api.apply(crd(group(world), default=True), force=True)
    try:
        world.component("a", templates={"w.yaml": WIDGET, "c.yaml": CONFIGMAP}, values=VALUES)
        world.component("b", templates={"c.yaml": CONFIGMAP}, values=VALUES)
        world.write_stack()
        assert world.up().code == 0
        world.write_stack(a={"values": {"text": "changed"}}, b={"values": {"text": "changed"}})
        assert world.up().code == 0
        assert world.run("down", "--yes").code == 0
    finally:
        api.delete(place)
    refused = world.run("rollback", "1", "--yes", "--output", "json")
    assert refused.code == 4, refused.out + refused.err
    assert "is not served by this cluster" in refused.json["detail"][0]


def test_a_return_that_cannot_work_is_not_begun(world: World, api: KubeApi) -> None:
    """The CRD is somebody else's, so that nothing but the dry run tells."""
    place = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group(world)}"
    api.apply(crd(group(world), default=True), force=True)
    try:
        templates = {"w.yaml": WIDGET, "d.yaml": BREAKABLE}
        world.component("a", templates=templates, values=VALUES)
        world.component("b", templates={"c.yaml": CONFIGMAP}, values=VALUES)
        world.write_stack()
        assert world.up().code == 0
        api.apply(crd(group(world), default=False), force=True)
        world.component("a", templates={**templates, "w.yaml": GUARDED}, values=VALUES, version="2.0.0", needs=["b"])
        world.component("b", templates={"c.yaml": CONFIGMAP}, values=VALUES, version="2.0.0")
        world.write_stack(a={"values": {"broken": True}}, b={"values": {"text": "newer"}})
        failed = world.run("up", "--yes", "--output", "json")
        assert failed.code == 7, failed.out + failed.err
        stopped = failed.json["return"]["stopped"]
        assert stopped.startswith("the return was not begun")
        assert "spec.mode" in stopped
        newest = max(s.revision for s in list_revisions(api, world.stack) if s.release == "a")
        assert newest == 2, "no attempt of helm's to go back"
        config = api.get(f"/api/v1/namespaces/{world.stack}-b/configmaps/b")
        assert config is not None
        assert config["data"]["text"] == "newer", "b is not taken back alone"
    finally:
        world.run("down", "--yes")
        api.delete(place)


def test_versions_that_the_catalog_blocks_are_refused(world: World, api: KubeApi) -> None:
    pair = {
        "newer": ">=2.0.0",
        "older": "<2",
        "when": {"value": "text", "equals": "hello", "default": "hello"},
        "reason": "the disk format changed",
        "instead": "restore a backup and run up",
    }
    world.component("a", templates={"c.yaml": CONFIGMAP}, blockedRollbacks=[pair])
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(a={"values": {"text": "other"}})
    assert world.up().code == 0
    world.component("a", templates={"c.yaml": CONFIGMAP}, blockedRollbacks=[pair], version="2.1.0")
    assert "no rollback" not in world.run("plan").out, "not with the value that is there"
    assert world.up().code == 0
    refused = world.run("rollback", "1", "--yes", "--output", "json")
    assert refused.code == 4, refused.out + refused.err
    assert refused.json["detail"] == [
        "a: no rollback leads from 2.1.0 to 1.0.0: the disk format changed\n    next: restore a backup and run up"
    ]
    assert world.run("rollback", "2", "--yes").code == 0
    world.write_stack()
    world.component("a", templates={"c.yaml": CONFIGMAP}, blockedRollbacks=[pair])
    assert world.up().code == 0
    world.component("a", templates={"c.yaml": CONFIGMAP}, blockedRollbacks=[pair], version="2.1.0")
    said = " ".join(world.run("plan").out.split())
    assert "no rollback and no automatic return over this change: the disk format changed; instead: restore" in said
