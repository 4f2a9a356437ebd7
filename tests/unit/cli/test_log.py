"""The log of a run: where it is, what is in it, what never is, and how a bug is reported. With real processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.inprocess import run_here
from tests.mini import Done, World

from sparkrig.cli import logs
from sparkrig.cli.app import COMMANDS, GROUPS, command_line, needed
from sparkrig.logfile import KEPT
from sparkrig.tools import find

SECRET = "hunter2secret"
BUG = """
import os
import sparkrig.commands.session as session
def broken(self):
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError(os.environ["TEST_BUG"]) from error
session.Session.__enter__ = broken
"""
"""A sitecustomize module: what it does happens before sparkrig's first line."""
TIME = r"\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, "")
    made.component("app")
    made.write_stack(app={})
    return made


Run = Callable[..., Done]


@pytest.fixture
def sparkrig(world: World) -> Run:
    """Runs the program in the world's folder with a state folder and a cache of its own: a rendering in the cache would
    need no helm."""
    folders = {"SPARKRIG_STATE_DIR": str(world.folder / "state"), "SPARKRIG_CACHE_DIR": str(world.folder / "cache")}

    def run(*arguments: str, **environment: str) -> Done:
        own = {**world.environment, **folders, "SPARKRIG_HELM": str(find("helm").path), **environment}
        done = subprocess.run(
            world.command(*arguments), cwd=world.folder, env=own, capture_output=True, text=True, timeout=120
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def kept(world: World) -> list[Path]:
    return sorted((world.folder / "state" / "logs").glob("*"))


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_keeps_a_log_that_only_its_owner_may_read(world: World, sparkrig: Run) -> None:
    done = sparkrig("validate", "--no-render")
    assert (done.code, done.err.count("begin")) == (0, 0)
    (file,) = kept(world)
    assert re.fullmatch(r"\d{8}T\d{6}Z-validate-\d+\.log", file.name)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    first, last = file.read_text().splitlines()
    assert re.match(rf"\d{{4}}-\d\d-\d\dT{TIME} info  begin command=validate arguments=\"validate --no-render\"", first)
    assert re.search(r" info  end exit_code=0 result=ok seconds=[\d.]+$", last)


@pytest.mark.parametrize("command", [["schema", "component"], ["tools", "path", "helm"], ["cluster", "list"]])
def test_a_command_without_stack_and_cluster_keeps_none(command: list[str], world: World, sparkrig: Run) -> None:
    assert sparkrig(*command).code == 0
    assert kept(world) == []


@pytest.mark.parametrize("arguments", [["-v", "validate"], ["validate", "-v"], ["validate", "--verbose"]])
def test_v_shows_on_stderr_what_was_run(arguments: list[str], sparkrig: Run) -> None:
    done = sparkrig(*arguments, "--output", "json")
    assert done.code == 0, done.err
    assert done.json["kind"] == "Validation"
    assert re.search(rf"^{TIME} info  helm command=\".*helm template app .*\" exit_code=0 seconds=", done.err, re.M)
    assert not re.search(rf"^{TIME} debug", done.err, re.M)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["-vv", "validate"], True),
        (["-v", "validate", "-v"], True),
        (["validate", "--verbose", "--verbose"], True),
        (["validate", "-f", "-v", "-v"], False),  # the first is the name of a file
    ],
)
def test_vv_shows_more(arguments: list[str], shown: bool, world: World, sparkrig: Run) -> None:
    (world.folder / "-v").write_text((world.folder / "stack.yaml").read_text())
    done = sparkrig(*arguments)
    assert done.code == 0, done.err
    assert bool(re.search(rf"^{TIME} debug helm-begin", done.err, re.M)) is shown
    assert re.search(rf"^{TIME} info  end", done.err, re.M)


def test_short_options_can_be_joined(sparkrig: Run) -> None:
    done = sparkrig("up", "-yvq", "--on", "context:none")
    assert done.code == 3
    assert re.search(rf"^{TIME} error error error=NotFound", done.err, re.M)


@pytest.mark.parametrize("before", [True, False])
def test_json_is_one_valid_object_a_line(before: bool, world: World, sparkrig: Run) -> None:
    options = ["-v", "--log-file", "own.log", "--log-format", "json"]
    command = ["validate", "--set", "app.text=a\nb\x1b[2J“ü"]
    done = sparkrig(*([*options, *command] if before else [*command, *options]))
    assert done.code == 0, done.err
    found = records((world.folder / "own.log").read_text())
    assert [entry["event"] for entry in found] == ["begin", "helm", "end"]
    assert all(re.fullmatch(rf"\d{{4}}-\d\d-\d\dT{TIME}", entry["time"]) for entry in found)
    assert found[1]["exit_code"] == 0
    assert found[1]["seconds"] > 0
    assert "--values" in found[1]["command"]
    on_stderr = [line for line in done.err.splitlines() if line.startswith("{")]
    assert records("\n".join(on_stderr)) == found
    assert kept(world) == []


def test_a_file_of_ones_own_is_added_to(world: World, sparkrig: Run) -> None:
    for _ in range(2):
        assert sparkrig("--log-file=own.log", "validate", "--no-render").code == 0
    assert (world.folder / "own.log").read_text().count(" begin ") == 2


def test_twenty_are_kept_of_changes_and_twenty_of_the_rest(world: World, sparkrig: Run) -> None:
    folder = world.folder / "state" / "logs"
    folder.mkdir(parents=True)
    for number in range(24):
        for name in (f"up-{number}.log", f"status-{number}.jsonl", f"cluster-create-{number}.log"):
            (folder / f"20200101T0000{number:02}Z-{name}").touch()
    others = [folder / name for name in ("20200101T000000Z-up-1.txt", "notes", "up-1.log")]
    for other in others:
        other.touch()
    assert sparkrig("validate", "--no-render").code == 0
    found = [file.name for file in kept(world) if file not in others]
    changes = [name for name in found if "-up-" in name or "-cluster-create-" in name]
    rest = [name for name in found if name not in changes]
    assert (len(changes), len(rest), KEPT) == (20, 20, 20)
    assert {name[13:15] for name in changes} == {f"{number:02}" for number in range(14, 24)}
    assert ["-validate-" in name for name in rest] == [False] * 19 + [True]
    assert all(other.exists() for other in others)


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ([], False),
        (["-v"], True),
        (["--log-file", "blocked/a.log"], True),
        (["--log-file", "."], True),
        (["--log-file", "/dev/full"], False),
    ],
)
def test_a_log_that_cannot_be_written_is_no_failure(
    options: list[str], warned: bool, world: World, sparkrig: Run
) -> None:
    (world.folder / "blocked").write_text("a file where a folder should be: nobody, root included, can write below it")
    done = sparkrig("validate", "--no-render", *options, SPARKRIG_STATE_DIR=str(world.folder / "blocked"))
    assert done.code == 0, done.err
    assert done.err.count("warning: cannot write the log to ") == int(warned)
    assert "Traceback" not in done.err


def test_no_secret_of_the_command_line_is_in_the_log(world: World, sparkrig: Run) -> None:
    world.component("app", values={"text": "a", "tag": "1", "replicas": 1, "db": {"user": "u", "password": ""}})
    (world.folder / "kubeconfig").write_text(kubeconfig(f"http://admin:{SECRET}@127.0.0.1:9"))
    commands = [
        ["validate", "--set", f"app.db.password={SECRET}"],
        ["validate", f"--set=app.db.user=x,app.db.password={SECRET}"],
        ["validate", "--set", f"app.text={SECRET}"],
        ["validate", "--catalog", f"https://ci:{SECRET}@example.org/"],
        ["validate", "--set", f"{SECRET}"],
        ["validate", "--set", f"app.db.password={SECRET},nonsense[=1"],
        ["status"],
        ["up", "--yes", "--message", f"token: {SECRET}"],
    ]
    for number, command in enumerate(commands):
        form = ("text", "json")[number % 2]
        quick = ["--no-render"] if command[0] == "validate" and number else []
        done = sparkrig("-vv", "--log-format", form, *command, *quick, KUBECONFIG=str(world.folder / "kubeconfig"))
        own = [line for line in done.err.splitlines() if re.match(rf"{TIME} |{{", line)]
        assert len(own) >= 2, done.err
        assert SECRET not in "\n".join(own)
        if command[0] in ("status", "up"):
            assert SECRET not in done.err + done.out
            assert "127.0.0.1:9" in done.err
    texts = [file.read_text() for file in kept(world)]
    assert len(texts) == len(commands)
    assert not [text for text in texts if SECRET in text]
    assert any("app.db.password=***" in text for text in texts)


def kubeconfig(server: str) -> str:
    return yaml.safe_dump(
        {
            "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "clusters": [{"name": "a", "cluster": {"server": server}}],
            "users": [{"name": "a", "user": {"token": SECRET}}],
        }
    )


@pytest.mark.parametrize(
    ("arguments", "secrets"),
    [
        (["up", "--set", "app.password=abcd"], ("abcd",)),
        (["up", "--set=app.apiKey=abcd=e"], ("abcd=e",)),
        (["up", "--set", "app.user=me,app.token=abcd"], ("me,app.token=abcd", "abcd")),
        (["up", "--set", "app.tag=abcd", "--message", "app.password=x"], ()),
        (["up", "--set", "app.passwordFile=abcd"], ()),
        (["up", "--set", "app.text=abcdefgh"], ("abcdefgh",)),
        (["up", "--set", "app.on=true,app.text=abcdefgh"], ("true,app.text=abcdefgh", "abcdefgh")),
    ],
)
def test_what_is_a_secret_of_the_command_line(arguments: list[str], secrets: tuple[str, ...]) -> None:
    found = logs.secrets_of(arguments)
    assert set(secrets) <= set(found)
    assert bool(secrets) is bool(found)


# --------------------------------------------------------------------------- bugs


@pytest.fixture
def broken(world: World) -> Mapping[str, str]:
    """An environment in which opening a session is a bug whose message has secrets and more than one line."""
    folder = world.folder / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BUG)
    return {
        "PYTHONPATH": f"{folder}:{world.environment['PYTHONPATH']}",
        "TEST_BUG": f"no {SECRET}\nat https://ci:{SECRET}@example.org/ with password: {SECRET}",
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_bug_is_three_lines_and_a_log(form: str, world: World, sparkrig: Run, broken: Mapping[str, str]) -> None:
    done = sparkrig("validate", "--log-format", form, "--set", f"app.password={SECRET}", **broken)
    assert (done.code, done.out) == (70, "")
    what, where, how = done.err.splitlines()
    assert what.startswith("error: internal error: ValueError: no *** at https://***@example.org/ with password: ***")
    (file,) = kept(world)
    assert where == f"log: the traceback is in {file}"
    assert how.startswith("next: this is a bug in sparkrig: open an issue")
    text = file.read_text()
    assert "Traceback (most recent call last)" in text
    assert "KeyError: 'inner'" in text
    assert 'raise ValueError(os.environ["TEST_BUG"]) from error' in text.replace('\\"', '"')
    assert SECRET not in text + done.err
    if form == "json":
        assert [entry["event"] for entry in records(text)] == ["begin", "bug", "end"]
        assert records(text)[-1]["exit_code"] == 70


def test_a_bug_with_json_is_a_document_too(sparkrig: Run, broken: Mapping[str, str]) -> None:
    done = sparkrig("validate", "--output", "json", **broken)
    assert done.code == 70
    assert len(done.err.splitlines()) == 3
    assert (done.json["error"], done.json["exitCode"]) == ("internal-error", 70)
    assert "https://***@example.org" in done.json["message"]


def test_a_bug_where_the_log_cannot_be_written_has_one_in_another_folder(
    world: World, sparkrig: Run, broken: Mapping[str, str]
) -> None:
    (world.folder / "blocked").touch()
    (world.folder / "tmp").mkdir()
    blocked = str(world.folder / "blocked")
    places = {"SPARKRIG_STATE_DIR": blocked, "TMPDIR": str(world.folder / "tmp")}
    done = sparkrig("validate", **broken, **places)
    assert (done.code, len(done.err.splitlines())) == (70, 3)
    (file,) = (world.folder / "tmp").glob("sparkrig-log-*/*.log")
    assert f"log: the traceback is in {file}\n" in done.err
    assert "Traceback" in file.read_text()


def test_a_bug_of_a_command_that_keeps_no_log_has_one(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_name: str) -> Path:
        raise RuntimeError

    monkeypatch.setattr("sparkrig.tools.data.data_dir", broken)
    monkeypatch.setenv("SPARKRIG_STATE_DIR", str(tmp_path / "state"))
    done = run_here(world, "help")
    assert (done.code, done.err.splitlines()[0]) == (70, "error: internal error: RuntimeError")
    (file,) = kept(world)
    assert "-help-" in file.name
    assert "data_dir" in file.read_text()


def test_a_bug_before_any_command_has_a_log(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(_names: object) -> Any:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("sparkrig.cli.app.command_line", broken)
    monkeypatch.setenv("SPARKRIG_STATE_DIR", str(tmp_path / "state"))
    assert run_here(world, "--log-file", "x", "Up/../../x").code == 70
    (file,) = kept(world)
    assert "-sparkrig-" in file.name


# --------------------------------------------------------------------------- the options


def test_without_a_log_nothing_is_kept_and_logging_is_not_imported(world: World) -> None:
    probe = (
        "import sys\nfrom sparkrig.cli.app import run\ntry:\n    run(['--help'])\nexcept SystemExit:\n    pass\n"
        "from sparkrig import log\nlog.info('a', b=1)\nlog.bug(ValueError('x'))\n"
        "sys.exit('logging' in sys.modules or log.path() is not None)"
    )
    done = subprocess.run([sys.executable, "-c", probe], env=world.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_command_has_the_options() -> None:
    def leaves(group: Any) -> Any:
        for command in group.commands.values():
            yield command
            if hasattr(command, "commands"):
                yield from leaves(command)

    found = list(leaves(command_line()))
    assert len(found) > len(COMMANDS) + len(GROUPS)
    for command in found:
        assert {"-v", "--verbose", "--log-file", "--log-format"} <= {
            option for parameter in command.params for option in parameter.opts
        }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-v", "up", "-v"], ["up", "-v"]),
        (["-vv", "--log-file", "status", "--log-format=json", "--verbose", "plan"], ["plan"]),
        (["--version", "up"], ["--version", "up"]),
        (["--log-file"], []),
        (["-vx", "up"], ["-vx", "up"]),
        ([], []),
    ],
)
def test_the_command_is_found_behind_the_options(arguments: list[str], words: list[str]) -> None:
    assert list(logs.words(arguments)) == words
    assert needed(arguments, {}) == ((words[0],) if words and words[0] in COMMANDS else (*COMMANDS, *GROUPS))
