"""The ``secrets`` and ``sources`` sections: references only. Pure; nothing is resolved here.

A person who wrote the secret itself into the file must not find it again in a log, so such a place
is named without its line.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.nodes import Entry, ListNode, MapNode, Node, ScalarNode, find

SOURCES: Final = ("fromEnv", "fromFile", "fromSecret", "fromCommand")
"""Where a secret value can come from."""
LOCAL_SOURCES: Final = ("fromEnv", "fromFile", "fromCommand")
"""Those that need no cluster: charts are fetched without one."""
KINDS: Final = ("dockerconfigjson", "data")
_MAY_BE_TEXT: Final = ("registry", "username")


@dataclass(frozen=True, slots=True)
class _Field:
    secret: str
    key: str
    entry: Entry

    sources: tuple[str, ...] = SOURCES

    def __str__(self) -> str:
        return f"{self.secret}: {self.key}"


def check_secrets(document: MapNode, problems: list[Problem]) -> list[Problem]:
    """``problems`` of a stack file, with what its schema leaves open about secrets, and without secret texts."""
    section = document.get("secrets")
    secrets = section.entries if isinstance(section, MapNode) else {}
    found = [problem for name, entry in secrets.items() for problem in _one_kind(name, entry)]
    written: dict[Position, _Field] = {}
    for field in (*_fields(secrets.values()), *_source_fields(document.get("sources"))):
        node = field.entry.node
        if isinstance(node, MapNode):
            found += _one_source(field, node)
        elif field.key not in _MAY_BE_TEXT:
            written[node.position] = written[field.entry.position] = field
    found += [_written(field) for field in dict.fromkeys(written.values())]
    for entry in _addresses(document.get("sources")):
        written[entry.node.position] = written[entry.position] = _Field("", "", entry)
        found.append(_with_password(entry))
    lines = {position.line for position in written}
    return [_without_line(p, lines) for p in (*problems, *found) if p.position not in written]


def _without_line(problem: Problem, lines: Container[int]) -> Problem:
    """The problem without its line, where a secret stands in that."""
    if problem.position is None or problem.position.line not in lines:
        return problem
    return replace(problem, position=None, where=str(problem.position), label=None)


def _fields(secrets: Iterable[Entry]) -> Iterator[_Field]:
    for secret in secrets:
        for kind in KINDS:
            fields = find(secret.node, (kind,))
            for key, entry in fields.entries.items() if isinstance(fields, MapNode) else ():
                yield _Field(f"secret '{secret.key}'", key, entry)


def _source_fields(section: Node | None) -> Iterator[_Field]:
    for index, item in enumerate(section.items if isinstance(section, ListNode) else ()):
        for key in ("username", "password"):
            entry = item.entries.get(key) if isinstance(item, MapNode) else None
            if entry is not None:
                yield _Field(f"source {index + 1}", key, entry, LOCAL_SOURCES)


def _one_kind(name: str, entry: Entry) -> list[Problem]:
    if not isinstance(entry.node, MapNode):
        return []
    kinds = [kind for kind in KINDS if kind in entry.node.entries]
    if len(kinds) == 1:
        return []
    message = f"secret '{name}' is either 'dockerconfigjson' or 'data', found {'both' if kinds else 'neither'}"
    return [Problem(Severity.ERROR, "bad-secret", message, entry.position)]


def _one_source(field: _Field, node: Node) -> list[Problem]:
    named = [source for source in field.sources if isinstance(node, MapNode) and source in node.entries]
    if len(named) == 1:
        return []
    found = " and ".join(named) or "none"
    message = f"{field} comes from exactly one of {', '.join(field.sources)}, found {found}"
    return [Problem(Severity.ERROR, "bad-secret", message, field.entry.position)]


def _addresses(section: Node | None) -> Iterator[Entry]:
    """Addresses of sources that have a user name, and so perhaps a password, in them."""
    for item in section.items if isinstance(section, ListNode) else ():
        entry = item.entries.get("url") if isinstance(item, MapNode) else None
        if entry is not None and isinstance(entry.node, ScalarNode) and "@" in str(entry.node.value):
            yield entry


def _with_password(entry: Entry) -> Problem:
    return Problem(
        Severity.ERROR,
        "bad-secret",
        "the address of a source has a user name or a password in it",
        where=str(entry.position),
        hint="write the address without them, and `username` and `password` beside it",
    )


def _written(field: _Field) -> Problem:
    node = field.entry.node
    what = "a value" if isinstance(node, ScalarNode) and node.value is not None else "nothing to refer to"
    return Problem(
        Severity.ERROR,
        "bad-secret",
        f"{field} is {what}, expected where it comes from",
        where=str(field.entry.position),
        hint=f"write one of {', '.join(field.sources)}, e.g. {{fromEnv: NAME}}: the value itself does not belong here",
    )
