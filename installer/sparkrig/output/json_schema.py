"""The schema of everything that ``--output json`` prints. Pure but for reading that schema."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

_SCHEMA: Final = Path(__file__).with_name("output.schema.json")


def output_schema(kind: str | None = None) -> dict[str, Any]:
    """The JSON Schema of all documents, or of those of one kind.

    Raises:
        KeyError: there is no such kind; see ``kinds``.
    """
    schema: dict[str, Any] = json.loads(_text())
    if kind is not None:
        del schema["oneOf"]
        schema.update({"title": kind, "allOf": [{"$ref": f"#/definitions/{kinds()[kind]}"}]})
    return schema


def kinds() -> dict[str, str]:
    """Kind of document -> name of its definition, in alphabetical order."""
    definitions = json.loads(_text())["definitions"]
    found = {
        body["properties"]["kind"]["const"]: name
        for name, body in definitions.items()
        if "const" in body.get("properties", {}).get("kind", {})
    }
    return dict(sorted(found.items()))


@cache
def _text() -> str:
    return _SCHEMA.read_text(encoding="utf-8")
