"""What the Spark charts carry as scripts: run here as they run in a pod."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.own_charts import ROOT

PLATFORM = ROOT / "charts" / "spark-platform" / "files"
EXAMPLES = ROOT / "charts" / "spark-examples" / "files"
DISCOVER = PLATFORM / "discover-gpus.sh"


def discover(tmp_path: Path, **tools: str) -> subprocess.CompletedProcess[str]:
    """Runs the script where only these tools are; a tool is what it prints."""
    for name in ("sed", "ls"):
        found = next(path for folder in ("/bin", "/usr/bin") if (path := Path(folder, name)).exists())
        (tmp_path / name).symlink_to(found)
    for name, prints in tools.items():
        tool = tmp_path / name.replace("_", "-")
        tool.write_text(f"#!/bin/sh\nprintf '{prints}'\n")
        tool.chmod(0o755)
    return subprocess.run(["/bin/sh", str(DISCOVER)], capture_output=True, text=True, env={"PATH": str(tmp_path)})


@pytest.mark.parametrize(
    ("prints", "addresses"), [("0\\n", ["0"]), ("0\\n1\\n7\\n", ["0", "1", "7"]), (" 3 \\n", ["3"])]
)
def test_gpus_are_found_by_nvidias_tool(prints: str, addresses: list[str], tmp_path: Path) -> None:
    done = discover(tmp_path, nvidia_smi=prints)
    assert json.loads(done.stdout) == {"name": "gpu", "addresses": addresses}
    assert (done.returncode, done.stderr) == (0, "")


def test_gpus_are_found_by_amds_tool(tmp_path: Path) -> None:
    done = discover(tmp_path, rocm_smi="device,Device Name\\ncard0,MI300X\\ncard1,MI300X\\n")
    assert json.loads(done.stdout) == {"name": "gpu", "addresses": ["0", "1"]}


@pytest.mark.parametrize(
    ("prints", "said"),
    [
        ("", "this pod has no GPU"),
        ("No devices were found\\n", "expected numbers of GPUs, found 'No devices were found'"),
    ],
)
def test_without_a_gpu_it_fails_and_says_why(prints: str, said: str, tmp_path: Path) -> None:
    done = discover(tmp_path, nvidia_smi=prints)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


@pytest.fixture
def jars(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that is served, and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("right", [True, False])
def test_a_fetched_jar_is_the_one_that_was_meant(right: bool, jars: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = jars
    content = os.urandom(3_000_000)
    (folder / "a.jar").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest() if right else "0" * 64
    (tmp_path / "jars.json").write_text(json.dumps([{"url": f"{address}/a.jar", "sha256": digest}]))
    target = tmp_path / "jars"
    target.mkdir()
    argv = [sys.executable, str(PLATFORM / "fetch-jars.py"), str(tmp_path / "jars.json"), str(target)]
    done = subprocess.run(argv, capture_output=True, text=True, env={"PATH": os.environ["PATH"], "no_proxy": "*"})
    assert done.returncode == (0 if right else 1)
    assert (target / "a.jar").exists() is right
    assert ("expected 0000" in done.stderr) is not right


@pytest.mark.parametrize("script", sorted([*PLATFORM.glob("*.py"), *EXAMPLES.glob("*.py")]), ids=lambda path: path.name)
def test_scripts_are_python_of_the_image(script: Path) -> None:
    """Python 3.10 is what the official image has."""
    ast.parse(script.read_text(encoding="utf-8"), feature_version=(3, 10))


def test_the_examples_module_counts_words() -> None:
    sys.path.insert(0, str(EXAMPLES))
    try:
        import textstats  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(EXAMPLES))
    assert textstats.words("Work, and more work: 3x") == ["work", "and", "more", "work", "x"]
    assert len(textstats.SAMPLE) == 300
