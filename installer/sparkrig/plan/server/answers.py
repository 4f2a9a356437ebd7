"""What a server-side dry run says of one object that is about to be changed. Pure.

The API server answers 409 where another field manager owns a field and has another value in it, and 422
where a field cannot be changed (or is plainly wrong). Both answers name all fields at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sparkrig.models.objects import ObjectRef
from sparkrig.plan.diff.fields import Difference, Item, Path, Step, comparable, drifted_fields, path_text, value_at
from sparkrig.plan.diff.revisions import FieldChange, describe_drift

HELM_MANAGER: Final = "helm"
"""The name under which Helm 4 applies."""
MESSAGE: Final = 300
"""Characters of the server's sentence that are shown: of a Job it repeats the whole template."""

RECREATABLE: Final = frozenset(
    {
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
        ("batch", "Job"),
        ("", "Service"),
        ("", "ConfigMap"),
        ("", "Secret"),
        ("storage.k8s.io", "StorageClass"),
        ("networking.k8s.io", "IngressClass"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    }
)
"""(group, kind) of what can be deleted and made anew without losing data. Not volumes, and not custom resources:
deleting one of these tells its operator to delete what stands behind it."""

_IMMUTABLE: Final = re.compile(
    r"immutable|may not (?:be )?change|cannot (?:be )?change|updates to .* (?:are )?forbidden|can ?not be less than",
    re.IGNORECASE | re.DOTALL,
)
_MANAGER: Final = re.compile(r'conflict with "(?P<manager>[^"]*)"(?: with subresource "(?P<subresource>[^"]*)")?')
_INDEX: Final = re.compile(r"\[(?P<inside>(?:\"(?:\\.|[^\"\\])*\"|[^\]])*)\]")


@dataclass(frozen=True, slots=True)
class Contested:
    """Fields of one object that the chart sets and somebody else owns with another value."""

    ref: ObjectRef
    fields: tuple[FieldChange, ...]
    """``before`` is the chart's value, ``after`` what is there, masked; ``owner`` is whose it is."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One object that cannot be changed as the chart wants it."""

    ref: ObjectRef
    fields: tuple[tuple[str, str], ...]
    """(field, what the API server says)."""
    reselects: bool = False
    """The selector is among what changes: what the old one selected is not the new object's."""

    @property
    def recreatable(self) -> bool:
        """True where deleting the object and making it anew loses nothing."""
        return (self.ref.group, self.ref.kind) in RECREATABLE


def contested(
    ref: ObjectRef, manifest: Mapping[str, Any], live: Mapping[str, Any], answer: Mapping[str, Any]
) -> Contested | None:
    """The fields that a 409 names; None when it names none."""
    owners: dict[Path, str] = {}
    for cause in _causes(answer):
        found = _MANAGER.search(str(cause.get("message", "")))
        if cause.get("reason") == "FieldManagerConflict" and found:
            inside = f" ({found['subresource']})" if found["subresource"] else ""
            owners.setdefault(path_of(str(cause.get("field", "")), manifest), f"{found['manager']}{inside}")
    if not owners:
        return None
    wanted, there = comparable(manifest), comparable(live)
    differences = [Difference(path, value_at(wanted, path), value_at(there, path)) for path in owners]
    change = describe_drift(ref, manifest, live, differences)
    if change is None:
        return None
    fields = (
        FieldChange(f.path, f.before, f.after, owner, f.since)
        for f, owner in zip(change.fields, owners.values(), strict=True)
    )
    return Contested(ref, tuple(fields))


def refused(
    ref: ObjectRef, manifest: Mapping[str, Any], live: Mapping[str, Any], answer: Mapping[str, Any]
) -> Refused | None:
    """What a 422 says cannot be changed; None where it complains about something else."""
    fields = []
    for cause in _causes(answer):
        message = " ".join(str(cause.get("message", "")).split())
        if not _IMMUTABLE.search(message):
            continue
        fields += [(field, _said(message)) for field in _blamed(str(cause.get("field", "")), manifest, live)]
    if not fields:
        return None
    return Refused(ref, tuple(dict.fromkeys(fields)), reselects=_selector(manifest) not in (None, _selector(live)))


def rejected(ref: ObjectRef, answer: Mapping[str, Any]) -> Refused:
    """What a 400 or a 422 says is wrong with an object, whether or not it is there already."""
    told = [(str(cause.get("field", "")), str(cause.get("message", ""))) for cause in _causes(answer)]
    told = told or [("", str(answer.get("message") or "refused"))]
    fields = [(field, _said(" ".join(message.split()))) for field, message in told]
    return Refused(ref, tuple(dict.fromkeys(fields)))


def _blamed(field: str, manifest: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """The field the server names; where it names all of ``spec``, those of its parts that would change."""
    if field != "spec" or not isinstance(manifest.get("spec"), Mapping):
        return [field]
    changed = [d.path for d in drifted_fields(manifest, live) if d.path[0] == "spec"]
    fixed = [path_text(path) for path in changed if path[1:2] and path[1] not in _CHANGEABLE]
    return fixed or [field]


_CHANGEABLE: Final = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)
"""Fields of a StatefulSet's spec that may change; the server names them and not the one that may not."""


def _said(message: str) -> str:
    """The server's sentence without the value that it quotes before it, where that is long."""
    if len(message) > MESSAGE and ": " in message:
        message = message.rsplit(": ", 1)[-1]
    return message if len(message) <= MESSAGE else f"{message[: MESSAGE - 1]}…"


def _selector(item: Mapping[str, Any]) -> Any:
    spec = item.get("spec")
    workload = str(item.get("apiVersion", "")).startswith("apps/")
    return spec.get("selector") if workload and isinstance(spec, Mapping) else None


def _causes(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((answer.get("details") or {}).get("causes") or ())


# ------------------------------------------------------------------ paths as managedFields writes them


def path_of(text: str, document: Mapping[str, Any]) -> Path:
    r"""The path that ``.spec.containers[name="main"].image`` means in a document.

    The API server does not mark dots that belong to a key, so the document decides where a key ends.
    """
    return tuple(_steps(text, document))


def _steps(text: str, document: Any) -> Iterator[Step]:
    while text:
        step: Step
        if text.startswith("[") and (found := _INDEX.match(text)):
            text, step = text[found.end() :], _index(found["inside"])
        else:
            step, text = _key(text.removeprefix("."), document)
        yield step
        document = value_at(document, (step,))


def _key(text: str, document: Any) -> tuple[str, str]:
    known = document if isinstance(document, Mapping) else {}
    fitting = [key for key in known if text == key or text.startswith((f"{key}.", f"{key}["))]
    if fitting:
        key = max(fitting, key=len)
        return key, text[len(key) :]
    key = re.split(r"[.\[]", text, maxsplit=1)[0] or text
    return key, text[len(key) :]


def _index(inside: str) -> Step:
    if inside.isdigit():
        return int(inside)
    keys = re.findall(r"([A-Za-z]\w*)=(\"(?:\\.|[^\"\\])*\"|[^,]*)", inside)
    return Item(tuple((name, _scalar(value)) for name, value in keys)) if keys else inside


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
