"""The component folders for charts made elsewhere: complete, described, and consistent with each other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml
from tests.upstream.documents import Folder, merge, split_path, upstream_folders, value_paths

from sparkrig.models.cluster import FACTS
from sparkrig.yaml.load import load
from sparkrig.yaml.schema import check

ROOT: Final = Path(__file__).parents[3]
CATALOG: Final = ROOT / "charts"
FOLDERS: Final = upstream_folders(CATALOG)
SCHEMA: Final = json.loads((ROOT / "installer/sparkrig/catalog/component.schema.json").read_text())
RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Folder:
    chosen: Folder = request.param
    return chosen


def values_schema(folder: Folder) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((folder.path / "values.schema.json").read_text())
    return schema


def described(schema: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """The schema of a path; an open map without properties describes all that is below it."""
    for part in path:
        if "properties" not in schema:
            return schema if "object" in (schema.get("type"), *schema.get("type", ())) else None
        if part not in schema["properties"]:
            return None
        schema = schema["properties"][part]
    return schema


def combinations(folder: Folder) -> dict[str, dict[str, Any]]:
    """The values of each profile, alone and with all facts and globals."""
    result: dict[str, dict[str, Any]] = {}
    for name, profile in {"standard": {}, **folder.profiles}.items():
        values = merge(folder.values, profile)
        result |= {name: values, f"{name}, facts": merge(values, folder.facts)}
        result[f"{name}, globals"] = merge(values, folder.globals)
    return result


def test_these_are_there() -> None:
    on = {"gpu-operator", "jupyterhub", "kube-prometheus-stack", "spark-operator", "traefik"}
    off = {"cert-manager", "metrics-server", "oauth2-proxy"}
    assert {folder.name for folder in FOLDERS} == on | off
    assert {folder.name for folder in FOLDERS if folder.component["enabled"] is False} == off


def test_component_follows_its_schema(folder: Folder) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(folder.component)


def test_folder_is_called_after_the_chart(folder: Folder) -> None:
    assert folder.path.name == f"{folder.component['chart']['name']}-values"


def test_version_is_a_stable_one(folder: Folder) -> None:
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", folder.component["chart"]["version"])
    assert folder.component["chart"]["repository"].startswith("https://")


def test_every_path_that_is_set_is_described(folder: Folder) -> None:
    schema = values_schema(folder)
    layers = [folder.values, folder.facts, folder.globals, folder.follows, *folder.profiles.values()]
    missing = {".".join(path) for layer in layers for path in value_paths(layer) if described(schema, path) is None}
    assert missing == set()


def test_described_values_have_a_sentence(folder: Folder) -> None:
    def silent(schema: dict[str, Any], path: str) -> list[str]:
        below = [name for key, each in schema.get("properties", {}).items() for name in silent(each, f"{path}.{key}")]
        return below if "properties" in schema or "description" in schema else [path, *below]

    assert silent(values_schema(folder), folder.name) == []


def test_defaults_in_the_schema_are_those_of_the_values(folder: Folder) -> None:
    schema = values_schema(folder)
    for path in value_paths(folder.values):
        leaf = described(schema, path)
        value: Any = folder.values
        for part in path:
            value = value[part]
        assert leaf is not None
        if leaf.get("type") != "object":
            assert leaf["default"] == value, ".".join(path)


def test_our_own_values_are_good(folder: Folder) -> None:
    validator = jsonschema.Draft7Validator(values_schema(folder))
    for name, values in combinations(folder).items():
        assert [error.message for error in validator.iter_errors(values)] == [], name


def test_cases_are_four_or_more_and_of_both_sorts(folder: Folder) -> None:
    cases = [case for file in sorted(folder.path.glob("cases/*.yaml")) for case in yaml.safe_load(file.read_text())]
    names = [case["name"] for case in cases]
    bad = [case for case in cases if case.get("problems")]
    assert len(cases) >= 4
    assert len(set(names)) == len(names)
    assert 0 < len(bad) < len(cases)


def test_cases_are_judged_as_they_say(folder: Folder) -> None:
    validator = jsonschema.Draft7Validator(values_schema(folder))
    for file in sorted(folder.path.glob("cases/*.yaml")):
        for case in yaml.safe_load(file.read_text()):
            assert validator.is_valid(case["values"]) is not bool(case.get("problems")), case["name"]


def test_a_case_has_exactly_its_problems(folder: Folder) -> None:
    for file in sorted(folder.path.glob("cases/*.yaml")):
        for case in yaml.safe_load(file.read_text()):
            document = load(yaml.safe_dump(case["values"]), "case.yaml").document
            assert document is not None
            found = check(document, values_schema(folder), folder.name)
            expected = case.get("problems") or []
            assert len(found) == len(expected), case["name"]
            for problem in expected:
                assert problem.get("code") in {None, *(each.code for each in found)}, case["name"]
                assert problem.get("message") in {None, *(each.message for each in found)}, case["name"]


def test_facts_are_known(folder: Folder) -> None:
    for rule in folder.component.get("facts", ()):
        assert rule["fact"] in FACTS or rule["fact"].startswith("crd."), rule["fact"]


def test_crd_facts_wait_for_that_crd(folder: Folder) -> None:
    """A monitor that is rendered because a CRD is coming must be applied after that CRD."""
    wanted = {rule["fact"].removeprefix("crd.") for rule in folder.component.get("facts", ()) if "crd." in rule["fact"]}
    uses = set(folder.component.get("uses", ()))
    brought = {thing for other in FOLDERS if other.name in uses for thing in other.component.get("provides", ())}
    assert {f"crd:{name}" for name in wanted} <= uses | brought


def test_used_crds_are_provided_by_a_component() -> None:
    provided = {item for folder in FOLDERS for item in folder.component.get("provides", ())}
    used = {item for folder in FOLDERS for item in folder.component.get("uses", ()) if item.startswith("crd:")}
    assert used <= provided


def test_namespace_is_restricted_unless_an_exception_says_why(folder: Folder) -> None:
    labels = folder.component["release"]["namespaceLabels"]
    exceptions = folder.component["podSecurity"]["exceptions"]
    assert (RESTRICTED.items() <= labels.items()) is (exceptions == [])
    assert all(entry["reason"] and entry["source"].startswith("https://") for entry in exceptions)


def test_a_workloads_gate_is_there(folder: Folder) -> None:
    gates = {check["kind"] for check in folder.component["checks"] if check.get("gate")}
    assert "workloads" in gates
    assert ("crds" in gates) is (folder.component["crds"]["owner"] != "none")


def test_renamed_values_do_not_loop(folder: Folder) -> None:
    rules = folder.component.get("renamed", ())
    old = [rule["from"] for rule in rules]
    assert len(set(old)) == len(old)
    assert all(rule["to"] != rule["from"] for rule in rules)
    for rule in rules:  # what we set ourselves uses the new names
        for layer in (folder.values, folder.facts, folder.globals, *folder.profiles.values()):
            path = split_path(rule["from"])
            assert all(each[: len(path)] != path for each in value_paths(layer)), rule["from"]


def test_images_have_a_registry_and_a_fixed_tag(folder: Folder) -> None:
    for image in folder.component["images"]:
        name, _, tag = image.rpartition(":")
        assert "." in name.split("/")[0], image
        assert tag not in ("", "latest"), image


def test_each_profile_says_what_it_is_for(folder: Folder) -> None:
    for file in [folder.path / "values.yaml", *folder.path.glob("profiles/*.yaml")]:
        assert file.read_text().startswith("# "), file


def test_docs_list_every_described_value_with_its_description(folder: Folder) -> None:
    def rows(schema: dict[str, Any], path: str = "") -> list[str]:
        found = []
        for key, each in schema["properties"].items():
            below = f"{path}.{key}" if path else key
            found += rows(each, below) if "properties" in each else [f"| `{below}` |", f"| {each['description']} |"]
        return found

    page = (ROOT / f"docs/charts/{folder.name}.md").read_text()
    assert [row for row in rows(values_schema(folder)) if row not in page] == []
    assert folder.component["chart"]["version"] in page
