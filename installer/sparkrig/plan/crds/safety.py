"""What a new version of a CRD would do to the custom resources that are there. Pure.

Compares two CustomResourceDefinitions (``apiextensions.k8s.io/v1``) as the API server treats them:
fields that no schema names are pruned when an object is next written, values that a schema refuses
block every later write, a version that is no longer served breaks who asks for it, and a version
that objects are stored in cannot be dropped before they are rewritten. ``crd_use`` says which custom
resources a danger reaches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Schema = Mapping[str, Any]
Path = tuple[str, ...]
"""Steps into a custom resource; ``[]`` stands for every item of a list, ``*`` for every key of a map."""

HOPELESS: Final = frozenset({"scope-changed", "kind-changed"})
"""The API server refuses these for a CRD that is established: it has to be deleted and made anew."""
NOTES: Final = frozenset({"rule-added"})
"""Rules that only the API server can judge; it spares unchanged values of existing objects (1.30 and newer)."""

_LOWER: Final = {"maximum": "at most", "maxLength": "at most", "maxItems": "at most", "maxProperties": "at most"}
_HIGHER: Final = {"minimum": "at least", "minLength": "at least", "minItems": "at least", "minProperties": "at least"}
_COMBINED: Final = ("allOf", "anyOf", "oneOf", "not")
_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"


@dataclass(frozen=True, slots=True)
class Danger:
    """One thing in a CRD's new version that can hurt custom resources or those who use them."""

    code: str
    """``scope-changed``, ``kind-changed``, ``conversion-changed``, ``stored-version-dropped``, ``version-removed``,
    ``field-removed``, ``unknown-fields-pruned``, ``field-required``, ``type-narrowed``, ``enum-narrowed``,
    ``pattern-narrowed``, ``format-narrowed``, ``limit-narrowed`` or ``rule-added``."""
    message: str
    """One sentence without the place."""
    version: str = ""
    """Of the old CRD; empty for what concerns all of it."""
    path: Path = ()
    rule: Schema = field(default_factory=dict, compare=False, repr=False)
    """The new schema at ``path``, by which values are judged."""

    @property
    def place(self) -> str:
        """``v1 spec.items[].name``; empty for what concerns the whole CRD."""
        return f"{self.version} {shown(self.path)}".strip()

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


def shown(path: Path) -> str:
    """``spec.items[].name`` of the steps."""
    return ".".join(path).replace(".[]", "[]")


def dangers(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Danger, ...]:
    """Everything dangerous in going from ``old``, as it is in the cluster, to ``new``; empty for none.

    What a schema only allows in addition is no danger, nor is a field that becomes required and has
    a default.
    """
    before, after = old["spec"], new["spec"]
    return (
        *_whole(before, after, owned=_conversion_is_ours(old)),
        *_versions(before, after, stored_versions(old)),
        *_schemas(before, after, stored_versions(old)),
    )


def stored_versions(crd: Mapping[str, Any]) -> tuple[str, ...]:
    """The versions in which objects may be stored, as the API server remembers them."""
    return tuple((crd.get("status") or {}).get("storedVersions") or ())


def storage_version(spec: Mapping[str, Any]) -> str:
    """The version in which objects are written."""
    return str(next((v["name"] for v in spec["versions"] if v.get("storage")), spec["versions"][0]["name"]))


def strategy(spec: Mapping[str, Any]) -> str:
    """``None`` or ``Webhook``."""
    return str((spec.get("conversion") or {}).get("strategy") or "None")


def _whole(before: Mapping[str, Any], after: Mapping[str, Any], *, owned: bool) -> Iterator[Danger]:
    if before["scope"] != after.get("scope"):
        yield Danger("scope-changed", f"the scope changes from {before['scope']} to {after.get('scope')}")
    old, new = before["names"]["kind"], after["names"]["kind"]
    if old != new:
        yield Danger("kind-changed", f"the kind changes from {old} to {new}")
    # Without a word of it in the new one, a conversion that somebody else set stays as it is.
    if strategy(before) != strategy(after) and ("conversion" in after or owned):
        message = f"conversion between versions changes from {strategy(before)} to {strategy(after)}"
        yield Danger("conversion-changed", message)


def _conversion_is_ours(crd: Mapping[str, Any]) -> bool:
    entries = crd["metadata"].get("managedFields") or ()
    return any(
        entry.get("operation") == "Apply" and "f:conversion" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        for entry in entries
    )


def _versions(before: Mapping[str, Any], after: Mapping[str, Any], stored: Sequence[str]) -> Iterator[Danger]:
    new = {version["name"]: version for version in after["versions"]}
    for version in before["versions"]:
        name = version["name"]
        if name in stored and name not in new:
            message = f"custom resources stored as {name} have to be rewritten as {storage_version(after)}"
            yield Danger("stored-version-dropped", message, name)
        if version.get("served") and not new.get(name, {}).get("served"):
            served = ", ".join(v["name"] for v in after["versions"] if v.get("served"))
            yield Danger("version-removed", f"is no longer served (served then: {served or 'nothing'})", name)


def _schemas(before: Mapping[str, Any], after: Mapping[str, Any], stored: Sequence[str]) -> Iterator[Danger]:
    """Each version against itself; one that is dropped, against the version its objects become."""
    new = {version["name"]: version for version in after["versions"]}
    whole = bool(before.get("preserveUnknownFields"))
    for version in before["versions"]:
        name = version["name"]
        if not version.get("served") and name not in stored:
            continue
        if name not in new and (name not in stored or "Webhook" in (strategy(before), strategy(after))):
            continue  # nothing is stored that way, or a webhook decides what becomes of it
        into = new.get(name) or new[storage_version(after)]
        walk = _Walk(name)
        old_schema = _schema(version)
        if whole:
            old_schema = {**old_schema, _PRESERVE: True, "type": "object"}
        walk.compare(old_schema, _schema(into), ())
        yield from walk.found


def _schema(version: Mapping[str, Any]) -> Schema:
    schema: Schema = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object", _PRESERVE: True}
    return schema


class _Walk:
    """Goes through two schemas side by side."""

    def __init__(self, version: str) -> None:
        self._version = version
        self.found: list[Danger] = []

    def compare(self, old: Schema, new: Schema, path: Path) -> None:
        if not path:  # the API server's own fields, whatever a schema says of them
            old, new = _without_own(old), _without_own(new)
        if narrowed := _type_narrowed(old, new):
            self._add("type-narrowed", narrowed, path, new)
            return
        self._values(old, new, path)
        self._required(old, new, path)
        self._fields(old, new, path)
        if isinstance(old.get("items"), Mapping) and isinstance(new.get("items"), Mapping):
            self.compare(old["items"], new["items"], (*path, "[]"))

    def _values(self, old: Schema, new: Schema, path: Path) -> None:
        if message := _enum_narrowed(old, new):
            self._add("enum-narrowed", message, path, new)
        if new.get("pattern") and new["pattern"] != old.get("pattern"):
            message = f"has to match {new['pattern']}" + (f", before {old['pattern']}" if old.get("pattern") else "")
            self._add("pattern-narrowed", message, path, new)
        if new.get("format") and new["format"] != old.get("format") and new["format"] in _FORMATS:
            self._add("format-narrowed", f"has to be a {new['format']}", path, new)
        for message in _limits_narrowed(old, new):
            self._add("limit-narrowed", message, path, new)
        for message in _rules_added(old, new):
            self._add("rule-added", message, path, new)

    def _required(self, old: Schema, new: Schema, path: Path) -> None:
        for name in sorted({*(new.get("required") or ())} - {*(old.get("required") or ())}):
            if "default" not in (properties(new).get(name) or {}):
                self._add("field-required", "becomes required", (*path, name), new)

    def _fields(self, old: Schema, new: Schema, path: Path) -> None:
        known, kept, rest = properties(old), properties(new), values_schema(new)
        if is_open(old) and not is_open(new):
            message = "any field was kept here; those that the schema does not name would be lost"
            self._add("unknown-fields-pruned", message, path, new)
        for name in sorted(known):
            if name in kept:
                self.compare(known[name], kept[name], (*path, name))
            elif rest is not None:
                self.compare(known[name], rest, (*path, name))
            elif not is_open(new):
                self._add("field-removed", "is no longer a field; its values would be lost", (*path, name), new)
        values = values_schema(old)
        if values is not None and rest is not None:
            self.compare(values, rest, (*path, "*"))
        elif values is not None and not is_open(new):
            self._add("field-removed", "keys of one's own are no longer kept", (*path, "*"), new)

    def _add(self, code: str, message: str, path: Path, rule: Schema) -> None:
        self.found.append(Danger(code, message, self._version, path, rule))


_FORMATS: Final = frozenset(
    {"date-time", "date", "duration", "uri", "uuid", "uuid3", "uuid4", "uuid5", "email", "hostname", "ipv4", "ipv6",
     "cidr", "mac", "byte", "bsonobjectid"}
)  # fmt: skip
"""Formats that the API server checks; ``int32`` and others it does not know say nothing."""


def properties(schema: Schema) -> Mapping[str, Schema]:
    """The fields that a schema names."""
    found: Mapping[str, Schema] = schema.get("properties") or {}
    return found


def values_schema(schema: Schema) -> Schema | None:
    """The schema of a map's values, None where it is no map."""
    extra = schema.get("additionalProperties")
    if extra is True:
        return {_PRESERVE: True}
    return extra if isinstance(extra, Mapping) else None


def is_open(schema: Schema) -> bool:
    """True where fields are kept that the schema does not name."""
    return bool(schema.get(_PRESERVE))


def _without_own(schema: Schema) -> Schema:
    own = ("apiVersion", "kind", "metadata")
    return {**schema, "properties": {k: v for k, v in properties(schema).items() if k not in own}}


def types(schema: Schema) -> frozenset[str] | None:
    """The types of JSON that a schema takes, None for any."""
    if schema.get("x-kubernetes-int-or-string"):
        return frozenset({"integer", "string"})
    kind = schema.get("type")
    if not kind:
        return None
    return frozenset({"number", "integer"} if kind == "number" else {kind})


def _type_narrowed(old: Schema, new: Schema) -> str:
    before, after = types(old), types(new)
    if after is not None and before is None and not is_open(old):
        return f"has to be of type {_words(after)}"
    if before is not None and after is not None and not before <= after:
        return f"the type changes from {_words(before)} to {_words(after)}"
    if old.get("nullable") and not new.get("nullable") and "default" not in new:
        return "null is no longer allowed"
    return ""


def _words(kinds: frozenset[str]) -> str:
    return "number" if kinds == {"number", "integer"} else " or ".join(sorted(kinds))


def _enum_narrowed(old: Schema, new: Schema) -> str:
    allowed = new.get("enum")
    if allowed is None:
        return ""
    before = old.get("enum")
    if before is None:
        return f"only {_listed(allowed)} are allowed now"
    gone = [value for value in before if value not in allowed]
    return f"{_listed(gone)} {'is' if len(gone) == 1 else 'are'} no longer allowed" if gone else ""


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in values)


def _limits_narrowed(old: Schema, new: Schema) -> Iterator[str]:
    for key, words in {**_LOWER, **_HIGHER}.items():
        now, before = new.get(key), old.get(key)
        if now is None or (before is None and now == 0 and key in _HIGHER and key != "minimum"):
            continue
        if before is None or (now < before if key in _LOWER else now > before):
            yield f"{key} is {words} {now} now" + (f", before {before}" if before is not None else "")
    for key in ("exclusiveMaximum", "exclusiveMinimum", "uniqueItems"):
        if new.get(key) and not old.get(key):
            yield f"{key} holds now"
    if new.get("multipleOf") and new["multipleOf"] != old.get("multipleOf"):
        yield f"has to be a multiple of {new['multipleOf']}"


def _rules_added(old: Schema, new: Schema) -> Iterator[str]:
    known = {rule.get("rule") for rule in old.get("x-kubernetes-validations") or ()}
    for rule in new.get("x-kubernetes-validations") or ():
        if rule.get("rule") not in known:
            yield f"a new rule has to hold: {rule.get('message') or rule.get('rule')}"
    for key in _COMBINED:
        if key in new and new[key] != old.get(key) and not new.get("x-kubernetes-int-or-string"):
            yield f"{key} holds in another form"
    kind = new.get("x-kubernetes-list-type")
    if kind in ("set", "map") and old.get("x-kubernetes-list-type") != kind:
        yield "its items have to differ from each other"
