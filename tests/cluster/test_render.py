"""render shows what up installs, and names what no two renderings share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.mini import CONFIGMAP, World

from sparkrig.commands.render import differences
from sparkrig.helm.storage.recovery import stored_manifest
from sparkrig.kube.client import KubeApi
from sparkrig.yaml.plain import objects

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gadgets.render.example.org"},
    "spec": {
        "group": "render.example.org",
        "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
MADE_UP = """
{{- $password := randAlphaNum 24 }}
apiVersion: v1
kind: Secret
metadata: {name: made-up}
stringData: {password: {{ $password }}, user: admin}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: facts
  annotations: {checksum/secret: {{ $password | sha256sum }}}
data:
  upgrade: {{ .Release.IsUpgrade | quote }}
  kubernetes: {{ .Capabilities.KubeVersion.Version }}
  gadgets: {{ .Capabilities.APIVersions.Has "render.example.org/v1/Gadget" | quote }}
  leases: {{ .Capabilities.APIVersions.Has "coordination.k8s.io/v1" | quote }}
  found: {{ (lookup "v1" "ConfigMap" .Release.Namespace "by-hand").data | default dict | toJson | quote }}
"""


@pytest.fixture
def charts(world: World) -> World:
    world.component("crds", templates={"c.yaml": CONFIGMAP}, crds=[CRD], provides=["crd:gadgets.render.example.org"])
    world.component("app", templates={"m.yaml": MADE_UP}, uses=["crd:gadgets.render.example.org"])
    world.write_stack()
    return world


def rendered(world: World, *arguments: str) -> Any:
    done = world.run("render", "--output", "json", *arguments)
    assert done.code == 0, done.err
    return {component["component"]: component for component in done.json["components"]}


def installed(world: World, api: KubeApi, component: str, revision: int) -> list[dict[str, Any]]:
    return objects(stored_manifest(api, component, f"{world.stack}-{component}", revision))


def assert_equal(found: Any, wanted: list[dict[str, Any]]) -> None:
    """Equal, but for exactly the places that are said to vary."""
    said = {(v["kind"], v["name"], v["path"]) for v in found["nonDeterministic"]}
    differ = set()
    assert [o["metadata"]["name"] for o in found["objects"]] == [o["metadata"]["name"] for o in wanted]
    for one, other in zip(found["objects"], wanted, strict=True):
        from sparkrig.yaml.nodes import show_path

        for path in differences(one, other):
            differ.add((one["kind"], one["metadata"]["name"], show_path(path)))
    assert differ == said


def test_render_is_what_up_installs_then_what_it_upgrades(charts: World, api: KubeApi) -> None:
    first = rendered(charts)
    assert first["crds"]["nonDeterministic"] == []
    assert [(v["kind"], v["name"], v["path"]) for v in first["app"]["nonDeterministic"]] == [
        ("Secret", "made-up", "stringData.password"),
        ("ConfigMap", "facts", r"metadata.annotations.checksum/secret"),
    ]
    data = next(o for o in first["app"]["objects"] if o["kind"] == "ConfigMap")["data"]
    assert (data["upgrade"], data["gadgets"], data["leases"], data["found"]) == ("false", "true", "true", "{}")
    assert charts.up().code == 0
    for component in ("crds", "app"):
        assert_equal(first[component], installed(charts, api, component, 1))
    space = f"/api/v1/namespaces/{charts.stack}-app/configmaps"
    api.create(space, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "by-hand"}, "data": {"a": "1"}})
    second = rendered(charts, "--set", "app.text=new")
    data = next(o for o in second["app"]["objects"] if o["kind"] == "ConfigMap")["data"]
    assert (data["upgrade"], data["found"]) == ("true", '{"a":"1"}')
    assert charts.up("--set", "app.text=new").code == 0
    assert_equal(second["app"], installed(charts, api, "app", 2))


def test_one_file_an_object_in_a_stable_order(charts: World, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = charts.run("render", "--output-dir", str(folder))
    assert first.code == 0, first.err
    names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*"))
    space = f"{charts.stack}-app"
    assert names == [
        "app/configmap-facts.yaml",
        "app/secret-made-up.yaml",
        "crds/configmap-crds.yaml",
        "crds/customresourcedefinition-gadgets.render.example.org.yaml",
    ], space
    text = (folder / "app" / "secret-made-up.yaml").read_text()
    assert text.startswith("# varies: stringData.password\n")
    assert yaml.safe_load(text)["stringData"]["user"] == "admin"
    assert (folder / "app" / "secret-made-up.yaml").stat().st_mode & 0o077 == 0
    before = {name: (folder / name).read_bytes() for name in names if "made-up" not in name and "facts" not in name}
    charts.write_stack(app={"enabled": False})
    assert charts.run("render", "--output-dir", str(folder)).code == 0
    assert sorted(p.relative_to(folder).as_posix() for p in folder.glob("*/*")) == sorted(before)
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_folder_with_other_files_is_left_alone(charts: World, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine.yaml").write_text("mine")
    done = charts.run("render", "--output-dir", str(folder))
    assert done.code == 3
    assert "is not empty" in done.err
    assert [path.name for path in folder.iterdir()] == ["mine.yaml"]


def test_the_text_names_what_varies_and_no_cache_keeps_what_charts_make_up(
    charts: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sparkrig import tools

    monkeypatch.setenv("SPARKRIG_HELM", str(tools.find("helm").path))
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(tmp_path / "cache"))
    done = charts.run("render", "app", on=False)
    assert done.code == 0, done.err
    assert "# varies: Secret made-up stringData.password\n" in done.out
    documents = list(yaml.safe_load_all(done.out))
    password = next(d for d in documents if d and d["kind"] == "Secret")["stringData"]["password"]
    kept = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    assert not [data for data in kept if password.encode() in data or b"stringData" in data]
