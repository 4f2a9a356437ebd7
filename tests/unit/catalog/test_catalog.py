"""Folders of components and what is said about them: tests/cases/catalog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.catalog.graph import cycles, ordered
from sparkrig.catalog.load import load_catalog
from sparkrig.catalog.sources import SourceTexts
from sparkrig.defaults import READY_TIMEOUT_S
from sparkrig.errors import InvalidInput
from sparkrig.models.component import CrdOwner
from sparkrig.output.problems import render
from sparkrig.yaml.nodes import MapNode

CASES = Path(__file__).parents[2] / "cases" / "catalog"


def cases() -> Iterator[Any]:
    for case in yaml.safe_load((CASES / "bad.yaml").read_text(encoding="utf-8")):
        yield pytest.param(case, id=case["name"])


def outcome(case: Mapping[str, Any], folder: Path) -> tuple[None, str]:
    for name, text in case["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sources = SourceTexts()
    try:
        load_catalog([Path(name) for name in case.get("folders", ["a"])], sources)
    except InvalidInput as error:
        return None, render(error.problems, sources).replace(str(folder), "<DIR>")
    return None, ""


@pytest.mark.parametrize("case", list(cases()))
def test_case(case: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert outcome(case, tmp_path)[1] == case.get("problems", "")


def test_a_component_says_what_its_file_says() -> None:
    catalog = load_catalog([CASES / "small"])
    assert list(catalog.components) == ["app", "batch", "extra", "store", "web"]
    store, app, extra = (catalog.components[name] for name in ("store", "app", "extra"))
    assert (store.release, store.namespace) == ("store", "storage")
    assert store.crd_owner is CrdOwner.US
    assert store.crd_off_values == {"crds.install": False}
    assert store.crd_labels == {"tier": "data"}
    assert store.keep == ("PersistentVolumeClaim",)
    assert store.timeout_s == READY_TIMEOUT_S
    assert str(store.position) == "charts/store-values/component.yaml:3:12"
    assert app.chart.path == (CASES / "small" / "app").resolve()
    assert app.needs == ("store",)
    assert (extra.enabled, extra.profiles) == ("auto", {"gpu": "true", "minimal": "false"})
    assert extra.chart.repository == "oci://registry.example.org/charts"
    assert catalog.providers("crd:buckets.store.example.org") == ("store",)


def test_files_of_a_component_are_read_when_asked_for() -> None:
    sources = SourceTexts()
    catalog = load_catalog([CASES / "small"], sources)
    assert not [name for name in sources if not name.endswith("component.yaml")]
    files = catalog.files["store"]
    assert files.values is not None
    assert isinstance(files.values.document, MapNode)
    assert files.values.document.value["replicas"] == 1
    assert files.profile("gpu") is None
    profile = files.profile("ha")
    assert profile is not None
    assert profile.document is not None
    assert profile.document.value == {"replicas": 3}
    assert isinstance(files.schema, dict)
    assert not files.own_chart
    assert catalog.files["app"].own_chart
    assert catalog.files["web"].schema is None
    assert sources["charts/store-values/values.yaml"].startswith("replicas: 1")


def test_cycles_are_found_once_and_by_their_shortest_way() -> None:
    assert cycles({"a": ["b"], "b": ["c", "a"], "c": ["a"], "d": ["d"], "e": ["a"]}) == [("a", "b", "a"), ("d", "d")]
    assert cycles({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_order_is_stable_where_it_is_free() -> None:
    assert ordered(["a", "b", "c", "d"], {"a": ["d"], "c": ["b"]}) == ["d", "a", "b", "c"]
    assert ordered(["a", "b", "c"], {}) == ["a", "b", "c"]
