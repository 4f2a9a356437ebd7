"""How a stack differs from one revision to another, or from the cluster, as text and as JSON. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any, Final

from sparkrig.output.document import document, object_json
from sparkrig.output.terminal import Style
from sparkrig.output.text import ago, clean, count, cut, indent, joined, pad, width_of
from sparkrig.plan.diff.changes import ABSENT
from sparkrig.plan.diff.revisions import ComponentChange, FieldChange, ObjectChange, StackChange

CONTEXT: Final = 3
"""Unchanged lines shown around a change."""
_SIGNS: Final[Mapping[str, str]] = {"added": "+", "removed": "-", "changed": "~", "unchanged": "="}
_SHORT: Final = 70
"""Columns of one side of a live field."""
_MANY_LINES: Final = 2000
"""From here on a quicker comparison, that may find a longer difference than needed."""
_LISTED: Final = 4
"""Fields named before the rest is counted."""


def diff_text(
    change: StackChange, *, cluster: str, now: datetime, context: int = CONTEXT, color: bool = False, width: int = 0
) -> str:
    """The differences for a person; ends with a newline."""
    style = Style(color)
    live = change.after is None
    after = f"live on {cluster}" if live else f"revision {change.after}"
    name = f"stack {change.stack}"
    lines = [f"{style.strong(name)}   revision {change.before} -> {after}", ""]
    column = max((width_of(c.component) for c in change.components if _worth(c)), default=0)
    for component in change.components:
        if _worth(component):
            lines += _component(component, column, live=live, now=now, context=context, style=style, width=width)
    same = sum(not _worth(component) for component in change.components)
    if same:
        lines.append(style.dim(f"= {count(same, 'component')} {'as recorded' if live else 'unchanged'}"))
    elif not change.components:
        lines.append("neither side has any component")
    lines += [style.warn(f"! {note}") for note in change.notes]
    return joined(lines)


def diff_json(change: StackChange, *, cluster: str) -> dict[str, Any]:
    """The differences as a JSON document of kind ``Diff``; a side that lacks a field lacks the key."""
    after = {"cluster": cluster} if change.after is None else {"revision": change.after}
    return document(
        "Diff",
        stack=change.stack,
        before={"revision": change.before},
        after=after,
        different=change.different,
        components=[_component_json(component) for component in change.components],
        notes=list(change.notes),
    )


def _worth(component: ComponentChange) -> bool:
    unknown = any(one.change == "unknown" for one in component.objects)
    return component.change != "unchanged" or bool(component.notes) or unknown


# ------------------------------------------------------------------ text


def _component(
    change: ComponentChange, column: int, *, live: bool, now: datetime, context: int, style: Style, width: int
) -> Iterator[str]:
    yield _headline(change, column, live=live, style=style)
    whole = change.change in ("added", "removed") and not live
    if whole:
        kinds = Counter(one.ref.kind for one in change.objects)
        if kinds:
            yield "    " + ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    else:
        if change.values:
            yield "    values"
            yield from _folded(change.values_before, change.values_after, context, style)
        for one in change.objects:
            yield from _object(one, live=live, now=now, context=context, style=style)
    yield from _remarks(change, style, width)
    yield ""


def _headline(change: ComponentChange, column: int, *, live: bool, style: Style) -> str:
    sign = _SIGNS[change.change] if not (live and change.change != "unchanged") else "!"
    paint = {"+": style.good, "-": style.bad, "!": style.bad, "=": style.dim}.get(sign, style.warn)
    by_name = {one.path: one for one in change.chart}
    text = change.version
    if change.change == "changed":
        if "version" in by_name:
            text = f"{by_name['version'].before} -> {by_name['version'].after}"
        elif "digest" in by_name:
            text += "  the chart's files changed"
        if "chart" in by_name:
            text = f"chart {by_name['chart'].before} -> {by_name['chart'].after}, {text}"
    elif change.change != "unchanged":
        text += "  gone" if live else f"  {change.change}"
    return f"{paint(sign)} {pad(change.component, column)}   {text}"


def _object(one: ObjectChange, *, live: bool, now: datetime, context: int, style: Style) -> Iterator[str]:
    note = f"   {clean(one.note)}" if one.note else ""
    if one.change in ("missing", "unknown"):
        what = "missing" if one.change == "missing" else "not compared"
        yield f"    {one.ref}   {(style.bad if one.change == 'missing' else style.warn)(what)}{note}"
        return
    mark = {"added": style.good("+ "), "removed": style.bad("- ")}.get(one.change, "")
    yield f"    {mark}{one.ref}{note}"
    if live:
        for field in one.fields:
            yield from _live_field(field, now, style)
    else:
        yield from _folded(one.before, one.after, context, style)


def _live_field(field: FieldChange, now: datetime, style: Style) -> Iterator[str]:
    when = f", {ago(field.since, now)}" if field.since else ""
    who = style.dim(f"   by {clean(field.owner)}{when}") if field.owner else ""
    if isinstance(field.before, list) and isinstance(field.after, list):
        yield f"      {field.path}{who}"
        yield from (style.bad(f"        - {_short(item)}") for item in field.before if item not in field.after)
        yield from (style.good(f"        + {_short(item)}") for item in field.after if item not in field.before)
        return
    yield f"      {field.path}   {style.bad(_short(field.before))} -> {style.good(_short(field.after))}{who}"


def _short(value: Any) -> str:
    return "(none)" if value is ABSENT else clean(cut(json.dumps(value, ensure_ascii=False), _SHORT))


def _remarks(change: ComponentChange, style: Style, width: int) -> Iterator[str]:
    if change.left_out:
        text = f"left out, because the chart makes it anew at each rendering: {_listed(change.left_out)}"
        yield from (style.dim(line) for line in indent(text, 4, width))
    unjudged = [f"{o.ref}: {field.path}" for o in change.objects for field in o.fields if not field.judged]
    if unjudged:
        text = (
            "not judged: these may be made anew at each rendering, and the chart that would tell is not at hand "
            f"(--chart-mirror, --stand-ins): {_listed(unjudged)}"
        )
        yield from (style.warn(line) for line in indent(text, 4, width))
    for note in change.notes:
        yield from (style.warn(line) for line in indent(f"! {note}", 4, width))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _folded(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, context: int, style: Style
) -> Iterator[str]:
    """Two documents as lines of YAML, unchanged ones folded."""
    old, new = _lines(before), _lines(after)
    matcher = SequenceMatcher(None, old, new, autojunk=max(len(old), len(new)) > _MANY_LINES)
    last = 0
    for group in matcher.get_grouped_opcodes(context):
        first = group[0][1]
        if first > last:
            above = ".".join(_above(old, first))
            yield style.dim(f"        … {count(first - last, 'unchanged line')}" + (f", in {above}" if above else ""))
        for kind, i, j, k, m in group:
            if kind == "equal":
                yield from (f"        {line}" for line in old[i:j])
            else:
                yield from (style.bad(f"      - {line}") for line in old[i:j])
                yield from (style.good(f"      + {line}") for line in new[k:m])
        last = group[-1][2]
    if len(old) > last:
        yield style.dim(f"        … {count(len(old) - last, 'unchanged line')}")


def _lines(item: Mapping[str, Any] | None) -> list[str]:
    from sparkrig.yaml.plain import dump

    return [clean(line) for line in dump(dict(item)).splitlines()] if item else []


def _above(lines: Sequence[str], index: int) -> list[str]:
    """The keys under which a line of YAML stands, so that a folded place can be found."""
    keys: list[str] = []
    depth = _depth(lines[index])
    for line in reversed(lines[:index]):
        here = _depth(line)
        if line.strip() and here < depth:
            depth = here
            keys.insert(0, line.strip().removeprefix("- ").partition(":")[0])
    return keys


def _depth(line: str) -> float:
    """Indentation; an item of a list stands half a step below the key that it belongs to."""
    spaces = len(line) - len(line.lstrip())
    return spaces + 0.5 if line.lstrip().startswith("- ") else spaces


# ------------------------------------------------------------------ JSON


def _component_json(change: ComponentChange) -> dict[str, Any]:
    return {
        "component": change.component,
        "change": change.change,
        "version": change.version,
        "chart": [_field_json(field) for field in change.chart],
        "values": [_field_json(field) for field in change.values],
        "objects": [_object_json(one) for one in change.objects],
        "leftOut": list(change.left_out),
        "notes": list(change.notes),
    }


def _object_json(one: ObjectChange) -> dict[str, Any]:
    fields = [{**_field_json(f), "judged": f.judged, "manager": f.owner or None, "since": f.since} for f in one.fields]
    return {**object_json(one.ref), "change": one.change, "fields": fields, "note": one.note or None}


def _field_json(field: FieldChange) -> dict[str, Any]:
    sides = {"before": field.before, "after": field.after}
    return {"path": field.path, **{name: value for name, value in sides.items() if value is not ABSENT}}
