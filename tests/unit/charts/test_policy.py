"""The pods of our own charts, in every profile and every good case, against a policy tool; exceptions are data."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.own_charts import CHARTS, cases, pods, profiles, render
from tests.policy import TOKEN, Violation, allowed, violations

pytestmark = pytest.mark.tools

PROFILES = [(chart, f"profile {name}", values) for chart, name, values in profiles()]
GOOD = [(case.chart, f"case {case.data['name']}", case.data["values"]) for case in cases() if not case.bad]
EACH = pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
Objects = list[dict[str, Any]]


@cache
def found_in(chart: Path) -> dict[Violation, list[str]]:
    """Every violation of a chart, with where it is seen."""
    found: dict[Violation, list[str]] = {}
    for owner, where, values in [*PROFILES, *GOOD]:
        objects = render(chart, values) if owner == chart else []
        if list(pods(objects)):
            for violation in violations(chart.name, objects):
                found.setdefault(violation, []).append(where)
    return found


@EACH
def test_what_is_found_is_listed_with_a_reason(chart: Path) -> None:
    exceptions = allowed()
    unlisted = {v: where for v, where in found_in(chart).items() if not any(e.covers(v) for e in exceptions)}
    assert unlisted == {}


def test_each_exception_is_needed() -> None:
    everything = [violation for chart in CHARTS for violation in found_in(chart)]
    assert [entry for entry in allowed() if not any(entry.covers(violation) for violation in everything)] == []
    assert all(entry.reason for entry in allowed())


def test_there_are_pods_to_look_at() -> None:
    running = {chart.name for chart, _, values in [*PROFILES, *GOOD] if list(pods(render(chart, values)))}
    assert "triton" in running


# --------------------------------------------------------------------------- the tool sees what it should


def container(objects: Objects) -> dict[str, Any]:
    _, template = next(pods(objects))
    found: dict[str, Any] = template["spec"]["containers"][0]
    return found


def writable(objects: Objects) -> None:
    container(objects)["securityContext"]["readOnlyRootFilesystem"] = False


def privileged(objects: Objects) -> None:
    container(objects)["securityContext"]["privileged"] = True


def unlimited(objects: Objects) -> None:
    del container(objects)["resources"]["limits"]


def without_a_profile(objects: Objects) -> None:
    _, template = next(pods(objects))
    template["spec"].get("securityContext", {}).pop("seccompProfile", None)
    container(objects)["securityContext"].pop("seccompProfile", None)


def latest(objects: Objects) -> None:
    container(objects)["image"] = "example.org/server:latest"


def open_to_all(objects: Objects) -> None:
    objects[:] = [item for item in objects if item["kind"] != "NetworkPolicy"]


def unprobed(objects: Objects) -> None:
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        container(objects).pop(probe, None)


def with_a_token(objects: Objects) -> None:
    _, template = next(pods(objects))
    template["spec"]["automountServiceAccountToken"] = True


SPOILED = [
    (writable, "container-security-context-readonlyrootfilesystem"),
    (privileged, "container-security-context-privileged"),
    (unlimited, "container-resources"),
    (without_a_profile, "container-seccomp-profile"),
    (latest, "container-image-tag"),
    (open_to_all, "pod-networkpolicy"),
    (unprobed, "pod-probes"),
    (with_a_token, TOKEN),
]


@pytest.mark.parametrize(("spoil", "check"), SPOILED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_spoiled_chart_is_found(spoil: Callable[[Objects], None], check: str) -> None:
    (chart,) = (chart for chart in CHARTS if chart.name == "triton")
    objects = copy.deepcopy(render(chart, {}))
    before = set(violations(chart.name, objects))
    spoil(objects)
    new = [v for v in violations(chart.name, objects) if v not in before and not any(e.covers(v) for e in allowed())]
    assert check in {violation.check for violation in new}
