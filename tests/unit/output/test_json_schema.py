"""Everything that ``--output json`` prints meets its published schema, and has no field that is not in it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft7Validator

from sparkrig.errors import ClusterUnreachable, InvalidInput
from sparkrig.models.plan import ApplyResult, OperationStatus
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.models.status import StackStatus
from sparkrig.output.cluster import clusters_json
from sparkrig.output.errors import error_json
from sparkrig.output.history import history_json
from sparkrig.output.json_schema import kinds, output_schema
from sparkrig.output.plan import plan_json
from sparkrig.output.result import apply_json
from sparkrig.output.status import status_json

ROOT: Final = Path(__file__).parents[3]
STACK: Final = """\
apiVersion: sparkrig.dev/v1
kind: Stack
metadata: {name: lab}
global: {domain: lab.example.org}
components:
  triton:
    values: {replicas: 2, gpu: {count: 1}, resources: {limits: {memory: 16Gi}}}
"""
SCHEMA: Final = output_schema()
CHECK: Final = Draft7Validator(SCHEMA)


def _records() -> Any:
    path = ROOT / "tests" / "cases" / "report" / "records.py"
    spec = importlib.util.spec_from_file_location("output_records", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


records = _records()
PROBLEM = Problem(Severity.ERROR, "unknown-key", "m", Position("stack.yaml", 2, 3, 4), label="l", hint="h")
FLAG = Problem(Severity.WARNING, "bad-flag", "m", where="--set a.b=1")


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    failed = {o.id: OperationStatus.FAILED if i == 1 else OperationStatus.DONE
              for i, o in enumerate(records.plan().operations)}  # fmt: skip
    yield "Plan", plan_json(records.plan(), cluster="kind-lab", kubernetes="1.36.3")
    yield "Plan", plan_json(records.empty_plan(unhealthy=True))
    yield "Status", status_json(records.status())
    yield "Status", status_json(StackStatus("lab", "kind-lab"))
    yield "Status", status_json(replace(records.status(), gpus_allocatable=None, kubernetes=None))
    yield "History", history_json("lab", records.revisions())
    yield "History", history_json("lab", [])
    yield "ApplyResult", apply_json(records.plan(), records.result(failed), revision=8, seconds=3.5)
    yield "ApplyResult", apply_json(records.empty_plan(), ApplyResult((), ()))
    yield "Error", error_json(InvalidInput([PROBLEM, FLAG]))
    yield "Error", error_json(ClusterUnreachable("no answer", hint="is it up?", detail=["refused"]))
    yield "Clusters", clusters_json([])


DOCUMENTS: Final = list(documents())


@pytest.mark.parametrize(("kind", "document"), DOCUMENTS, ids=[f"{i} {k}" for i, (k, _) in enumerate(DOCUMENTS)])
def test_documents_meet_their_schema(kind: str, document: dict[str, Any]) -> None:
    check(kind, document)


def check(kind: str, document: dict[str, Any]) -> None:
    document = json.loads(json.dumps(document))
    assert document["kind"] == kind
    assert [error.message for error in Draft7Validator(output_schema(kind)).iter_errors(document)] == []
    assert CHECK.is_valid(document)
    assert unknown(document, SCHEMA["definitions"][kinds()[kind]]) == []


def unknown(value: Any, schema: Mapping[str, Any], path: str = "") -> list[str]:
    """Fields that the schema does not describe."""
    known, others, items = parts(schema)
    if isinstance(value, dict):
        found = [f"{path}.{key}" for key in value if known and key not in known and others is None]
        for key, below in value.items():
            found += unknown(below, known.get(key, others or {}), f"{path}.{key}")
        return found
    if isinstance(value, list) and items is not None:
        return [name for item in value for name in unknown(item, items, f"{path}[]")]
    return []


def parts(schema: Mapping[str, Any]) -> tuple[dict[str, Any], Any, Any]:
    """Properties, additionalProperties and items of a schema with all that it refers to."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    known, others, items = dict(schema.get("properties", {})), schema.get("additionalProperties"), schema.get("items")
    for part in (*schema.get("allOf", ()), *schema.get("oneOf", ())):
        more, other, item = parts(part)
        known.update(more)
        others, items = others or other, items or item
    return known, others, items


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("output")
    (made / "stack.yaml").write_text(STACK, encoding="utf-8")
    (made / "bad.yaml").write_text(STACK.replace("replicas: 2", "replicass: 2"), encoding="utf-8")
    return made


COMMANDS: Final = [
    ("Validation", 0, ("validate", "--chart-mirror", ".", "--no-render")),
    ("Validation", 3, ("validate", "-f", "bad.yaml")),
    ("Validation", 3, ("validate", "-f", "none.yaml")),
    ("Error", 3, ("explain", "triton.replicas", "-f", "none.yaml")),
    ("Error", 3, ("explain", "triton.replicass")),
    ("Explanation", 0, ("explain", "triton.replicas", "--set", "triton.replicas=3")),
    ("Explanation", 0, ("explain", "triton.resources")),
    ("Explanation", 0, ("explain", "triton.tmp.sizeLimit", "--set", "triton.tmp=null")),
    ("Explanation", 0, ("explain", "triton.gpu.enabled")),
    ("Explanation", 0, ("explain", "traefik.service.spec.type", "--chart-mirror", ".")),
    ("Overrides", 0, ("explain", "triton")),
    ("Overrides", 0, ("explain", "monitoring")),
    ("Redundant", 0, ("explain", "--unset", "--chart-mirror", ".")),
    ("Tools", 0, ("tools", "list")),
    ("Clusters", 0, ("cluster", "list")),
]


@pytest.mark.parametrize(("kind", "code", "arguments"), COMMANDS, ids=[" ".join(c[2]) for c in COMMANDS])
def test_what_commands_print_meets_the_schema(folder: Path, kind: str, code: int, arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "sparkrig", *arguments, "--output", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "installer"), "PYTHONWARNINGS": "error",
                   "SPARKRIG_STATE_DIR": str(folder / "state")}  # fmt: skip
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    check(kind, json.loads(done.stdout))


def test_the_schema_is_one_and_describes_every_field() -> None:
    Draft7Validator.check_schema(SCHEMA)
    bare: list[str] = []

    def walk(schema: Any, path: str) -> None:
        for key, below in schema.get("properties", {}).items():
            if not below.get("description") and "$ref" not in below:
                bare.append(f"{path}.{key}")
            walk(below, f"{path}.{key}")
        for part in (*schema.get("allOf", ()), *schema.get("oneOf", ())):
            walk(part, path)
        if isinstance(schema.get("items"), dict):
            walk(schema["items"], f"{path}[]")

    for name, definition in SCHEMA["definitions"].items():
        assert definition.get("description"), name
        walk(definition, name)
    assert bare == []


def test_every_kind_that_the_code_prints_is_in_it() -> None:
    import re

    source = ROOT / "installer" / "sparkrig"
    found = set()
    for file in [*source.glob("output/*.py"), *source.glob("cli/**/*.py")]:
        text = file.read_text(encoding="utf-8")
        found |= set(re.findall(r'\bdocument\(\s*"(\w+)"', text)) | set(
            re.findall(r'"apiVersion": (?:"sparkrig.dev/v1"|API_VERSION),\s*"kind": "(\w+)"', text)
        )
    assert found >= {"Plan", "Status", "Validation", "Explanation"}
    assert sorted(found - set(kinds())) == []


def test_a_wrong_document_is_refused() -> None:
    document = plan_json(records.plan())
    assert CHECK.is_valid(document)
    for wrong in ({**document, "kind": "Plane"}, {**document, "base": "7"}, {**document, "changes": [{}]}):
        assert not CHECK.is_valid(wrong)
    del document["operations"]
    assert not CHECK.is_valid(document)
