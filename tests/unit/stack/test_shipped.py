"""The shipped catalogue resolves cleanly in every profile, without a cluster and with GPUs."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from sparkrig.catalog.catalog import PROFILES, Catalog
from sparkrig.catalog.load import load_catalog
from sparkrig.errors import InvalidInput
from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import Component
from sparkrig.models.release import Overrides, ResolvedStack
from sparkrig.stack.file import SourceTexts, StackFile, load_stack_file
from sparkrig.stack.resolve import prepare, resolve

ROOT = Path(__file__).parents[3]
OFFLINE = ClusterFacts()
GPU = ClusterFacts(
    values={
        "gpu.nodes-present": True,
        "gpu.driver-installed": True,
        "cluster.load-balancer": False,
        "storage.default-class-present": True,
    }
)
GLOBALS = (
    "global: {domain: lab.example.org, storageClass: fast, imageRegistry: registry.example.org/mirror, "
    "imagePullSecrets: [ngc]}\n"
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog([ROOT / "charts"])


def chart(component: Component) -> Chart:
    ref = component.chart
    return Chart(ref.name, ref.version, ref.version, f"sha256:{ref.name}-{ref.version}", Path(), ChartOrigin.MIRROR)


def stack(folder: Path, text: str) -> StackFile:
    path = folder / "stack.yaml"
    path.write_text(f"apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {{name: lab}}\n{text}", encoding="utf-8")
    return load_stack_file(path)


def check_order(resolved: ResolvedStack) -> None:
    done: set[str] = set()
    for release in resolved.releases:
        assert done.issuperset(release.needs), release.component
        done.add(release.component)


@pytest.mark.parametrize("globals_", ["", GLOBALS], ids=["plain", "globals"])
@pytest.mark.parametrize("facts", [OFFLINE, GPU], ids=["offline", "gpu"])
@pytest.mark.parametrize("profile", PROFILES)
def test_resolves(catalog: Catalog, tmp_path: Path, profile: str, facts: ClusterFacts, globals_: str) -> None:
    resolved = resolve(stack(tmp_path, f"profile: {profile}\n{globals_}"), catalog, facts, chart)
    assert resolved.problems == ()
    assert resolved.releases
    check_order(resolved)


def test_the_example_has_everything_on_a_cluster_with_gpus(catalog: Catalog) -> None:
    resolved = resolve(load_stack_file(ROOT / "examples" / "lab.yaml"), catalog, GPU, chart)
    on = {name for name, component in catalog.components.items() if component.enabled != "false"}
    assert {release.component for release in resolved.releases} == on
    assert {"cert-manager", "metrics-server", "oauth2-proxy"} == set(catalog.components) - on
    assert len(resolved.disabled) == 3


def test_the_secured_example_has_everything_and_one_certificate(catalog: Catalog) -> None:
    resolved = resolve(load_stack_file(ROOT / "examples" / "secured.yaml"), catalog, GPU, chart)
    assert {release.component for release in resolved.releases} == set(catalog.components)
    check_order(resolved)
    values = {release.component: release.values for release in resolved.releases}
    assert values["traefik"]["global"]["clusterIssuer"] == "sparkrig"
    assert values["traefik"]["global"]["domain"] == "lab.example.org"
    assert values["oauth2-proxy"]["extraArgs"]["redirect-url"] == "https://auth.lab.example.org/oauth2/callback"


def test_without_cert_manager_nobody_asks_for_a_certificate(catalog: Catalog) -> None:
    resolved = resolve(load_stack_file(ROOT / "examples" / "lab.yaml"), catalog, GPU, chart)
    (traefik,) = [release for release in resolved.releases if release.component == "traefik"]
    assert "clusterIssuer" not in traefik.values["global"]


def test_our_own_charts_know_unknown_values(catalog: Catalog, tmp_path: Path) -> None:
    """A typo at the top of an own chart's values is found; upstream charts are judged by their own schema too."""
    names = [name for name, files in catalog.files.items() if files.own_chart]
    assert names
    file = stack(tmp_path, "components:\n" + "".join(f"  {n}: {{values: {{zzTypo: 1}}}}\n" for n in names))
    problems = prepare(file, catalog, GPU).errors
    assert [p.message for p in problems] == [f"{name} has no value 'zzTypo'" for name in names]
    assert [p.position.line for p in problems if p.position] == list(range(5, 5 + len(names)))


def test_the_documented_examples_are_good(catalog: Catalog, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "stack-file.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    (tmp_path / "triton.yaml").write_text("replicas: 3\n", encoding="utf-8")
    for block in blocks:
        path = tmp_path / "stack.yaml"
        head = "" if block.startswith("apiVersion") else blocks[0]
        path.write_text(head + block, encoding="utf-8")
        prepared = prepare(load_stack_file(path), catalog, OFFLINE)
        assert prepared.errors == ()
        assert prepared.problems == ()


def test_the_digest_follows_what_changes_the_cluster_and_nothing_else(catalog: Catalog, tmp_path: Path) -> None:
    def digests(text: str, facts: ClusterFacts = GPU, find: object = chart) -> dict[str, str]:
        resolved = resolve(stack(tmp_path, text), catalog, facts, find)  # type: ignore[arg-type]
        return {release.component: release.digest for release in resolved.releases}

    def other_chart(component: Component) -> Chart:
        return dataclasses.replace(chart(component), digest="sha256:other")

    first = digests("")
    assert digests("# a comment\nprofile: standard\n") == first
    assert all(digest.startswith("sha256:") and len(digest) == 71 for digest in first.values())
    changed = digests("components: {triton: {values: {replicas: 2}}}\n")
    assert {name for name in first if changed[name] != first[name]} == {"triton"}
    moved = digests("components: {triton: {namespace: elsewhere}}\n")
    assert {name for name in first if moved[name] != first[name]} == {"triton"}
    assert set(digests("", find=other_chart).values()).isdisjoint(first.values())


def test_own_charts_keep_their_defaults_out_of_the_values(catalog: Catalog, tmp_path: Path) -> None:
    file = stack(tmp_path, "components: {triton: {values: {replicas: 2}}}\n")
    prepared = prepare(file, catalog, OFFLINE)
    release = next(r for r in resolve(file, catalog, OFFLINE, chart).releases if r.component == "triton")
    assert release.values == {"replicas": 2}
    assert len(prepared.values["triton"].root.entries) > 5
    origins = prepared.values["triton"].origins(("replicas",))
    assert [(name, place.file.rpartition("/")[2], value) for name, place, value in origins] == [
        ("component", "values.yaml", 1),
        ("stack file", "stack.yaml", 2),
    ]


def test_sources_hold_every_text_that_a_problem_can_point_at(catalog: Catalog, tmp_path: Path) -> None:
    sources = SourceTexts()
    file = stack(tmp_path, "components: {triton: {values: {replicas: x}}}\n")
    with pytest.raises(InvalidInput) as caught:
        resolve(file, catalog, GPU, chart, overrides=Overrides(sets=("monitoring.zz=1",)), sources=sources)
    assert {p.code for p in caught.value.problems} == {"wrong-type", "unknown-key"}
    assert "charts/triton/component.yaml" in sources
    assert "charts/triton/values.yaml" in sources


def test_a_renamed_value_of_another_shape_comes_with_the_new_block(catalog: Catalog, tmp_path: Path) -> None:
    text = "components: {traefik: {values: {ports: {web: {redirectTo: {port: websecure}}}}}}\n"
    with pytest.raises(InvalidInput) as caught:
        resolve(stack(tmp_path, text), catalog, OFFLINE, chart)
    (problem,) = [p for p in caught.value.problems if p.code == "renamed-key"]
    block = (problem.hint or "").partition("write ")[2].partition(";")[0]
    values = yaml.safe_load(f"{{{block}}}")
    assert values["ports"]["web"]["http"]["redirections"]["entryPoint"]["to"] == "websecure"
    fixed = f"components: {{traefik: {{values: {{{block}}}}}}}\n"
    assert resolve(stack(tmp_path, fixed), catalog, OFFLINE, chart).problems == ()
