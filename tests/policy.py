"""Judges the rendered objects of our own charts with kube-score, and looks at tokens, which that does not. Tests only.

Exceptions are data: tests/cases/policy/exceptions.yaml, each with its reason.
"""

from __future__ import annotations

import fnmatch
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from tests.own_charts import pods

from sparkrig import tools

EXCEPTIONS: Final = Path(__file__).parent / "cases" / "policy" / "exceptions.yaml"
GOOD_GRADE: Final = 10
KUBERNETES: Final = "v1.36"
TOKEN: Final = "service-account-token"
"""Our own check: kube-score has none for it."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that a check finds in one object."""

    check: str
    chart: str
    workload: str
    """``Kind/name``"""
    says: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """One entry of the exceptions."""

    check: str
    reason: str
    says: str = ""
    chart: str = "*"
    workload: str = "*"

    def covers(self, violation: Violation) -> bool:
        """Whether this is what is allowed here."""
        return (
            self.check == violation.check
            and self.says in violation.says
            and fnmatch.fnmatchcase(violation.chart, self.chart)
            and fnmatch.fnmatchcase(violation.workload, self.workload)
        )


def allowed() -> list[Allowed]:
    """The exceptions, as they are written down."""
    return [Allowed(**entry) for entry in yaml.safe_load(EXCEPTIONS.read_text(encoding="utf-8"))]


def violations(chart: str, objects: Sequence[Mapping[str, Any]]) -> list[Violation]:
    """Everything that is found in what a chart renders."""
    return [*scored(chart, objects), *tokens(chart, list(objects))]


@cache
def kube_score() -> str:
    """The binary; made where it is not there."""
    return str(tools.find("kube-score").path)


def scored(chart: str, objects: Sequence[Mapping[str, Any]]) -> Iterator[Violation]:
    """What kube-score finds. Raises AssertionError where it did not look at all."""
    if not objects:
        return
    argv = [kube_score(), "score", "-", "--output-format", "json"]
    argv += ["--kubernetes-version", KUBERNETES, "--enable-optional-test", "container-seccomp-profile"]
    argv += ["--disable-ignore-checks-annotations"]
    text = yaml.safe_dump_all([dict(item) for item in objects])
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    for item in json.loads(done.stdout) or ():
        workload = f"{item['type_meta']['kind']}/{item['object_meta']['name']}"
        for check in item["checks"]:
            if check["skipped"] or check["grade"] >= GOOD_GRADE:
                continue
            for comment in check["comments"] or [{"summary": "", "path": ""}]:
                yield Violation(
                    check["check"]["id"], chart, workload, f"{comment['summary']} {comment['path']}".strip()
                )


def tokens(chart: str, objects: list[dict[str, Any]]) -> Iterator[Violation]:
    """Pods that get a token of the API server: by their own word, or because nobody says no."""
    accounts = {
        item["metadata"]["name"]: item.get("automountServiceAccountToken")
        for item in objects
        if item["kind"] == "ServiceAccount"
    }
    for name, template in pods(objects):
        spec = template["spec"]
        said = spec.get("automountServiceAccountToken", accounts.get(spec.get("serviceAccountName", "default")))
        if said is not False:
            yield Violation(TOKEN, chart, name.replace(" ", "/"), "a token of the API server is mounted")
