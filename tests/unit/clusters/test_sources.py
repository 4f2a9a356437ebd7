"""What ``--on`` names, and what is said when it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrig.clusters import Target, connect, context, kind, parse_target
from sparkrig.errors import InvalidInput, NotFound, ToolError
from sparkrig.models.cluster import ClusterHandle


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (None, Target("context", None)),
        ("context", Target("context", None)),
        ("context:arn:aws:eks:eu:1:cluster/lab", Target("context", "arn:aws:eks:eu:1:cluster/lab")),
        ("sim", Target("sim", "sparkrig")),
        ("sim:lab", Target("sim", "lab")),
        ("kind", Target("kind", "kind")),
    ],
)
def test_targets(text: str | None, target: Target) -> None:
    assert parse_target(text) == target
    if text and ":" in text:
        assert str(target) == text


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "simm:lab",
            "'simm:lab' names no cluster, expected context[:NAME], kind[:NAME] or sim[:NAME]",
            "did you mean 'sim'?",
        ),
        (
            "prod",
            "'prod' names no cluster, expected context[:NAME], kind[:NAME] or sim[:NAME]",
            "a context of the kubeconfig is named so: context:prod",
        ),
        ("sim:", "'sim:' has no name behind the colon, expected sim or sim:NAME", None),
    ],
)
def test_targets_that_are_none(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(InvalidInput) as wrong:
        parse_target(text)
    (problem,) = wrong.value.problems
    assert (problem.message, problem.hint, problem.where) == (message, hint, "--on")


def kubeconfig(path: Path, *contexts: str, current: str = "") -> Path:
    clusters = "".join(f"- {{name: c-{n}, cluster: {{server: 'https://192.0.2.1:6443'}}}}\n" for n in contexts)
    entries = "".join(f"- {{name: {n}, context: {{cluster: c-{n}, user: u}}}}\n" for n in contexts)
    path.write_text(f"clusters:\n{clusters}contexts:\n{entries}current-context: '{current}'\n")
    return path


def test_contexts_of_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kubeconfig(tmp_path / "a", "lab", "prod")
    second = kubeconfig(tmp_path / "b", "staging", current="staging")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'absent'}:{second}")
    assert connect(parse_target("context")) == ClusterHandle("context", "staging", None, "staging")
    assert connect(parse_target("context:prod")) == ClusterHandle("context", "prod", None, "prod")
    assert context.connect("lab", kubeconfig=first) == ClusterHandle("context", "lab", first, "lab")
    with pytest.raises(NotFound) as close:
        connect(parse_target("context:stagin"))
    assert close.value.message == f"there is no context 'stagin' in the kubeconfig {first}, {second}"
    assert close.value.hint == "did you mean 'staging'?"
    with pytest.raises(NotFound) as far:
        connect(parse_target("context:x"))
    assert far.value.hint == "contexts there: lab, prod, staging; choose one with --on context:NAME"
    with pytest.raises(NotFound, match="has no current context"):
        context.connect(kubeconfig=first)


def test_no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NotFound) as none:
        connect(parse_target(None))
    assert none.value.message == f"there is no kubeconfig: looked at {tmp_path / 'absent'}"


def test_kind_says_at_once_that_no_engine_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("docker", "echo Cannot connect to the daemon >&2; exit 1"), ("nerdctl", "exit 3")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    for action in (kind.create, kind.connect, kind.delete):
        with pytest.raises(ToolError) as failed:
            action("lab")
        assert failed.value.message == "kind needs a container engine, and none answers on this machine"
        assert failed.value.detail == (
            f"tried docker: {tmp_path}/docker info failed: Cannot connect to the daemon",
            "tried podman: not on PATH",
            f"tried nerdctl: {tmp_path}/nerdctl info failed: exit 3",
        )
    assert kind.list_clusters() == ()
    (tmp_path / "podman").write_text("#!/bin/sh\n")
    (tmp_path / "podman").chmod(0o755)
    assert kind.find_engine() == "podman"
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "docker")
    with pytest.raises(ToolError):
        kind.find_engine()
