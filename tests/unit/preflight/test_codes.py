"""Each finding that preflight can make is shown with its message by some case; and those of dry runs and rights."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml
from tests.cases.report.records import desired

from sparkrig.kube.client import KubeApi
from sparkrig.models.objects import ObjectRef
from sparkrig.plan.server.changes import Blocked, Rehearsal
from sparkrig.preflight.data import Case, Survey
from sparkrig.preflight.dryrun.findings import judged
from sparkrig.preflight.finding import Level
from sparkrig.preflight.rights import rights_findings

TESTS: Final = Path(__file__).parents[2]
SOURCE: Final = TESTS.parent / "installer" / "sparkrig"
CASES: Final = TESTS / "cases" / "preflight"
WHOLE_COMMANDS: Final = ("test_preflight", "test_preflight_sources", "test_conflicts", "test_immutable", "test_hooks")
"""Cluster tests that look for ``[code] subject: message`` in what a command says."""


def made() -> Iterator[tuple[str, str]]:
    """Level and code of every finding in the source."""
    for file in [*sorted((SOURCE / "preflight").rglob("*.py")), SOURCE / "commands" / "doctor.py"]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("fail", "warn"):
                yield node.func.id, ast.literal_eval(node.args[0])


def shown() -> set[tuple[str, str]]:
    """Level and code of every finding that a case expects with its message."""
    found = set()
    for file in (CASES / "findings").glob("*.yaml"):
        for case in yaml.safe_load(file.read_text(encoding="utf-8")):
            found |= {cast("tuple[str, str]", tuple(line.split()[:2])) for line in case["expect"]}
    texts = [(CASES / "everything-wrong.yaml").read_text(encoding="utf-8")]
    texts += [(TESTS / "cluster" / f"{name}.py").read_text(encoding="utf-8") for name in WHOLE_COMMANDS]
    found |= {("fail", code) for text in texts for code in re.findall(r"\[([a-z-]+)\] \S", text)}
    own = Path(__file__).read_text(encoding="utf-8")
    cluster = (TESTS / "cluster" / "test_preflight_sources.py").read_text(encoding="utf-8")
    return found | set(re.findall(r'"(fail|warn) ([a-z-]+) ', own + cluster)) | {("warn", "slow-webhook")}


def test_every_finding_has_a_case() -> None:
    assert sorted(set(made()) - shown()) == []


def test_every_finding_is_in_the_documentation() -> None:
    page = (TESTS.parent / "docs" / "preflight.md").read_text(encoding="utf-8")
    table = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    documented = {code for cell in table for code in re.findall(r"`([a-z-]+)`", cell)}
    assert {code for _, code in made()} - documented == set()


REF: Final = ObjectRef("", "v1", "ConfigMap", "lab", "settings")


def said(found: Rehearsal) -> list[str]:
    nobody = cast("KubeApi", None)  # it is asked only about webhooks that do not answer
    one = judged(nobody, [found], {"app": desired("app", "1.0.0")})
    return [f"{f.level} {f.code} {f.subject}: {f.message}" for f in one]


def test_a_webhook_that_refuses_in_the_dry_run() -> None:
    blocked = Blocked(REF, webhook="guard.example.org", message="no settings on Fridays", denied=True)
    assert said(Rehearsal("app", blocked=(blocked,))) == [
        "warn webhook-denies app: ConfigMap lab/settings: no settings on Fridays"
    ]


def test_what_a_dry_run_could_not_ask() -> None:
    unseen = ("ConfigMap lab/a: you may not patch it", "ConfigMap lab/b: the same")
    assert said(Rehearsal("app", unseen=unseen)) == [
        "warn not-looked-at app: ConfigMap lab/a: you may not patch it, ConfigMap lab/b: the same"
    ]


@pytest.mark.parametrize("lacking", [{}, {"anything": ()}])
def test_rights_that_nobody_can_be_asked_about(lacking: dict[Any, Any]) -> None:
    (found,) = rights_findings(Case(survey=Survey(), facts=cast("Any", None)), lacking, known=False)
    assert f"{found.level} {found.code} {found.subject}: {found.message}" == (
        "warn rights cluster: what you may do here could not be asked; the run will show it"
    )
    assert found.level is Level.WARN
