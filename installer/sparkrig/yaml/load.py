"""Loads YAML text into trees that know their positions, read as Helm reads it. Pure.

Nothing here raises for what a person wrote: whatever is wrong comes back as problems, all of them
that can be found (one syntax error hides the rest of its document, not the other documents).

Codes: ``yaml-syntax``, ``not-utf8``, ``control-character``, ``too-large``, ``too-deep``, ``too-many-nodes``,
``cyclic-alias``, ``unknown-anchor``, ``duplicate-key``, ``bad-key``, ``bad-merge``, ``not-finite``, ``unknown-tag``,
``wrong-tag``, ``text-after-end``, ``several-documents``, ``not-a-map``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sparkrig.defaults import MAX_INPUT_BYTES
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.compose import compose
from sparkrig.yaml.merge import merge_nodes
from sparkrig.yaml.nodes import Entry, ListNode, MapNode, Node, ScalarNode, to_python
from sparkrig.yaml.parsing import Source, SyntaxFailure, check_characters, split

__all__ = [
    "Entry",
    "ListNode",
    "Loaded",
    "LoadedAll",
    "MapNode",
    "Node",
    "ScalarNode",
    "decode",
    "load",
    "load_all",
    "load_values",
    "to_python",
]

Problems: TypeAlias = tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """One document. ``document`` is None when the text could not be read; an empty text is a null."""

    document: Node | None
    problems: Problems


@dataclass(frozen=True, slots=True)
class LoadedAll:
    """All documents of a text, empty ones left out."""

    documents: tuple[Node, ...]
    problems: Problems


def load(text: str | bytes, file: str, *, want_map: bool = False) -> Loaded:
    """Read a text that must hold one document; with ``want_map`` its top level must be a mapping."""
    everything = load_all(text, file)
    problems = list(everything.problems)
    if len(everything.documents) > 1:
        problems.append(
            _error(
                "several-documents",
                "expected one YAML document, found more",
                everything.documents[1].position,
                "put each document into a file of its own",
            )
        )
    document: Node | None = everything.documents[0] if everything.documents else None
    if document is None and not problems:
        document = ScalarNode(None, Position(file, 1, 1))
    if want_map and document is not None and not isinstance(document, MapNode):
        problems.append(_not_a_map(document))
        document = None
    return Loaded(document, tuple(problems))


def load_values(text: str | bytes, file: str) -> Loaded:
    """Read a Helm values file: several documents merge in order, an empty one counts as an empty map."""
    everything = load_all(text, file)
    problems = list(everything.problems)
    result: Node = MapNode({}, Position(file, 1, 1))
    for document in everything.documents:
        if isinstance(document, MapNode):
            result = merge_nodes(result, document)
        elif not (isinstance(document, ScalarNode) and document.value is None):
            problems.append(_not_a_map(document))
    broken = problems and not everything.documents
    return Loaded(None if broken else result, tuple(problems))


def load_all(text: str | bytes, file: str) -> LoadedAll:
    """Read every document of a text, cut at ``---`` lines as Helm cuts them."""
    decoded = decode(text, file)
    if isinstance(decoded, Problem):
        return LoadedAll((), (decoded,))
    problems: list[Problem] = []
    documents: list[Node] = []
    source = Source(decoded, file)
    try:
        check_characters(source)
        for chunk in split(decoded):
            if isinstance(chunk, SyntaxFailure):
                raise chunk
            document = compose(source, chunk, problems.append)
            if document is not None:
                documents.append(document)
    except SyntaxFailure as failure:
        problems.append(_error(failure.code, failure.message, source.at(failure.index), failure.hint))
    return LoadedAll(tuple(documents), tuple(problems))


def decode(text: str | bytes, file: str) -> str | Problem:
    """The text without its byte order mark, or the problem that keeps it from being read: size or encoding."""
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_INPUT_BYTES:
        return _error(
            "too-large",
            f"the file has {size} bytes, the limit is {MAX_INPUT_BYTES} ({MAX_INPUT_BYTES >> 20} MiB)",
            Position(file, 1, 1),
        )
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _error("not-utf8", "the file is UTF-16; Helm reads UTF-8", Position(file, 1, 1), "save it as UTF-8")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8", "replace").removeprefix("\ufeff")
        message = f"byte 0x{text[error.start]:02x} is not UTF-8"
        return _error("not-utf8", message, Source(before, file).at(len(before)), "save the file as UTF-8")


def _not_a_map(document: Node) -> Problem:
    found = {"list": "a list", "scalar": "a single value"}.get(document.kind, document.kind)
    if isinstance(document, ScalarNode) and document.value is None:
        found = "nothing"
    return _error("not-a-map", f"expected 'key: value' lines at the top level, found {found}", document.position)


def _error(code: str, message: str, position: Position, hint: str | None = None) -> Problem:
    return Problem(Severity.ERROR, code, message, position, hint=hint)
