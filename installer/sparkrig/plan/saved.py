"""A plan as a file: written by ``plan --out``, carried out by ``up FILE`` if nothing moved on. Pure.

The executor takes a plan that was made from what is there now, never one from a file. So the file does
not hold operations to be trusted, but what they were made from and what they were: the run plans
anew under the lock and goes on only if the outcome is the same. Values are not in the file: of each
release it has the digest over them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sparkrig.errors import InvalidInput, Refused
from sparkrig.models.objects import API_VERSION
from sparkrig.models.operation import Wait
from sparkrig.models.plan import Plan
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.models.release import ResolvedStack
from sparkrig.models.state import ObservedState
from sparkrig.plan.saved_operation import operation_form
from sparkrig.yaml.secret_names import names_secret, without_addresses
from sparkrig.yaml.setflag import parse_set

KIND: Final = "SavedPlan"
_ABOUT: Final = (
    "Carry it out with: sparkrig up FILE. It is refused when the stack file, a values file, a chart, the catalogue or "
    "the cluster is not what it was: digests of them are compared. Values that look like secrets are not in it."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line that made the plan; paths as they were given."""

    stack_file: str
    target: str | None = None
    catalogs: tuple[str, ...] = ()
    chart_mirror: tuple[str, ...] = ()
    stand_ins: str | None = None
    values: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    """Paths of ``--set`` arguments that look like secrets: they are given again to ``up``."""
    repair: bool = False
    keep: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What the file holds."""

    stack: str
    cluster: str
    created: str
    """RFC 3339."""
    who: str
    sparkrig: str
    asked: Asked
    base: Mapping[str, Any]
    """``revision``, the newest finished one, and ``unfinished``, one that was begun after it."""
    cluster_id: str = ""
    """Tells clusters apart whatever they are called; empty where it could not be read."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Stack file and values files -> digest."""
    catalogue: Mapping[str, str] = field(default_factory=dict)
    """Component -> digest over its files."""
    charts: Mapping[str, str] = field(default_factory=dict)
    """Component -> name, version and digest of its chart."""
    releases: Mapping[str, str] = field(default_factory=dict)
    """``namespace/name`` -> its newest Helm revision and status."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret -> keyed hash of its content; empty texts before the first one was applied."""
    changes: tuple[str, ...] = ()
    """For people."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """See ``plan_form``."""


def digest(texts: Iterable[str]) -> str:
    """``sha256:…`` over texts in their order."""
    found = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        found.update(f"{len(data)}:".encode() + data)
    return f"sha256:{found.hexdigest()}"


def plan_form(plan: Plan) -> dict[str, Any]:
    """What a plan does, without words and without values: equal forms do the same.

    Looking once more at what is unchanged and not ready is no part of it: pods come and go.
    """
    looks = {op.id for op in plan.operations if isinstance(op, Wait) and not op.needs}
    return {
        "action": plan.action,
        "operations": [operation_form(op, looks) for op in plan.operations if op.id not in looks],
        "unchanged": {s.component: f"Helm revision {s.helm_revision}, {s.digest}" for s in plan.unchanged},
    }


def releases_form(resolved: ResolvedStack, observed: ObservedState) -> dict[str, str]:
    """The stack's releases as Helm shows them: those it wants, those it has."""
    wanted = {(release.namespace, release.release) for release in resolved.releases}
    return {
        f"{namespace}/{name}": f"Helm revision {found.revision}, {found.status}"
        for (namespace, name), found in sorted(observed.releases.items())
        if found.stack == resolved.name or (namespace, name) in wanted
    }


def base_form(observed: ObservedState) -> dict[str, Any]:
    """The newest finished revision, and one that was begun after it."""
    return {
        "revision": observed.last.number if observed.last else 0,
        "unfinished": observed.pending.number if observed.pending else None,
    }


def charts_form(resolved: ResolvedStack) -> dict[str, str]:
    """The charts that the stack would use."""
    return {r.component: f"{r.chart.name} {r.chart.version} {r.chart.digest}" for r in resolved.releases}


def changes_form(plan: Plan) -> tuple[str, ...]:
    """What the plan changes, a line each, for whoever reads the file."""
    return tuple(
        line
        for change in plan.changes
        if change.symbol != "="
        for line in (f"{change.symbol} {change.component}  {change.text}", *(f"    {d}" for d in change.details))
    )


def without_secrets(sets: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``--set`` arguments that may be written into a file, and the paths of those that may not."""
    written, withheld = [], []
    for argument in sets:
        assignments, _ = parse_set(argument)
        names = [str(step) for assignment in assignments for step in assignment.path if isinstance(step, str)]
        if (
            any(names_secret(names[:end]) for end in range(1, len(names) + 1))
            or without_addresses(argument) != argument
        ):
            withheld.append(argument.partition("=")[0])
        else:
            written.append(argument)
    return tuple(written), tuple(withheld)


def refuse_moved(saved: SavedPlan, now: SavedPlan) -> None:
    """Compares a saved plan with one that was made now.

    Raises:
        Refused: with everything that is not as it was.
    """
    moved = tuple(what_moved(saved, now))
    if moved:
        raise Refused(
            f"the saved plan of {saved.created} does not hold any more: "
            f"{len(moved)} thing{'s' if len(moved) != 1 else ''} moved on",
            detail=moved,
            hint="look at what changed and make a new one: sparkrig plan --out FILE",
        )


def what_moved(saved: SavedPlan, now: SavedPlan) -> Iterator[str]:
    """Everything that is not as it was when the plan was saved, a sentence each."""
    if saved.cluster_id and now.cluster_id and saved.cluster_id != now.cluster_id:
        yield f"the cluster is another one: planned for {saved.cluster}, this is {now.cluster}"
    if saved.stack != now.stack:
        yield f"the stack is {now.stack}, planned was {saved.stack}"
    told = [
        *_differences("", saved.files, now.files, digests=True),
        *_differences("component ", saved.catalogue, now.catalogue, digests=True, suffix=" of the catalogue"),
        *_differences("chart of ", saved.charts, now.charts),
        *_differences("content of secret ", saved.secrets, now.secrets, digests=True),
        *_differences("", _base_words(saved), _base_words(now)),
        *_differences("release ", saved.releases, now.releases),
    ]
    yield from told
    if not told:
        yield from _plan_differences(saved.plan, now.plan)


def _base_words(saved: SavedPlan) -> dict[str, str]:
    return {
        "newest revision": str(saved.base.get("revision")),
        "unfinished revision": str(saved.base.get("unfinished") or "none"),
    }


def _differences(
    prefix: str, before: Mapping[str, str], after: Mapping[str, str], *, digests: bool = False, suffix: str = ""
) -> Iterator[str]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        what = f"{prefix}{name}{suffix}"
        if old == new:
            continue
        if old is None or new is None:
            value = f", now {new}" if new and not digests else ""
            yield f"{what}: not there before{value}" if old is None else f"{what}: gone"
        else:
            yield f"{what}: changed" if digests else f"{what}: {old} -> {new}"


def _plan_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What the plan would do otherwise although its inputs are the same: the cluster's facts, Secrets, live objects."""
    old, new = ({op["id"]: op for op in side.get("operations", ())} for side in (before, after))
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield f"{name}: planned, and not needed any more"
        elif name not in old:
            yield f"{name}: not planned, and needed now"
        elif old[name] != new[name]:
            fields = [key for key in new[name] if new[name][key] != old[name].get(key)]
            yield f"{name}: {', '.join(fields)} changed"
    yield from _differences("unchanged ", before.get("unchanged", {}), after.get("unchanged", {}))


# ------------------------------------------------------------------ the file


def encode(saved: SavedPlan) -> str:
    """The text of the file."""
    body = dataclasses.asdict(saved)
    document = {"apiVersion": API_VERSION, "kind": KIND, "about": _ABOUT, **{_camel(k): v for k, v in body.items()}}
    document["asked"] = {_camel(key): value for key, value in body["asked"].items()}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def decode(text: str, shown: str) -> SavedPlan:
    """The plan in the text of a file.

    Raises:
        InvalidInput: it is no saved plan, or not of a form that this sparkrig knows.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise _not_a_plan(shown, f"this is not JSON: {error.msg}", error.lineno, error.colno) from None
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise _not_a_plan(shown, "this is not a plan that `sparkrig plan --out` wrote")
    if document.get("apiVersion") != API_VERSION:
        found = document.get("apiVersion")
        raise _not_a_plan(shown, f"its apiVersion is {found!r}, this sparkrig reads {API_VERSION}")
    asked = document.get("asked")
    if not isinstance(asked, dict):
        raise _not_a_plan(shown, "'asked' is missing")
    return _record(SavedPlan, {**document, "asked": _record(Asked, asked, shown)}, shown)  # type: ignore[no-any-return]


def is_saved_plan(text: str) -> bool:
    """Whether a file's text is a saved plan, so that it may be written over."""
    try:
        document = json.loads(text)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("kind") == KIND


def _record(kind: Any, document: Mapping[str, Any], shown: str) -> Any:
    values = {}
    for f in dataclasses.fields(kind):
        name = _camel(f.name)
        if name not in document:
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
                raise _not_a_plan(shown, f"'{name}' is missing")
            continue
        value = document[name]
        value = tuple(value) if isinstance(value, list) else value
        if not _fits(value, str(f.type)):
            raise _not_a_plan(shown, f"'{name}' is not of the right form")
        values[f.name] = value
    return kind(**values)


def _fits(value: Any, annotation: str) -> bool:
    if annotation.startswith("tuple"):
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if annotation == "Mapping[str, str]":
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    if annotation.startswith("Mapping"):
        return isinstance(value, dict)
    if annotation == "bool":
        return isinstance(value, bool)
    if annotation == "Asked":
        return isinstance(value, Asked)
    return isinstance(value, str) or (value is None and annotation.endswith("None"))


def _not_a_plan(shown: str, message: str, line: int = 1, column: int = 1) -> InvalidInput:
    problem = Problem(
        Severity.ERROR,
        "saved-plan",
        message,
        Position(shown, line, column),
        hint="make one with: sparkrig plan --out FILE",
    )
    return InvalidInput([problem], "the saved plan cannot be used")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
