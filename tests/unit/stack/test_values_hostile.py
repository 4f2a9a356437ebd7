"""Stack and values files made to hurt, through the command line: exit 3, no traceback, 5 s and 500 MB at most."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparkrig.defaults import MAX_INPUT_BYTES

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests" / "cases" / "values"
HEAD = "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: lab}\n"
VALUES = HEAD + "components:\n  engine:\n    values:\n"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + below] * 10)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MAPS = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{name}: &{name} {{{', '.join(f'k{n}: *{below}' for n in range(10))}}}\n"
    for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def wide(count: int) -> str:
    return VALUES + "".join(f"      replicas{n}: {n}\n" for n in range(count))


def indented(text: str) -> str:
    return VALUES + "".join(f"      {line}\n" for line in text.splitlines())


HOSTILE: dict[str, bytes] = {
    "too-large": (HEAD + "# " + "x" * MAX_INPUT_BYTES).encode(),
    "alias bomb of lists": (HEAD + LAUGHS).encode(),
    "alias bomb of maps": indented(MAPS).encode(),
    "alias bomb of merges": indented("a: &a {" + ", ".join(f"k{n}: {n}" for n in range(2000)) + "}\n"
        + "".join(f"m{n}: {{<<: *a}}\n" for n in range(2000))).encode(),
    "alias to itself": indented("a: &a {b: *a}").encode(),
    "deep lists": (HEAD + "x: " + "[" * 200_000).encode(),
    "deep maps": (HEAD + "x: " + "{a: " * 100_000).encode(),
    "deep blocks": "".join(" " * n + "a:\n" for n in range(1200)).encode(),
    "deep keys": (HEAD + "? " * 100_000).encode(),
    "UTF-16": (HEAD + "profile: ha").encode("utf-16"),
    "UTF-32": (HEAD + "profile: ha").encode("utf-32"),
    "Latin-1": (HEAD + "profile: gr\u00fcn").encode("latin-1"),
    "half a character": HEAD.encode() + b"profile: \xe2\x82",
    "a null byte": HEAD.encode() + b"profile: \x00",
    "binary": bytes(range(256)) * 100,
    "nothing": b"",
    "only a list": b"- a\n- b\n",
    "a very long line": (HEAD + "profile: " + "x" * 900_000).encode(),
    "a very long key": (HEAD + "x" * 900_000 + ": 1\n").encode(),
    "many unknown keys": wide(20_000).encode(),
    "many duplicate keys": (HEAD + "profile: ha\n" * 50_000).encode(),
    "many documents": (HEAD + "---\n" * 100_000).encode() + b"a: 1\n",
    "an unclosed quote": (HEAD + "profile: '" + "x\n" * 300_000).encode(),
    "a number of many digits": indented("controller: {replicas: " + "9" * 400_000 + "}").encode(),
    "an exponent": indented("controller: {replicas: 1e" + "9" * 1000 + "}").encode(),
    "terminal codes": (HEAD + 'profile: "\\e[2J\\e[31m\\u202e"\n').encode(),
    "directives": b"%YAML 9.9\n%TAG ! tag:x,2000:\n---\na: !x 1\n",
}  # fmt: skip


def limits() -> None:
    import resource

    # Well above what is allowed, so that what is measured is the peak and not a failure to allocate.
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))


def measured(folder: Path, *arguments: str) -> tuple[int, str, float, float]:
    """Exit code, output, peak memory in MB and CPU seconds of one command line in a process of its own."""
    script = (
        "import resource, sys\n"
        "from sparkrig.cli.app import run\n"
        "code = run(sys.argv[1:])\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "sys.stderr.write(f'\\nused {used.ru_maxrss / 1024} {used.ru_utime + used.ru_stime}\\n')\n"
        "sys.exit(code)\n"
    )
    environment = {
        **os.environ,
        "SPARKRIG_DATA_DIR": str(folder / "data"),
        "SPARKRIG_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": str(ROOT / "installer"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=limits,
    )
    said, _, numbers = done.stderr.rpartition("\nused ")
    assert numbers, done.stderr[-2000:]
    megabytes, seconds = map(float, numbers.split())
    return done.returncode, done.stdout + said, megabytes, seconds


@pytest.fixture
def world(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "charts").symlink_to(CASES / "catalog")
    return tmp_path


def harmless(result: tuple[int, str, float, float]) -> str:
    code, said, megabytes, seconds = result
    assert code == 3, said[-2000:]
    assert "Traceback" not in said
    assert megabytes < 500
    assert seconds < 5
    assert "\x1b" not in said
    assert "\u202e" not in said
    return said


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_stack_file(world: Path, name: str) -> None:
    (world / "stack.yaml").write_bytes(HOSTILE[name])
    said = harmless(measured(world, "validate", "--no-render", "--chart-mirror", str(CASES / "charts")))
    assert "error[" in said
    if name == "too-large":
        assert "1048576 (1 MiB)" in said


@pytest.mark.parametrize("name", ["too-large", "alias bomb of lists", "deep lists", "UTF-16", "binary", "directives"])
def test_a_hostile_values_file(world: Path, name: str) -> None:
    (world / "values.yaml").write_bytes(HOSTILE[name])
    (world / "stack.yaml").write_text(HEAD + "components: {engine: {valuesFiles: [values.yaml]}}\n")
    said = harmless(measured(world, "validate", "--no-render", "--chart-mirror", str(CASES / "charts")))
    assert "values.yaml" in said


def test_hostile_flags(world: Path) -> None:
    (world / "stack.yaml").write_text(HEAD)
    flags = ["engine.a[999999999]=1", "engine." + "a." * 1000 + "b=1", "engine.a=" + "{" * 1000, "=", "engine", "x.y=1"]
    arguments = [part for flag in flags for part in ("--set", flag)]
    harmless(measured(world, "validate", "--no-render", "--chart-mirror", str(CASES / "charts"), *arguments))
