"""The GitHub Action and the pre-commit hook: their own steps, run here as their hosts run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PROGRAMS = Path(sys.executable).parent
ACTION: Mapping[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
GOOD = "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: a}\ncomponents:\n  triton: {values: {replicas: 2}}\n"
BAD = GOOD.replace("replicas", "replicass")


def run_step(name: str, folder: Path, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> tuple[int, str]:
    """Runs the script of one step; returns its exit code and what it printed."""
    step = STEPS[name]
    values = {key: entry["default"] for key, entry in ACTION["inputs"].items()} | dict(inputs)

    def filled(text: str) -> str:
        text = re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: values[found[1]], text)
        return re.sub(r"\$\{\{ steps\.validate\.outputs\.(\w+) \}\}", lambda found: outputs[found[1]], text)

    environment = {
        **os.environ,
        "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(folder),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        **{key: filled(value) for key, value in step.get("env", {}).items()},
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def outputs_of(folder: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (folder / "output").read_text().splitlines())


@pytest.mark.parametrize(("text", "code", "rules"), [(GOOD, 0, []), (BAD, 3, ["unknown-key"])], ids=["good", "bad"])
def test_the_action_validates_and_hands_over_sarif(text: str, code: int, rules: list[str], tmp_path: Path) -> None:
    (tmp_path / "stack.yaml").write_text(text)
    inputs = {"arguments": "--no-render"}
    found, printed = run_step("validate", tmp_path, inputs, {})
    outputs = outputs_of(tmp_path)
    assert (found, outputs["code"]) == (0, str(code))  # the upload comes before the result
    assert ("unknown-key" in printed) is bool(rules)
    sarif = json.loads(Path(outputs["sarif"]).read_text())
    assert [result["ruleId"] for result in sarif["runs"][0]["results"]] == rules
    assert run_step("result", tmp_path, inputs, outputs)[0] == code


def test_the_action_fails_with_the_code_of_a_plan_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "stack.yaml").write_text(GOOD)
    code, printed = run_step("plan", tmp_path, {}, {})
    assert code == 3, printed
    assert "kubeconfig" in printed
    assert (tmp_path / "summary").read_text().startswith("```")


def test_no_script_of_the_action_contains_an_expression() -> None:
    """An input pasted into a script would let a pull request run commands."""
    assert all("${{" not in step.get("run", "") for step in STEPS.values())
    assert [name for name, step in STEPS.items() if "uses" in step] == ["upload"]
    assert all(step["uses"].count("@v") == 1 for step in STEPS.values() if "uses" in step)


@pytest.mark.parametrize(("text", "code"), [(GOOD, 0), (BAD, 3)], ids=["good", "bad"])
def test_the_hook_validates_the_whole_stack(text: str, code: int, tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (tmp_path / "platform").mkdir()
    (tmp_path / "platform/stack.yaml").write_text(text)
    entry = [*shlex.split(hook["entry"]), "--file", "platform/stack.yaml", "--no-render"]
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    done = subprocess.run(entry, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    assert re.search(hook["files"], "platform/values/triton.yaml")
