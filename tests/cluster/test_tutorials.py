"""The commands of each tutorial, run in order; what the pages show is what the commands print.

Three things are not what a reader has: the cluster is an embedded one (for the current context by KUBECONFIG), the
charts are the stand-ins (``--stand-ins`` on the commands that take charts), and durations, names and stand-in versions
are made equal before the comparison.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml
from tests.cluster.conftest import NewSim

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ROOT / "docs" / "tutorials"
STAND_INS: Final = ROOT / "tests" / "charts"
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED: Final = re.compile(r"# (\S+\.ya?ml)\n")
WITH_CHARTS: Final = ("validate", "plan", "up", "lock", "doctor", "explain", "render")
ELISION: Final = "…"


@dataclass(frozen=True)
class Step:
    """A command as the page shows it, with the lines shown below it."""

    command: str
    shown: tuple[str, ...]


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Language and text of each fenced block."""
    for found in BLOCK.finditer((PAGES / page).read_text(encoding="utf-8")):
        yield found[1], found[2]


def session_of_the_readme() -> tuple[str, str]:
    """The one block of the README that shows output; the folder that it names is one of the checkout."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (session,) = (found for found in BLOCK.finditer(text) if found[1] == "console" and "revision 1" in found[2])
    return session[1], session[2].replace("tests/charts", str(STAND_INS))


def steps(block: str) -> Iterator[Step]:
    command, shown = "", list[str]()
    for line in [*block.splitlines(), "$ "]:
        if not line.startswith("$ "):
            shown.append(line)
            continue
        if command:
            yield Step(command, tuple(shown))
        command, shown = line.removeprefix("$ "), []


def equal(line: str) -> str:
    """The line without what differs from run to run, and without what tells a stand-in from the real chart."""
    line = re.sub(r"-standin\b|\.stand-ins\b| \(\d+ stand-ins\)", "", line)
    line = re.sub(r"\bstand-in\b", "", line)
    line = re.sub(r"\b\d+ (s|min)( ago)?\b|\bjust now\b|\b\d+(\.\d+)?( ?ms| ?s|m\d+s)\b", "TIME", line)
    line = re.sub(r"\bops\b|\S+@\S+ pid \d+", "WHO", line)
    line = re.sub(r"\bon (sim-)?(prod|fresh-\w+)\b", "on CLUSTER", line)
    return " ".join(line.split())


def compare(step: Step, printed: str) -> None:
    """Every shown line was printed. Nothing else was, unless the page says that lines are left out."""
    lines = [equal(line) for line in printed.splitlines() if line.strip()]
    wanted = [equal(line) for line in step.shown if line.strip() and line != ELISION]
    missing = [line for line in wanted if line not in lines]
    assert missing == [], f"$ {step.command}\n{printed}"
    complete = bool(wanted) and ELISION not in step.shown
    assert [line for line in lines if complete and line not in wanted] == [], f"$ {step.command}\n{printed}"


def program(folder: Path) -> Path:
    """A folder for PATH with a ``sparkrig`` that takes the stand-ins where the command takes charts."""
    (folder / "bin").mkdir()
    script = folder / "bin" / "sparkrig"
    real = shlex.quote(str(Path(sys.executable).parent / "sparkrig"))
    commands = "|".join(WITH_CHARTS)
    script.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        f'"up "*.plan*|*--stand-ins*) exec {real} "$@" ;;\n'
        "esac\n"
        f'case "$1" in\n'
        f'{commands}) exec {real} "$@" --stand-ins {shlex.quote(str(STAND_INS))} ;;\n'
        f'*) exec {real} "$@" ;;\n'
        "esac\n"
    )
    script.chmod(0o755)
    return script.parent


def run(page: Iterable[tuple[str, str]], folder: Path, **variables: str) -> list[str]:
    """Runs the blocks of a page in an empty folder; returns the commands that ran."""
    work = folder / "work"
    work.mkdir()
    environment = {**os.environ, "PATH": f"{program(folder)}:{os.environ['PATH']}", "COLUMNS": "200", **variables}
    ran: list[str] = []
    for language, text in page:
        name = NAMED.match(text)
        if language == "yaml" and name:
            (work / name[1]).parent.mkdir(parents=True, exist_ok=True)
            (work / name[1]).write_text(text, encoding="utf-8")
        for step in steps(text) if language == "console" else ():
            done = subprocess.run(
                ["bash", "-c", step.command],
                cwd=work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=240,
            )
            assert done.returncode == 0, f"$ {step.command}\n{done.stdout}"
            compare(step, done.stdout)
            ran.append(step.command)
    return ran


@pytest.fixture
def state(environment: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a page that makes the cluster sim:lab itself."""
    variables = {"SPARKRIG_STATE_DIR": str(tmp_path / "state")}
    yield variables
    delete = [Path(sys.executable).parent / "sparkrig", "cluster", "delete", "--on", "sim:lab"]
    subprocess.run(delete, env={**os.environ, **variables}, capture_output=True)


def test_the_session_of_the_readme(state: dict[str, str], tmp_path: Path) -> None:
    assert len(run([session_of_the_readme()], tmp_path, **state)) == 2


def test_try_it(state: dict[str, str], tmp_path: Path) -> None:
    ran = run(blocks("try-it.md"), tmp_path, **state)
    assert ran[0] == "sparkrig init --profile minimal"
    assert ran[-1] == "sparkrig cluster delete --on sim:lab"


def test_on_my_cluster(fresh_sim: NewSim, tmp_path: Path) -> None:
    ran = run(blocks("on-my-cluster.md"), tmp_path, KUBECONFIG=str(fresh_sim().kubeconfig))
    assert {command.split()[1] for command in ran} >= {"doctor", "lock", "plan", "up", "history", "rollback", "down"}


def test_in_ci(fresh_sim: NewSim, tmp_path: Path) -> None:
    ran = run(blocks("in-ci.md"), tmp_path, KUBECONFIG=str(fresh_sim().kubeconfig))
    assert len(ran) == 8
    assert (tmp_path / "work" / "sparkrig.sarif").read_text().startswith("{")


def test_the_examples_for_ci_name_what_exists() -> None:
    found = {name[1]: yaml.safe_load(text) for _, text in blocks("in-ci.md") if (name := NAMED.match(text))}
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    workflow = found[".github/workflows/platform.yaml"]
    given = workflow["jobs"]["validate"]["steps"][1]["with"]
    assert set(given) <= set(action["inputs"])
    assert found[".pre-commit-config.yaml"]["repos"][0]["hooks"][0]["id"] == hook["id"]


@pytest.mark.parametrize(
    ("shown", "printed"), [("ready in 17s", "ready in 5.3s"), ("installed 4.4.0", "installed 4.4.0-standin")]
)
def test_what_differs_between_runs_is_equal(shown: str, printed: str) -> None:
    compare(Step("x", (shown,)), printed)


@pytest.mark.parametrize(("shown", "printed"), [(("4 new",), "3 new\n"), (("4 new",), "4 new\nand more\n")])
def test_a_page_that_shows_other_output_fails(shown: tuple[str, ...], printed: str) -> None:
    with pytest.raises(AssertionError, match=r"\$ sparkrig plan"):
        compare(Step("sparkrig plan", shown), printed)


def test_a_page_may_leave_lines_out() -> None:
    compare(Step("sparkrig plan", ("4 new", ELISION)), "4 new\nand more\n")
