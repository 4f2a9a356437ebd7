"""What preflight found, as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sparkrig.commands.doctor import Report
from sparkrig.output.document import document
from sparkrig.output.terminal import Style
from sparkrig.output.text import count, duration, indent, joined
from sparkrig.preflight.finding import Finding, Level

_SIGNS: Mapping[Level, str] = {Level.FAIL: "✗", Level.WARN: "!", Level.OK: "✓"}


def doctor_text(report: Report, *, color: bool = False, width: int = 0) -> str:
    """The cluster, each finding with what to do next, and how many there are; ends with a newline."""
    style = Style(color)
    what = f"stack {report.stack} on " if report.stack else ""
    simulated = ", simulated" if report.simulated else ""
    lines = [style.strong(f"{what}{report.cluster}") + f" (Kubernetes {report.kubernetes}{simulated})", ""]
    for finding in report.findings:
        lines += _finding(finding, style, width)
    counts = {level: sum(f.level is level for f in report.findings) for level in Level}
    summary = f"{count(counts[Level.FAIL], 'failure')}, {count(counts[Level.WARN], 'warning')}, {counts[Level.OK]} ok"
    return joined([*lines, "", f"{summary} · {duration(report.seconds)}"])


def doctor_json(report: Report) -> dict[str, Any]:
    """The findings as a JSON document of kind ``Preflight``."""
    return document(
        "Preflight",
        cluster=report.cluster,
        kubernetes=report.kubernetes,
        stack=report.stack,
        simulated=report.simulated,
        ok=report.ok,
        seconds=round(report.seconds, 3),
        findings=[
            {
                "level": finding.level.value,
                "code": finding.code,
                "subject": finding.subject,
                "message": finding.message,
                "next": finding.hint or None,
            }
            for finding in report.findings
        ],
    )


def roles_text(roles: Sequence[Mapping[str, Any]]) -> str:
    """The roles as YAML for ``kubectl apply``."""
    from sparkrig.yaml.plain import dump

    return "---\n".join(dump(role) for role in roles)


def _finding(finding: Finding, style: Style, width: int) -> list[str]:
    paints: Mapping[Level, Callable[[str], str]] = {
        Level.FAIL: style.bad,
        Level.WARN: style.warn,
        Level.OK: style.good,
    }
    first, *rest = indent(f"{finding.subject}: {finding.message}", 4, width)
    lines = [f"  {paints[finding.level](_SIGNS[finding.level])} {first.lstrip()}", *rest]
    if finding.level is not Level.OK:
        lines[-1] += style.dim(f"  [{finding.code}]")
    if finding.hint:
        lines += [style.dim(text) for text in indent(f"next: {finding.hint}", 6, width)]
    return lines
