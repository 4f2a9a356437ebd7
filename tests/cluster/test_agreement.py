"""The same input through validate, render, doctor, plan and up: they take it or refuse it together.

The rows are data (tests/cases/agreement).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.test_crds import Kind
from tests.inprocess import run_here
from tests.mini import Done, World

from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

TABLE = Path(__file__).parents[1] / "cases" / "agreement" / "table.yaml"
ROWS = [pytest.param(row, id=row["name"]) for row in yaml.safe_load(TABLE.read_text(encoding="utf-8"))]
COMMANDS = {"validate": (), "render": (), "doctor": (), "plan": (), "up": ("--yes",)}


def run(world: World, command: str, *arguments: str) -> Done:
    return run_here(world, command, *COMMANDS[command], *arguments, "--on", world.target)


@pytest.mark.parametrize("row", ROWS)
def test_the_commands_agree(row: Mapping[str, Any], world: World, api: KubeApi) -> None:
    kind = Kind(api, f"g{uuid.uuid4().hex[:6]}.example.org")
    uses = [f"crd:{kind.name}"] if "spec" in row else []
    if "installed" in row:
        world.component("app", templates={"app.yaml": row["installed"]})
        world.write_stack()
        first = run(world, "up")
        assert first.code == 0, first.err
    if uses:
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": row["spec"]}}}
        crd = kind.crd({"name": "v1", "served": True, "storage": True, "schema": schema})
        world.component("maker", templates={"none.yaml": ""}, crds=[crd], provides=uses)
    world.component("app", templates={"app.yaml": row["app"].replace("GROUP", kind.group)}, uses=uses)
    world.write_stack()
    refused = row.get("refused", {})
    try:
        for command in COMMANDS:
            done = run(world, command)
            said = f"{command}: exit {done.code}\n{done.out}{done.err}"
            if command in refused:
                # A plan is shown whatever stands in its way, and names that.
                assert (done.code != 0) is (command != "plan"), said
                assert refused[command] in done.out + done.err, said
            else:
                assert done.code == 0, said
        if not refused:
            again = run(world, "plan", "--detailed-exitcode")
            assert again.code == 0, again.out + again.err
    finally:
        run_here(world, "down", "--yes", "--on", world.target)
        api.delete(kind.path)
