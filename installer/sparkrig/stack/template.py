"""A commented stack file, made from the schemas. Pure.

Text lines begin with ``##``; lines that may be taken over begin with ``# ``. So an editor's "toggle
comment" on any block gives valid YAML with its texts still commented.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sparkrig.catalog.catalog import CRD_FACT, Catalog
from sparkrig.models.component import Component
from sparkrig.models.json import JsonObject, JsonValue, mapping_at, mappings_at, sequence_at, text_at, texts_at
from sparkrig.models.objects import API_VERSION
from sparkrig.stack.explain.schema import ABSENT, document, leaves, one_line
from sparkrig.stack.file import stack_schema
from sparkrig.yaml.merge import Layer, merge
from sparkrig.yaml.nodes import Path, find, parse_path, to_python
from sparkrig.yaml.plain import dump

WIDTH: Final = 110
MODELINE: Final = "# yaml-language-server: $schema="
_INTRO: Final = """\
## What this stack is made of. Lines that begin with `# ` say what holds anyway, or give an example: take the
## `# ` away, from the lines that they stand under too, and change them. Lines with `##` are for you to read.
## `sparkrig validate` checks this file, `sparkrig explain COMPONENT.PATH` tells where a value comes from,
## `sparkrig up` makes it so."""


@dataclass(slots=True)
class _Branch:
    """One map of the values that are written."""

    below: dict[str, _Branch | _Leaf] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Leaf:
    value: JsonValue
    text: str


def stack_template(catalog: Catalog, name: str, profile: str, schema: str, *, everything: bool = False) -> str:
    """The text of a new stack file.

    ``schema`` is what the editor's modeline names. The values written are those that the schemas mark
    with ``x-template``, with ``everything`` all that are documented; each with the value that it has
    in ``profile``, or an example where it has none.
    """
    return "\n".join(
        [
            f"{MODELINE}{schema}",
            _INTRO,
            f"apiVersion: {API_VERSION}",
            "kind: Stack",
            "metadata:",
            f"  name: {dump(name).splitlines()[0]}",
            "",
            *_profile(profile),
            "",
            *_section("global"),
            "",
            *_section("secrets"),
            "",
            *_prose(_described("components")),
            "components:",
            *(
                line
                for component in catalog.components.values()
                for line in _component(catalog, component, profile, everything=everything)
            ),
            "",
        ]
    )


def _profile(profile: str) -> list[str]:
    names = ", ".join(texts_at(stack_schema(), "properties", "profile", "enum"))
    return [*_prose(f"{_described('profile')} One of {names}."), f"profile: {profile}"]


def _section(key: str) -> Iterator[str]:
    """A part of the stack file that is only suggested."""
    schema = mapping_at(stack_schema(), "properties", key)
    yield from _prose(_described(key))
    yield f"# {key}:"
    for name, below in mapping_at(schema, "properties").items():
        if examples := sequence_at(below, "examples"):
            yield from _suggested(_prose(text_at(below, "description")), "  ")
            yield from _suggested(dump({name: examples[0]}).splitlines(), "  ")
    # One line for each, so that no line depends on one below it.
    for name, below in next(iter(mappings_at(schema, "examples")), {}).items():
        yield from _suggested([f"{name}: {_one_line(below)}"], "  ")


def _component(catalog: Catalog, component: Component, profile: str, *, everything: bool) -> Iterator[str]:
    state = component.profiles.get(profile, component.enabled)
    yield ""
    when = f" auto: on where {component.auto_fact} is true." if component.auto_fact else ""
    yield from _prose(f"{component.description}. {component.homepage}", "  ")
    if when:
        yield from _prose(when.strip(), "  ")
    yield f"  {component.name}:"
    yield f"    # enabled: {state}"
    root = _values(catalog, component, profile, everything=everything)
    if root.below:
        yield "    # values:"
        for line in _branch(root, WIDTH - 8):
            yield f"    #   {line}".rstrip()


def _values(catalog: Catalog, component: Component, profile: str, *, everything: bool) -> _Branch:
    files = catalog.files[component.name]
    schema = files.schema
    root = _Branch()
    if not isinstance(schema, Mapping):
        return root
    loaded = [files.values, files.profile(profile)]
    layers = [Layer("", None, one.document) for one in loaded if one is not None and one.document is not None]
    effective = merge(layers).root
    # Whether another component brings an API, and what another's values say, is for the stack to know: nobody should
    # pin what follows from it.
    decided = {parse_path(dotted) for rule in component.facts if rule.fact.startswith(CRD_FACT) for dotted in rule.set}
    decided |= {parse_path(dotted) for rule in component.follows for dotted in (rule.path, *rule.set) if dotted}
    for path, part in leaves(schema):
        if not (everything or part.get("x-template")) or "not" in part or not path or path in decided:
            continue
        node = find(effective, path)
        value = to_python(node) if node is not None else part.get("default")
        if value is None:
            value = next(iter(sequence_at(part, "examples")), None)
        if value is not None:
            _put(root, path, _Leaf(value, _about(component, path, part)))
    return root


def _put(root: _Branch, path: Path, leaf: _Leaf) -> None:
    branch = root
    for step in path[:-1]:
        below = branch.below.setdefault(str(step), _Branch())
        if isinstance(below, _Leaf):
            return
        branch = below
    branch.below[str(path[-1])] = leaf


def _about(component: Component, path: Path, schema: JsonObject) -> str:
    doc = document(schema, "sparkrig")
    if doc is None:
        return ""
    facts = one_line(doc)
    default = doc.default if doc.default is not ABSENT else None
    # What is written below is the default or an example already; an empty one says nothing by itself.
    if default in ("", [], {}) and doc.examples:
        example = next((each for each in doc.examples if each not in ("", [], {})), None)
        if example is not None:
            facts += f"; e.g. {_flow(example)}"
    sentences = [f"{doc.description.rstrip('.')} ({facts})." if facts else doc.description]
    for rule in component.facts:
        sentences += [
            f"{_flow(value)} where {rule.fact} is {_flow(rule.equals)}."
            for dotted, value in rule.set.items()
            if parse_path(dotted) == path
        ]
    sentences += [f"Comes from global.{rule.key}." for rule in component.globals if parse_path(rule.path) == path]
    return " ".join(sentences)


def _flow(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _one_line(value: JsonValue) -> str:
    """YAML in flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_one_line(key)}: {_one_line(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_one_line, value)) + "]"
    text = dump(value).splitlines()[0]
    return json.dumps(value, ensure_ascii=False) if set(text) & set(",[]{}") else text


def _branch(branch: _Branch, width: int) -> Iterator[str]:
    for key, below in branch.below.items():
        if isinstance(below, _Leaf):
            yield from _prose(below.text, width=width)
            yield from dump({key: below.value}).splitlines()
        else:
            yield dump({key: None}).splitlines()[0].removesuffix(" null")
            yield from (f"  {line}" for line in _branch(below, width - 2))


def _described(key: str) -> str:
    return text_at(stack_schema(), "properties", key, "description")


def _prose(text: str, indent: str = "", *, width: int = WIDTH) -> list[str]:
    room = max(50, width - len(indent) - 3)
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return [f"{indent}## {line}" for line in lines]


def _suggested(lines: list[str], indent: str) -> list[str]:
    return [f"# {indent}{line}" for line in lines]
