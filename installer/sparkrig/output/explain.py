"""Where values come from, as text and as JSON. Pure; secrets were taken out before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sparkrig.models.problem import Position
from sparkrig.output.document import document
from sparkrig.output.tables import Cell, Column, Row, table
from sparkrig.output.terminal import Style
from sparkrig.output.text import clean, count, cut, indent, joined, wrap
from sparkrig.stack.explain.layers import Explanation, Leaf, Said, Subject
from sparkrig.stack.explain.overrides import Override, Redundant
from sparkrig.stack.explain.schema import ABSENT, ValueDoc, one_line

SHORT: Final = 40
"""Columns that a value takes in a table."""
_ROLES: Final[Mapping[str, str]] = {
    "wins": "wins",
    "beaten": "",
    "merges": "merged",
    "part": "changes a part of it",
    "removes": "takes it away",
}
_LAYERS: Final = (Column("value", fit="cut"), Column("from"), Column("layer"), Column("why", fit="wrap"))
_LEAVES: Final = (Column("value of", fit="wrap"), Column("is", fit="cut"), Column("from"), Column("layer"))


def shown(value: Any) -> str:
    """A value on one line, as it could stand in a values file."""
    if isinstance(value, str):
        plain = value.isprintable() and not _reads_otherwise(value)
        return value if plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _reads_otherwise(text: str) -> bool:
    from sparkrig.yaml.load import ScalarNode, load

    document = load(text, "").document
    return not isinstance(document, ScalarNode) or document.value != text


# --------------------------------------------------------------------------- one value


def explanation_text(found: Explanation, *, off: str = "", color: bool = False, width: int = 0) -> str:
    """One value for a person: what it is, who says so, what it means; ends with a newline.

    ``off`` says that, and why, the component is off. ``width`` is the terminal's, 0 for no limit.
    """
    style = Style(color)
    lines = [*_head(found, style), *_said(found, style, width)]
    if found.leaves:
        lines += ["", *_leaves(found.leaves, style, width)]
    about = [*_doc(found.doc, width), *_may_be(found, width)]
    if off:
        about.append(style.warn(off))
    if found.chart_note:
        about += indent(f"the chart's own default is not known: {found.chart_note}", 2, width)
    if found.hidden:
        about.append("  some of it is hidden, because by its name it is a secret")
    return joined([*lines, *([""] if about else []), *about])


def _head(found: Explanation, style: Style) -> list[str]:
    name = style.strong(clean(found.path))
    if found.state == "removed":
        return [f"{name} is removed"]
    if found.state == "unset":
        return [f"{name} is not set"]
    if found.leaves:
        return [f"{name} is a map of {count(len(found.leaves), 'value')}"]
    if isinstance(found.value, list) and len(shown(found.value)) > SHORT:
        return [f"{name} ="] + [f"  - {clean(shown(item))}" for item in found.value]
    return [f"{name} = {clean(shown(found.value))}"]


def _said(found: Explanation, style: Style, width: int) -> list[str]:
    rows = [_row(one, style, with_value=not isinstance(one.value, Mapping)) for one in found.said]
    return table(_LAYERS, rows, width=width, margin=2, title=style.dim) if rows else []


def _row(one: Said, style: Style, *, with_value: bool = True) -> Row:
    paint = style.good if one.role in ("wins", "merges", "part", "removes") else style.dim
    role = _ROLES[one.role]
    said = " · ".join(part for part in (role, one.why or "") if part)
    layer = "fact" if one.layer.startswith("fact ") else one.layer
    layer = "" if one.layer in ("--set", one.where.rpartition(":")[0].rpartition(":")[0]) else layer
    value = cut(shown(one.value), SHORT) if with_value else "(map)"
    return Row((Cell(value, paint), Cell(one.where), Cell(layer), Cell(said, paint)))


def _leaves(leaves: Sequence[Leaf], style: Style, width: int) -> list[str]:
    rows = []
    for leaf in leaves:
        said = leaf.said
        layer = said.layer if said is not None and said.layer != "--set" else ""
        where = said.where if said is not None else ""
        rows.append(Row((Cell(leaf.path, style.strong), cut(shown(leaf.value), SHORT), where, layer)))
    return table(_LEAVES, rows, width=width, margin=2, title=style.dim)


def _doc(doc: ValueDoc | None, width: int) -> list[str]:
    if doc is None:
        return []
    lines = indent(doc.description, 2, width) if doc.description else []
    facts = one_line(doc)
    if doc.default is not ABSENT:
        facts += f"{' · ' if facts else ''}default {cut(shown(doc.default), 2 * SHORT)}"
    if doc.examples:
        facts += f"{' · ' if facts else ''}e.g. {', '.join(cut(shown(e), 2 * SHORT) for e in doc.examples[:3])}"
    if facts:
        lines += indent(facts, 2, width)
    if doc.source == "chart" and lines:
        lines[0] += "   (said by the chart)"
    return lines


def _may_be(found: Explanation, width: int) -> list[str]:
    return [
        line
        for may in found.may_be
        for line in indent(
            f"on a cluster where {may.fact} is {shown(may.equals)} it would be {shown(may.value)}: {may.reason} "
            "(name the cluster with --on)",
            2,
            width,
        )
    ]


def explanation_json(found: Explanation) -> dict[str, Any]:
    """One value as a JSON document of kind ``Explanation``."""
    return document(
        "Explanation",
        component=found.component,
        path=found.path,
        state=found.state,
        value=found.value,
        hidden=found.hidden,
        layers=[_said_json(one) for one in found.said],
        values=[
            {"path": leaf.path, "value": leaf.value, "from": _said_json(leaf.said) if leaf.said else None}
            for leaf in found.leaves
        ],
        documentation=_doc_json(found.doc),
        mayBe=[
            {"fact": may.fact, "equals": may.equals, "value": may.value, "reason": may.reason} for may in found.may_be
        ],
        chartNotLookedAt=found.chart_note,
    )


def _said_json(one: Said) -> dict[str, Any]:
    at: Position | None = one.position
    return {
        "layer": one.layer,
        "file": at.file if at else None,
        "line": at.line if at else None,
        "column": at.column if at else None,
        "where": one.where,
        "value": one.value,
        "role": one.role,
        "why": one.why,
    }


def _doc_json(doc: ValueDoc | None) -> dict[str, Any] | None:
    if doc is None:
        return None
    return {
        "source": doc.source,
        "description": doc.description,
        "type": doc.type,
        "allowed": list(doc.allowed),
        "limits": list(doc.limits),
        "hasDefault": doc.default is not ABSENT,
        "default": None if doc.default is ABSENT else doc.default,
        "examples": list(doc.examples),
    }


# --------------------------------------------------------------------------- one component


def overrides_text(
    subject: Subject, found: Sequence[Override], why: str, *, color: bool = False, width: int = 0
) -> str:
    """Everything that the user changed in a component; ends with a newline."""
    style = Style(color)
    component = subject.component
    chart = f"{component.chart.name} {component.chart.version}"
    lines = wrap(f"{component.name} is {why}   chart {chart}, namespace {component.namespace}", width)
    lines[0] = lines[0].replace(component.name, style.strong(component.name), 1)
    lines += indent(component.description, 2, width)
    if not found:
        return joined([*lines, "", "nothing of it is changed"])
    lines += ["", f"{count(len(found), 'value')} changed:"]
    for one in found:
        lines += _override(one, style, width)
    if subject.defaults.note and not subject.own_chart:
        lines += ["", *indent(f"the chart's own defaults are not known: {subject.defaults.note}", 2, width)]
    return joined(lines)


def _override(one: Override, style: Style, width: int) -> list[str]:
    value = "(removed)" if one.removed else cut(shown(one.value), 2 * SHORT)
    first, *weaker = one.said
    lines = [f"  {style.strong(clean(one.path))} = {clean(value)}", *indent(_place(first), 6, width)]
    for other in weaker:
        lines += [
            style.dim(line) for line in indent(f"over {cut(shown(other.value), SHORT)} at {_place(other)}", 6, width)
        ]
    if one.before is not None:
        was = f"was {cut(shown(one.before.value), SHORT)}   {one.before.where}   {one.before.layer}"
        lines += [style.dim(line) for line in indent(was, 6, width)]
    return lines


def _place(one: Said) -> str:
    return f"{one.where}   {one.why}" if one.why else one.where


def overrides_json(subject: Subject, found: Sequence[Override], on: bool, why: str) -> dict[str, Any]:
    """What was changed in a component as a JSON document of kind ``Overrides``."""
    component = subject.component
    return document(
        "Overrides",
        component=component.name,
        on=on,
        why=why,
        namespace=component.namespace,
        chart={"name": component.chart.name, "version": component.chart.version},
        values=[
            {
                "path": one.path,
                "value": one.value,
                "removed": one.removed,
                "layers": [_said_json(said) for said in one.said],
                "before": _said_json(one.before) if one.before else None,
            }
            for one in found
        ],
        chartNotLookedAt=None if subject.own_chart else subject.defaults.note,
    )


# --------------------------------------------------------------------------- what could go


def redundant_text(found: Sequence[Redundant], *, color: bool = False, width: int = 0) -> str:
    """Lines that could be deleted; ends with a newline."""
    style = Style(color)
    lines: list[str] = []
    for ours, title in ((False, "could be deleted"), (True, "in the catalogue, could be deleted there")):
        group = [one for one in found if one.ours is ours]
        if group:
            lines += [f"{count(len(group), 'value')} {title}:"]
            for one in group:
                lines += _redundant(one, style, width)
    return joined(lines or ["no value repeats what is there without it"])


def _redundant(one: Redundant, style: Style, width: int) -> list[str]:
    lines = [f"  {style.strong(clean(one.path))} = {cut(clean(shown(one.said.value)), 2 * SHORT)}"]
    lines += indent(one.said.where, 6, width)
    if one.same_as is None:
        why = "null takes nothing away: there is no such default"
    else:
        why = f"the same comes from {one.same_as.where}   {one.same_as.layer}"
    return lines + [style.dim(line) for line in indent(why, 6, width)]


def redundant_json(stack: str, found: Sequence[Redundant], unseen: Mapping[str, str | None]) -> dict[str, Any]:
    """Lines that could be deleted as a JSON document of kind ``Redundant``."""
    return document(
        "Redundant",
        stack=stack,
        values=[
            {
                "path": one.path,
                "inCatalog": one.ours,
                "at": _said_json(one.said),
                "sameAs": _said_json(one.same_as) if one.same_as else None,
            }
            for one in found
        ],
        chartNotLookedAt=dict(unseen),
    )
