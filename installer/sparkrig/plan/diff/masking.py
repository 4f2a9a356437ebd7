"""What may be shown of two versions of a document: secrets masked, their change still visible. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sparkrig.models.json import mapping_at
from sparkrig.plan.diff.changes import ABSENT
from sparkrig.plan.diff.fields import Difference, Path, comparable, is_secret, value_at, with_value
from sparkrig.stack.explain.secrets import conceal
from sparkrig.yaml.secret_names import HIDDEN, with_texts_covered

MASKED: Final = "<masked>"
CHANGED: Final = "<masked, changed>"


def masked_object(item: Mapping[str, Any]) -> dict[str, Any]:
    """A Kubernetes object as it may be shown, in the form in which it is compared."""
    shown = comparable(item)
    if item.get("kind") == "CustomResourceDefinition":
        return shown  # a schema holds no values, but properties that are called like secrets
    if is_secret(item):
        data = dict.fromkeys(shown.get("data") or {}, MASKED)
        return {**shown, "data": data} if data else shown
    return dict(mapping_at(with_texts_covered(_masked(conceal((), shown)), MASKED)))


def masked_values(values: Mapping[str, Any], schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Chart values as they may be shown; a schema may name further secrets."""
    return dict(mapping_at(with_texts_covered(_masked(conceal((), values, schema)), MASKED)))


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
