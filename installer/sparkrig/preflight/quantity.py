"""Kubernetes quantities as exact numbers, and numbers as a person reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from sparkrig.models.json import JsonValue, mapping_at

_UNITS: Final[Mapping[str, Decimal]] = {
    "": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "E": Decimal(10**18), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip
_FORM: Final = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([numkMGTPE]|[KMGTPE]i)?)")
BYTES: Final = ("memory", "ephemeral-storage", "storage", "hugepages-")

Amounts = dict[str, Decimal]
"""Resource name -> amount: cores, bytes, pieces."""


def parse(text: JsonValue) -> Decimal:
    """A quantity such as ``500m``, ``1.5Gi`` or ``1e3``; 0 for what is none."""
    match = _FORM.fullmatch(str(text).strip())
    if match is None:
        return Decimal(0)
    try:
        return Decimal(match[1] + (match[2] or "")) * _UNITS[match[3] or ""]
    except InvalidOperation:
        return Decimal(0)


def amounts(item: JsonValue, *path: str) -> Amounts:
    """The map of quantities at a path as a map of numbers."""
    return {name: parse(value) for name, value in mapping_at(item, *path).items()}


def total(many: Iterable[Mapping[str, Decimal]]) -> Amounts:
    """The sum, resource by resource."""
    result: Amounts = {}
    for one in many:
        for name, amount in one.items():
            result[name] = result.get(name, Decimal(0)) + amount
    return result


def highest(many: Iterable[Mapping[str, Decimal]]) -> Amounts:
    """The largest of each resource."""
    result: Amounts = {}
    for one in many:
        for name, amount in one.items():
            result[name] = max(result.get(name, amount), amount)
    return result


def shown(resource: str, amount: Decimal) -> str:
    """``1.5Gi`` for bytes, ``250m`` below one core, else the number."""
    if any(part in resource for part in BYTES):
        for unit in ("Ti", "Gi", "Mi", "Ki"):
            if abs(amount) >= _UNITS[unit]:
                return f"{_plain(amount / _UNITS[unit])}{unit}"
        return _plain(amount)
    if "cpu" in resource and 0 < abs(amount) < 1:
        return f"{_plain(amount * 1000)}m"
    return _plain(amount)


def _plain(number: Decimal) -> str:
    text = f"{number.quantize(Decimal('0.1')):f}"
    return text.removesuffix(".0")
