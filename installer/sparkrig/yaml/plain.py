"""Plain Python from YAML and back, without positions: charts' files, CRDs, rendered manifests. Pure.

Same scalars as ``yaml.load`` (Helm's), same merge keys, dates stay text, the last of two equal keys
wins as it does in Helm. Machine-written text may be large, so the limits are wider than those for
what a person writes, and errors are raised.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Final

import yaml

from sparkrig.errors import InvalidInput
from sparkrig.models.json import JsonDict, JsonValue
from sparkrig.models.problem import Problem, Severity
from sparkrig.yaml.parsing import Chunk, Source, SyntaxFailure, check_characters, events, offset
from sparkrig.yaml.scalars import TAG_PREFIX, ScalarKind, Value, WrongTag, key_text, resolve, resolve_tagged

MAX_PLAIN_NODES: Final = 3_000_000
"""Nodes with aliases expanded; the CRDs of a large chart are about 100 000."""
MAX_PLAIN_DEPTH: Final = 400
"""Below Python's recursion limit, so that what was read can be walked and written."""

_SCALAR_TAGS = frozenset({"int", "float", "bool", "null", "timestamp", "binary"})
_resolve = functools.lru_cache(maxsize=8192)(resolve)


def load_plain(text: str | bytes, file: str = "<text>") -> JsonValue:
    """The first document of ``text``; None when there is none. Raises InvalidInput with one problem."""
    documents = load_plain_all(text, file)
    return documents[0] if documents else None


def load_plain_all(text: str | bytes, file: str = "<text>") -> list[JsonValue]:
    """Every document of ``text``, empty ones left out. Raises InvalidInput with one problem."""
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        problem = Problem(Severity.ERROR, "not-utf8", f"{file} is not UTF-8: {error.reason} at byte {error.start}")
        raise InvalidInput([problem], problem.message) from None
    source = Source(decoded, file)
    try:
        check_characters(source)
        return _Builder(decoded).documents()
    except SyntaxFailure as failure:
        position = source.at(failure.index)
        problem = Problem(Severity.ERROR, failure.code, failure.message, position, hint=failure.hint)
        raise InvalidInput([problem], f"{position}: {failure.message}") from None


def objects(manifest: str) -> list[JsonDict]:
    """The objects of a manifest text; documents that are no maps are left out. Raises InvalidInput as above."""
    return [item for item in load_plain_all(manifest) if isinstance(item, dict)]


def dump(obj: JsonValue, *, sort_keys: bool = False) -> str:
    """YAML that Helm, Kubernetes and YAML 1.2 readers all read back as ``obj``.

    Whatever one of them would guess a type from is quoted. Same object, same text; keys keep their
    order unless ``sort_keys``.
    """
    return str(
        yaml.dump(obj, Dumper=_dumper(), sort_keys=sort_keys, allow_unicode=True, width=10**6, default_flow_style=False)
    )


_Anchored = tuple[JsonValue, str | None, int, int]
"""Value, its text as a key, size and height."""


class _Open:
    """An anchor whose collection is still being built."""


class _Level:
    """A collection that is being built. ``pending`` holds a map's key until its value comes."""

    __slots__ = ("anchor", "has_key", "height", "key", "merge", "size", "target")

    def __init__(self, target: JsonDict | list[JsonValue], anchor: str | None) -> None:
        self.target, self.anchor = target, anchor
        self.key = ""
        self.has_key = self.merge = False
        self.size = self.height = 1


class _Builder:
    def __init__(self, text: str) -> None:
        self.text = text
        self.count = 0
        self.levels: list[_Level] = []
        self.anchors: dict[str, _Anchored | type[_Open]] = {}
        self.done: list[JsonValue] = []

    def documents(self) -> list[JsonValue]:
        for event in events(Chunk(self.text, 0, 0)):
            if isinstance(event, yaml.ScalarEvent):
                self.scalar(event)
            elif isinstance(event, yaml.MappingStartEvent):
                self.open(event, {})
            elif isinstance(event, yaml.SequenceStartEvent):
                self.open(event, [])
            elif isinstance(event, yaml.CollectionEndEvent):
                self.close(event)
            elif isinstance(event, yaml.AliasEvent):
                self.alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                self.anchors = {}
        return [document for document in self.done if document is not None]

    def open(self, event: yaml.CollectionStartEvent, target: JsonDict | list[JsonValue]) -> None:
        self.spend(1, event)
        if len(self.levels) >= MAX_PLAIN_DEPTH:
            raise SyntaxFailure(f"nested deeper than {MAX_PLAIN_DEPTH} levels", offset(event), code="too-deep")
        if event.anchor:
            self.anchors[event.anchor] = _Open
        self.levels.append(_Level(target, event.anchor))

    def close(self, event: yaml.Event) -> None:
        level = self.levels.pop()
        if level.anchor:
            self.anchors[level.anchor] = (level.target, None, level.size, level.height)
        self.add(level.target, None, level.size, level.height, event)

    def alias(self, event: yaml.AliasEvent) -> None:
        found = self.anchors.get(event.anchor or "")
        if not isinstance(found, tuple):
            why = "is not known here" if found is None else "names a value that contains itself"
            code = "unknown-anchor" if found is None else "cyclic-alias"
            raise SyntaxFailure(f"anchor '&{event.anchor}' {why}", offset(event), code=code)
        value, key, size, height = found
        self.spend(size, event)
        if len(self.levels) + height > MAX_PLAIN_DEPTH:
            raise SyntaxFailure(f"nested deeper than {MAX_PLAIN_DEPTH} levels", offset(event), code="too-deep")
        self.add(value, key, size, height, event)

    def scalar(self, event: yaml.ScalarEvent) -> None:
        """The common scalar in one go, for a manifest has tens of thousands; every other by its own rules."""
        level = self.levels[-1] if self.levels else None
        if level is None or level.merge or event.anchor is not None or event.tag is not None:
            return self.odd_scalar(event)
        value: Value = event.value
        if event.implicit[0]:
            _, value = _resolve(event.value)
            if value == "<<":
                return self.odd_scalar(event)
        target = level.target
        if isinstance(target, list):
            target.append(value)
        elif level.has_key:
            target[level.key] = value
            level.has_key = False
        elif isinstance(value, str):
            level.key, level.has_key = value, True
        else:
            return self.odd_scalar(event)
        level.size += 1
        if level.height == 1:
            level.height = 2
        self.count += 1
        if self.count > MAX_PLAIN_NODES:
            self.spend(0, event)
        return None

    def odd_scalar(self, event: yaml.ScalarEvent) -> None:
        self.spend(1, event)
        kind: ScalarKind = "str"
        value: Value = event.value
        if event.tag is None:
            if event.implicit[0]:
                kind, value = _resolve(event.value)
        elif (tag := event.tag.removeprefix(TAG_PREFIX)) in _SCALAR_TAGS:
            try:
                kind, value = resolve_tagged(tag, event.value)
            except WrongTag as error:
                raise SyntaxFailure(str(error), offset(event), code="wrong-tag") from None
        level = self.levels[-1] if self.levels else None
        is_key = level is not None and not level.has_key and isinstance(level.target, dict)
        key = key_text(kind, value) if is_key or event.anchor else None
        if event.anchor:
            self.anchors[event.anchor] = (value, key, 1, 1)
        if kind == "merge" and is_key and level is not None:
            level.has_key = level.merge = True
            return
        self.add(value, key, 1, 1, event)

    def add(self, value: JsonValue, key: str | None, size: int, height: int, event: yaml.Event) -> None:
        if not self.levels:
            self.done.append(value)
            return
        level = self.levels[-1]
        level.size += size
        level.height = max(level.height, height + 1)
        target = level.target
        if isinstance(target, list):
            target.append(value)
        elif not level.has_key:
            if key is None:
                raise SyntaxFailure("a map's key must be text", offset(event), code="bad-key")
            level.key, level.has_key = key, True
        elif level.merge:
            self.merge(target, value, event)
            level.has_key = level.merge = False
        else:
            target[level.key] = value
            level.has_key = False

    def merge(self, target: JsonDict, value: JsonValue, event: yaml.Event) -> None:
        for source in reversed(value) if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise SyntaxFailure("'<<' merges a map or a list of maps", offset(event), code="bad-merge")
            target.update(source)

    def spend(self, nodes: int, event: yaml.Event) -> None:
        self.count += nodes
        if self.count > MAX_PLAIN_NODES:
            message = f"more than {MAX_PLAIN_NODES} nodes"
            raise SyntaxFailure(message, offset(event), code="too-many-nodes")


_GUESSED = re.compile(
    r"[-+]?(?:0o?[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*(?::[0-9]+)*(?:\.[0-9_]*)?"
    r"(?:[eE][-+]?[0-9]+)?|\.[0-9_]+(?:[eE][-+]?[0-9]+)?|\.(?:inf|nan))",
    re.IGNORECASE,
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")


_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff]")


def _needs_quotes(text: str) -> bool:
    if text in ("=", "<<") or _resolve(text)[0] != "str":
        return True
    return _GUESSED.fullmatch(text) is not None or _DATE.match(text) is not None


@functools.cache
def _dumper() -> type[Any]:
    base: Any = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper

    class Dumper(base):  # type: ignore[misc]  # its base is chosen at run time
        yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  (PyYAML's protocol)

        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
            return True

    def represent_str(dumper: Any, text: str) -> Any:
        style = None
        if _ODD.search(text):
            style = '"'
        elif "\n" in text:
            # A block scalar cannot hold every text; the emitter falls back to double quotes by itself.
            style = "|" if not text.startswith((" ", "\n", "\t")) else '"'
        elif _needs_quotes(text):
            style = "'"
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent_str)
    Dumper.add_representer(tuple, lambda dumper, data: dumper.represent_list(list(data)))
    for kind in (type(None), bool, int, float):
        Dumper.add_representer(kind, _represent_other)
    return Dumper


def _represent_other(dumper: Any, value: JsonValue) -> Any:
    """Null, boolean and number as JSON writes them, untagged: the emitter has no resolvers that would know them."""
    if value is None:
        text = "null"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = repr(value)
        if isinstance(value, float) and "e" in text and "." not in text:
            text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text)
