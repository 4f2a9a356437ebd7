"""What commands import before they do anything: starting is importing, so it is pinned by name, not by time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from sparkrig.cli.app import COMMANDS, GROUPS, needed, run

LIBRARIES = {
    "asyncio", "httpx", "jsonschema", "kubernetes", "pyhelm3", "referencing", "rich", "urllib3", "yaml"
}  # fmt: skip
PROBE = """
import json, sys
from sparkrig.cli.app import run
try:
    run({arguments!r})
except SystemExit:
    pass
sys.stderr.write("\\n" + json.dumps(sorted(sys.modules)))
"""


def modules_after(*arguments: str, folder: Path, **environment: str) -> set[str]:
    """Every module that a process of its own has imported when the command line has run."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=list(arguments))],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_imports_neither_libraries_nor_records(tmp_path: Path) -> None:
    found = modules_after("--help", folder=tmp_path)
    assert not found & (LIBRARIES | {"sparkrig.models.plan", "sparkrig.commands.session"})
    assert {f"sparkrig.cli.commands.{name}" for name in (*COMMANDS, *GROUPS)} <= found


@pytest.mark.parametrize("line", ["sparkrig st", "sparkrig status --o"])
def test_completion_imports_neither_libraries_nor_records(line: str, tmp_path: Path) -> None:
    words = str(len(line.split()) - 1)
    found = modules_after(folder=tmp_path, _SPARKRIG_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=words)
    assert not found & (LIBRARIES | {"sparkrig.models.plan", "sparkrig.commands.session"})


def test_one_command_loads_no_other(tmp_path: Path) -> None:
    found = modules_after("status", "--help", folder=tmp_path)
    others = {f"sparkrig.cli.commands.{name}" for name in (*COMMANDS, *GROUPS)} - {"sparkrig.cli.commands.status"}
    assert not found & (LIBRARIES | others)


def test_status_imports_nothing_that_changes_a_cluster(tmp_path: Path) -> None:
    """Up to the first request; tests/cluster/test_status.py looks at a whole run."""
    (tmp_path / "stack.yaml").write_text("apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: a}\n")
    cluster = {"name": "a", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
    config = {"clusters": [cluster], "contexts": [context], "users": [{"name": "a", "user": {"token": "t"}}]}
    (tmp_path / "config").write_text(json.dumps({**config, "current-context": "a"}))
    found = modules_after("status", "-o", "json", folder=tmp_path, KUBECONFIG=str(tmp_path / "config"))
    assert not found & (LIBRARIES - {"jsonschema", "referencing", "urllib3", "yaml"})
    heavy = (
        "apply.executor",
        "checks",
        "commands.doctor",
        "commands.transaction",
        "commands.workflows",
        "helm.client",
        "plan",
        "preflight",
        "stack.resolve",
        "tools.build",
    )
    assert not found & {f"sparkrig.{name}" for name in heavy}
    assert "sparkrig.commands.status" in found


def test_every_command_is_found_by_its_first_word() -> None:
    assert needed(["status", "--help"], {}) == ("status",)
    assert needed(["tools", "list"], {}) == ("tools",)
    for other in ([], ["--help"], ["sttus"], ["--version", "status"]):
        assert needed(other, {}) == (*COMMANDS, *GROUPS)
    completing = {"_SPARKRIG_COMPLETE": "complete_bash"}
    assert needed([], {**completing, "COMP_WORDS": "sparkrig up", "COMP_CWORD": "1"}) == (*COMMANDS, *GROUPS)
    assert needed([], {**completing, "COMP_WORDS": "sparkrig up --on", "COMP_CWORD": "2"}) == ("up",)


def test_a_mistyped_command_is_told_of_all_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rolback"]) == 64
    assert "Did you mean 'rollback'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "--output", "yaml"], "'yaml' is not one of 'text', 'json'"),
        (["open", "a", "--port", "70000"], "less than or equal to 65535"),
        (["up", "--history-max", "0"], "greater than or equal to 1"),
        (["up", "--history-max", "x"], "unable to parse string as an integer"),
        (["history", "--file", ""], "is a directory, expected a file"),
    ],
)
def test_values_that_must_be_checked_still_are(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = run(arguments)
    except typer.Exit as end:
        code = end.exit_code
    assert code in (3, 64)
    assert said in capsys.readouterr().err
