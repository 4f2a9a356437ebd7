"""A first install whose charts ask for API versions that CRDs of the same stack bring."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from tests.cluster.test_crds import Kind, version
from tests.mini import CONFIGMAP, World

from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster


@pytest.fixture
def kinds(api: KubeApi, world: World) -> Iterator[tuple[Kind, Kind]]:
    """One that sparkrig applies, one among the templates of a chart."""
    made = Kind(api, f"ours.{world.stack}.example.org"), Kind(api, f"helms.{world.stack}.example.org")
    yield made
    for kind in made:
        api.delete(kind.path)


def fails_without(api_version: str) -> str:
    """The beginning of a template that refuses a cluster which does not serve that."""
    asked = f'.Capabilities.APIVersions.Has "{api_version}"'
    return "{{ if not (" + asked + ') }}{{ fail "no ' + api_version + '" }}{{ end }}\n'


def test_validate_render_and_up_know_what_the_stack_brings(world: World, kinds: tuple[Kind, Kind]) -> None:
    ours, helms = kinds
    template = yaml.safe_dump(helms.crd(version(a="string")))
    crd = ours.crd(version(a="string"))
    world.component("a", templates={"c.yaml": CONFIGMAP}, crds=[crd], provides=[f"crd:{ours.name}"])
    world.component("h", templates={"crd.yaml": template}, crd_owner="helm", provides=[f"crd:{helms.name}"])
    asks = "".join(fails_without(f"{kind.group}/v1/Gadget") for kind in kinds)
    world.component(
        "b", templates={"c.yaml": asks + CONFIGMAP.lstrip()}, uses=[f"crd:{ours.name}", f"crd:{helms.name}"]
    )
    world.write_stack()
    validated = world.run("validate")
    assert validated.code == 0, validated.out + validated.err
    rendered = world.run("render", "b")
    assert rendered.code == 0, rendered.err
    assert "kind: ConfigMap" in rendered.out
    done = world.up()
    assert done.code == 0, done.err
    assert world.run("plan", "--detailed-exitcode").code == 0


def test_validate_on_a_cluster_knows_what_it_serves(world: World, kinds: tuple[Kind, Kind]) -> None:
    theirs, _ = kinds
    theirs.api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", theirs.crd(version(a="string")))
    asks = fails_without(f"{theirs.group}/v1")
    world.component("b", templates={"c.yaml": asks + CONFIGMAP.lstrip()})
    world.write_stack()
    assert world.run("validate", on=False).code != 0
    validated = world.run("validate")
    assert validated.code == 0, validated.out + validated.err
