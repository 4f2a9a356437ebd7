"""Checks rendered objects against the schemas of Kubernetes and of the charts' own CRDs. Pure.

What is found is a complaint about an object; ``manifests_cause`` leads it back to a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sparkrig.models.json import JsonObject, JsonValue, mapping_at, name_of, sequence_at, texts_at
from sparkrig.stack.manifests.api import ApiSchemas
from sparkrig.stack.manifests.crds import CrdSchemas
from sparkrig.stack.manifests.removed import removed
from sparkrig.yaml.nodes import Path, show_path
from sparkrig.yaml.phrases import Failure, found, phrase
from sparkrig.yaml.schema import did_you_mean, known_keys

MAX_COMPLAINTS: Final = 20
"""Of one object; more of them have the same cause."""
_SECRET = "Secret"  # noqa: S105  (a kind)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that the API server would refuse in one rendered object."""

    index: int
    """Of the object among those rendered."""
    api_version: str
    kind: str
    name: str
    path: Path
    """In the object; empty for the object as a whole."""
    message: str
    value: JsonValue = None
    """The offending value; None for an object as a whole, and in a Secret."""
    key: str | None = None
    """The field that is not known."""
    no_api: bool = False
    """The object's API version is the trouble; ``message`` then names the object."""

    @property
    def subject(self) -> str:
        """``Deployment web``."""
        return f"{self.kind} {self.name}"


def check_objects(
    objects: Sequence[JsonObject], api: ApiSchemas | None, crds: CrdSchemas, kubernetes: str | None
) -> list[Complaint]:
    """Everything that is wrong with rendered objects. ``kubernetes`` is the version they are for."""
    return [complaint for index, item in enumerate(objects) for complaint in _check(index, item, api, crds, kubernetes)]


def _check(
    index: int, item: JsonObject, api: ApiSchemas | None, crds: CrdSchemas, kubernetes: str | None
) -> Iterator[Complaint]:
    api_version, kind = str(item.get("apiVersion", "")), str(item.get("kind", ""))
    name = name_of(item)

    def no_api(message: str) -> Complaint:
        return Complaint(index, api_version, kind, name, ("apiVersion",), message, api_version, None, True)

    def complaint(path: Path, message: str, value: JsonValue = None, key: str | None = None) -> Complaint:
        if kind == _SECRET and path:
            # What a Secret holds is in no message.
            message, value = f"{show_path(path)} is not what Kubernetes takes there", None
        return Complaint(index, api_version, kind, name, path, message, value, key)

    gone = removed(api_version, kind, kubernetes) if kubernetes else None
    if gone is not None:
        yield no_api(f"{kind} {name} is of {api_version}, which Kubernetes removed in {gone}")
        return
    schema = crds.schema(api_version, kind) or (api.schema(api_version, kind) if api is not None else None)
    if schema is None:
        yield from _unknown(no_api, api_version, kind, name, api, crds)
        return
    plain = _without_nulls(item, schema)
    for path, message, value, key in list(_errors(plain, schema))[:MAX_COMPLAINTS]:
        yield complaint(path, message, value, key)


def _unknown(
    no_api: Callable[[str], Complaint], api_version: str, kind: str, name: str, api: ApiSchemas | None, crds: CrdSchemas
) -> Iterator[Complaint]:
    if crds.brings(api_version, kind):
        yield no_api(f"{kind} {name} is of {api_version}, a version that its CRD does not serve")
        return
    elsewhere = api.elsewhere(api_version, kind) if api is not None else None
    if api is not None and elsewhere is not None:
        when = f"comes with Kubernetes {elsewhere.elsewhere}" if elsewhere.newer else (
            f"was last in Kubernetes {elsewhere.elsewhere}"
        )  # fmt: skip
        yield no_api(f"{kind} {name} is of {api_version}, which {when}, not {api.version}")


def _errors(item: JsonValue, schema: JsonObject) -> Iterator[tuple[Path, str, JsonValue, str | None]]:
    from jsonschema import Draft202012Validator

    seen: set[tuple[Path, str | None]] = set()
    validator: Any = Draft202012Validator(schema)
    for error in validator.iter_errors(item):
        for path, message, value, key in _said(error):
            if (path, key) not in seen:
                seen.add((path, key))
                yield path, message, value, key


def _said(error: Failure) -> Iterator[tuple[Path, str, JsonValue, str | None]]:
    path: Path = tuple(error.absolute_path)
    where = show_path(path) or "the object"
    if error.validator == "additionalProperties":
        known = known_keys(error.schema)
        for key, value in mapping_at(error.instance).items():
            if key not in known:
                close = did_you_mean(str(key), known)
                meant = f", did you mean '{close}'?" if close else ""
                yield (*path, key), f"{where} has no field '{key}'{meant}", value, str(key)
    elif error.validator == "required":
        for key in texts_at(error.validator_value):
            if key not in mapping_at(error.instance):
                yield path, f"{where} lacks '{key}'", None, None
    elif error.validator in ("anyOf", "oneOf"):
        yield path, f"{where} is {found(error.instance)}, which Kubernetes refuses", error.instance, None
    else:
        message, _ = phrase(error, where)
        yield path, message, error.instance, None


def _without_nulls(value: JsonValue, schema: JsonValue) -> JsonValue:
    """The API server takes a null for a field that is not there, but where the schema of a CRD allows nulls."""
    below = schema if isinstance(schema, Mapping) else {}
    if isinstance(value, Mapping):
        fields, others = mapping_at(below, "properties"), below.get("additionalProperties")
        known = {str(key): fields.get(key, others) for key in value}
        return {
            str(key): _without_nulls(item, known[str(key)])
            for key, item in value.items()
            if item is not None or _nullable(known[str(key)])
        }
    if isinstance(value, list):
        return [_without_nulls(item, below.get("items")) for item in value]
    return value


def _nullable(schema: JsonValue) -> bool:
    return "null" in sequence_at(schema, "type")
