"""Builds position-keeping trees from parser events, with Helm's reading of scalars and merge keys. Pure.

Iterative and bounded: depth, and the number of nodes with aliases expanded, are counted before
anything is expanded, so a hostile document costs no more than its own length.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from sparkrig.defaults import MAX_DEPTH, MAX_NODES
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.nodes import Entry, ListNode, MapNode, Node, ScalarNode, moved
from sparkrig.yaml.parsing import Chunk, Source, SyntaxFailure, events
from sparkrig.yaml.scalars import TAG_PREFIX, ScalarKind, Value, WrongTag, key_text, resolve, resolve_tagged

_SCALAR_TAGS = frozenset({"str", "int", "float", "bool", "null", "timestamp", "binary"})
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Stop(Exception):
    """A limit was passed; the document is given up after the problem that says so."""


@dataclass(slots=True)
class _Built:
    """A finished node with what the limits need, and what a key needs."""

    node: Node
    size: int
    height: int
    scalar: ScalarKind | None = None
    merge: bool = False
    usable: bool = True


@dataclass(slots=True)
class _Frame:
    """A collection that is being built."""

    event: yaml.CollectionStartEvent
    anchor: str | None
    children: list[_Built] = field(default_factory=list)
    size: int = 1
    height: int = 1


class _Open:
    """Stands for an anchor whose collection is still being built."""


_OPEN = _Open()


def compose(source: Source, chunk: Chunk, report: Callable[[Problem], None]) -> Node | None:
    """The tree of one document, or None when there is none or its syntax is broken. Problems go to ``report``."""
    return _Composer(source, chunk, report).run()


class _Composer:
    def __init__(self, source: Source, chunk: Chunk, report: Callable[[Problem], None]) -> None:
        self.source, self.chunk, self.report = source, chunk, report
        self.frames: list[_Frame] = []
        self.anchors: dict[str, _Built | _Open] = {}
        self.count = 0
        self.root: Node | None = None

    def run(self) -> Node | None:
        documents = 0
        try:
            for event in events(self.chunk):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self.error(
                            "text-after-end",
                            "a document ends at '...'; Helm ignores what follows",
                            self.span(event),
                            "start another document with a line '---'",
                        )
                        break
                else:
                    self.take(event)
        except SyntaxFailure as failure:
            position = self.source.at(failure.index)
            self.error(failure.code, failure.message, position, failure.hint)
            return None
        except _Stop:
            return None
        return self.root

    # -- events

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self.add(event, self.scalar(event))
            case yaml.AliasEvent():
                self.alias(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self.open(event)
            case yaml.MappingEndEvent():
                frame = self.frames.pop()
                self.add(frame.event, _Built(self.mapping(frame, event), frame.size, frame.height))
            case yaml.SequenceEndEvent():
                frame = self.frames.pop()
                items = tuple(child.node for child in frame.children)
                node = ListNode(items, self.collection_span(frame, event))
                self.add(frame.event, _Built(node, frame.size, frame.height))

    def open(self, event: yaml.CollectionStartEvent) -> None:
        self.spend(1, event)
        if len(self.frames) >= MAX_DEPTH:
            self.stop("too-deep", f"nested deeper than {MAX_DEPTH} levels", event)
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag is not None and event.tag not in (TAG_PREFIX + kind, "!"):
            self.unknown_tag(event, event.tag)
        if event.anchor is not None:
            self.anchors[event.anchor] = _OPEN
        self.frames.append(_Frame(event, event.anchor))

    def alias(self, event: yaml.AliasEvent) -> None:
        target = self.anchors.get(event.anchor or "")
        if target is None:
            self.error(
                "unknown-anchor",
                f"no anchor '&{event.anchor}' stands before this alias",
                self.span(event),
                _known(self.anchors),
            )
            self.spend(1, event)
            self.add(event, _Built(ScalarNode(None, self.span(event)), 1, 1, usable=False))
            return
        if isinstance(target, _Open):
            self.stop("cyclic-alias", f"'*{event.anchor}' stands inside the value that '&{event.anchor}' names", event)
        self.spend(target.size, event)
        if len(self.frames) + target.height > MAX_DEPTH:
            self.stop("too-deep", f"nested deeper than {MAX_DEPTH} levels through this alias", event)
        node = moved(target.node, self.span(event))
        self.add(event, _Built(node, target.size, target.height, target.scalar, usable=target.usable))

    def add(self, event: yaml.NodeEvent, built: _Built) -> None:
        anchor = None if isinstance(event, yaml.AliasEvent) else event.anchor
        if anchor is not None:
            self.anchors[anchor] = built
        if not self.frames:
            self.finite(built.node)
            self.root = built.node
            return
        frame = self.frames[-1]
        if len(frame.children) % 2 or isinstance(frame.event, yaml.SequenceStartEvent):
            self.finite(built.node)
        frame.children.append(built)
        frame.size += built.size
        frame.height = max(frame.height, built.height + 1)

    # -- values

    def scalar(self, event: yaml.ScalarEvent) -> _Built:
        self.spend(1, event)
        anchored = event.anchor is not None or event.tag is not None
        position = (self.source.value_span if anchored else self.source.span)(self.chunk, event, event)
        text = event.value
        if _SURROGATE.search(text):
            self.error("yaml-syntax", "an escape in a string names half of a surrogate pair", position)
            text = _SURROGATE.sub("\ufffd", text)
        plain = event.tag is None and event.implicit[0]
        kind: ScalarKind = "str"
        value: Value = text
        if plain:
            kind, value = resolve(text)
        elif event.tag is not None:
            kind, value = self.tagged(event, event.tag, text, position)
        merge = kind == "merge" or event.tag == TAG_PREFIX + "merge"
        node = ScalarNode(value, position, text, plain)
        return _Built(node, 1, 1, kind, merge)

    def tagged(self, event: yaml.Event, written: str, text: str, position: Position) -> tuple[ScalarKind, Value]:
        tag = written.removeprefix(TAG_PREFIX)
        if tag == "merge" and text == "<<":
            return "merge", text
        if tag not in _SCALAR_TAGS or tag == written:
            self.unknown_tag(event, written)
            return "str", text
        try:
            return resolve_tagged(tag, text)
        except WrongTag as error:
            self.error("wrong-tag", str(error), position, "leave the tag out, or correct the value")
            return "str", text

    def mapping(self, frame: _Frame, end: yaml.Event) -> MapNode:
        entries: dict[str, Entry] = {}
        written: dict[str, Position] = {}
        for key, value in zip(frame.children[::2], frame.children[1::2], strict=True):
            if key.merge:
                self.merge(entries, value)
                continue
            name, position = _key(key), key.node.position
            if name is None:
                if key.usable:
                    self.bad_key(key.node)
                continue
            first = written.setdefault(name, position)
            if first is not position:
                self.error(
                    "duplicate-key",
                    f"key '{name}' is set twice in this map",
                    position,
                    f"Helm takes the last one; the first is in line {first.line}",
                    label=f"first in line {first.line}",
                )
            written_as = key.node.text if isinstance(key.node, ScalarNode) and key.node.text != name else ""
            entries[name] = Entry(name, position, value.node, written_as)
        return MapNode(entries, self.collection_span(frame, end))

    def merge(self, entries: dict[str, Entry], value: _Built) -> None:
        """Helm's reading of ``<<``: it overrides what stands before it, and gives way to what follows."""
        sources = value.node.items[::-1] if isinstance(value.node, ListNode) else (value.node,)
        for merged in sources:
            if isinstance(merged, MapNode):
                entries.update(merged.entries)
            elif value.usable:
                self.error("bad-merge", "'<<' merges a map or a list of maps, not this", merged.position)

    def bad_key(self, node: Node) -> None:
        what = {"map": "a map", "list": "a list", "scalar": "null"}[node.kind]
        if isinstance(node, ScalarNode) and node.value is not None:
            what = f"{node.value}, an integer beyond 64 bits,"
        self.error(
            "bad-key", f"{what} cannot be a key: Helm's maps have text keys", node.position, "put the key in quotes"
        )

    def finite(self, node: Node) -> None:
        if isinstance(node, ScalarNode) and isinstance(node.value, float) and not math.isfinite(node.value):
            message = f"{node.text} is no number that Helm can carry"
            self.error("not-finite", message, node.position, "put it in quotes if it is meant as text")

    # -- limits and problems

    def spend(self, nodes: int, event: yaml.Event) -> None:
        self.count += nodes
        if self.count > MAX_NODES:
            how = " with its aliases expanded" if isinstance(event, yaml.AliasEvent) else ""
            self.stop("too-many-nodes", f"the document has more than {MAX_NODES:,} nodes{how}".replace(",", " "), event)

    def stop(self, code: str, message: str, event: yaml.Event) -> NoReturn:
        self.error(code, message, self.span(event))
        raise _Stop

    def span(self, event: yaml.Event) -> Position:
        return self.source.span(self.chunk, event, event)

    def collection_span(self, frame: _Frame, end: yaml.Event) -> Position:
        """A flow collection is its brackets; a block one is shown by its first key, or by its first dash."""
        start = frame.event
        if start.flow_style:
            return self.source.value_span(self.chunk, start, end)
        if isinstance(start, yaml.MappingStartEvent) and frame.children:
            return frame.children[0].node.position
        return self.source.value_span(self.chunk, start, start)

    def unknown_tag(self, event: yaml.Event, written: str) -> None:
        tag = written.replace(TAG_PREFIX, "!!")
        self.error(
            "unknown-tag",
            f"tag '{tag}' has no meaning here: Helm ignores it",
            self.span(event),
            "remove the tag; known are !!str, !!int, !!float, !!bool, !!null, !!binary, !!map and !!seq",
        )

    def error(
        self, code: str, message: str, position: Position, hint: str | None = None, label: str | None = None
    ) -> None:
        self.report(Problem(Severity.ERROR, code, message, position, label=label, hint=hint))


def _key(built: _Built) -> str | None:
    node = built.node
    return key_text(built.scalar, node.value) if isinstance(node, ScalarNode) and built.scalar else None


def _known(anchors: Mapping[str, object]) -> str | None:
    return "anchors so far: " + ", ".join(sorted(anchors)[:10]) if anchors else None
