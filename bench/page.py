"""Parts of a page that a program writes, between two comments each."""

from __future__ import annotations

from pathlib import Path


def write_section(page: Path, name: str, text: str) -> None:
    """Put ``text`` between the comments of ``name``; at the page's end, under a heading, where there are none yet."""
    begin, end = f"<!-- bench: {name} -->", f"<!-- end: {name} -->"
    block = f"{begin}\n{text.strip()}\n{end}"
    whole = page.read_text()
    before, found, rest = whole.partition(begin)
    if found:
        _, _, after = rest.partition(end)
        page.write_text(f"{before}{block}{after}")
    else:
        page.write_text(f"{whole.rstrip()}\n\n### {name}\n\n{block}\n")
