"""The animated picture of a terminal session, and the one that is committed."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import pytest

ROOT: Final = Path(__file__).parents[3]
RECORDING: Final = ROOT / "docs" / "up.svg"
SVG: Final = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def terminal() -> Any:
    spec = importlib.util.spec_from_file_location("terminal_svg", ROOT / "scripts" / "terminal_svg.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def drawn(terminal: Any, *outputs: tuple[float, str]) -> list[tuple[float, list[str]]]:
    """When each frame begins, and the texts of its lines."""
    frames = terminal.frames_of([terminal.Output(*output) for output in outputs], 20, 4)
    return [(frame.at, [re.sub(r"<[^>]*>", "", line) for line in frame.lines]) for frame in frames]


def test_a_frame_shows_the_screen_at_its_time(terminal: Any) -> None:
    assert drawn(terminal, (0.0, "a\r\n"), (1.0, "b"), (2.0, "\rc")) == [
        (0.0, ["a"]),
        (1.0, ["a", "b"]),
        (2.0, ["a", "c"]),
    ]


def test_what_changes_within_one_moment_is_one_frame(terminal: Any) -> None:
    assert drawn(terminal, (0.0, "a"), (0.01, "b"), (0.02, "c"), (1.0, "\r\x1b[2K")) == [(0.0, ["abc"]), (1.0, [])]


def test_colors_and_special_characters(terminal: Any) -> None:
    (frame,) = terminal.frames_of([terminal.Output(0, "\x1b[1;32m<ok> &\x1b[0m no")], 20, 4)
    assert frame.lines == (
        '<text x="0" textLength="48" class="green b">&lt;ok&gt; &amp;</text><text x="56" textLength="16">no</text>',
    )


def test_the_picture_ends_on_its_last_frame_without_animation(terminal: Any) -> None:
    text = terminal.svg([terminal.Output(0, "a\r\n"), terminal.Output(1, "b")], columns=10, rows=4, title="a & b")
    root = ElementTree.fromstring(text)
    assert root.findtext(f"{SVG}title") == "a & b"
    width = float(root.attrib["width"])
    assert f"#film{{transform:translateX(-{width:g}px);animation" in text
    assert text.count("%{transform") == 2


def test_the_committed_recording_is_whole_and_loads_nothing() -> None:
    text = RECORDING.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "style", "defs", "g", "text", "clipPath", "rect", "circle", "use",
    }  # fmt: skip
    ids = {element.get("id") for element in root.iter()}
    used = {element.attrib["href"].removeprefix("#") for element in root.iter(f"{SVG}use")}
    assert used <= ids
    assert "url(#screen)" in text
    assert re.findall(r"(?:https?:)?//[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    seconds = re.search(r"animation:play ([\d.]+)s", text)
    assert seconds
    assert 5 < float(seconds[1]) < 60
    words = "".join(root.itertext())
    assert "9 components ready" in words
    assert not re.search(r"/(?:tmp|root|home|work)\b", words)
    assert len(text) < 200_000
