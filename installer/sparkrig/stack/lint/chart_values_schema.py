"""A piece of a JSON Schema, walked along a path of values. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sparkrig.models.json import JsonObject, JsonValue, dig, mapping_at, mapping_or_none, sequence_at, texts_at

MAX_PARTS: Final = 20
"""References and parts within parts that are followed; no real schema has more."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a schema, and the document that its references point into."""

    piece: JsonObject
    root: JsonObject

    def parts(self, depth: int = 0) -> Iterator[JsonObject]:
        """The piece and what it is made of, references followed."""
        piece = _followed(self.piece, self.root)
        if not isinstance(piece, Mapping) or depth > MAX_PARTS:
            return
        yield piece
        inner = [part for keyword in ("allOf", "anyOf", "oneOf") for part in sequence_at(piece, keyword)]
        for part in (*inner, piece.get("then"), piece.get("else")):
            if isinstance(part, Mapping):
                yield from Piece(part, self.root).parts(depth + 1)

    def below(self, key: str) -> Piece | bool:
        """What is said about a key: a schema, True for "known, anything goes", False when nothing is said."""
        for piece in self.parts():
            inner = dig(piece, "properties", key)
            if inner is None:
                patterns = mapping_at(piece, "patternProperties")
                inner = next((below for pattern, below in patterns.items() if re.search(pattern, key)), None)
            if inner is None:
                inner = piece.get("additionalProperties")
            if isinstance(inner, Mapping):
                return Piece(inner, self.root)
            if inner is False or _is_free(piece):
                # Closed: the schema's own check speaks. Or a map of whatever keys.
                return True
        return False

    def item(self) -> Piece | bool:
        """What is said about the items of a list."""
        for piece in self.parts():
            if (items := mapping_or_none(piece, "items")) is not None:
                return Piece(items, self.root)
        return False

    def direct(self, key: str) -> JsonValue:
        """The schema that ``properties`` has for a key, for describing it; None where there is none."""
        return next(
            (dig(piece, "properties", key) for piece in self.parts() if key in mapping_at(piece, "properties")), None
        )

    def types(self) -> frozenset[str]:
        """JSON types that it names; a fixed value counts by its own."""
        found: set[str] = set()
        for piece in self.parts():
            named = piece.get("type")
            found.update([named] if isinstance(named, str) else texts_at(named))
            if "type" not in piece:
                found.update(_type_of(value) for value in sequence_at(piece, "enum"))
        return frozenset(found)

    def keys(self) -> list[str]:
        """The keys it knows."""
        return [key for piece in self.parts() for key in mapping_at(piece, "properties")]


def _is_free(piece: JsonObject) -> bool:
    return piece.get("type") == "object" and not {"properties", "allOf", "anyOf", "oneOf", "$ref"} & piece.keys()


def _followed(piece: JsonValue, root: JsonObject) -> JsonValue:
    for _ in range(MAX_PARTS):
        reference = piece.get("$ref") if isinstance(piece, Mapping) else None
        if not isinstance(reference, str) or not reference.startswith("#"):
            return piece
        piece = root
        for step in reference[1:].split("/")[1:]:
            piece = piece.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(piece, Mapping) else None
    return None


def _type_of(value: JsonValue) -> str:
    return "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
