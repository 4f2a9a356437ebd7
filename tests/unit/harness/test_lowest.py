"""Every direct dependency does what we need of it; run with the lowest versions by scripts/lowest.py."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from pathlib import Path

import pytest
from tests.lowest_support import lower_bounds

ROOT = Path(__file__).parents[3]
DEPENDENCIES = {
    "pyhelm3": "sparkrig.helm.process",
    "kubernetes": "sparkrig.kube.auth_provider",
    "typer": "sparkrig.cli.app",
    "urllib3": "sparkrig.kube.http",
    "websocket-client": "sparkrig.kube.portforward",
    "pyyaml": "sparkrig.yaml.parsing",
    "jsonschema": "sparkrig.yaml.schema",
    "referencing": "sparkrig.yaml.schema",
    "rich": "sparkrig.output.live",
    "httpx": "sparkrig.helm.charts.repository",
    "filelock": "sparkrig.tools.cache",
    "platformdirs": "sparkrig.tools.model",
    "kubernetes-validate": "sparkrig.stack.manifests.api",
}


def test_each_dependency_is_looked_at_and_has_a_lower_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=\[; ]", dependency)[0] for dependency in project["dependencies"]}
    assert names == set(DEPENDENCIES)
    pins = lower_bounds((ROOT / "pyproject.toml").read_text())
    assert {pin.split("==")[0] for pin in pins} == names


def test_a_dependency_without_a_lower_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="'six' has no lower bound"):
        lower_bounds('[project]\ndependencies = ["typer>=0.20", "six"]\n')


@pytest.mark.parametrize("module", sorted(set(DEPENDENCIES.values())))
def test_what_uses_it_imports(module: str) -> None:
    importlib.import_module(module)


def test_websockets_have_what_port_forwards_need() -> None:
    import websocket

    assert websocket.ABNF.OPCODE_BINARY
    assert issubclass(websocket.WebSocketBadStatusException, websocket.WebSocketException)
    assert websocket.WebSocket(enable_multithread=True).send_close


def test_responses_can_be_shut_down_from_another_thread() -> None:
    """What ends a watch (2.3.0); without it a run would wait for the server at its end."""
    from urllib3 import HTTPResponse

    assert HTTPResponse.shutdown


def test_the_library_reads_a_login_in_each_of_its_versions(tmp_path: Path) -> None:
    from sparkrig.kube.auth_provider import LoginProvider

    provider = {"name": "oidc", "config": {"id-token": "a.eyJleHAiOjQxMDI0NDQ4MDB9.b"}}
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"auth-provider": provider}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(document))
    assert LoginProvider(tmp_path / "kubeconfig", "c").authorization() == "Bearer a.eyJleHAiOjQxMDI0NDQ4MDB9.b"


def test_the_schemas_of_kubernetes_lie_where_they_are_looked_for() -> None:
    from sparkrig.stack.manifests.api import load

    schemas = load("1.36")
    assert schemas is not None
    assert schemas.version == "1.36"
