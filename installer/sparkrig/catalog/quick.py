"""Says quickly whether a document is valid, where the common keywords are enough to tell. Pure.

jsonschema costs 85 ms to import, more than reading a whole catalogue, and almost every document is
valid. So this is asked first; only what it does not find valid gets the full check, which also has
the words. Answers are True, False or None for "cannot tell", so that ``not`` and ``if`` stay right.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from sparkrig.documents.formats import FORMATS
from sparkrig.documents.nodes import Entry, ListNode, MapNode, Node, ScalarNode, to_python

Schema = Mapping[str, Any]
Answer: TypeAlias = bool | None


def surely_valid(node: Node, schema: Any) -> bool:
    """True when ``node`` meets ``schema``; False when it does not, or when that cannot be told here."""
    try:
        return _Check(schema).valid(node, schema) is True
    except RecursionError:  # a schema that refers to itself without going down the document
        return False


class _Check:
    def __init__(self, root: Any) -> None:
        self.root = root

    def valid(self, node: Node, schema: Any) -> Answer:
        if not isinstance(schema, Mapping):
            return schema if isinstance(schema, bool) else None
        answer: Answer = True
        for keyword, argument in schema.items():
            if keyword in _IGNORED or keyword.startswith("x-"):
                continue
            test = _TESTS.get(keyword)
            found = test(self, node, argument, schema) if test is not None else None
            if found is False:
                answer = False
                break
            if found is None:
                answer = None
        if "$ref" not in schema:
            return answer
        # Draft 7 ignores what stands beside a $ref, later drafts do not: only a yes of both is certain.
        target = self.valid(node, self.target(schema["$ref"]))
        return target if answer is True else None

    def target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return None
        found: Any = self.root
        for step in reference[2:].split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found


_IGNORED: Final = frozenset(
    {"$schema", "$id", "$comment", "$ref", "title", "description", "default", "examples", "definitions", "$defs",
     "deprecated", "then", "else"}
)  # fmt: skip


def _all(answers: Iterable[Answer]) -> Answer:
    unsure = False
    for answer in answers:
        if answer is False:
            return False
        unsure |= answer is None
    return None if unsure else True


def _any(answers: Iterable[Answer]) -> Answer:
    return _not(_all(map(_not, answers)))


def _not(answer: Answer) -> Answer:
    return None if answer is None else not answer


def _type(_check: _Check, node: Node, argument: Any, _schema: Schema) -> Answer:
    names = (argument,) if isinstance(argument, str) else argument
    return any(name in _type_names(node) for name in names)


def _type_names(node: Node) -> tuple[str, ...]:
    if not isinstance(node, ScalarNode):
        return ("object",) if isinstance(node, MapNode) else ("array",)
    match node.value:
        case None:
            return ("null",)
        case bool():
            return ("boolean",)
        case int():
            return ("integer", "number")
        case float() as number:
            return ("integer", "number") if number.is_integer() else ("number",)
        case _:
            return ("string",)


def _same(node: Node, wanted: Any) -> Answer:
    if isinstance(wanted, list | Mapping):
        return None if not isinstance(node, ScalarNode) else False
    if not isinstance(node, ScalarNode):
        return False
    return node.value == wanted and isinstance(node.value, bool) == isinstance(wanted, bool)


def _entries(node: Node) -> Mapping[str, Entry]:
    return node.entries if isinstance(node, MapNode) else {}


def _items(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, ListNode) else ()


def _properties(check: _Check, node: Node, argument: Any, _schema: Schema) -> Answer:
    return _all(check.valid(entry.node, argument[name]) for name, entry in _entries(node).items() if name in argument)


def _additional(check: _Check, node: Node, argument: Any, schema: Schema) -> Answer:
    known = schema.get("properties", {})
    patterns = [_compiled(pattern) for pattern in schema.get("patternProperties", {})]
    return _all(
        check.valid(entry.node, argument)
        for name, entry in _entries(node).items()
        if name not in known and not any(pattern.search(name) for pattern in patterns)
    )


def _pattern_properties(check: _Check, node: Node, argument: Any, _schema: Schema) -> Answer:
    return _all(
        check.valid(entry.node, schema)
        for pattern, schema in argument.items()
        for name, entry in _entries(node).items()
        if _compiled(pattern).search(name)
    )


def _property_names(check: _Check, node: Node, argument: Any, _schema: Schema) -> Answer:
    return _all(check.valid(ScalarNode(name, entry.position, name), argument) for name, entry in _entries(node).items())


def _list_items(check: _Check, node: Node, argument: Any, _schema: Schema) -> Answer:
    if isinstance(argument, list):
        return None
    return _all(check.valid(item, argument) for item in _items(node))


def _contains(check: _Check, node: Node, argument: Any, _schema: Schema) -> Answer:
    return not isinstance(node, ListNode) or _any(check.valid(item, argument) for item in node.items)


def _one_of(check: _Check, node: Node, argument: Any, _schema: Schema) -> Answer:
    answers = [check.valid(node, schema) for schema in argument]
    if answers.count(True) > 1:
        return False
    return None if None in answers else True in answers


def _if(check: _Check, node: Node, argument: Any, schema: Schema) -> Answer:
    condition = check.valid(node, argument)
    if condition is None:
        return None
    return check.valid(node, schema.get("then" if condition else "else", True))


def _required(_check: _Check, node: Node, names: Any, _schema: Schema) -> Answer:
    return not isinstance(node, MapNode) or all(name in node.entries for name in names)


def _dependencies(check: _Check, node: Node, argument: Any, _schema: Schema) -> Answer:
    entries = _entries(node)
    return _all(
        all(name in entries for name in wanted) if isinstance(wanted, list) else check.valid(node, wanted)
        for key, wanted in argument.items()
        if key in entries
    )


def _unique(_check: _Check, node: Node, argument: Any, _schema: Schema) -> Answer:
    items = [to_python(item) for item in _items(node)]
    # Python takes 1 and True for the same, JSON does not.
    return True if not argument or all(item not in items[:index] for index, item in enumerate(items)) else None


def _pattern(_check: _Check, node: Node, pattern: Any, _schema: Schema) -> Answer:
    value = node.value if isinstance(node, ScalarNode) else None
    return not isinstance(value, str) or _compiled(pattern).search(value) is not None


def _format(_check: _Check, node: Node, name: Any, _schema: Schema) -> Answer:
    value = node.value if isinstance(node, ScalarNode) else None
    known = FORMATS.get(name)
    return known is None or not isinstance(value, str) or known.accepts(value)


def _length(compare: Callable[[int, int], bool]) -> Test:
    def test(_check: _Check, node: Node, limit: Any, _schema: Schema) -> Answer:
        value = node.value if isinstance(node, ScalarNode) else None
        return not isinstance(value, str) or compare(len(value), limit)

    return test


def _count(kind: type[ListNode | MapNode], compare: Callable[[int, int], bool]) -> Test:
    def test(_check: _Check, node: Node, limit: Any, _schema: Schema) -> Answer:
        return not isinstance(node, kind) or compare(len(_items(node)) + len(_entries(node)), limit)

    return test


def _number(compare: Callable[[float, float], bool]) -> Test:
    def test(_check: _Check, node: Node, limit: Any, _schema: Schema) -> Answer:
        value = node.value if isinstance(node, ScalarNode) else None
        return not isinstance(value, int | float) or isinstance(value, bool) or compare(value, limit)

    return test


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _at_least(found: float, limit: float) -> bool:
    return found >= limit


def _at_most(found: float, limit: float) -> bool:
    return found <= limit


Test: TypeAlias = Callable[[_Check, Node, Any, Schema], Answer]
_TESTS: Final[Mapping[str, Test]] = {
    "type": _type,
    "const": lambda _check, node, wanted, _schema: _same(node, wanted),
    "enum": lambda _check, node, wanted, _schema: _any(_same(node, value) for value in wanted),
    "required": _required,
    "dependencies": _dependencies,
    "properties": _properties,
    "additionalProperties": _additional,
    "patternProperties": _pattern_properties,
    "propertyNames": _property_names,
    "items": _list_items,
    "contains": _contains,
    "uniqueItems": _unique,
    "minItems": _count(ListNode, _at_least),
    "maxItems": _count(ListNode, _at_most),
    "minProperties": _count(MapNode, _at_least),
    "maxProperties": _count(MapNode, _at_most),
    "minLength": _length(_at_least),
    "maxLength": _length(_at_most),
    "pattern": _pattern,
    "format": _format,
    "minimum": _number(_at_least),
    "maximum": _number(_at_most),
    "exclusiveMinimum": _number(lambda found, limit: found > limit),
    "exclusiveMaximum": _number(lambda found, limit: found < limit),
    "allOf": lambda check, node, schemas, _schema: _all(check.valid(node, schema) for schema in schemas),
    "anyOf": lambda check, node, schemas, _schema: _any(check.valid(node, schema) for schema in schemas),
    "oneOf": _one_of,
    "not": lambda check, node, schema, _schema: _not(check.valid(node, schema)),
    "if": _if,
}
