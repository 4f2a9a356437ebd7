"""Problems as SARIF 2.1.0, which code hosts and editors show beside the lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

import sparkrig
from sparkrig.models.problem import Problem, Severity
from sparkrig.output.problems import in_order
from sparkrig.yaml.setflag import is_flag

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_RULES: Final = "docs/problems.md"


def to_sarif(problems: Iterable[Problem], *, not_checked: Sequence[str] = ()) -> dict[str, Any]:
    """One run of the tool with one result for each problem, by place.

    What could not be checked is a notification, so that a run without results is not taken for a complete one.
    Columns count in characters (``columnKind`` says so). What has no place in a file has a logical location.
    """
    ordered = in_order(problems)
    codes = sorted({problem.code for problem in ordered})
    index = {code: number for number, code in enumerate(codes)}
    driver = {
        "name": "sparkrig",
        "version": sparkrig.__version__,
        "rules": [{"id": code, "help": {"text": f"{_RULES}: {code}"}} for code in codes],
    }
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {"level": "warning", "message": {"text": f"skipped: {line}"}} for line in not_checked
                        ],
                    }
                ],
                "results": [_result(problem, index) for problem in ordered],
            }
        ],
    }


def _result(problem: Problem, index: Mapping[str, int]) -> dict[str, Any]:
    text = "\n".join(part for part in (problem.message, problem.label, problem.hint) if part)
    return {
        "ruleId": problem.code,
        "ruleIndex": index[problem.code],
        "level": "error" if problem.severity is Severity.ERROR else "warning",
        "message": {"text": text},
        "locations": [_location(problem)],
    }


def _location(problem: Problem) -> dict[str, Any]:
    at = problem.position
    if at is None or is_flag(at):
        name = problem.where or (at.file if at is not None else "the input")
        return {"logicalLocations": [{"fullyQualifiedName": name}]}
    region = {"startLine": at.line, "startColumn": at.column, "endColumn": at.column + at.length}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(at.file)}, "region": region}}


def _uri(file: str) -> str:
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
