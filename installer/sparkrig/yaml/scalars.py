"""The type of a YAML scalar, exactly as Helm reads it. Pure.

Helm decodes YAML with sigs.k8s.io/yaml: go.yaml.in/yaml v2 resolves scalars (YAML 1.1 booleans,
Go's integer prefixes, no base 60), the result becomes JSON, and the JSON is decoded. PyYAML's own
rules differ in every one of these points, so none of them is used here. Verified against helm 4.3.1
by tests/cluster/test_yaml_property.py.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import math
import re
import struct
from typing import Final, Literal, TypeAlias

ScalarKind = Literal["null", "bool", "int", "float", "str", "merge"]
Value: TypeAlias = str | int | float | bool | None

TAG_PREFIX: Final = "tag:yaml.org,2002:"
EXACT_INT: Final = 1 << 53
"""Helm holds every number as a float64: integers from here on lose digits."""

_WORDS: Final[dict[str, tuple[ScalarKind, Value]]] = {"": ("null", None), "~": ("null", None), "<<": ("merge", "<<")}
for _true, _false in (("y", "n"), ("yes", "no"), ("true", "false"), ("on", "off")):
    for _case in (str.lower, str.capitalize, str.upper):
        _WORDS[_case(_true)] = ("bool", True)
        _WORDS[_case(_false)] = ("bool", False)
for _null in ("null", "Null", "NULL"):
    _WORDS[_null] = ("null", None)
for _name in (".nan", ".NaN", ".NAN"):
    _WORDS[_name] = ("float", math.nan)
for _name in (".inf", ".Inf", ".INF"):
    _WORDS[_name] = _WORDS["+" + _name] = ("float", math.inf)
    _WORDS["-" + _name] = ("float", -math.inf)

_INT: Final = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]{0,19}))")
_SIGNED_BINARY: Final = re.compile(r"0b([+-][01]+)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_DOT_FLOAT: Final = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"(?:[Tt][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
    r"| [0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]+)?)?"
)


class WrongTag(ValueError):
    """An explicit tag does not fit the text behind it."""


def resolve(text: str) -> tuple[ScalarKind, Value]:
    """Kind and value of a plain scalar. A whole number written as a float comes back as an int, as JSON has it."""
    known = _WORDS.get(text)
    if known is not None:
        return known
    first = text[0]
    if first in "0123456789+-":
        return _number(text)
    if first == "." and _DOT_FLOAT.fullmatch(text):
        return _float(text.replace("_", ""), text)
    return "str", text


def resolve_tagged(tag: str, text: str) -> tuple[ScalarKind, Value]:
    """Kind and value under an explicit ``!!tag`` (given without its prefix). Raises WrongTag."""
    if tag == "str":
        return "str", text
    if tag == "binary":
        return "str", _binary(text)
    if tag == "timestamp" and _TIMESTAMP.fullmatch(text):
        return "str", text
    kind, value = resolve(text)
    if kind == tag:
        return kind, value
    if tag == "float" and kind == "int" and isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return "float", _whole(float(value))
    raise WrongTag(f"{text!r} is not a !!{tag}")


def key_text(kind: ScalarKind, value: Value) -> str | None:
    """The JSON key that Helm makes of a scalar key; None where it refuses one (null, integers beyond 64 bits)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind == "int" and isinstance(value, int):
        return str(value) if value < 1 << 63 else None
    if isinstance(value, int | float):
        return float_key(float(value))
    return None


def float_key(value: float) -> str:
    """A float as Helm writes it as a key: the shortest text that is the same 32-bit float."""
    try:
        (single,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        single = math.copysign(math.inf, value)
    if math.isnan(single):
        return ".nan"
    if math.isinf(single):
        return ".inf" if single > 0 else "-.inf"
    text, digits = _shortest(single)
    mantissa, exponent = text.split("e")
    power = int(exponent)
    if power < -4 or power >= 6:
        return f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    return f"{float(text):.{max(0, digits - power)}f}"


def _shortest(single: float) -> tuple[str, int]:
    """The shortest decimal that is nearest to this 32-bit float, and its digits behind the point."""
    for digits in range(9):
        text = f"{single:.{digits}e}"
        try:
            if struct.pack("<f", float(text)) == struct.pack("<f", single):
                return text, digits
        except OverflowError:  # rounded up, beyond the largest 32-bit float
            continue
    return f"{single:.9e}", 9


def _number(text: str) -> tuple[ScalarKind, Value]:
    plain = text.replace("_", "")
    whole = _integer(plain)
    if whole is not None:
        return "int", whole
    if _FLOAT.fullmatch(plain):
        return _float(plain, text)
    signed = _SIGNED_BINARY.fullmatch(plain)
    if signed and -(1 << 63) <= (value := int(signed[1], 2)) < 1 << 63:
        return "int", value
    return "str", text


def _integer(plain: str) -> int | None:
    """A Go integer literal of 64 bits (unsigned ones without a sign), else None."""
    match = _INT.fullmatch(plain)
    if match is None:
        return None
    sign, hexadecimal, binary, octal, decimal = match.groups()
    if decimal is not None:
        magnitude = int(decimal)
    else:
        magnitude = int(hexadecimal or binary or octal, 16 if hexadecimal else 2 if binary else 8)
    value = -magnitude if sign == "-" else magnitude
    limit = 1 << 63 if sign else 1 << 64
    return value if -(1 << 63) <= value < limit else None


def _float(plain: str, text: str) -> tuple[ScalarKind, Value]:
    value = float(plain)
    if math.isinf(value):
        return "str", text
    return "float", _whole(value)


def _whole(value: float) -> int | float:
    """JSON knows one kind of number: 1e3 and 1.0 are whole. Minus zero keeps its sign, as in Helm."""
    if value.is_integer() and abs(value) < EXACT_INT and (value != 0 or math.copysign(1, value) > 0):
        return int(value)
    return value


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    """Go's JSON encoder puts one U+FFFD for each byte that is not UTF-8."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error("sparkrig-each-byte", _each_byte)


def _binary(text: str) -> str:
    try:
        data = base64.b64decode(text.replace("\r", "").replace("\n", "").encode(), validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise WrongTag(f"the !!binary value is not base64: {error}") from None
    return data.decode("utf-8", errors="sparkrig-each-byte")
