"""``sparkrig help``."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from sparkrig.cli.completion import topics
from sparkrig.cli.prompt import out
from sparkrig.errors import NotFound


def help_(
    topic: Annotated[
        str | None,
        typer.Argument(metavar="TOPIC", help="The page to show. Default: the list of pages.", autocompletion=topics),
    ] = None,
) -> None:
    """Show a page of the documentation. TOPIC is a page such as stack-file, or a component."""
    terminal = out()
    if topic is None:
        found = pages()
        width = max(len(name) for name in found)
        terminal.write("".join(f"{name:<{width}}  {title}\n" for name, title in found.items()))
        return
    text = _file(topic).read_text(encoding="utf-8")
    if not terminal.live:
        terminal.write(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))


def pages() -> Mapping[str, str]:
    """Topic -> its title: the pages of docs/, then those of the components."""
    return {name: _title(file) for name, file in _files().items()}


def _file(topic: str) -> Path:
    files = _files()
    if topic not in files:
        close = get_close_matches(topic, files, 1)
        hint = f"did you mean '{close[0]}'?" if close else "`sparkrig help` lists the pages"
        raise NotFound(f"there is no page '{topic}'", hint=hint)
    return files[topic]


def _files() -> dict[str, Path]:
    from sparkrig.tools.data import data_dir

    folder = data_dir("docs")
    found = [*sorted(folder.glob("*.md")), *sorted((folder / "charts").glob("*.md"))]
    return {file.stem: file for file in found if file.stem != "README"}


def _title(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        return next((line.removeprefix("# ").strip() for line in lines if line.startswith("# ")), "")
