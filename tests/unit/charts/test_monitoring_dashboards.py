"""The dashboards of charts/monitoring, as helm renders them: what Grafana needs of each panel and query."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from scripts.dashboards.__main__ import main as write
from scripts.dashboards.gpu import SAMPLES_AN_HOUR
from tests.monitoring_support import CHART, VARIABLES, all_labels, dashboards, misnamed, outcome, parsed
from tests.own_charts import render

UIDS = sorted(dashboards())
EACH = pytest.mark.parametrize("uid", UIDS)
UNITS = {
    "none",
    "short",
    "percentunit",
    "s",
    "bytes",
    "Bps",
    "celsius",
    "watt",
    "rotmhz",
    "reqps",
    "ops",
    "cps",
    "currencyUSD",
}
"""Ids of Grafana's units; one that it does not know is printed after the number."""
OWN_VARIABLES = {name.removeprefix("$") for name in VARIABLES}


def panels(uid: str) -> list[dict[str, Any]]:
    """Those that show something; a row is a heading."""
    return [panel for panel in dashboards()[uid]["panels"] if panel["type"] != "row"]


def queries(uid: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(panel, query) of every query."""
    yield from ((panel, query) for panel in panels(uid) for query in panel["targets"])


def test_the_files_are_what_the_program_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert write(["--check"]) == 0, capsys.readouterr().out


def test_there_is_one_for_each_purpose() -> None:
    wanted = ["gpu-fleet", "gpu-usage", "spark-applications", "spark-operator"]
    wanted += ["triton-models", "jupyterhub-users", "ingress-traffic", "stack-overview"]
    assert sorted(f"sparkrig-{name}" for name in wanted) == UIDS


@EACH
def test_every_panel_can_be_read(uid: str) -> None:
    for panel in panels(uid):
        where = (uid, panel.get("title"))
        assert panel["title"], where
        assert panel["description"].endswith("."), where
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, where
        assert panel["targets"], where
        assert {each["datasource"]["uid"] for each in (panel, *panel["targets"])} == {"${datasource}"}, where
        names = [query["refId"] for query in panel["targets"]]
        assert len(set(names)) == len(names), where


@EACH
def test_numbers_of_panels_and_titles_are_unique(uid: str) -> None:
    model = dashboards()[uid]
    ids = [panel["id"] for panel in model["panels"]]
    assert len(set(ids)) == len(ids)
    section, titles = "", []
    for panel in model["panels"]:
        section = panel["title"] if panel["type"] == "row" else section
        titles.append((section, panel["title"]))
    assert [title for title, count in Counter(titles).items() if count > 1] == []


@EACH
def test_panels_do_not_overlap_and_fit(uid: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboards()[uid]["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]


@EACH
def test_variables_are_defined_and_used(uid: str) -> None:
    model = dashboards()[uid]
    defined = {variable["name"] for variable in model["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(panels(uid)))) - OWN_VARIABLES
    assert used - defined == set()
    assert defined - used == set()
    first = model["templating"]["list"][0]
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")


@EACH
def test_variables_ask_for_labels_that_are_there(uid: str) -> None:
    for variable in dashboards()[uid]["templating"]["list"][1:]:
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        assert asked is not None
        tree = parsed(asked[1])
        assert list(misnamed(tree, all_labels())) == []
        assert asked[2] in outcome(tree, all_labels())
        assert variable["datasource"]["uid"] == "${datasource}"


@EACH
def test_queries_are_promql_and_name_only_what_is_exported(uid: str) -> None:
    for panel, query in queries(uid):
        assert list(misnamed(parsed(query["expr"]), all_labels())) == [], (panel["title"], query["expr"])


@EACH
def test_legends_name_labels_that_are_there(uid: str) -> None:
    for panel, query in queries(uid):
        named = set(re.findall(r"\{\{(\w+)\}\}", query.get("legendFormat", "")))
        there = outcome(parsed(query["expr"]), all_labels())
        assert named <= there, (panel["title"], named - there)
        if panel["type"] == "timeseries":
            assert query["legendFormat"], panel["title"]


@EACH
def test_rates_follow_the_zoom(uid: str) -> None:
    """A fixed window in a graph shows nothing when zoomed in, and skips samples when zoomed out."""
    fixed = {"[30m]", "[1h]"}
    for panel, query in queries(uid):
        windows = set(re.findall(r"\[[^\]]*\]", re.sub(r'"[^"]*"', '""', query["expr"])))
        assert windows <= {"[$__rate_interval]", "[$__range]", *fixed}, (panel["title"], windows)


def test_cost_over_time_counts_the_samples_that_are_recorded() -> None:
    rules = [item for item in render(CHART, {}) if item["metadata"]["name"] == "monitoring-gpu-rules"]
    (group,) = [group for group in rules[0]["spec"]["groups"] if group["name"] == "gpu-series"]
    assert group["interval"] == f"{3600 // SAMPLES_AN_HOUR}s"


# --------------------------------------------------------------------------- as objects


def test_grafanas_sidecar_finds_them() -> None:
    maps = [item for item in render(CHART, {}) if item["kind"] == "ConfigMap"]
    assert len(maps) == len(UIDS)
    for item in maps:
        assert item["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((file, text),) = item["data"].items()
        assert file == f"{json.loads(text)['uid']}.json"
    files = [file for item in maps for file in item["data"]]
    assert len(set(files)) == len(files)  # the sidecar puts all of them into one folder


def test_the_currency_is_a_value() -> None:
    maps = [item for item in render(CHART, {"gpuPrices": {"currency": "EUR"}}) if item["kind"] == "ConfigMap"]
    text = "".join(text for item in maps for text in item["data"].values())
    assert "currencyEUR" in text
    assert "currencyUSD" not in text


def test_a_release_stays_far_below_what_a_secret_can_hold() -> None:
    """Helm keeps chart and manifest in one Secret (1 MiB): JSON, compressed, in base64 twice."""
    files = [path for path in CHART.rglob("*") if path.is_file() and "cases" not in path.parts]
    chart = {str(path): base64.b64encode(path.read_bytes()).decode() for path in files}
    manifest = json.dumps(render(CHART, {}))
    packed = base64.b64encode(gzip.compress(json.dumps({"chart": chart, "manifest": manifest}).encode()))
    assert len(base64.b64encode(packed)) < 400_000
    for item in render(CHART, {}):
        assert len(json.dumps(item)) < 200_000, item["metadata"]["name"]
