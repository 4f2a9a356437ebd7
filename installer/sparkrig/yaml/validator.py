"""The validator of jsonschema as sparkrig uses it: it fetches nothing, and only our own formats count."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sparkrig.models.json import JsonObject, JsonValue
from sparkrig.yaml.formats import FORMATS
from sparkrig.yaml.phrases import Failure

if TYPE_CHECKING:
    from jsonschema import FormatChecker, ValidationError

_VALIDATORS: dict[int, tuple[JsonObject, Any]] = {}


def errors(schema: JsonObject, document: JsonValue) -> Iterable[Failure]:
    """Yield what the schema does not allow. Raises jsonschema's and referencing's errors for a schema that is none."""
    found: Iterable[Failure] = _validator(schema).iter_errors(document)
    return found


def _validator(schema: JsonObject) -> Any:
    """A validator, cached by the schema object. No reference is ever fetched."""
    cached = _VALIDATORS.get(id(schema))
    if cached is not None and cached[0] is schema:
        return cached[1]
    from jsonschema import Draft7Validator, validators
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    base = validators.validator_for(schema, default=Draft7Validator)
    extend: Any = validators.extend
    kind = extend(base, {"uniqueItems": _unique_items})
    validator = kind(schema, registry=REGISTRY, format_checker=_format_checker())
    if len(_VALIDATORS) > 256:
        _VALIDATORS.clear()
    _VALIDATORS[id(schema)] = (schema, validator)
    return validator


@functools.cache
def _format_checker() -> FormatChecker:
    """Knows our formats only: what draft 7 and upstream's schemas call a format is not asserted."""
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    for name, known in FORMATS.items():
        checker.checks(name)(lambda value, accepts=known.accepts: not isinstance(value, str) or accepts(value))
    return checker


def _unique_items(
    validator: object,  # noqa: ARG001
    wanted: JsonValue,
    instance: JsonValue,
    schema: JsonValue,  # noqa: ARG001
) -> Iterator[ValidationError]:
    """One error for each item that is in the list already; linear, where jsonschema's own compares all pairs."""
    from jsonschema import ValidationError

    if not wanted or not isinstance(instance, list):
        return
    first: dict[str, int] = {}
    for index, item in enumerate(instance):
        same = first.setdefault(json.dumps(item, sort_keys=True), index)
        if same != index:
            yield ValidationError(f"the same as item [{same}]", path=[index], instance=item)
