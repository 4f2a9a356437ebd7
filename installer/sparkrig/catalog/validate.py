"""Checks a file of ours against its schema. Pure."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path

from sparkrig.models.json import JsonDict, JsonObject
from sparkrig.models.problem import Problem
from sparkrig.yaml.nodes import Node
from sparkrig.yaml.schema import check


@functools.cache
def schema_file(path: Path) -> JsonObject:
    """A schema of the package, read once."""
    schema: JsonDict = json.loads(path.read_text(encoding="utf-8"))
    return schema


def check_values(node: Node, schema: JsonObject, subject: str, *, written: Node | None = None) -> list[Problem]:
    """What ``schema`` does not allow in a chart's values; ``written`` is the tree with its nulls."""
    return check(node, schema, subject, written=written)


def check_document(node: Node, schema: JsonObject, subject: str) -> list[Problem]:
    """What ``schema`` does not allow in a stack file or a component file, whose keys are fields and no values."""
    return [
        replace(problem, message=problem.message.replace(" has no value '", " has no field '", 1))
        if problem.code == "unknown-key"
        else problem
        for problem in check_values(node, schema, subject)
    ]
