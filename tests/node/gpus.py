"""The pretend GPUs of a node: a file that the device plugin reads, and the labels a real GPU node has."""

from __future__ import annotations

import json
from pathlib import Path

from tests.node import programs
from tests.node.settings import Node

from sparkrig.errors import OperationError

HEALTHY, UNHEALTHY = "Healthy", "Unhealthy"


def start(node: Node) -> None:
    """Start the device plugin; devices keep the health they had."""
    if not _file(node).exists():
        _write(node, {f"GPU-{number}": HEALTHY for number in range(node.gpus)})
    programs.start(node, "pretend-gpu", "-devices", str(_file(node)))


def read(node: Node) -> dict[str, str]:
    """Device id -> ``Healthy`` or ``Unhealthy``."""
    try:
        return dict(json.loads(_file(node).read_text(encoding="utf-8")))
    except OSError:
        return {}


def set_health(node: Node, device: str, *, healthy: bool) -> None:
    """Plug a device in or out. The plugin tells kubelet within a second.

    Raises:
        OperationError: the node has no such device.
    """
    devices = read(node)
    if device not in devices:
        raise OperationError(f"node {node.name} has no {device}", hint=f"it has {', '.join(devices) or 'none'}")
    _write(node, {**devices, device: HEALTHY if healthy else UNHEALTHY})


def _write(node: Node, devices: dict[str, str]) -> None:
    draft = _file(node).with_suffix(".new")
    draft.write_text(json.dumps(devices) + "\n", encoding="utf-8")
    draft.replace(_file(node))


def _file(node: Node) -> Path:
    return node.folder / "gpus.json"
