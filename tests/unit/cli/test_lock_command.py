"""``sparkrig lock`` and what keeps to it: the real command over charts in folders and in a repository."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart_servers import remote_component, site
from tests.inprocess import run_here
from tests.mini import CONFIGMAP, Done, World


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(tmp_path / "cache"))
    world = World(tmp_path, "")
    world.write_stack()
    return world


def run(world: World, *arguments: str) -> Done:
    return run_here(world, *arguments)


def locked(world: World, file: str = "stack.lock.yaml") -> Any:
    return yaml.safe_load((world.folder / file).read_text())["charts"]


def component(world: World, name: str, text: str = "one", **spec: Any) -> None:
    world.component(name, templates={"c.yaml": CONFIGMAP}, values={"text": text}, **spec)


def test_the_lock_is_what_every_command_keeps_to(alone: World) -> None:
    component(alone, "a")
    done = run(alone, "lock")
    assert done.code == 0, done.err
    assert done.out.endswith("stack.lock.yaml written: 1 charts\n")
    entry = locked(alone)["a"]
    assert (entry["name"], entry["version"], entry["source"]) == ("a", "1.0.0", "catalogue")
    before = (alone.folder / "stack.lock.yaml").read_bytes()
    assert run(alone, "lock").out == "stack.lock.yaml up to date: 1 charts\n"
    assert (alone.folder / "stack.lock.yaml").read_bytes() == before
    component(alone, "a", "two")
    for command in ("validate", "render"):
        refused = run(alone, command)
        assert refused.code == 3
        assert "error[lock-digest]: a: chart a 1.0.0 is not the one that was locked" in refused.err
        assert "--> stack.lock.yaml:" in refused.err
        assert f"expected {entry['digest']}, found sha256:" in refused.err
    refused = run(alone, "lock")
    assert refused.code == 3
    assert "sparkrig lock --upgrade a" in refused.err
    assert (alone.folder / "stack.lock.yaml").read_bytes() == before
    done = run(alone, "lock", "--upgrade", "a")
    assert done.code == 0
    assert f"digest  {entry['digest']}" in done.out
    assert f"-> {locked(alone)['a']['digest']}" in done.out
    assert run(alone, "validate").code == 0


def test_another_version_is_refused_until_it_is_locked(alone: World) -> None:
    component(alone, "a")
    assert run(alone, "lock").code == 0
    component(alone, "a", version="1.1.0")
    refused = run(alone, "validate")
    assert refused.code == 3
    assert "a: stack.lock.yaml has chart a 1.0.0, the catalogue asks for 1.1.0" in refused.err
    assert "sparkrig lock takes 1.1.0" in refused.err
    done = run(alone, "lock")
    assert done.code == 0
    assert "~ a  a 1.0.0 -> a 1.1.0" in done.out
    assert run(alone, "validate").code == 0


def test_new_and_removed_components(alone: World) -> None:
    component(alone, "a")
    component(alone, "b")
    assert run(alone, "lock").code == 0
    component(alone, "c")
    assert "error[not-locked]: c is not in stack.lock.yaml" in run(alone, "validate").err
    shutil.rmtree(alone.catalog / "b")
    check = run(alone, "lock", "--check")
    assert check.code == 3
    assert "c: stack.lock.yaml does not have it, the stack asks for c 1.0.0" in check.err
    assert "b: stack.lock.yaml has b 1.0.0, the stack does not want it" in check.err
    assert sorted(locked(alone)) == ["a", "b"]  # --check writes nothing
    done = run(alone, "lock", "--output", "json")
    assert [(c["component"], c["old"] is None, c["new"] is None) for c in done.json["changes"]] == [
        ("b", False, True),
        ("c", True, False),
    ]
    assert run(alone, "lock", "--check").code == 0


def test_without_a_lock_check_says_so(alone: World) -> None:
    component(alone, "a")
    done = run(alone, "lock", "--check")
    assert done.code == 3
    assert "there is no stack.lock.yaml" in done.err
    assert not (alone.folder / "stack.lock.yaml").exists()
    assert run(alone, "validate").code == 0  # a lock is not needed


def test_auto_components_are_locked_whatever_the_cluster_is(alone: World) -> None:
    component(alone, "a", enabled="auto", autoFact="gpu.nodes-present")
    component(alone, "off", enabled=False)
    assert run(alone, "lock").code == 0
    assert list(locked(alone)) == ["a"]


def test_stand_ins_have_a_lock_of_their_own(alone: World) -> None:
    component(alone, "web", version="1.0.0-standin")
    shutil.move(alone.catalog / "web", alone.folder / "stand-ins" / "web")
    remote_component(alone, "web", "https://charts.invalid")
    stand_ins = ("--stand-ins", str(alone.folder / "stand-ins"))
    assert run(alone, "lock", *stand_ins).code == 0
    assert not (alone.folder / "stack.lock.yaml").exists()
    entry = locked(alone, "stack.stand-ins.lock.yaml")["web"]
    assert (entry["version"], entry["source"]) == ("1.0.0-standin", "stand-in")
    assert run(alone, "validate", *stand_ins).code == 0


def test_subcharts_are_in_the_lock_and_count(alone: World) -> None:
    component(alone, "a")
    sub = alone.catalog / "a" / "charts" / "part"
    (sub / "templates").mkdir(parents=True)
    (sub / "Chart.yaml").write_text("apiVersion: v2\nname: part\nversion: 0.1.0\n")
    assert run(alone, "lock").code == 0
    (part,) = locked(alone)["a"]["subcharts"]
    assert (part["name"], part["version"]) == ("part", "0.1.0")
    (sub / "templates" / "x.yaml").write_text("# new\n")
    assert "error[lock-digest]" in run(alone, "validate").err
    assert run(alone, "lock", "--upgrade").code == 0
    assert locked(alone)["a"]["subcharts"][0]["digest"] != part["digest"]


def test_a_chart_that_was_published_again_is_refused_with_both_digests(alone: World, tmp_path: Path) -> None:
    with site(tmp_path / "site") as place:
        place.publish("web", "1.0.0")
        remote_component(alone, "web", place.url)
        assert run(alone, "lock").code == 0
        old = locked(alone)["web"]["digest"]
        place.publish("web", "1.0.0", "changed")
        assert run(alone, "validate").code == 0  # what was locked is in the cache
        shutil.rmtree(tmp_path / "cache")
        for command in (("lock",), ("lock", "--check"), ("render",)):
            refused = run(alone, *command)
            assert refused.code == 3
            assert f"expected {old}, found sha256:" in refused.err
        done = run(alone, "lock", "--upgrade", "web")
        assert done.code == 0
        assert f"digest  {old}" in done.out
        assert locked(alone)["web"]["digest"] != old


def test_a_mirror_gives_the_same_lock_as_the_repository(alone: World, tmp_path: Path) -> None:
    with site(tmp_path / "site") as place:
        place.publish("web", "1.0.0")
        remote_component(alone, "web", place.url)
        assert run(alone, "lock").code == 0
    before = (alone.folder / "stack.lock.yaml").read_bytes()
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "web-1.0.0.tgz").write_bytes(place.files["/web-1.0.0.tgz"])
    shutil.rmtree(tmp_path / "cache")
    done = run(alone, "lock", "--chart-mirror", str(mirror))
    assert done.code == 0, done.err
    assert (alone.folder / "stack.lock.yaml").read_bytes() == before


def test_another_repository_is_refused(alone: World, tmp_path: Path) -> None:
    with site(tmp_path / "one") as one, site(tmp_path / "two") as two:
        for place in (one, two):
            place.publish("web", "1.0.0")
        remote_component(alone, "web", one.url)
        assert run(alone, "lock").code == 0
        remote_component(alone, "web", two.url)
        refused = run(alone, "validate")
        assert refused.code == 3
        assert f"has chart web 1.0.0 from {one.url}, the catalogue takes it from {two.url}" in refused.err
        assert run(alone, "lock").code == 3
        assert run(alone, "lock", "--upgrade").code == 0
        assert run(alone, "validate").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("lock", "a"), "--upgrade"), (("lock", "--upgrade", "--check"), "exclude each other")],
)
def test_flags_that_do_not_go_together(alone: World, arguments: tuple[str, ...], said: str) -> None:
    component(alone, "a")
    done = run(alone, *arguments)
    assert done.code == 64
    assert said in done.err


def test_an_unknown_component_is_named(alone: World) -> None:
    component(alone, "a")
    done = run(alone, "lock", "--upgrade", "b")
    assert done.code == 3
    assert "not in this stack: b" in done.err
