"""Whether an answer is what was expected; the reason in a person's words. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from sparkrig.models.json import JsonObject, JsonValue, text_at
from sparkrig.readiness.fields import value_at

SHOWN: Final = 2000
"""Characters of an answer that a result keeps: it may be a whole page. What a terminal shows of it is the report's."""
ERROR: Final = re.compile(r"exception\b|\w(Exception|Error)\b|\berror\b|\bfatal\b|\bpanic\b|^Caused by:", re.IGNORECASE)
"""What programs write where they give up."""
PACKAGE: Final = re.compile(r"\b(?:[a-z]\w*\.){2,}(?=[A-Z]\w*(?:Exception|Error)\b)")
CAUSE: Final = "Caused by:"
FRAME: Final = re.compile(r"at \S+\(.*\)$|\.\.\. \d+ more$|File \".*\", line \d+")
"""A place in a stack trace."""


def shown(text: object) -> str:
    """A text in one line, cut where it is long: an answer may be a whole page."""
    line = " ".join(str(text).split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def spelt(value: JsonValue, others: Sequence[JsonValue]) -> str:
    """A value as JSON has it; a text without quotes, unless one of the others would look the same."""
    alike = any(str(other).lower() == str(value).lower() for other in others)
    return shown(value if isinstance(value, str) and not alike else json.dumps(value, ensure_ascii=False, default=str))


def mismatch(document: JsonValue, test: JsonObject) -> str | None:
    """Why the value at ``test['path']`` is not what ``test`` wants; None when it is.

    ``equals`` is a value or a list of them, ``matches`` a pattern that is searched, ``atLeast`` and ``atMost`` bound a
    number; a test with a path alone wants the value to be there.
    """
    path = text_at(test, "path")
    value = value_at(document, path)
    if value is None:
        return f"{path} is not there"
    if "equals" in test:
        wanted = test["equals"] if isinstance(test["equals"], list) else [test["equals"]]
        if not any(same(value, each) for each in wanted):
            return f"{path} is {spelt(value, wanted)}, expected {' or '.join(spelt(each, [value]) for each in wanted)}"
    if "matches" in test and not re.search(text_at(test, "matches"), str(value)):
        return f"{path} is {shown(value)}, expected a match of {test['matches']}"
    if "atLeast" in test or "atMost" in test:
        return _bounds(path, value, test)
    return None


def same(value: JsonValue, wanted: JsonValue) -> bool:
    """Equality as in JSON: true is not 1, 1 is 1.0."""
    if isinstance(value, bool) != isinstance(wanted, bool):
        return False
    return bool(value == wanted)


def error_text(found: JsonObject) -> str:
    """What a controller says about its object: the first text called errorMessage or message in the status."""
    stack: list[JsonValue] = [found.get("status") or {}]
    while stack:
        node = stack.pop(0)
        if isinstance(node, Mapping):
            for key in ("errorMessage", "message"):
                if isinstance(node.get(key), str) and node[key]:
                    return str(node[key])
            stack += [value for value in node.values() if isinstance(value, Mapping | list)]
        elif isinstance(node, list):
            stack += node
    return ""


def telling_line(log: str) -> str:
    """The line of a log that says why its program ended, as far as lines look alike everywhere; empty for no log.

    The last line that names an error; where that is a cause, the cause first, since what shows it may cut it. Otherwise
    the last line at all. Java's classes lose their packages.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [PACKAGE.sub("", line) for line in lines if ERROR.search(line) and not FRAME.match(line)]
    if not errors:
        return lines[-1] if lines else ""
    heads = [line for line in errors if not line.startswith(CAUSE)]
    caused = errors[-1].startswith(CAUSE) and heads
    return f"{errors[-1].removeprefix(CAUSE).strip()}, so: {heads[-1]}" if caused else errors[-1]


def _bounds(path: str, value: JsonValue, test: JsonObject) -> str | None:
    try:
        number = float(str(value))
    except ValueError:
        return f"{path} is {shown(value)}, expected a number"
    least, most = test.get("atLeast"), test.get("atMost")
    if isinstance(least, int | float) and number < least:
        return f"{path} is {shown(value)}, expected {test['atLeast']} or more"
    if isinstance(most, int | float) and number > most:
        return f"{path} is {shown(value)}, expected {test['atMost']} or less"
    return None if not math.isnan(number) else f"{path} is not a number"


def tensor_mismatch(name: str, found: JsonValue, wanted: JsonValue, absolute: float, relative: float) -> str:
    """Where a tensor's data is not what was wanted, within tolerance; empty when it is.

    Numbers a and b are taken for the same when |a - b| <= absolute + relative * |b|, b being the wanted one. Nested
    lists are read row by row, as the protocol allows.
    """
    got, expected = flat(found), flat(wanted)
    if len(got) != len(expected):
        return f"{name} has {len(got)} values, expected {len(expected)}"
    for place, (one, other) in enumerate(zip(got, expected, strict=True)):
        if not _close(one, other, absolute, relative):
            return f"{name}[{place}] is {spelt(one, [other])}, expected {spelt(other, [one])}"
    return ""


def flat(data: JsonValue) -> list[JsonValue]:
    """The elements of nested lists, row by row."""
    return [item for each in data for item in flat(each)] if isinstance(data, list | tuple) else [data]


def _close(one: JsonValue, other: JsonValue, absolute: float, relative: float) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return same(one, other)
    if not isinstance(one, int | float) or not isinstance(other, int | float):
        return same(one, other)
    got, wanted = float(one), float(other)
    if not math.isfinite(wanted):
        return got == wanted or (math.isnan(got) and math.isnan(wanted))
    return abs(got - wanted) <= absolute + relative * abs(wanted)
