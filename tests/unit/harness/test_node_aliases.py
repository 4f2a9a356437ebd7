"""Images built for real pods stand under exactly the names that the components' charts ask for."""

from __future__ import annotations

import pytest
import yaml
from tests.mini import ROOT
from tests.node.images.recipes import load


@pytest.mark.parametrize("component", ["spark-platform", "triton"])
def test_every_image_of_the_component_is_built_for_the_node(component: str) -> None:
    """Another tag in the chart needs the same one in aliases.yaml, else no image is found for its pods."""
    asked = set(yaml.safe_load((ROOT / "charts" / component / "component.yaml").read_text())["images"])
    named = {name for recipe in load().values() for name in recipe.names}
    assert asked
    assert asked <= named
