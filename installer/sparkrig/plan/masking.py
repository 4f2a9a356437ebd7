"""What may be shown of two versions of a document: secrets masked, their change still visible. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sparkrig.plan.changes import ABSENT
from sparkrig.plan.fields import Difference, Path, comparable, is_secret, value_at, with_value
from sparkrig.stack.explain_secrets import HIDDEN, conceal, is_secret_name

MASKED: Final = "<masked>"
CHANGED: Final = "<masked, changed>"

_KEY: Final = re.compile(r"""(?<![\w.-])([\w.-]{0,80}\w)["']?\s*[:=]\s*""")
"""``key: value``, ``key=value`` and ``"key": "value"`` inside a text such as a configuration file."""
_VALUE: Final = re.compile(r"""(?P<quote>["'])(?:\\.|(?!(?P=quote)).)*(?P=quote)|[^\s{\[][^,;&}]*""")
_BLOCK: Final = frozenset({"|", ">", "|-", ">-", "|+", ">+", ""})
"""What stands behind a key in YAML whose value is on the following lines."""


def masked_object(item: Mapping[str, Any]) -> dict[str, Any]:
    """A Kubernetes object as it may be shown, in the form in which it is compared."""
    shown = comparable(item)
    if item.get("kind") == "CustomResourceDefinition":
        return shown  # a schema holds no values, but properties that are called like secrets
    if is_secret(item):
        data = dict.fromkeys(shown.get("data") or {}, MASKED)
        return {**shown, "data": data} if data else shown
    return _with_texts_masked(_masked(conceal((), shown)))  # type: ignore[no-any-return]


def masked_values(values: Mapping[str, Any], schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Chart values as they may be shown; a schema may name further secrets."""
    return _with_texts_masked(_masked(conceal((), values, schema)))  # type: ignore[no-any-return]


def masked_text(text: str) -> str:
    """A text with the values of what looks like secrets inside replaced."""
    lines: list[str] = []
    inside: int | None = None
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        if inside is not None and (not line.strip() or indent > inside):
            lines.append(" " * indent + MASKED if line.strip() else line)
            continue
        shown, begins_block = _masked_line(line)
        inside = indent if begins_block else None
        lines.append(shown)
    return "\n".join(lines)


def _masked_line(line: str) -> tuple[str, bool]:
    """The line, and whether the value of a secret stands on the lines below it."""
    text, at = "", 0
    while found := _KEY.search(line, at):
        text += line[at : found.end()]
        at = found.end()
        if not is_secret_name(found[1]):
            continue
        if line[at:].strip() in _BLOCK:
            return text + line[at:], True
        value = _VALUE.match(line, at)
        if value and value[0].strip(" \"'") not in ("true", "false", "null", ""):
            quote = value["quote"] or ""
            text += f"{quote}{MASKED}{quote}"
            at = value.end()
    return text + line[at:], False


def shown_differences(
    differences: Iterable[Difference], before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[list[tuple[Path, Any, Any]], dict[str, Any]]:
    """The differences with values as ``before`` and ``after`` (masked documents) show them.

    Where both sides are masked alike the new one says that it changed, in the returned copy of
    ``after`` too.
    """
    shown = []
    marked: Any = dict(after)
    for difference in differences:
        old, new = value_at(before, difference.path), value_at(after, difference.path)
        if _has_mask(old) and _has_mask(new):
            new = _replaced(new, lambda text: text.replace(MASKED, CHANGED))
            marked = with_value(marked, difference.path, new)
        shown.append((difference.path, old, new))
    return shown, marked


def _masked(value: Any) -> Any:
    return _replaced(value, lambda text: text.replace(HIDDEN, MASKED))


def _with_texts_masked(value: Any) -> Any:
    return _replaced(value, lambda text: masked_text(text) if ":" in text or "=" in text else text)


def _replaced(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def _has_mask(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_mask(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_mask(item) for item in value)
    return value is not ABSENT and isinstance(value, str) and MASKED in value
