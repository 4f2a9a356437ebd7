"""What of charts/monitoring is on follows from the stack: nothing is shown or watched that is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.own_charts import ROOT, render

from sparkrig.catalog.load import load_catalog
from sparkrig.models.cluster import ClusterFacts
from sparkrig.stack.file import load_stack_file
from sparkrig.stack.resolve import prepare
from sparkrig.yaml.nodes import to_python

CHART = ROOT / "charts" / "monitoring"


def values(folder: Path, text: str, facts: dict[str, Any] | None = None) -> dict[str, Any]:
    """The values that helm gets for the component monitoring in such a stack."""
    file = folder / "stack.yaml"
    file.write_text(f"apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {{name: lab}}\n{text}", encoding="utf-8")
    catalog = load_catalog([ROOT / "charts"])
    prepared = prepare(load_stack_file(file), catalog, ClusterFacts(values=facts or {}))
    found: dict[str, Any] = to_python(prepared.values["monitoring"].root)
    return found


def parts(folder: Path, text: str, facts: dict[str, Any] | None = None) -> set[str]:
    """The parts that have dashboards or rules."""
    named = {
        item["metadata"]["labels"]["app.kubernetes.io/component"] for item in render(CHART, values(folder, text, facts))
    }
    known = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["parts"]
    return {part for part in known if f"{part}-rules" in named}


@pytest.mark.parametrize(
    ("text", "facts", "missing"),
    [
        ("profile: standard", {}, {"gpu", "certificates"}),
        ("profile: gpu", {}, {"certificates"}),
        ("profile: standard", {"gpu.nodes-present": True}, {"certificates"}),
        ("components: {spark-operator: {enabled: false}}", {}, {"gpu", "certificates", "spark"}),
        ("components: {traefik: {enabled: false}}", {}, {"gpu", "certificates", "ingress"}),
        ("profile: standard", {"crd.certificates.cert-manager.io": True}, {"gpu"}),
        ("components: {monitoring: {values: {parts: {gpu: true}}}}", {}, {"certificates"}),
    ],
)
def test_parts_follow_the_stack(text: str, facts: dict[str, Any], missing: set[str], tmp_path: Path) -> None:
    known = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["parts"]
    assert set(known) - parts(tmp_path, text, facts) == missing


def test_the_hubs_monitor_is_on_with_its_token_and_off_without_a_hub(tmp_path: Path) -> None:
    monitors = [
        item for item in render(CHART, values(tmp_path, "profile: standard")) if item["kind"] == "ServiceMonitor"
    ]
    (hub,) = [item for item in monitors if item["metadata"]["name"] == "monitoring-jupyterhub"]
    assert hub["metadata"]["namespace"] == "jupyterhub"
    token = {"name": "hub", "key": "hub.services.prometheus.apiToken"}
    assert hub["spec"]["endpoints"][0]["authorization"]["credentials"] == token
    without = render(CHART, values(tmp_path, "components: {jupyterhub: {enabled: false}}"))
    assert "monitoring-jupyterhub" not in {item["metadata"]["name"] for item in without}
    closed = values(tmp_path, "components: {jupyterhub: {values: {hub: {services: {prometheus: null}}}}}")
    assert not closed.get("jupyterhub", {}).get("enabled", False)
