"""--timings and --trace of the real commands, also of a run that fails."""

from __future__ import annotations

import json

from tests.mini import World

BROKEN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name}\n"


def test_up_rollback_and_down_say_where_the_time_went(world: World) -> None:
    world.component("a")
    world.component("b", needs=["a"])
    world.write_stack()
    done = world.up("--timings", "--trace", "trace.json")
    assert done.code == 0, done.err
    assert "critical path" in done.err
    assert "install/a" in done.err.splitlines()[-1]
    assert done.err.splitlines()[-1].index("install/a") < done.err.splitlines()[-1].index("install/b")
    events = json.loads((world.folder / "trace.json").read_text())["traceEvents"]
    kinds = {event["cat"] for event in events if event["ph"] == "X"}
    assert {"phase", "operation", "helm"} <= kinds
    ended = {event["name"]: event["ts"] + event["dur"] for event in events if event["ph"] == "X"}
    began = {event["name"]: event["ts"] for event in events if event["ph"] == "X"}
    assert ended["install/a"] <= began["wait/a"] <= began["install/b"]
    assert "critical path" not in world.up().err  # only when asked for
    assert world.up("--set", "a.replicas=2").code == 0
    assert "rollback/a" in world.run("rollback", "--yes", "--timings").err
    assert "uninstall/a" in world.run("down", "--yes", "--timings").err


def test_a_failed_run_shows_its_timings_and_a_bad_trace_file_is_refused_first(world: World) -> None:
    world.component("a", templates={"c.yaml": BROKEN})
    world.write_stack()
    failed = world.up("--timings", "--trace", "trace.json")
    assert failed.code != 0
    assert "validate and read the cluster" in failed.err
    assert json.loads((world.folder / "trace.json").read_text())["traceEvents"]
    refused = world.up("--trace", "no/such/folder/trace.json")
    assert refused.code == 64
    assert "--trace no/such/folder/trace.json cannot be written: No such file or directory" in refused.err
