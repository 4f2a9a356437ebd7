"""What the checks of a stack say, as text, as JSON and as JUnit. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree

from sparkrig.models.check import CheckResult, CheckStatus, VerifyResult
from sparkrig.output.document import document
from sparkrig.output.tables import Cell, Column, Row, table
from sparkrig.output.terminal import Style
from sparkrig.output.text import clean, count, duration, indent, joined, wrap

_COLUMNS = (
    Column(""),
    Column("component"),
    Column("check"),
    Column("took", right=True),
    Column("what was found", fit="wrap"),
)
_SIGNS = {CheckStatus.PASS: "✓", CheckStatus.FAIL: "✗", CheckStatus.WARN: "!", CheckStatus.SKIP: "-"}
MOST_LINES = 4
"""Of a terminal's width, that a check's message gets; files and JSON have all of it."""
_WORDS = {
    CheckStatus.PASS: "pass",
    CheckStatus.FAIL: "fail",
    CheckStatus.WARN: "warn",
    CheckStatus.SKIP: "skip",
}


def checks_text(result: VerifyResult, *, color: bool = False, width: int = 0) -> str:
    """One line a check, hints below what failed, and the sum; ends with a newline."""
    style = Style(color)
    place = [result.cluster, f"Kubernetes {result.kubernetes}" if result.kubernetes else ""]
    place += ["simulated"] if result.simulated else []
    head = f"{style.strong(result.stack)} · revision {result.revision}   {' · '.join(p for p in place if p)}"
    swept = [f"  removed what a killed run had left: {name}" for name in result.swept]
    rows = [_row(each, style, width) for each in result.results]
    body = table(_COLUMNS, rows, width=width, margin=2, title=style.dim) if rows else ["  no check was asked"]
    return joined([head, *swept, *body, *_summary(result, style, width)])


def checks_json(result: VerifyResult) -> dict[str, Any]:
    """The results as a JSON document of kind ``VerifyResult``."""
    return document(
        "VerifyResult",
        stack=result.stack,
        cluster=result.cluster,
        kubernetes=result.kubernetes,
        revision=result.revision,
        simulated=result.simulated,
        ok=result.ok,
        interrupted=result.interrupted,
        seconds=round(result.seconds, 3),
        counts={word: _number(result.results, status) for status, word in _WORDS.items()},
        leftOut=result.left_out,
        swept=list(result.swept),
        checks=[
            {
                "component": each.component,
                "name": each.name,
                "kind": each.kind,
                "status": _WORDS[each.status],
                "ok": each.ok,
                "expected": each.expected,
                "gate": each.gate,
                "message": each.message,
                "hint": each.hint,
                "seconds": round(each.seconds, 3),
                "simulated": each.simulated,
            }
            for each in result.results
        ],
    )


def checks_junit(result: VerifyResult) -> str:
    """The results as JUnit XML: a suite for each component; what was expected and skipped is a failure."""
    root = ElementTree.Element("testsuites", _totals(result.results, "sparkrig verify", result.seconds))
    for component in dict.fromkeys(each.component for each in result.results):
        own = [each for each in result.results if each.component == component]
        suite = ElementTree.SubElement(root, "testsuite", _totals(own, component, sum(each.seconds for each in own)))
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in _properties(result):
            ElementTree.SubElement(properties, "property", {"name": name, "value": value})
        for each in own:
            _case(suite, result.stack, each)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, stack: str, each: CheckResult) -> None:
    names = {"classname": f"{stack}.{each.component}", "name": each.name, "time": f"{each.seconds:.3f}"}
    case = ElementTree.SubElement(suite, "testcase", names)
    text = _valid(each.message)
    if not each.ok:
        what = "skipped, though it was expected: " if each.status is CheckStatus.SKIP else ""
        failure = ElementTree.SubElement(case, "failure", {"message": what + text, "type": each.kind or "check"})
        failure.text = "\n".join(line for line in (what + text, f"next: {each.hint}" if each.hint else "") if line)
    elif each.status is CheckStatus.SKIP:
        ElementTree.SubElement(case, "skipped", {"message": text})
    elif text:
        ElementTree.SubElement(case, "system-out").text = text


def _totals(results: Sequence[CheckResult], name: str, seconds: float) -> dict[str, str]:
    failed = sum(not each.ok for each in results)
    skipped = sum(each.status is CheckStatus.SKIP and each.ok for each in results)
    numbers = {"tests": len(results), "failures": failed, "errors": 0, "skipped": skipped}
    return {"name": name, **{key: str(value) for key, value in numbers.items()}, "time": f"{seconds:.3f}"}


def _properties(result: VerifyResult) -> list[tuple[str, str]]:
    return [
        ("stack", result.stack),
        ("cluster", result.cluster),
        ("revision", str(result.revision)),
        ("simulated", str(result.simulated).lower()),
    ]


def _valid(text: str) -> str:
    """Without what XML 1.0 cannot hold: control characters are cleaned away, lone surrogates replaced."""
    plain = clean(text).encode("utf-8", "replace").decode("utf-8")
    return plain.replace("\ufffe", "?").replace("\uffff", "?")


def _row(each: CheckResult, style: Style, width: int) -> Row:
    paint = _paint(each, style)
    sign = "✗" if not each.ok else _SIGNS[each.status]
    message = each.message
    if each.status is CheckStatus.SKIP:
        message = f"skipped{', though it was expected' if each.expected else ''}: {message}"
    message = _brief(message, MOST_LINES * width) if width else message
    took = duration(each.seconds) if each.seconds >= 0.05 else ""
    below: list[str] = []
    if not each.ok and each.hint:
        below = [style.strong(line) for line in indent(f"next: {each.hint}", 6, width)]
    return Row((Cell(sign, paint), each.component, each.name, took, message), below)


def _brief(message: str, room: int) -> str:
    """A message without its middle where it is too long: what was asked stands before an answer, what fits behind."""
    if len(message) <= room:
        return message
    end = room // 4
    return f"{message[: room - end - 3]} … {message[len(message) - end :]}"


def _paint(each: CheckResult, style: Style) -> Callable[[str], str]:
    if not each.ok:
        return style.bad
    return {CheckStatus.PASS: style.good, CheckStatus.WARN: style.warn}.get(each.status, style.dim)


def _summary(result: VerifyResult, style: Style, width: int) -> list[str]:
    parts = [f"{number} {word}" for status, word in _WORDS.items() if (number := _number(result.results, status))]
    sign, paint = ("✓", style.good) if result.ok else ("✗", style.bad)
    ended = "interrupted: " if result.interrupted else ""
    text = f"{sign} {ended}{', '.join(parts) or 'nothing was checked'} in {duration(result.seconds)}"
    lines = [paint(line) for line in wrap(text, width)]
    if result.left_out:
        lines += wrap(f"  {count(result.left_out, 'check')} not asked for; --deep asks all", width)
    if result.simulated:
        caveat = "simulated: what pods and nodes would answer was not asked; this says that the API is content, no more"
        lines += [style.warn(line) for line in wrap(caveat, width)]
    return lines


def _number(results: Sequence[CheckResult], status: CheckStatus) -> int:
    return sum(each.status is status for each in results)
