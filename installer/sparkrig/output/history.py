"""The recorded revisions of a stack as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sparkrig.models.plan import OperationStatus
from sparkrig.models.revision import Revision, RevisionStatus
from sparkrig.output.document import document, release_json
from sparkrig.output.tables import Cell, Column, Row, table
from sparkrig.output.terminal import Style
from sparkrig.output.text import ago, count, duration, first_line, joined, seconds_between

_COLUMNS = (
    Column("rev", right=True),
    Column("when"),
    Column("who", fit="cut"),
    Column("what", fit="wrap"),
    Column("message", fit="wrap"),
    Column("result"),
    Column("took", right=True),
    Column("left", fit="below"),
    Column("why", fit="below"),
)


def history_text(
    stack: str, revisions: Sequence[Revision], now: datetime, *, color: bool = False, width: int = 0
) -> str:
    """The table of revisions, newest first whatever the given order; ends with a newline."""
    style = Style(color)
    if not revisions:
        return joined([f"stack {stack} has no recorded revision", style.strong("  next: sparkrig up")])
    rows = [_row(revision, now, style) for revision in _newest_first(revisions)]
    return joined(table(_COLUMNS, rows, width=width, title=style.dim))


def history_json(stack: str, revisions: Sequence[Revision]) -> dict[str, Any]:
    """The revisions as a JSON document of kind ``History``, newest first, without values and stack files."""
    return document("History", stack=stack, revisions=[_revision_json(r) for r in _newest_first(revisions)])


def _newest_first(revisions: Sequence[Revision]) -> list[Revision]:
    return sorted(revisions, key=lambda revision: -revision.number)


def _row(revision: Revision, now: datetime, style: Style) -> Row:
    took = seconds_between(revision.started, revision.finished)
    return Row(
        (
            str(revision.number),
            ago(revision.started, now),
            revision.who or "-",
            _what(revision),
            revision.message,
            Cell("interrupted" if revision.interrupted else revision.status.value, _paint(revision.status, style)),
            "-" if took is None else duration(took),
            _left(revision),
            _why(revision),
        )
    )


def _what(revision: Revision) -> str:
    """What it changed. A run that only waited and asked checks is recorded for its outcome, and changed nothing."""
    looked = {"wait", "check"}
    if revision.summary or not revision.finished or not revision.operations:
        return revision.summary or revision.action
    only = all(operation.id.partition("/")[0] in looked for operation in revision.operations)
    return f"{revision.action}, no change" if only else revision.action


def _left(revision: Revision) -> str:
    """What the revision left in the cluster, stand-ins marked."""
    stand_ins = sum(state.stand_in for state in revision.after)
    mark = f" ({count(stand_ins, 'stand-in')})" if stand_ins else ""
    return f"{count(len(revision.after), 'component')}{mark}" if revision.finished else ""


def _why(revision: Revision) -> str:
    """The first failure, if any."""
    failed = [o for o in revision.operations if o.status == OperationStatus.FAILED.value]
    if not failed:
        return ""
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"{failed[0].id}: {first_line(failed[0].message) or 'failed'}{more}"


def _paint(status: RevisionStatus, style: Style) -> Callable[[str], str]:
    return {
        RevisionStatus.DEPLOYED: style.good,
        RevisionStatus.FAILED: style.bad,
        RevisionStatus.PENDING: style.warn,
        RevisionStatus.ROLLED_BACK: style.warn,
    }.get(status, style.dim)


def _revision_json(revision: Revision) -> dict[str, Any]:
    return {
        "number": revision.number,
        "status": revision.status.value,
        "action": revision.action,
        "who": revision.who,
        "message": revision.message,
        "summary": revision.summary,
        "started": revision.started,
        "finished": revision.finished,
        "seconds": seconds_between(revision.started, revision.finished),
        "sparkrig": revision.sparkrig,
        "profile": revision.profile,
        "releases": [{**release_json(s), "objects": len(s.inventory)} for s in revision.after],
        "kept": [release_json(state) for state in revision.kept],
        "operations": [
            {"id": o.id, "status": o.status, "seconds": o.seconds, "message": o.message} for o in revision.operations
        ],
    }
