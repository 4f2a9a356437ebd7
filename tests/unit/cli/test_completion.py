"""What a shell offers behind TAB, through the same variables that the shell's script sets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sparkrig.cli.commands.help import pages


def offered(line: str, folder: Path, **environment: str) -> list[str]:
    """The completions of the last word of the line; a line that ends with a space completes a new word."""
    words = line.split()
    cursor = len(words) if line.endswith(" ") else len(words) - 1
    done = subprocess.run(
        [sys.executable, "-m", "sparkrig"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            **os.environ,
            "SPARKRIG_STATE_DIR": str(folder / "state"),
            "KUBECONFIG": str(folder / "config"),
            "_SPARKRIG_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(cursor),
            **environment,
        },
        check=False,
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sparkrig rollb", {"rollback"}),
        ("sparkrig open trit", {"triton"}),
        ("sparkrig up --keep spark-", {"spark-examples", "spark-operator", "spark-platform"}),
        ("sparkrig verify --only tr", {"traefik", "triton"}),
        ("sparkrig explain triton.imageP", {"triton.imagePullSecrets"}),
        ("sparkrig explain triton.image.r", {"triton.image.registry", "triton.image.repository"}),
        ("sparkrig up --set triton.repl", {"triton.replicas="}),
        ("sparkrig up --set triton.replicas=2", set()),
        ("sparkrig explain no-such.", set()),
        ("sparkrig explain triton.no.such.", set()),
        ("sparkrig help stack", {"stack-file"}),
        ("sparkrig tools path kwok", {"kwok", "kwokctl"}),
        ("sparkrig up --on ki", {"kind"}),
    ],
)
def test_a_word_is_completed(line: str, expected: set[str], tmp_path: Path) -> None:
    assert set(offered(line, tmp_path)) == expected


def test_contexts_and_clusters_of_this_machine_are_offered(tmp_path: Path) -> None:
    config: Mapping[str, object] = {
        "contexts": [{"name": "prod", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {"token": "t"}}],
    }
    (tmp_path / "config").write_text(json.dumps(config))
    (tmp_path / "state/sim/records").mkdir(parents=True)
    (tmp_path / "state/sim/records/lab.json").write_text("{}")
    assert {"context:prod", "sim:lab"} <= set(offered("sparkrig status --on ", tmp_path))


@pytest.mark.parametrize("line", ["sparkrig rollback ", "sparkrig diff ", "sparkrig status --on "])
def test_what_cannot_be_read_is_not_offered_and_says_nothing(line: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("no: [kubeconfig")
    assert set(offered(line, tmp_path)) <= {"context", "kind", "sim"}


def test_a_component_of_an_own_catalogue_is_offered(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "web"
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text("kind: Component\nmetadata: {name: my-web, description: d}\n")
    (folder / "values.schema.json").write_text('{"properties": {"size": {"description": "How big."}}}')
    assert offered("sparkrig explain --catalog mine my-", tmp_path) == ["my-web."]
    assert offered("sparkrig explain --catalog mine my-web.", tmp_path) == ["my-web.size"]


def test_every_page_of_the_documentation_has_a_title_and_a_name_of_its_own() -> None:
    folder = Path(__file__).parents[3] / "docs"
    files = [f for f in (*folder.glob("*.md"), *(folder / "charts").glob("*.md")) if f.stem != "README"]
    assert len(pages()) == len(files)
    assert all(pages().values())
