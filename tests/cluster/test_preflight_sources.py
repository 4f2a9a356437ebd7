"""doctor and charts that cannot be had, cannot be rendered, or become too large a release: all told at once."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest
import yaml
from tests.mini import CONFIGMAP, World

pytestmark = pytest.mark.cluster

NOWHERE = "http://127.0.0.1:9/charts"
"""The discard port: nobody listens, and the connection is refused at once."""


@pytest.fixture
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools stay where they are; charts of other runs must not help."""
    from sparkrig.tools import cache_dir

    own = tmp_path / "cache"
    own.mkdir()
    (own / "tools").symlink_to(cache_dir() / "tools")
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(own))


def test_everything_about_charts_is_told_at_once(world: World, nothing_cached: None) -> None:
    world.component("far")
    described = yaml.safe_load((world.catalog / "far" / "component.yaml").read_text())
    described["chart"] = {"name": "far", "version": "1.0.0", "repository": NOWHERE}
    (world.catalog / "far" / "component.yaml").write_text(yaml.safe_dump(described))
    world.component("stubborn", templates={"c.yaml": '{{ fail "text must be a poem" }}\n'})
    text = "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=2_000_000))
    world.component("huge", templates={"c.yaml": CONFIGMAP})
    (world.catalog / "huge" / "big.txt").write_text(text)
    world.component("fine", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    done = world.run("doctor", "--output", "json")
    assert done.code == 1, done.out + done.err
    found = {
        f"{f['level']} {f['code']} {f['subject']}: {f['message']}" for f in done.json["findings"] if f["level"] != "ok"
    }
    expected = (
        "fail chart far: ",
        "fail render stubborn: ",
        "fail release-size huge: release huge would take 2.41 MiB in its Secret, the API server takes 1 MiB",
        f"warn chart-source this machine: the chart repository {NOWHERE} does not answer",
    )
    for line in expected:
        assert [text for text in found if text.startswith(line)], (line, found)
    assert len(found) == len(expected), found
    assert any("text must be a poem" in line for line in found)
    assert all(f["next"] for f in done.json["findings"] if f["level"] == "fail")
