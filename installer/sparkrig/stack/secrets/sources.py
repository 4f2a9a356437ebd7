"""The ``sources`` section, of the stack file and of the user's own configuration. Pure; references only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparkrig.catalog.sources import SourceTexts
from sparkrig.catalog.validate import check_document
from sparkrig.errors import InvalidInput
from sparkrig.models.json import JsonObject, mapping_at
from sparkrig.models.objects import API_VERSION
from sparkrig.models.problem import Position
from sparkrig.stack.file import stack_schema
from sparkrig.stack.secrets.references import check_secrets
from sparkrig.stack.secrets.wanted import reference
from sparkrig.yaml.nodes import ListNode, MapNode, Node, ScalarNode

KIND: Final = "ChartSources"


@dataclass(frozen=True, slots=True)
class ChartSource:
    """How the charts below one address are fetched."""

    url: str
    position: Position
    folder: Path
    """Where a command runs."""
    username: JsonObject | None = None
    """A reference, or ``{"text": …}``."""
    password: JsonObject | None = None
    certificate: Path | None = None
    key: Path | None = None
    ca_file: Path | None = None
    plain_http: bool = False
    own: bool = False
    """Described in the user's own configuration, which comes with no repository or pull request."""


def chart_sources(document: MapNode, folder: Path, *, own: bool = False) -> tuple[ChartSource, ...]:
    """What the ``sources`` section of a valid document describes; files are relative to ``folder``."""
    section = document.get("sources")
    return tuple(_sources(section, folder.absolute(), own)) if isinstance(section, ListNode) else ()


def _sources(section: ListNode, folder: Path, own: bool) -> Iterator[ChartSource]:
    for item in section.items:
        if not isinstance(item, MapNode):
            continue
        certificate = item.get("clientCertificate")
        plain = item.get("plainHttp")
        yield ChartSource(
            url=_text(item.get("url")),
            position=item.position,
            folder=folder,
            username=_reference(item.get("username"), folder),
            password=_reference(item.get("password"), folder),
            certificate=_file(certificate, "certificate", folder),
            key=_file(certificate, "key", folder),
            ca_file=_file(item, "caFile", folder),
            plain_http=isinstance(plain, ScalarNode) and plain.value is True,
            own=own,
        )


def load_user_sources(path: Path, sources: SourceTexts) -> tuple[ChartSource, ...]:
    """The user's own sources, for all stacks; none where there is no such file.

    Raises:
        InvalidInput: the file is there and is not right.
    """
    loaded = sources.load_document(path)
    if any(problem.code == "no-file" for problem in loaded.problems):
        return ()
    problems = list(loaded.problems)
    if loaded.document is not None:
        problems += check_document(loaded.document, _user_schema(), "sources file")
    if isinstance(loaded.document, MapNode):
        problems = check_secrets(loaded.document, problems)
    if problems or not isinstance(loaded.document, MapNode):
        raise InvalidInput(problems, "the file of chart sources cannot be used")
    return chart_sources(loaded.document, path.parent, own=True)


def _user_schema() -> JsonObject:
    whole = stack_schema()
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "sources"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": KIND},
            "sources": mapping_at(whole, "properties", "sources"),
        },
        "definitions": whole["definitions"],
    }


def _text(node: Node | None) -> str:
    return node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else ""


def _reference(node: Node | None, folder: Path) -> JsonObject | None:
    if isinstance(node, MapNode):
        return reference(node.value, folder)
    return {"text": _text(node)} if _text(node) else None


def _file(node: Node | None, key: str, folder: Path) -> Path | None:
    name = _text(node.get(key)) if isinstance(node, MapNode) else ""
    return folder / name if name else None
