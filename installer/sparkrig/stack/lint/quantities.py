"""Quantities, durations, names and labels that Kubernetes will refuse, told by where they stand. Pure.

Schemas of ours say ``format: quantity`` and the like, and their own check speaks then. This is for
the rest of an upstream chart's values: ``resources`` and labels are Kubernetes' own words everywhere,
and where a chart's default is a duration or a quantity, so must be what replaces it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sparkrig.models.problem import Problem, Severity
from sparkrig.yaml.formats import (
    is_dns_subdomain,
    is_duration,
    is_label_key,
    is_label_value,
    is_prometheus_duration,
    is_quantity,
)
from sparkrig.yaml.misreading import misreading
from sparkrig.yaml.nodes import Entry, MapNode, Node, Path, ScalarNode, find
from sparkrig.yaml.phrases import found, path_text
from sparkrig.yaml.schema import did_you_mean
from sparkrig.yaml.setflag import is_flag

_RESOURCES: Final = re.compile(r"(?i)resources$")
RESOURCES: Final = ("cpu", "memory", "ephemeral-storage", "storage")
_LABELS = re.compile(r"(?:^l|L)abels$|^nodeSelector$")
_FREE_LABELS = re.compile(r"(?i)external|rule|metric|target|drop|keep|join")
"""Labels of time series, whose values are free text."""
_ANNOTATIONS = re.compile(r"(?:^a|A)nnotations$")
_NAMES = re.compile(
    r"^(?:namespace(?:Override)?|(?:service[aA]ccount|storageClass|ingressClass|priorityClass|secret|runtimeClass)Name"
    r"|existingSecret(?:Name)?|existingClaim)$"
)
_UNIT = re.compile(r"[0-9](?:[KMGTPE]i|[MGTP])$")
_TIME = re.compile(r"^(?:[0-9]+(?:ms|s|m|h|d|w|y))+$")
_TEMPLATE = "{{"


def bad_texts(users: MapNode, subject: str, defaults: Node | None) -> list[Problem]:
    """What of the user's values Kubernetes, or the program behind it, cannot take."""
    return list(_walk(users, (), subject, defaults))


def _walk(node: MapNode, path: Path, subject: str, defaults: Node | None) -> Iterator[Problem]:
    for key, entry in node.entries.items():
        here = (*path, key)
        below = entry.node
        if isinstance(below, MapNode):
            if _LABELS.search(key) and not _FREE_LABELS.search(key):
                yield from _labels(below, here, subject)
            elif _ANNOTATIONS.search(key):
                yield from _annotations(below, here, subject)
            yield from _walk(below, here, subject, defaults)
        elif isinstance(below, ScalarNode) and below.value is not None:
            yield from _leaf(entry, below, here, subject, find(defaults, here) if defaults is not None else None)


def _leaf(entry: Entry, node: ScalarNode, path: Path, subject: str, default: Node | None) -> Iterator[Problem]:
    name, value = path_text(subject, path), node.value
    if isinstance(value, str) and _TEMPLATE in value:
        return
    if _is_amount(path):
        yield from _resource(entry, path, subject)
        if isinstance(value, bool) or (isinstance(value, str) and not is_quantity(value)):
            message = f"{name} is {found(value)}, expected a quantity such as 500m, 2 or 10Gi"
            yield _problem(Severity.ERROR, "bad-quantity", message, node, _almost(value))
        return
    if _NAMES.match(entry.key) and isinstance(value, str) and value and not is_dns_subdomain(value):
        message = f"{name} is {found(value)}, expected a name: lower-case letters, digits, dashes and dots"
        yield _problem(Severity.WARNING, "bad-name", message, node, None)
        return
    text = default.value if isinstance(default, ScalarNode) else None
    if isinstance(text, str) and not isinstance(value, bool):
        yield from _like_default(text, node, name)


def _resource(entry: Entry, path: Path, subject: str) -> Iterator[Problem]:
    """Resources without a domain are Kubernetes' own."""
    key = entry.key
    if "/" in key or key in RESOURCES or key.startswith("hugepages-") or _TEMPLATE in key:
        return
    close = did_you_mean(key, RESOURCES)
    message = f"{path_text(subject, path[:-1])} has no resource '{key}'"
    hint = f"Kubernetes knows {', '.join(RESOURCES)}, and names with a domain such as example.org/gpu"
    label = f"did you mean '{close}'?" if close else None
    position = entry.position
    where = position.file if is_flag(position) else None
    yield Problem(Severity.ERROR, "unknown-resource", message, position, where, label, hint)


def _is_amount(path: Path) -> bool:
    return (
        len(path) >= 3
        and path[-2] in ("limits", "requests")
        and isinstance(path[-3], str)
        and _RESOURCES.search(path[-3]) is not None
    )


def _like_default(default: str, node: ScalarNode, name: str) -> Iterator[Problem]:
    value = node.value
    if _TIME.match(default):
        if isinstance(value, str) and value and not (is_duration(value) or is_prometheus_duration(value)):
            if not is_quantity(value) or not is_quantity(default):
                message = f"{name} is {found(value)}, expected a duration such as 30s or 5m; the default is {default}"
                yield _problem(Severity.WARNING, "bad-duration", message, node, None)
        elif isinstance(value, int | float) and value != 0:
            message = f"{name} is {found(value)} without a unit, expected a duration; the default is {default}"
            yield _problem(Severity.WARNING, "bad-duration", message, node, f"write it with its unit, e.g. {value}s")
    elif _UNIT.search(default) and is_quantity(default) and isinstance(value, str) and value and not is_quantity(value):
        message = f"{name} is {found(value)}, expected a quantity such as 10Gi; the default is {default}"
        yield _problem(Severity.WARNING, "bad-quantity", message, node, _almost(value))


def _almost(value: object) -> str | None:
    """The usual slips: a unit's B, its case, a blank."""
    if not isinstance(value, str):
        return None
    tries = (value.replace(" ", ""), re.sub(r"(?i)b$", "", value.replace(" ", "")))
    for text in (*tries, *(_cased(text) for text in tries)):
        if text != value and text and is_quantity(text):
            return f"did you mean '{text}'?"
    return None


def _cased(text: str) -> str:
    match = re.fullmatch(r"([0-9.]+)([kmgtpe])(i?)", text, re.IGNORECASE)
    if match is None:
        return text
    return f"{match[1]}{match[2].upper() if match[3] or match[2].lower() != 'k' else 'k'}{match[3].lower()}"


def _labels(node: MapNode, path: Path, subject: str) -> Iterator[Problem]:
    for key, entry in node.entries.items():
        name = path_text(subject, (*path, key))
        yield from _bad_key(entry, path, subject)
        value = entry.node.value if isinstance(entry.node, ScalarNode) else None
        if isinstance(value, str) and _TEMPLATE not in value and not is_label_value(value):
            message = f"{name} is {found(value)}, expected a label value: letters, digits, '-', '_' and '.', 63 at most"
            yield _problem(Severity.WARNING, "bad-label", message, entry.node, None)
        yield from _not_text(entry, name, "a label")


def _annotations(node: MapNode, path: Path, subject: str) -> Iterator[Problem]:
    for key, entry in node.entries.items():
        yield from _bad_key(entry, path, subject)
        yield from _not_text(entry, path_text(subject, (*path, key)), "an annotation")


def _bad_key(entry: Entry, path: Path, subject: str) -> Iterator[Problem]:
    if isinstance(entry.node, ScalarNode) and _TEMPLATE not in entry.key and not is_label_key(entry.key):
        message = f"{path_text(subject, path)}: '{entry.key}' is no key that Kubernetes takes"
        hint = "a key is a name such as app, or a DNS name, a slash and a name"
        position = entry.position
        yield Problem(
            Severity.WARNING, "bad-label", message, position, position.file if is_flag(position) else None, hint=hint
        )


def _not_text(entry: Entry, name: str, what: str) -> Iterator[Problem]:
    node = entry.node
    if isinstance(node, ScalarNode) and isinstance(node.value, bool | int | float):
        message = f"{name} is {found(node.value)}, expected a text: Kubernetes refuses {what} of another type"
        misread = misreading(node)
        label = f"{misread.message}: put it in quotes" if misread else "put it in quotes"
        yield _problem(Severity.WARNING, "not-text", message, node, label)


def _problem(severity: Severity, code: str, message: str, node: Node, label: str | None) -> Problem:
    position = node.position
    return Problem(severity, code, message, position, position.file if is_flag(position) else None, label)
