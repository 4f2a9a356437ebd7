"""Every error that the command line catches, as text and as JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sparkrig.errors import InvalidInput, SparkrigError
from sparkrig.models.explanation import Explanation
from sparkrig.output.document import document
from sparkrig.output.problems import render, summary, to_json
from sparkrig.output.terminal import Style
from sparkrig.output.text import clean, indent, joined, wrap
from sparkrig.yaml.secret_names import without_addresses


def error_text(
    error: SparkrigError, color: bool = False, *, width: int = 0, sources: Mapping[str, str] | None = None
) -> str:
    """``error: message``, the detail indented, ``next: hint``; ends with a newline.

    Of invalid input it is every problem, with the source lines of those files that ``sources``
    (name -> text) holds, and how many there are. ``width`` is the terminal's, 0 for no limit.
    """
    if isinstance(error, InvalidInput) and error.problems:
        return f"{render(error.problems, sources or {}, color).rstrip()}\n\n{summary(error.problems)}\n"
    style = Style(color)
    first, *rest = _shown(error.message).splitlines() or [""]
    head, *more = wrap(f"error: {first or type(error).__name__}", width)
    lines = [style.bad("error:") + head.removeprefix("error:"), *(f"  {line}" for line in more)]
    lines += [line for text in rest for line in indent(text, 2, width)]
    lines += [style.dim(line) for text in error.detail for line in indent(without_addresses(text), 4, width)]
    if error.hint:
        hint, *others = _shown(error.hint).splitlines()
        lines += [style.strong(line) for line in wrap(f"next: {hint}", width)]
        lines += [style.strong(line) for text in others for line in indent(text, 6, width)]
    return joined(lines)


def explanation_lines(explanation: Explanation, by: int, style: Style, width: int = 0) -> list[str]:
    """An explanation below the line that says what it explains, each line behind ``by`` spaces."""
    lines = [line for text in (explanation.message, *explanation.detail) for line in indent(text, by, width)]
    hint = f"next: {explanation.hint}" if explanation.hint else ""
    return [*lines, *(style.strong(line) for line in indent(hint, by, width))]


def error_json(error: SparkrigError) -> dict[str, Any]:
    """The error as a JSON document of kind ``Error``; ``problems`` is filled for invalid input."""
    return document(
        "Error",
        error=_kebab(type(error).__name__),
        exitCode=int(error.exit_code),
        message=without_addresses(error.message),
        detail=[without_addresses(text) for text in error.detail],
        next=without_addresses(error.hint) if error.hint else error.hint,
        problems=to_json(error.problems) if isinstance(error, InvalidInput) else [],
    )


def _shown(text: str) -> str:
    """Without control characters, and without credentials: an address is repeated as its owner wrote it."""
    return clean(without_addresses(text))


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
