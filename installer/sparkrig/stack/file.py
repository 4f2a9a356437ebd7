"""Reads the stack file. Opens that file only; what it names is read by ``stack.layers``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from sparkrig.catalog.build import state_of
from sparkrig.catalog.catalog import DEFAULT_PROFILE, PROFILES
from sparkrig.catalog.sources import SourceTexts
from sparkrig.catalog.validate import check_document, schema_file
from sparkrig.errors import InvalidInput
from sparkrig.models.json import JsonObject, mapping_at
from sparkrig.models.problem import Position, Problem
from sparkrig.models.secret import SecretSpec
from sparkrig.stack.secrets.references import check_secrets
from sparkrig.stack.secrets.wanted import secret_specs
from sparkrig.yaml.nodes import ListNode, MapNode, Node, ScalarNode, Step, find, place, to_python

__all__ = ["ComponentEntry", "NamedFile", "SourceTexts", "StackFile", "load_stack_file", "stack_schema"]

_SCHEMA: Final = Path(__file__).with_name("stack.schema.json")


Existing = Literal["fail", "reuse", "adopt"]


UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that the input names, and where it does."""

    path: Path
    position: Position


@dataclass(frozen=True, slots=True)
class ComponentEntry:
    """What the stack file says about one component."""

    name: str
    position: Position
    """Where its name is written."""
    enabled: Literal["true", "false", "auto"] | None = None
    """None where the file leaves it to the profile."""
    values: MapNode | None = None
    values_files: tuple[NamedFile, ...] = ()
    namespace: str | None = None
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Laid over the component's own."""
    version: str | None = None
    existing: Existing = "fail"
    """What to do where somebody else installed the component already."""
    conflicts: Literal["fail", "take"] = "fail"
    """What to do with fields that somebody else owns."""
    immutable: Literal["fail", "recreate"] = "fail"
    """What to do with objects whose change the API server refuses."""


@dataclass(frozen=True, slots=True)
class StackFile:
    """One stack file as written. Parts that are wrong are left out and have a problem."""

    name: str
    profile: str
    globals: JsonObject
    secrets: tuple[SecretSpec, ...]
    """Where the values of each Secret come from; references only, never resolved here."""
    components: Mapping[str, ComponentEntry]
    path: Path
    file: str
    """The name under which it is shown."""
    text: str
    document: MapNode
    problems: tuple[Problem, ...] = ()
    """What is wrong with the file by itself; ``resolve`` raises it together with all the rest."""
    named: bool = True
    """False when the file gives no valid name: ``name`` is a placeholder then, and ``problems`` says why."""

    def place(self, *path: Step) -> Position:
        """Where the file says something; the nearest parent for what it does not say."""
        return place(self.document, path)


def stack_schema() -> JsonObject:
    """The JSON Schema of the stack file."""
    return schema_file(_SCHEMA)


def load_stack_file(path: Path, sources: SourceTexts | None = None) -> StackFile:
    """Read the stack file at ``path``; its text is kept in ``sources``.

    Raises:
        InvalidInput: the file is not there or is not YAML. Anything less is carried in
            ``StackFile.problems``, so that it is raised together with what else is wrong.
    """
    sources = SourceTexts() if sources is None else sources
    loaded = sources.load_document(path)
    document = loaded.document
    if not isinstance(document, MapNode):
        raise InvalidInput([_unreadable(problem) for problem in loaded.problems], "the stack file cannot be read")
    problems = [*loaded.problems, *check_document(document, stack_schema(), "stack")]
    problems = check_secrets(document, problems)
    name = _text(find(document, ("metadata", "name")))
    at_name = place(document, ("metadata", "name"))
    named = name is not None and not any(_is_about_name(problem, document, at_name) for problem in problems)
    shown = sources.shown(path)
    profile = _text(document.get("profile"))
    return StackFile(
        name=name if named and name is not None else UNNAMED,
        named=named,
        profile=profile if profile in PROFILES else DEFAULT_PROFILE,
        globals=_globals(document, problems),
        secrets=secret_specs(document, path.parent),
        components=_components(document, path.parent),
        path=path,
        file=shown,
        text=sources[shown],
        document=document,
        problems=tuple(problems),
    )


def _unreadable(problem: Problem) -> Problem:
    if problem.position is None or problem.code not in ("no-file", "unreadable-file"):
        return problem
    shown = problem.position.file
    if problem.code == "unreadable-file":
        return replace(problem, position=None, where=shown)
    return replace(
        problem,
        code="no-stack-file",
        message=f"no stack file at {shown}",
        position=None,
        where=shown,
        hint="write one with `sparkrig init`, or name another with -f FILE",
    )


def _is_about_name(problem: Problem, document: MapNode, key: Position) -> bool:
    value = find(document, ("metadata", "name"))
    places = (key, value.position if value is not None else None)
    return problem.position is not None and problem.position in places


def _text(node: Node | None) -> str | None:
    return node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else None


def _globals(document: MapNode, problems: Sequence[Problem]) -> JsonObject:
    """The global settings; one that has a problem would cause more of them in every component."""
    node = document.get("global")
    if not isinstance(node, MapNode):
        return {}
    wrong = {problem.position.line for problem in problems if problem.position is not None}
    known = mapping_at(stack_schema(), "properties", "global", "properties")
    return {
        key: to_python(entry.node)
        for key, entry in node.entries.items()
        if key in known and not {entry.position.line, entry.node.position.line} & wrong
    }


def _components(document: MapNode, folder: Path) -> dict[str, ComponentEntry]:
    node = document.get("components")
    if not isinstance(node, MapNode):
        return {}
    return {name: _entry(name, entry.position, entry.node, folder) for name, entry in node.entries.items()}


def _labels(node: Node | None) -> dict[str, str]:
    entries = node.entries.items() if isinstance(node, MapNode) else ()
    return {key: text for key, entry in entries if (text := _text(entry.node)) is not None}


def _existing(text: str | None) -> Existing:
    return "reuse" if text == "reuse" else "adopt" if text == "adopt" else "fail"


def _entry(name: str, position: Position, node: Node, folder: Path) -> ComponentEntry:
    if not isinstance(node, MapNode):
        return ComponentEntry(name, position)
    values, files, enabled = node.get("values"), node.get("valuesFiles"), node.get("enabled")
    state = state_of(enabled.value) if isinstance(enabled, ScalarNode) else None
    return ComponentEntry(
        name=name,
        position=position,
        enabled=state if state in ("true", "false", "auto") else None,
        values=values if isinstance(values, MapNode) else None,
        values_files=tuple(
            NamedFile(folder / item.value, item.position)
            for item in (files.items if isinstance(files, ListNode) else ())
            if isinstance(item, ScalarNode) and isinstance(item.value, str) and item.value
        ),
        namespace=_text(node.get("namespace")),
        namespace_labels=_labels(node.get("namespaceLabels")),
        version=_text(node.get("version")),
        existing=_existing(_text(node.get("existing"))),
        conflicts="take" if _text(node.get("conflicts")) == "take" else "fail",
        immutable="recreate" if _text(node.get("immutable")) == "recreate" else "fail",
    )
