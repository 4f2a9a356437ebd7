"""The alerts and recorded series of charts/monitoring: rendered by helm, judged by Prometheus' own rule tester."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.monitoring_support import (
    CHART,
    DATA,
    RUNBOOKS,
    alerts,
    all_labels,
    known_metrics,
    misnamed,
    outcome,
    parsed,
    rule_files,
    rules,
)
from tests.own_charts import template

from sparkrig import tools

pytestmark = pytest.mark.tools

PARTS = sorted(path.stem for path in (CHART / "rules").glob("*.yaml"))
NAMES = sorted({alert["alert"] for alert in alerts()})


def cases(part: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = yaml.safe_load((DATA / "rules" / f"{part}.yaml").read_text(encoding="utf-8"))
    return loaded


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(tools.find("promtool").path), *arguments], capture_output=True, text=True, timeout=240)


# --------------------------------------------------------------------------- Prometheus' judgement


def test_prometheus_takes_every_rule(tmp_path: Path) -> None:
    files = rule_files(tmp_path)
    assert sorted(files) == PARTS
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, files.values()))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("part", PARTS)
def test_alerts_fire_when_they_must_and_only_then(part: str, tmp_path: Path) -> None:
    file = rule_files(tmp_path)[part]
    strip_annotations(file)
    document = {"rule_files": [file.name], "evaluation_interval": "30s", "tests": cases(part)}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    done = promtool("test", "rules", str(tmp_path / "tests.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def strip_annotations(file: Path) -> None:
    """The tester compares annotations too, word by word; what they say is another test's business."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    for group in document["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations", None)
    file.write_text(yaml.safe_dump(document), encoding="utf-8")


def test_a_wrong_expectation_is_noticed(tmp_path: Path) -> None:
    file = rule_files(tmp_path)["stack"]
    strip_annotations(file)
    case = cases("stack")[0]
    case["alert_rule_test"] = [{"eval_time": "30m", "alertname": "ComponentTargetDown", "exp_alerts": []}]
    document = {"rule_files": [file.name], "evaluation_interval": "30s", "tests": [case]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    done = promtool("test", "rules", str(tmp_path / "tests.yaml"))
    assert done.returncode != 0
    assert "ComponentTargetDown" in done.stdout + done.stderr


def test_every_alert_fires_in_a_case_and_stays_silent_in_another() -> None:
    fired, silent = set(), set()
    for part in PARTS:
        for check in (check for case in cases(part) for check in case["alert_rule_test"]):
            found = {(check["alertname"], alert["exp_labels"]["severity"]) for alert in check["exp_alerts"]}
            fired |= found
            silent |= {(name, severity) for name, severity in severities() if name == check["alertname"]} - found
    assert sorted(set(severities()) - fired) == []
    assert sorted(set(severities()) - silent) == []
    assert sorted(fired - set(severities())) == []


def severities() -> list[tuple[str, str]]:
    return [(alert["alert"], alert["labels"]["severity"]) for alert in alerts()]


# --------------------------------------------------------------------------- what they name and say


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_names_only_what_is_exported(rule: dict[str, Any]) -> None:
    assert list(misnamed(parsed(rule["expr"]), all_labels())) == []


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("sum(gone_total)", "nobody exports gone_total"),
        ('up{cluster="a"}', "up has no label cluster"),
        ("sum by (model) (up)", "grouped by model, which no series below has"),
        ("rate(sparkrig:no_such:rate5m[5m])", "nobody exports sparkrig:no_such:rate5m"),
    ],
)
def test_the_lint_notices(expression: str, said: str) -> None:
    assert list(misnamed(parsed(expression), all_labels())) == [said]


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: f"{alert['alert']}-{alert['labels']['severity']}")
def test_an_alert_says_what_is_wrong_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"].endswith(f"/docs/runbooks/{alert['alert']}.md")
    assert not notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    there = outcome(parsed(alert["expr"]), all_labels()) | set(alert["labels"])
    used = {name for text in notes.values() for name in re.findall(r"\$labels\.(\w+)", text)}
    assert sorted(used - there) == []


def test_no_text_fails_to_expand(tmp_path: Path) -> None:
    """Prometheus puts `<error expanding template: …>` where an annotation is wrong; each alert is expanded once."""
    wrong = []
    for part in PARTS:
        file = rule_files(tmp_path)[part]
        document = {"rule_files": [file.name], "evaluation_interval": "30s", "tests": cases(part)}
        (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        said = promtool("test", "rules", str(tmp_path / "tests.yaml"))
        text = said.stdout + said.stderr
        assert "summary" in text  # annotations are not expected in the cases, so the tester shows what it got
        wrong += re.findall(r"<error expanding template[^\n]*", text)
        wrong += re.findall(r"<no value>", text)
    assert wrong == []


def test_the_table_holds_only_what_is_used() -> None:
    """A histogram is used where one of its three series is."""
    text = " ".join(
        path.read_text(encoding="utf-8") for path in CHART.glob("*/**/*") if path.suffix in (".yaml", ".json")
    )
    base = {
        re.sub(r"_(bucket|count|sum)$", "", name) if metric.kind == "histogram" else name: name
        for name, metric in known_metrics().items()
    }
    assert [name for name in base if not re.search(rf"\b{name}", text)] == []


# --------------------------------------------------------------------------- runbooks


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    pages = sorted(path.stem for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
    assert pages == NAMES
    index = (RUNBOOKS / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"[{name}]({name}.md)" not in index] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_has_meaning_diagnosis_and_mitigation(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    sections = dict(re.findall(r"^## (.+)\n\n((?:.|\n)*?)(?=\n## |\Z)", text, re.MULTILINE))
    assert list(sections) == ["Meaning", "Diagnosis", "Mitigation"]
    assert all(len(body.split()) > 10 for body in sections.values())
    assert "```" in sections["Diagnosis"]


# --------------------------------------------------------------------------- thresholds and values


def thresholds() -> list[str]:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["thresholds"]
    return [f"{group}.{name}" for group, below in values.items() for name, value in below.items()]


@pytest.mark.parametrize("path", thresholds())
def test_each_threshold_changes_a_rule(path: str) -> None:
    group, name = path.split(".")
    value = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["thresholds"][group][name]
    match value:
        case list():
            other: Any = [*value, 999]
        case str():
            other = "47m" if re.fullmatch(r"\d+[a-z]", value) else "other-.+"
        case float():
            other = value * 1.01 if value * 1.01 < 1 else value * 0.99
        case _:
            other = value + 1
    before, after = (template(CHART, {"thresholds": {group: {name: each}}}) for each in (value, other))
    assert after.returncode == 0, after.stderr
    assert before.stdout != after.stdout


def test_numbers_reach_prometheus_as_they_were_written() -> None:
    done = template(CHART, {"thresholds": {"spark": {"operatorBacklog": 1000000}, "triton": {"availability": 0.9995}}})
    assert "> 1000000" in done.stdout
    assert "(1 - 0.9995)" in done.stdout
    assert "e+06" not in done.stdout


def test_every_part_has_a_schema_entry() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert sorted(schema["properties"]["parts"]["properties"]) == PARTS
