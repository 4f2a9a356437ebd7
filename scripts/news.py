"""News fragments: one file in changelog.d/ for each change that a user notices (changelog.d/README.md).

    python scripts/news.py                              checks the fragments and the section Unreleased
    python scripts/news.py --release VERSION [--date D] moves both into a section of CHANGELOG.md

Standard library only, so that ``make lint`` and a release need nothing else.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
LONGEST: Final = 200
"""Characters of an entry: it has to be one line that a reader takes in at a glance."""
KINDS: Final[Mapping[str, str]] = {"added": "Added", "changed": "Changed", "fixed": "Fixed"}
"""Ending of a fragment's name -> title of its part of a section, in the order of the changelog."""
NAME: Final = re.compile(rf"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)\.(?P<kind>{'|'.join(KINDS)})\.md")
VERSION: Final = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?")
UNRELEASED: Final = "## Unreleased"


@dataclass(frozen=True, slots=True)
class Fragment:
    """One entry, and where it comes from."""

    place: str
    kind: str
    text: str


class Wrong(Exception):
    """The fragments or the changelog cannot be used; each line names a file and what to do."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def fragments(root: Path) -> list[Fragment]:
    """The fragments in changelog.d/, by name.

    Raises:
        Wrong: with every fragment whose name or content is not as required.
    """
    found, wrong = [], []
    for path in sorted((root / "changelog.d").iterdir()):
        place = f"changelog.d/{path.name}"
        if path.name == "README.md":
            continue
        match = NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            kinds = ", ".join(f".{kind}.md" for kind in KINDS)
            wrong.append(f"{place}: not a valid name: expected lowercase words with hyphens, then one of {kinds}")
            continue
        fragment = Fragment(place, match["kind"], path.read_text(encoding="utf-8").removesuffix("\n"))
        wrong += problems(fragment)
        found.append(fragment)
    if wrong:
        raise Wrong(wrong)
    return found


def problems(fragment: Fragment) -> Iterator[str]:
    """What is wrong with the text of an entry."""
    text, place = fragment.text, fragment.place
    if not text.strip():
        yield f"{place}: empty: write one line that says what changes for a user"
        return
    if "\n" in text:
        yield f"{place}: {len(text.splitlines())} lines: write one line; use one file for each change"
    elif len(text) > LONGEST:
        yield f"{place}: {len(text)} characters, at most {LONGEST}: shorten it; reasons belong in the commit message"
    if text != text.strip() or text.startswith(("- ", "* ", "#")):
        yield f"{place}: starts or ends with white space, a list marker or a heading: write only the sentence"
    if not text.rstrip().endswith((".", ".)")):
        yield f"{place}: does not end with a period"


def unreleased(changelog: str) -> list[Fragment]:
    """The entries that the section Unreleased has already.

    Raises:
        Wrong: the section is missing, or contains something else than entries below the known titles.
    """
    entries, wrong, kind = [], [], ""
    titles = {f"### {title}": name for name, title in KINDS.items()}
    before, section, _ = parts(changelog)
    first = before.count("\n") + 2
    for number, line in enumerate(section.split("\n"), start=first):
        place = f"CHANGELOG.md:{number}"
        if line in titles:
            kind = titles[line]
        elif line.startswith("- ") and kind:
            entries.append(Fragment(place, kind, line.removeprefix("- ")))
            wrong += problems(entries[-1])
        elif line.strip():
            wrong.append(f"{place}: expected `- ENTRY` on one line, below one of {', '.join(titles)}")
    if wrong:
        raise Wrong(wrong)
    return entries


def parts(changelog: str) -> tuple[str, str, str]:
    """What comes before the title Unreleased, the section below it, and the older sections."""
    before, title, rest = changelog.partition(f"{UNRELEASED}\n")
    if not title:
        raise Wrong([f"CHANGELOG.md: no section `{UNRELEASED}`: add it above the newest version"])
    older = re.search(r"^## ", rest, re.MULTILINE)
    end = len(rest) if older is None else older.start()
    return before, rest[:end], rest[end:]


def released(changelog: str, entries: Sequence[Fragment], version: str, date: str) -> str:
    """The changelog with the entries in a section of the version, and an empty section Unreleased.

    Raises:
        Wrong: the version has a section already, or there is nothing to release.
    """
    before, _, older = parts(changelog)
    if re.search(rf"^## {re.escape(version)}(?:\s|$)", older, re.MULTILINE):
        raise Wrong([f"CHANGELOG.md: version {version} has a section already: choose a new version"])
    if not entries:
        raise Wrong([f"version {version} has no entries: add a fragment to changelog.d/"])
    section = [f"## {version} - {date}"]
    for kind, title in KINDS.items():
        lines = [f"- {entry.text}" for entry in entries if entry.kind == kind]
        section += ["", f"### {title}", *lines] if lines else []
    text = "\n".join(section)
    return f"{before}{UNRELEASED}\n\n{text}\n" + (f"\n{older}" if older else "")


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Checks the entries, or moves them into a section of a version."""
    parser = argparse.ArgumentParser(description="Checks and collects the news fragments in changelog.d/.")
    parser.add_argument("--release", metavar="VERSION", help="move all entries into a section of this version")
    parser.add_argument("--date", type=datetime.date.fromisoformat, help="date of the release; default: today (UTC)")
    options = parser.parse_args(arguments)
    if options.release is not None and not VERSION.fullmatch(options.release):
        parser.error(f"'{options.release}' is not a version: expected MAJOR.MINOR.PATCH, such as 0.2.0")
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    wrong: list[str] = []
    entries: list[Fragment] = []
    for read in (lambda: unreleased(text), lambda: fragments(root)):
        try:
            entries += read()
        except Wrong as error:
            wrong += error.lines
    try:
        if wrong:
            raise Wrong(wrong)
        if options.release is None:
            return 0
        date = options.date or datetime.datetime.now(datetime.UTC).date()
        changelog.write_text(released(text, entries, options.release, date.isoformat()), encoding="utf-8")
    except Wrong as error:
        print(error, file=sys.stderr)
        return 1
    for entry in entries:
        if entry.place.startswith("changelog.d/"):
            (root / entry.place).unlink()
    print(f"CHANGELOG.md: {len(entries)} entries in version {options.release}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
