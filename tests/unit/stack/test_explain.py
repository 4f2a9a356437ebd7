"""``sparkrig explain`` through the command line, on the shipped catalogue with the stand-ins, or the real charts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from sparkrig.catalog.load import load_catalog
from sparkrig.errors import NotFound
from sparkrig.helm.charts.archive import read_chart
from sparkrig.models.cluster import ClusterFacts
from sparkrig.output.explain import explanation_text
from sparkrig.stack.explain.chart import ChartDefaults, read_defaults
from sparkrig.stack.explain.layers import Subject, explain, leaf_nodes, subject
from sparkrig.stack.explain.overrides import overrides, redundant
from sparkrig.stack.explain.search import require_known
from sparkrig.stack.explain.secrets import HIDDEN, conceal, is_secret_name
from sparkrig.stack.file import SourceTexts, load_stack_file
from sparkrig.stack.follows import FOLLOWS
from sparkrig.stack.resolve import prepare
from sparkrig.yaml.nodes import MapNode, ScalarNode, show_path, to_python

ROOT: Final = Path(__file__).parents[3]
STAND_INS: Final = ROOT / "tests" / "charts"
REAL: Final = os.environ.get("SPARKRIG_REAL_CHARTS")
HEAD: Final = "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: lab}\n"
PLANTED: Final = "pl4nted-s3cret"
STACK: Final = f"""\
{HEAD}profile: ha
global: {{domain: lab.example.org, imagePullSecrets: [ngc]}}
components:
  triton:
    values:
      replicas: 3
      podDisruptionBudget: {{minAvailable: 1}}
      server:
        extraEnv:
          - {{name: AWS_SECRET_ACCESS_KEY, value: {PLANTED}-a}}
  jupyterhub:
    values:
      proxy: {{secretToken: {PLANTED}-b}}
      hub:
        config: {{GitHubOAuthenticator: {{client_id: lab, client_secret: {PLANTED}-c}}}}
        db: {{url: "postgres://hub:{PLANTED}-d@db.example.org/hub"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stack.yaml").write_text(STACK, encoding="utf-8")
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    charts = ("--chart-mirror", REAL) if REAL else ("--stand-ins", str(STAND_INS))
    command = [sys.executable, "-m", "sparkrig", "explain", *arguments, *charts]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "installer"), "PYTHONWARNINGS": "error"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_a_value_with_all_that_it_beat(folder: Path) -> None:
    done = run(folder, "triton.replicas", "--set", "triton.replicas=4")
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "triton.replicas = 4"
    assert lines[2] == "4 --set triton.replicas=4 wins"
    assert lines[3] == "3 stack.yaml:9:7 stack file"
    assert lines[4].startswith("2 charts/triton/profiles/ha.yaml:2:1 profile ha ")
    assert lines[5].startswith("1 charts/triton/values.yaml:10:1 component ")
    assert lines[7:] == ["Number of server pods behind the Service.", "integer, 1 or more · default 1 · e.g. 1, 2, 3"]


def test_the_upstream_chart_s_default_is_the_weakest(folder: Path) -> None:
    found = json.loads(run(folder, "traefik.service.spec.type", "--output", "json").stdout)
    assert [(layer["layer"], layer["value"], layer["role"]) for layer in found["layers"]] == [
        ("component", "NodePort", "wins"),
        ("chart", "LoadBalancer", "beaten"),
    ]
    assert found["layers"][1]["file"].endswith("traefik/values.yaml" if not REAL else ".tgz/values.yaml")
    assert found["layers"][1]["line"] > 1
    assert found["chartNotLookedAt"] is None
    assert [may["fact"] for may in found["mayBe"]] == ["cluster.load-balancer"]
    assert found["documentation"]["allowed"] == ["ClusterIP", "NodePort", "LoadBalancer"]


def test_a_component_lists_what_was_changed(folder: Path) -> None:
    found = json.loads(run(folder, "triton", "--output", "json").stdout)
    assert {value["path"]: (value["value"], value["before"] and value["before"]["layer"]) for value in found["values"]
            if "extraEnv" not in value["path"]} == {
        "triton.ingress.host": ("triton.lab.example.org", "component"),
        "triton.gateway.host": ("triton.lab.example.org", "component"),
        "triton.client.ingress.host": ("try.lab.example.org", "component"),
        "triton.imagePullSecrets": ([{"name": "ngc"}], "component"),
        "triton.replicas": (3, "profile ha"),
        "triton.podDisruptionBudget.minAvailable": (1, "profile ha"),
    }  # fmt: skip


def test_what_repeats_a_weaker_layer_is_found_and_can_go(folder: Path) -> None:
    found = json.loads(run(folder, "triton", "--unset", "--output", "json").stdout)
    mine = [value for value in found["values"] if not value["inCatalog"]]
    assert [(value["path"], value["sameAs"]["layer"]) for value in mine] == [
        ("triton.podDisruptionBudget.minAvailable", "profile ha")
    ]
    path = folder / "stack.yaml"
    before = run(folder, "triton.podDisruptionBudget", "--output", "json")
    lines = path.read_text(encoding="utf-8").splitlines()
    del lines[mine[0]["at"]["line"] - 1]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    after = run(folder, "triton.podDisruptionBudget", "--output", "json")
    assert json.loads(after.stdout)["value"] == json.loads(before.stdout)["value"]
    again = json.loads(run(folder, "triton", "--unset", "--output", "json").stdout)
    assert [value for value in again["values"] if not value["inCatalog"]] == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("tritn.replicas",), 3, "there is no component 'tritn' next: did you mean triton?"),
        (("triton.replicass",), 3, "triton has no value 'replicass' next: did you mean triton.replicas?"),
        (("triton.limits.memory",), 3, "next: values of that name: triton.resources.limits.memory"),
        (("triton..replicas",), 64, "is not a value path"),
        ((), 64, "name a value such as web.replicas"),
        (("triton.replicas", "-f", "none.yaml"), 3, "no stack file at none.yaml"),
    ],
)
def test_mistakes_are_said(folder: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = run(folder, *arguments)
    assert done.returncode == code
    assert says in " ".join(done.stderr.replace("│", " ").split())
    assert done.stdout == ""


def test_a_stack_with_mistakes_is_explained_too(folder: Path) -> None:
    path = folder / "stack.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("replicas: 3", "replicas: many"), encoding="utf-8")
    done = run(folder, "triton.replicas")
    assert done.returncode == 0
    assert "triton.replicas = many" in done.stdout
    # The number of replicas, and the client's secret that does not belong into values.
    assert "note: the input has 2 problems; sparkrig validate shows them" in done.stderr


def test_a_component_that_is_off_is_explained_too(folder: Path) -> None:
    done = run(folder, "gpu-operator.driver.enabled")
    assert done.returncode == 0
    assert "gpu-operator.driver.enabled = true" in done.stdout
    assert "gpu-operator is off because gpu.nodes-present is unknown" in done.stdout
    assert "on a cluster where gpu.driver-installed is true it would be false" in done.stdout


def test_no_secret_is_printed_anywhere(folder: Path) -> None:
    asked = [
        ("jupyterhub",), ("triton",), ("jupyterhub.proxy",), ("jupyterhub.proxy.secretToken",), ("jupyterhub.hub",),
        ("jupyterhub.hub.config",), ("jupyterhub.hub.config.GitHubOAuthenticator.client_secret",),
        ("jupyterhub.hub.db.url",), ("triton.server.extraEnv",), ("triton.server.extraEnv[0].value",),
        ("triton.server",), ("--unset",),
        ("triton.replicas", "--set", f"triton.replicas=4,jupyterhub.proxy.secretToken={PLANTED}-e"),
        ("jupyterhub", "--set", f"jupyterhub.hub.config.GitHubOAuthenticator.client_secret={PLANTED}-f"),
    ]  # fmt: skip
    hidden = 0
    for number, arguments in enumerate(asked):
        done = run(folder, *arguments, "--output", "json" if number % 2 else "text")
        assert done.returncode == 0, (arguments, done.stderr)
        assert PLANTED not in done.stdout + done.stderr, arguments
        hidden += HIDDEN in done.stdout
    assert hidden >= 10


@pytest.mark.parametrize(
    "name",
    ["password", "adminPassword", "secretToken", "client_secret", "clientSecret", "apiKey", "api_key", "accessKey",
     "AWS_SECRET_ACCESS_KEY", "token", "privateKey", "secretKey", "dockerconfigjson", "passphrase", "credentials",
     "SMTP_PASSWD", "licenseKey", "cookieSecret"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["existingSecret", "secretName", "imagePullSecrets", "tokenSecretName", "automountServiceAccountToken",
     "passwordFile", "secretRef", "key", "keys", "monkey", "tokenTTL", "replicas", "secretNamespace", "tls"],
)  # fmt: skip
def test_names_that_only_name_one(name: str) -> None:
    assert not is_secret_name(name)


def test_a_schema_can_say_that_a_value_is_secret() -> None:
    schema = {"properties": {"a": {"properties": {"b": {"x-secret": True}, "c": {"writeOnly": True}, "d": {}}}}}
    assert conceal(("a",), {"b": "x", "c": 7, "d": "y"}, schema) == {"b": HIDDEN, "c": HIDDEN, "d": "y"}
    assert conceal(("a", "b"), "x", schema) == HIDDEN
    assert conceal(("a", "b"), "", schema) == ""


# --------------------------------------------------------------------------- the charts, whole


def subjects(folder: Path, profile: str) -> list[Subject]:
    sources = SourceTexts()
    catalog = load_catalog([ROOT / "charts"], sources)
    path = folder / "stack.yaml"
    path.write_text(f"{HEAD}profile: {profile}\ncomponents: {{gpu-operator: {{enabled: true}}, "
                    "kube-prometheus-stack: {enabled: true}, spark-operator: {enabled: true}, "
                    "spark-platform: {enabled: true}}\n", encoding="utf-8")  # fmt: skip
    prepared = prepare(load_stack_file(path, sources), catalog, ClusterFacts(), sources=sources)
    assert prepared.errors == ()
    made = []
    for name, component in prepared.components.items():
        defaults = ChartDefaults()
        if not catalog.files[name].own_chart:
            chart = component.chart
            archive = Path(REAL or STAND_INS) / (f"{chart.name}-{chart.version}.tgz" if REAL else chart.name)
            defaults = read_defaults(read_chart(archive), archive.name)
        made.append(subject(component, prepared.values[name].layers, catalog, defaults, sources, ClusterFacts()))
    return made


def test_every_value_of_every_chart_can_be_explained(tmp_path: Path) -> None:
    """Each has a layer that wins, at a line that holds its key; that layer gives what is effective."""
    number = 0
    for one in subjects(tmp_path, "ha"):
        for path, node in leaf_nodes(one.values):
            require_known(one, path)
            found = explain(one, path)
            assert found.state == "set"
            (winner, *_) = [said for said in found.said if said.role in ("wins", "merges")]
            assert winner.value == found.value or not found.value  # nulls in an else empty map are no values
            assert winner.position is not None
            text = one.texts[winner.position.file].splitlines()[winner.position.line - 1]
            elsewhere = "component.yaml" in winner.position.file or winner.layer.startswith(FOLLOWS)  # another's key
            if isinstance(node, ScalarNode) and not elsewhere:
                assert str(path[-1]) in text, (show_path(path), text)
            assert explanation_text(found, width=100).startswith(f"{one.name}.{show_path(path)[:40]}")
            number += 1
    assert number > (2500 if REAL else 250)


def test_a_misspelt_key_of_any_chart_is_found_and_mended(tmp_path: Path) -> None:
    """Of keys of five letters or more, with two letters swapped, nearly all get the right suggestion."""
    asked = mended = refused = 0
    for one in subjects(tmp_path, "standard"):
        for path, _ in leaf_nodes(one.values):
            last = str(path[-1])
            wrong = last[:2] + last[3:4] + last[2:3] + last[4:]
            if len(last) < 5 or wrong == last or not isinstance(path[-1], str):
                continue
            asked += 1
            try:
                require_known(one, (*path[:-1], wrong))
            except NotFound as error:
                refused += 1
                mended += f"did you mean {one.name}.{show_path(path)}?" in (error.hint or "")
    assert asked > (1500 if REAL else 150)
    assert refused / asked > 0.9, (asked, refused)
    assert mended / refused > 0.97, (refused, mended)


def test_taking_out_what_is_redundant_changes_nothing(tmp_path: Path) -> None:
    """Our own catalogue, every profile: what it repeats could really go."""
    for profile in ("minimal", "standard", "gpu", "ha"):
        for one in subjects(tmp_path, profile):
            for found in redundant(one):
                assert found.ours
                assert found.same_as is not None
                assert found.said.value == found.same_as.value
            assert overrides(one) == ()


def test_the_catalogue_repeats_no_default_of_a_chart(tmp_path: Path) -> None:
    """Each line of our values differs from the chart's own default, as their first line says."""
    repeated = [
        f"{profile}: {found.path} at {found.said.where}"
        for profile in ("minimal", "standard", "gpu", "ha")
        for one in subjects(tmp_path, profile)
        if not one.own_chart
        for found in redundant(one)
    ]
    assert repeated == []


def test_values_are_what_helm_would_give(tmp_path: Path) -> None:
    """The effective values agree with the reading that decides which subcharts are on."""
    import copy

    from sparkrig.helm.charts.dependencies import _coalesce, _Enabled

    compared = 0
    for one in subjects(tmp_path, "ha"):
        if one.own_chart or not REAL:
            continue
        chart = read_chart(Path(REAL) / f"{one.component.chart.name}-{one.component.chart.version}.tgz")
        handed: Any = {}
        for layer in one.handed_layers:
            assert isinstance(layer.root, MapNode)
        from sparkrig.yaml.merge import merge

        handed = copy.deepcopy(merge(one.handed_layers).root.value)
        theirs = _coalesce(_Enabled(chart, chart.name), handed)
        for path, node in leaf_nodes(one.values):
            if "global" in path:
                continue
            value = theirs
            for step in path:
                value = value[step] if isinstance(value, dict) else None
            assert value == to_python(node), show_path(path)
            compared += 1
    assert compared > 2000 or not REAL
