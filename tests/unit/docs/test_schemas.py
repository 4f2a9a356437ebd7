"""Schemas, values and the reference agree: what is documented is what holds."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft7Validator

from sparkrig.helm.charts.archive import read_chart
from sparkrig.stack.explain.chart import read_defaults
from sparkrig.stack.explain.schema import groups, leaves
from sparkrig.yaml.load import load_values
from sparkrig.yaml.merge import merge
from sparkrig.yaml.nodes import MapNode, find, parse_path, show_path, to_python

ROOT: Final = Path(__file__).parents[3]
FOLDERS: Final = sorted(path.parent for path in (ROOT / "charts").glob("*/component.yaml"))
UPSTREAM: Final = [folder for folder in FOLDERS if not (folder / "Chart.yaml").exists()]
STAND_INS: Final = ROOT / "tests" / "charts"
REAL: Final = os.environ.get("SPARKRIG_REAL_CHARTS")
NOTHING: Final = object()


def called(folder: Path) -> str:
    return folder.name


EACH = pytest.mark.parametrize("folder", FOLDERS, ids=called)
EACH_UPSTREAM = pytest.mark.parametrize("folder", UPSTREAM, ids=called)


@cache
def schema_of(folder: Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((folder / "values.schema.json").read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return schema


@cache
def values_of(folder: Path) -> MapNode:
    document = load_values((folder / "values.yaml").read_bytes(), "values.yaml").document
    assert isinstance(document, MapNode)
    return document


def value_at(root: MapNode, path: tuple[Any, ...]) -> Any:
    node = find(root, path)
    return NOTHING if node is None else to_python(node)


def offered(folder: Path) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The values that a person may set; one that is documented as not offered has no default."""
    for path, schema in leaves(schema_of(folder)):
        if "not" not in schema:
            yield path, dict(schema)


def chart_of(folder: Path, charts: Path) -> MapNode:
    chart = yaml.safe_load((folder / "component.yaml").read_text(encoding="utf-8"))["chart"]
    archive = charts / f"{chart['name']}-{chart['version']}.tgz"
    found = archive if archive.exists() else charts / chart["name"]
    return merge(read_defaults(read_chart(found), found.name).layers).root


@EACH
def test_every_key_is_described(folder: Path) -> None:
    schema = schema_of(folder)
    parts = [*leaves(schema), *groups(schema)]
    assert [show_path(path) for path, part in parts if not part.get("description")] == []
    assert [show_path(path) for path, part in leaves(schema) if len(part["description"]) < 4] == []


@EACH
def test_every_value_has_an_example_that_is_right(folder: Path) -> None:
    whole = Draft7Validator(schema_of(folder))
    for path, schema in offered(folder):
        choices = "enum" in schema or "const" in schema or schema.get("type") == "boolean"
        assert choices or schema.get("examples"), show_path(path)
        for example in schema.get("examples", ()):
            # From the root, where what the part refers to is.
            assert list(whole.descend(example, schema)) == [], (show_path(path), example)


@EACH
def test_every_default_is_right(folder: Path) -> None:
    """A null is no value: it says that the chart decides, and takes what it is told."""
    for path, schema in offered(folder):
        default = schema.get("default")
        if default is not None:
            assert list(Draft7Validator(schema).iter_errors(default)) == [], show_path(path)


@EACH
def test_what_our_values_set_is_the_documented_default(folder: Path) -> None:
    """Of a map that takes any key the chart's own keys are part of the default too."""
    values = values_of(folder)
    for path, schema in offered(folder):
        ours = value_at(values, path)
        if ours is NOTHING:
            continue
        default = schema.get("default", NOTHING)
        if isinstance(ours, dict) and isinstance(default, dict):
            assert covers(default, ours), show_path(path)
        else:
            assert same(ours, default), show_path(path)


@EACH
def test_nothing_is_set_without_being_documented(folder: Path) -> None:
    known = {path for path, _ in leaves(schema_of(folder))}
    component = yaml.safe_load((folder / "component.yaml").read_text(encoding="utf-8"))
    documents = [values_of(folder)]
    for file in sorted((folder / "profiles").glob("*.yaml")):
        profile = load_values(file.read_bytes(), file.name).document
        assert isinstance(profile, MapNode)
        documents.append(profile)
    paths = {path for document in documents for path in leaf_paths(document)}
    paths |= {parse_path(dotted) for rule in component.get("facts") or () for dotted in rule["set"]}
    paths |= {parse_path(rule["path"]) for rule in component.get("globals") or ()}
    bare = [show_path(path) for path in paths if not any(path[:length] in known for length in range(1, len(path) + 1))]
    assert sorted(bare) == []


def leaf_paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, MapNode) and node.entries:
        for key, entry in node.entries.items():
            yield from leaf_paths(entry.node, (*path, key))
    else:
        yield path


@EACH_UPSTREAM
def test_what_a_chart_s_own_defaults_say_is_the_documented_default(folder: Path) -> None:
    """Against the stand-ins, which have the real charts' defaults; with SPARKRIG_REAL_CHARTS against those."""
    chart = chart_of(folder, Path(REAL) if REAL else STAND_INS)
    ours, compared = values_of(folder), 0
    for path, schema in offered(folder):
        theirs, documented = value_at(chart, path), schema.get("default", NOTHING)
        if value_at(ours, path) is not NOTHING:
            if isinstance(documented, dict) and isinstance(theirs, dict) and REAL:
                assert covers(documented, {k: v for k, v in theirs.items() if k not in value_at(ours, path)})
            continue
        if theirs is NOTHING:
            assert not REAL or documented is NOTHING, f"{show_path(path)}: the chart has no such default"
            continue
        if not REAL and documented is NOTHING and not theirs:
            continue  # a stand-in may say in so many words what the real chart leaves out
        assert same(theirs, documented), show_path(path)
        compared += 1
    assert compared >= (5 if REAL else 3)


def same(first: Any, second: Any) -> bool:
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True) if second is not NOTHING else False


def covers(whole: dict[str, Any], part: dict[str, Any]) -> bool:
    return all(
        key in whole and (covers(whole[key], value) if isinstance(value, dict) and isinstance(whole[key], dict)
                          else same(whole[key], value))
        for key, value in part.items()
    )  # fmt: skip


@EACH
def test_schemas_are_strict_in_what_they_document(folder: Path) -> None:
    """A chart of our own takes no unknown key; every documented value has a type or choices."""
    own = (folder / "Chart.yaml").exists()
    schema = schema_of(folder)
    assert schema["additionalProperties"] is not own
    for path, group in groups(schema):
        assert group["additionalProperties"] is not own, show_path(path)
    for path, leaf in offered(folder):
        typed = {"type", "enum", "const", "anyOf", "oneOf"} & set(leaf)
        assert typed, show_path(path)


# --------------------------------------------------------------------------- the reference


@pytest.fixture(scope="module")
def reference() -> Any:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:  # it imports the script beside it
        patch.syspath_prepend(str(ROOT / "scripts"))
        spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_schemas_say(reference: Any) -> None:
    """Where this fails: make docs."""
    made = reference.pages(ROOT / "charts")
    there = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").glob("*.md")}
    assert sorted(made) == sorted(there)
    assert [name for name in made if made[name] != there[name]] == []
    assert reference.pages(ROOT / "charts") == made


def test_the_pages_of_the_charts_are_what_their_folders_say(reference: Any) -> None:
    """Where this fails: make docs."""
    made = reference.chart_pages(reference.load_catalog([ROOT / "charts"]), ROOT / "docs" / "charts")
    assert {"cert-manager.md", "traefik.md"} <= set(made)
    assert [name for name in made if (ROOT / "docs/charts" / name).read_text(encoding="utf-8") != made[name]] == []


def test_the_commands_and_the_navigation_are_documented_as_they_are(reference: Any) -> None:
    """Where this fails: make docs."""
    assert (ROOT / "docs/cli.md").read_text(encoding="utf-8") == reference.cli_reference.page()
    assert (ROOT / "docs/overview.svg").read_text(encoding="utf-8") == reference.overview.picture()
    config = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    assert reference.site_nav.filled(config) == config


def test_the_command_reference_has_every_option_of_every_command(reference: Any) -> None:
    page = reference.cli_reference.page()
    sections = {section.split("\n", 1)[0]: section for section in page.split("\n## ")}
    assert {"sparkrig up", "sparkrig cluster create", "sparkrig schema output"} <= set(sections)
    assert "`--wait-lock DURATION`" in sections["sparkrig up"]
    assert "`-o, --output <text\\|json\\|sarif>`" in sections["sparkrig validate"]
    assert all("`-h, --help`" in text for name, text in sections.items() if name.startswith("sparkrig "))


@EACH
def test_the_reference_has_every_value_with_its_default(reference: Any, folder: Path) -> None:
    name = yaml.safe_load((folder / "component.yaml").read_text(encoding="utf-8"))["metadata"]["name"]
    page = reference.pages(ROOT / "charts")[f"{name}.md"]
    for path, schema in leaves(schema_of(folder)):
        start = page.index(f"**`{show_path(path)}`**")
        entry = page[start:].split("\n\n")[0]
        assert schema["description"].rstrip(".") in " ".join(entry.split())
        if "default" in schema:
            assert f"default {reference._code(schema['default'])}" in entry
        else:
            assert "no default" in entry
