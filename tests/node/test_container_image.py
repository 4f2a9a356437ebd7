"""The image of sparkrig itself, from the Containerfile that its users have: no root, nothing written to its root."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.node.images import build

pytestmark = [pytest.mark.core, pytest.mark.node]

ROOT = Path(__file__).parents[2]
BASE = """
FROM localhost/python
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv ca-certificates \
 && rm -rf /var/lib/apt/lists/*
"""
"""Python with its venv module, where the real base image has it."""
READ_ONLY = """
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount -t tmpfs tmpfs "$1/tmp"
mount --bind "$2" "$1/work"
chmod 1777 "$1/tmp"
root=$1
shift 2
exec chroot --userspec=65532:65532 "$root" sh -c 'cd /work && exec "$@"' sh "$@"
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file system of the image, unpacked."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "Containerfile").write_text(BASE)

    build.build_on("python", "--tag", "localhost/sparkrig-base", str(folder), on_progress=print)
    source = ["--build-arg", "BASE=localhost/sparkrig-base", "--file", str(ROOT / "Containerfile"), str(ROOT)]
    unpacked = ["--tag", "localhost/sparkrig", "--output", f"type=local,dest={folder}/root"]
    build.build_on("python", *unpacked, *source, on_progress=print)
    (folder / "root").chmod(0o755)  # as a container's is
    return folder / "root"


def run(root: Path, work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program as user 65532 on a read-only root with an empty /tmp, ``work`` at /work."""
    environment = {
        "PATH": "/opt/sparkrig/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/tmp",
        "SPARKRIG_HELM": "/opt/sparkrig/bin/helm",
        "SPARKRIG_CACHE_DIR": "/tmp/sparkrig/cache",
    }
    command = ["unshare", "--mount", "sh", "-euc", READ_ONLY, "sh", str(root), str(work), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


def test_it_validates_with_helm_as_any_user_on_a_read_only_root(root: Path, tmp_path: Path) -> None:
    (tmp_path / "stack.yaml").write_text(
        "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: a}\nprofile: minimal\n"
        "components:\n  traefik: {enabled: false}\n  jupyterhub: {enabled: false}\n  triton: {enabled: true}\n"
    )
    tmp_path.chmod(0o755)
    written = run(root, tmp_path, "touch", "/opt/written")
    assert "Read-only file system" in written.stderr
    done = run(root, tmp_path, "sparkrig", "validate", "--strict")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stack a is valid: 1 component (triton)" in done.stdout


def test_a_mistake_has_its_place(root: Path, tmp_path: Path) -> None:
    (tmp_path / "stack.yaml").write_text("apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: a}\nprofil: x\n")
    tmp_path.chmod(0o755)
    done = run(root, tmp_path, "sparkrig", "validate")
    assert done.returncode == 3
    assert "stack.yaml:4:1" in done.stderr
