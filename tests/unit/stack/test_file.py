"""What the data cases cannot hold: sizes, places of files, layers and what they answer to ``explain``."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrig.catalog.load import load_catalog
from sparkrig.defaults import MAX_INPUT_BYTES
from sparkrig.errors import InvalidInput
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import GlobalRule
from sparkrig.models.problem import Position, Problem
from sparkrig.models.release import Overrides
from sparkrig.stack.file import SourceTexts, StackFile, load_stack_file
from sparkrig.stack.layers import global_value, without_nulls
from sparkrig.stack.resolve import prepare
from sparkrig.yaml.nodes import node_from

SMALL = Path(__file__).parents[2] / "cases" / "catalog" / "small"
HEAD = "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: lab}\n"


def load(path: Path, text: str, sources: SourceTexts | None = None) -> StackFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_stack_file(path, sources)


def refused(path: Path, sources: SourceTexts) -> Problem:
    with pytest.raises(InvalidInput) as caught:
        load_stack_file(path, sources)
    (problem,) = caught.value.problems
    return problem


def test_a_file_over_the_limit_is_refused_with_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "stack.yaml"
    path.write_bytes(b"#" * (MAX_INPUT_BYTES + 10))
    problem = refused(path, SourceTexts(tmp_path))
    assert problem.code == "too-large"
    assert problem.message == "the file has 1048586 bytes, the limit is 1048576 (1 MiB)"
    path.write_bytes(HEAD.encode().ljust(MAX_INPUT_BYTES, b"#"))
    assert load_stack_file(path).name == "lab"


@pytest.mark.parametrize(("name", "code"), [("file/stack.yaml", "no-stack-file"), ("a\0b", "unreadable-file")])
def test_odd_paths_are_problems(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert refused(tmp_path / name, SourceTexts(tmp_path)).code == code


def test_a_link_to_itself_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "stack.yaml").symlink_to(tmp_path / "stack.yaml")
    problem = refused(tmp_path / "stack.yaml", SourceTexts(tmp_path))
    assert problem.message == "stack.yaml cannot be read: Too many levels of symbolic links"


def test_files_are_shown_from_where_the_person_stands(tmp_path: Path) -> None:
    sources = SourceTexts(tmp_path / "here")
    sources.name_folder(tmp_path / "data" / "charts", "charts")
    assert sources.shown(Path("stack.yaml")) == "stack.yaml"
    assert sources.shown(tmp_path / "here" / "a" / "b.yaml") == "a/b.yaml"
    assert sources.shown(Path("../b.yaml")) == str(tmp_path / "b.yaml")
    assert sources.shown(tmp_path / "data" / "charts" / "web" / "values.yaml") == "charts/web/values.yaml"


def test_values_files_lie_beside_the_stack_file_and_flags_beside_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flag.yaml").write_text("replicas: 3\n", encoding="utf-8")
    Path("deep").mkdir()
    Path("deep/beside.yaml").write_text("replicas: 2\nmode: safe\n", encoding="utf-8")
    text = HEAD + "profile: ha\ncomponents: {store: {values: {replicas: 4}, valuesFiles: [beside.yaml]}}\n"
    sources = SourceTexts()
    file = load(Path("deep/stack.yaml"), text, sources)
    prepared = prepare(
        file,
        load_catalog([SMALL], sources),
        ClusterFacts(),
        overrides=Overrides(("store=flag.yaml",), ("store.replicas=5",)),
        sources=sources,
    )
    assert prepared.problems == ()
    origins = prepared.values["store"].origins(("replicas",))
    assert [(name, str(place), value) for name, place, value in origins] == [
        ("component", "charts/store-values/values.yaml:1:1", 1),
        ("profile ha", "charts/store-values/profiles/ha.yaml:1:1", 3),
        ("stack file", "deep/stack.yaml:5:31", 4),
        ("deep/beside.yaml", "deep/beside.yaml:1:1", 2),
        ("--values store=flag.yaml", "flag.yaml:1:1", 3),
        ("--set", "--set store.replicas=5:1:1", 5),
    ]
    assert [layer.name for layer in prepared.values["store"].layers][:2] == ["component", "crds"]


def test_derived_values_stand_where_component_yaml_and_the_stack_file_say_them(tmp_path: Path) -> None:
    file = load(tmp_path / "stack.yaml", HEAD + "global: {storageClass: fast}\n")
    facts = ClusterFacts(values={"storage.default-class-present": False})
    values = prepare(file, load_catalog([SMALL]), facts).values["store"]
    enabled = values.origins(("volume", "enabled"))
    assert [(name, place.file, place.line, value) for name, place, value in enabled] == [
        ("component", "charts/store-values/values.yaml", 3, True),
        ("fact storage.default-class-present", "charts/store-values/component.yaml", 8, False),
    ]
    assert [(name, place.line) for name, place, _ in values.origins(("volume", "storageClass"))] == [("global", 4)]


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        (GlobalRule("domain", "a"), "x.org", "x.org"),
        (GlobalRule("domain", "a", template="{stack}.{value}/{value}"), "x.org", "lab.x.org/x.org"),
        (GlobalRule("domain", "a", each="hub.{item}"), "x.org", ["hub.x.org"]),
        (GlobalRule("imagePullSecrets", "a"), ["p", "q"], ["p", "q"]),
        (
            GlobalRule("imagePullSecrets", "a", each={"name": "{item}", "tags": ["{stack}", 1]}),
            ["p", "q"],
            [{"name": "p", "tags": ["lab", 1]}, {"name": "q", "tags": ["lab", 1]}],
        ),
    ],
)
def test_global_settings_become_values(rule: GlobalRule, value: object, expected: object) -> None:
    assert global_value(rule, value, "lab") == expected


def test_nulls_are_gone_where_the_schema_looks() -> None:
    at = Position("x", 1, 1)
    assert without_nulls(node_from({"a": None, "b": {"c": None, "d": [None]}}, at)).value == {"b": {"d": [None]}}
    whole = node_from({"a": {"b": 1}}, at)
    assert without_nulls(whole) is whole


def test_a_secret_written_into_the_file_is_not_repeated(tmp_path: Path) -> None:
    text = HEAD + "secrets: {db: {data: {password: hunter2, pin: [hunter2], n: 12345}}}\n"
    problems = load(tmp_path / "stack.yaml", text).problems
    assert [p.code for p in problems] == ["bad-secret"] * 3
    assert not [p for p in problems if p.position is not None]
    assert "hunter2" not in repr(problems)
    assert "12345" not in repr(problems)
