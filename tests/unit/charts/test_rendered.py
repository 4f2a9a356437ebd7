"""Charts of our own: what helm makes of each case, and what must hold of every chart."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from tests.cases_support import MISSING, failures, lookup
from tests.own_charts import CHARTS, ROOT, Case, cases, component, pods, profiles, render, run_helm, template

from sparkrig.catalog.load import load_catalog
from sparkrig.models.objects import Readiness
from sparkrig.readiness import judge
from sparkrig.yaml.load import load
from sparkrig.yaml.nodes import parse_path, place
from sparkrig.yaml.schema import check

ALL_CASES = cases()
GOOD = [case for case in ALL_CASES if not case.bad]
REFUSED_BY_SCHEMA = [case for case in ALL_CASES if case.data.get("problems")]
REFUSED_BY_TEMPLATE = [case for case in ALL_CASES if case.data.get("fails")]
PROFILES = list(profiles())
EACH_CHART = pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
EACH_PROFILE = pytest.mark.parametrize(("chart", "profile", "values"), PROFILES, ids=lambda v: getattr(v, "name", None))
LABELS = ("name", "instance", "component", "part-of", "version", "managed-by")


def schema_of(chart: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    return loaded


# --------------------------------------------------------------------------- cases


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_a_good_case_renders_what_it_says(case: Case) -> None:
    objects = render(case.chart, case.data["values"])
    wrong = [text for assertion in case.data["renders"] for text in failures(assertion, objects)]
    assert wrong == []


@pytest.mark.parametrize("case", REFUSED_BY_SCHEMA, ids=str)
def test_a_bad_case_has_exactly_its_problems(case: Case) -> None:
    text = yaml.safe_dump(case.data["values"])
    document = load(text, "case.yaml").document
    assert document is not None
    found = check(document, schema_of(case.chart), case.chart.name)
    expected = case.data["problems"]
    shown = [(p.code, p.message, str(p.position)) for p in found]
    assert len(found) == len(expected), shown
    for problem in expected:
        line = place(document, parse_path(problem["path"])).line
        same = [p for p in found if p.code == problem["code"] and p.position and p.position.line == line]
        assert same, f"{problem['code']} at {problem['path']} (line {line}) not in {shown}"
        if "message" in problem:
            assert problem["message"] in [p.message for p in same]


@pytest.mark.parametrize("case", ALL_CASES, ids=str)
def test_the_defaults_beside_the_values_change_nothing(case: Case) -> None:
    """What a person wrote is judged alike with and without the chart's own values below it."""
    defaults = yaml.safe_load((case.chart / "values.yaml").read_text(encoding="utf-8"))
    alone, merged = (judged(case, values) for values in (case.data["values"], laid_over(defaults, case.data["values"])))
    assert merged == alone
    assert bool(alone) == bool(case.data.get("problems"))


def judged(case: Case, values: dict[str, Any]) -> list[tuple[str, str]]:
    document = load(yaml.safe_dump(values), "case.yaml").document
    assert document is not None
    return sorted((p.code, p.message) for p in check(document, schema_of(case.chart), case.chart.name))


def laid_over(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """As Helm lays values: maps merge, a null deletes, everything else replaces."""
    result = {key: value for key, value in base.items() if over.get(key, value) is not None}
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            result[key] = laid_over(base[key], value)
        elif value is not None:
            result[key] = value
    return result


@pytest.mark.parametrize("case", REFUSED_BY_SCHEMA, ids=str)
def test_helm_refuses_what_the_schema_refuses(case: Case) -> None:
    done = template(case.chart, case.data["values"])
    assert done.returncode != 0
    assert "don't meet the specifications of the schema" in done.stderr


@pytest.mark.parametrize("case", REFUSED_BY_TEMPLATE, ids=str)
def test_a_template_refuses_with_its_sentence(case: Case) -> None:
    done = template(case.chart, case.data["values"])
    assert done.returncode != 0
    assert case.data["fails"] in done.stderr


@EACH_CHART
def test_there_are_enough_cases(chart: Path) -> None:
    own = [case for case in ALL_CASES if case.chart == chart]
    assert len([case for case in own if case.bad]) >= 10
    assert len([case for case in own if not case.bad]) >= 10
    assert len({case.data["name"] for case in own}) == len(own)


# --------------------------------------------------------------------------- charts and profiles


@EACH_PROFILE
def test_lint_is_clean(chart: Path, profile: str, values: dict[str, Any]) -> None:
    done = run_helm("lint", "--strict", str(chart), values=values)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@EACH_PROFILE
def test_pods_are_restricted_but_for_named_exceptions(chart: Path, profile: str, values: dict[str, Any]) -> None:
    named = {(e["workload"], e["field"]) for e in component(chart)["podSecurity"]["exceptions"]}
    found = {deviation for name, pod in pods(render(chart, values)) for deviation in deviations(name, pod["spec"])}
    assert found == named


def deviations(name: str, spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(workload, field) of what pod-security level ``restricted`` would refuse."""
    whole = spec.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield name, field
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    for volume in spec.get("volumes", []):
        if not set(volume) & allowed:
            yield name, f"volumes.{volume['name']}"
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        own = {**whole, **container.get("securityContext", {})}
        checks = {
            "runAsNonRoot": own.get("runAsNonRoot") is True,
            "runAsUser": own.get("runAsUser") != 0,
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "privileged": not own.get("privileged"),
            "capabilities": (own.get("capabilities") or {}).get("drop") == ["ALL"],
            "seccompProfile": (own.get("seccompProfile") or {}).get("type") in ("RuntimeDefault", "Localhost"),
            "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
        }
        yield from ((name, f"{container['name']}.{field}") for field, fine in checks.items() if not fine)


@EACH_PROFILE
def test_labels_and_selectors(chart: Path, profile: str, values: dict[str, Any]) -> None:
    objects = render(chart, values)
    for item in objects:
        missing = [x for x in LABELS if f"app.kubernetes.io/{x}" not in item["metadata"]["labels"]]
        assert missing == [], (item["kind"], item["metadata"]["name"])
    templates = [pod["metadata"]["labels"] for _, pod in pods(objects)]
    for item in objects:
        paths = {"Service": "spec.selector", "PodDisruptionBudget": "spec.selector.matchLabels"}
        paths |= {"Deployment": "spec.selector.matchLabels", "NetworkPolicy": "spec.podSelector.matchLabels"}
        if item["kind"] in paths:
            selector = lookup(item, paths[item["kind"]])
            if selector is MISSING or "app.kubernetes.io/name" not in selector:
                continue  # a policy for pods that are not the chart's own
            assert "app.kubernetes.io/version" not in selector
            assert any(selector.items() <= labels.items() for labels in templates), item["metadata"]["name"]


@EACH_PROFILE
def test_images_are_those_of_the_component(chart: Path, profile: str, values: dict[str, Any]) -> None:
    assert images_of(chart, values) <= set(component(chart)["images"])


@EACH_CHART
def test_each_image_of_the_component_is_run_in_a_profile(chart: Path) -> None:
    run = {image for own, _, values in PROFILES if own == chart for image in images_of(chart, values)}
    assert run == set(component(chart)["images"])


def images_of(chart: Path, values: dict[str, Any]) -> set[str]:
    objects = render(chart, values)
    images = {c["image"] for _, pod in pods(objects) for c in pod["spec"]["containers"]}
    return images | {item["spec"]["image"] for item in objects if item["kind"] == "SparkApplication"}


@EACH_CHART
@pytest.mark.parametrize("kubernetes", ["1.27.0", "1.30.1", "1.33.0", "1.36.3"])
def test_renders_on_each_supported_kubernetes(chart: Path, kubernetes: str) -> None:
    served = {"v1", "apps/v1", "batch/v1", "policy/v1", "monitoring.coreos.com/v1"}
    served |= {"sparkoperator.k8s.io/v1beta2"}
    served |= {f"{group}.k8s.io/v1" for group in ("networking", "rbac.authorization", "scheduling")}
    if kubernetes == "1.36.3":
        served.add("admissionregistration.k8s.io/v1")  # older clusters have it, but no mutating policies in it
    objects = render(chart, {}, kubernetes)
    assert objects
    assert {item["apiVersion"] for item in objects} <= served


@EACH_CHART
def test_refuses_an_older_kubernetes(chart: Path) -> None:
    done = template(chart, {}, "1.26.9")
    assert done.returncode != 0
    assert "incompatible with Kubernetes v1.26.9" in done.stderr


@pytest.mark.parametrize(("kubernetes", "how"), [("1.29.9", "exec"), ("1.30.0", "sleep"), ("v1.31.4-gke.1", "sleep")])
def test_draining_uses_what_the_kubelet_can(kubernetes: str, how: str) -> None:
    objects = render(ROOT / "charts" / "triton", {}, kubernetes)
    (stop,) = [pod["spec"]["containers"][0]["lifecycle"]["preStop"] for _, pod in pods(objects)]
    assert list(stop) == [how]


@EACH_CHART
def test_the_catalogues_files_are_not_in_the_package(chart: Path, tmp_path: Path) -> None:
    done = run_helm("package", str(chart), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as packed:
        names = {Path(name).relative_to(chart.name).parts[0] for name in packed.getnames()}
    read_by_templates = {folder for folder in ("dashboards", "files", "rules") if (chart / folder).is_dir()}
    assert names == {"Chart.yaml", "values.yaml", "values.schema.json", "templates", ".helmignore"} | read_by_templates


@EACH_CHART
def test_component_and_chart_agree(chart: Path) -> None:
    meta = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    described = component(chart)
    assert meta["apiVersion"] == "v2"
    assert described["chart"] == {"name": meta["name"], "version": meta["version"], "path": "."}
    assert described["metadata"]["name"] == chart.name
    kept = {
        item["kind"]
        for case in [*GOOD]
        if case.chart == chart
        for item in render(chart, case.data["values"])
        if lookup(item, r"metadata.annotations.helm\.sh/resource-policy") == "keep"
    }
    assert kept == set(described.get("keep", []))


# --------------------------------------------------------------------------- values, schema, docs


def leaves(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for key, below in schema["properties"].items():
        if "properties" in below:
            assert below["additionalProperties"] is False, path
            assert below["description"], path
            yield from leaves(below, (*path, key))
        else:
            yield (*path, key), below


@EACH_CHART
def test_the_schema_documents_each_value_with_its_default(chart: Path) -> None:
    schema = schema_of(chart)
    Draft7Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    rest = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    for path, leaf in leaves(schema):
        holder = rest
        for step in path[:-1]:
            holder = holder[step]
        assert leaf["description"], path
        assert leaf["default"] == holder.pop(path[-1]), path
        for example in leaf["examples"]:
            # From the root, where what `leaf` refers to is.
            assert not list(Draft7Validator(schema).descend(example, leaf)), (path, example)
    assert undocumented(rest) == []


def undocumented(values: Any, path: str = "") -> list[str]:
    if isinstance(values, dict):
        return [found for key, below in values.items() for found in undocumented(below, f"{path}.{key}")]
    return [path]


@EACH_CHART
def test_each_value_has_its_reason_beside_it(chart: Path) -> None:
    lines = (chart / "values.yaml").read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines if line.lstrip().startswith("#")]
    assert len(comments) >= len(list(leaves(schema_of(chart)))) / 2


@EACH_CHART
def test_the_page_names_each_value(chart: Path) -> None:
    page = (ROOT / "docs" / "charts" / f"{chart.name}.md").read_text(encoding="utf-8")
    keys = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    assert [key for key in keys if f"`{key}" not in page] == []


@EACH_CHART
def test_notes_render(chart: Path) -> None:
    release = component(chart)["release"]
    where = ("--dry-run=client", "--namespace", release["namespace"])
    done = run_helm("install", release["name"], str(chart), *where, values={})
    assert done.returncode == 0, done.stderr
    assert f"-n {release['namespace']} " in done.stdout.split("NOTES:")[1] or "Namespaces" in done.stdout


# --------------------------------------------------------------------------- between charts


@pytest.mark.parametrize("own_monitor", [False, True])
def test_a_server_is_scraped_by_exactly_one_monitor(own_monitor: bool) -> None:
    server = render(ROOT / "charts" / "triton", {"serviceMonitor": {"enabled": own_monitor}})
    monitors = [item for item in server if item["kind"] == "ServiceMonitor"]
    monitors += [item for item in render(ROOT / "charts" / "monitoring", {}) if item["kind"] == "ServiceMonitor"]
    hits = [
        (monitor["metadata"]["name"], service["metadata"]["name"], endpoint["port"])
        for monitor in monitors
        for service in (item for item in server if item["kind"] == "Service")
        for endpoint in monitor["spec"]["endpoints"]
        if selects(monitor["spec"]["selector"], service["metadata"]["labels"])
        and endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    ]
    assert hits == [("triton" if own_monitor else "monitoring-triton", "triton-metrics", "metrics")]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "NotIn"
        if labels.get(rule["key"]) in rule["values"]:
            return False
    return bool(selector["matchLabels"].items() <= labels.items())


@EACH_CHART
def test_each_object_of_the_chart_can_be_judged(chart: Path) -> None:
    """One without a rule is never unhealthy, whatever its controller says of it."""
    rules = load_catalog([ROOT / "charts"]).components[chart.name].readiness
    good = [render(chart, case.data["values"]) for case in cases() if case.chart == chart and not case.bad]
    found = {(item["apiVersion"], item["kind"]): item for objects in good for item in objects}
    assert [kind for kind, item in found.items() if judge(item, rules).readiness is Readiness.NOT_JUDGED] == []


@pytest.mark.parametrize("component", ["spark-examples", "spark-operator"])
@pytest.mark.parametrize(
    ("state", "readiness"),
    [
        ("FAILED", Readiness.FAILED),
        ("SUBMISSION_FAILED", Readiness.FAILED),
        ("RUNNING", Readiness.READY),
        ("COMPLETED", Readiness.READY),
        ("", Readiness.PROGRESSING),
    ],
)
def test_an_application_that_failed_is_unhealthy(component: str, state: str, readiness: Readiness) -> None:
    rules = load_catalog([ROOT / "charts"]).components[component].readiness
    application = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "a"}}
    assert judge({**application, "status": {"applicationState": {"state": state}}}, rules).readiness is readiness
