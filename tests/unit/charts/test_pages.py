"""What the pages of our own charts show can be copied: each example is a good stack, and its charts render."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.own_charts import CHARTS, ROOT, template
from tests.unit.stack.test_shipped import GLOBALS, OFFLINE, chart, stack

from sparkrig.catalog.load import load_catalog
from sparkrig.stack.resolve import resolve

OWN = {path.name: path for path in CHARTS}


def examples() -> Iterator[tuple[str, str]]:
    """(page, text) of each YAML block of a page that is a part of a stack file."""
    for name in OWN:
        page = (ROOT / "docs" / "charts" / f"{name}.md").read_text(encoding="utf-8")
        for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
            if re.match(r"(components|secrets):", block):
                yield name, block


@pytest.mark.parametrize(("name", "text"), list(examples()))
def test_an_example_is_good_and_renders(name: str, text: str, tmp_path: Path) -> None:
    resolved = resolve(stack(tmp_path, GLOBALS + text), load_catalog([ROOT / "charts"]), OFFLINE, chart)
    assert resolved.problems == ()
    rendered = [r for r in resolved.releases if f"  {r.component}:" in text and r.component in OWN]
    assert rendered
    for release in rendered:
        done = template(OWN[release.component], release.values)
        assert done.returncode == 0, done.stderr


def test_pages_have_examples() -> None:
    assert {name for name, _ in examples()} >= {"triton"}
