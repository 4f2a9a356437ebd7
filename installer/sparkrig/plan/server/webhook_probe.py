"""Builds the object whose dry run shows that an admission webhook answers, and judges the reply. Pure.

The API server asks mutating webhooks before it validates an object, and validating webhooks after that. So the object
has to be valid where a validating webhook is probed; ``minimal`` fills what the schema of a custom resource requires.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from sparkrig.plan.server.webhooks import Object, selector_matches
from sparkrig.readiness import is_custom_group

_CLOSED: Final = {
    "name": "probe",
    "image": "registry.invalid/probe",
    "resources": {kind: {"cpu": "1m", "memory": "1Mi"} for kind in ("requests", "limits")},
    "securityContext": {
        "runAsUser": 65534,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
"""A container that every pod security level allows."""
_BUILT_IN: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    ("", "ConfigMap"): {},
    ("", "Pod"): {"spec": {"containers": [_CLOSED]}},
    ("", "Secret"): {},
    ("", "Service"): {"spec": {"clusterIP": "None", "ports": [{"port": 80}]}},
    ("", "ServiceAccount"): {},
    ("", "Namespace"): {},
    ("networking.k8s.io", "Ingress"): {
        "spec": {"defaultBackend": {"service": {"name": "probe", "port": {"number": 80}}}}
    },
}
"""Kinds of Kubernetes itself that a probe may be -> a valid object of theirs."""
_TEXTS: Final = ("x", "1", "a.b", "a/b", "1Gi", "1s", "https://example.invalid/", "2000-01-01T00:00:00Z")
"""Texts that are tried where a schema has a pattern."""
_CALL: Final = re.compile(r'failed calling webhook \\?"(?P<name>[^"\\]+)\\?": (?P<why>.*)', re.DOTALL)
_DENIED: Final = re.compile(r'admission webhook \\?"(?P<name>[^"\\]+)\\?" denied the request')


class Resource(Protocol):
    """A kind as the API server serves it."""

    @property
    def group(self) -> str:
        """Empty for the core group."""

    @property
    def version(self) -> str:
        """Such as ``v1``."""

    @property
    def kind(self) -> str:
        """Such as ``Pod``."""

    @property
    def plural(self) -> str:
        """Such as ``pods``."""

    @property
    def namespaced(self) -> bool:
        """Whether its objects live in namespaces."""


R = TypeVar("R", bound=Resource)


def why_not(hook: Object) -> str:
    """Why no dry run can show that this webhook answers; empty where one can."""
    if hook.get("failurePolicy", "Fail") != "Fail":
        return "its failurePolicy lets requests through without its answer"
    if hook.get("sideEffects") not in (None, "None", "NoneOnDryRun"):
        return "it takes no part in dry runs"
    if hook.get("matchConditions"):
        return "its matchConditions decide what it is asked about"
    if not any({"CREATE", "*"} & set(rule.get("operations") or ()) for rule in hook.get("rules") or ()):
        return "it is not asked about new objects"
    return ""


def resources_of(hook: Object, served: Iterable[R]) -> list[R]:
    """The kinds whose creation the webhook is asked about and that a probe may be, the best first.

    Custom resources come first where a rule names their group: a rule for every group is better asked with a kind
    that has no other webhooks.
    """
    rules = [rule for rule in hook.get("rules") or () if {"CREATE", "*"} & set(rule.get("operations") or ())]
    named = {group for rule in rules for group in rule.get("apiGroups") or ()}
    order = list(_BUILT_IN)

    def rank(resource: Resource) -> tuple[int, str, str]:
        key = (resource.group, resource.kind)
        place = order.index(key) if key in order else -1 if resource.group in named else len(order)
        return place, *key

    able = (r for r in served if is_custom_group(r.group) or (r.group, r.kind) in _BUILT_IN)
    return sorted((r for r in able if any(_matches(rule, r) for rule in rules)), key=rank)


def namespace_for(
    hook: Object, namespaces: Mapping[str, Mapping[str, str]], preferred: Sequence[str] = ()
) -> str | None:
    """A namespace that the webhook's selector selects, ``preferred`` ones first; None where there is none."""
    names = [*(name for name in preferred if name in namespaces), *sorted(namespaces)]
    for name in names:
        labels = {"kubernetes.io/metadata.name": name, **namespaces[name]}
        if selector_matches(hook.get("namespaceSelector"), labels):
            return name
    return None


def probe(hook: Object, resource: Resource, namespace: str, name: str, schema: Object | None) -> dict[str, Any] | None:
    """An object of the kind that the webhook is asked about; None where its objectSelector allows none.

    ``schema`` is the one that the kind's CRD has, None for a kind of Kubernetes itself.
    """
    labels = _labels(hook.get("objectSelector"))
    if not selector_matches(hook.get("objectSelector"), labels):
        return None
    known = _BUILT_IN.get((resource.group, resource.kind), {})
    body = known if schema is None else _mapping({**schema, "required": _fields(schema)})
    version = f"{resource.group}/{resource.version}" if resource.group else resource.version
    place = {"namespace": namespace} if resource.namespaced else {}
    return {
        **body,
        "apiVersion": version,
        "kind": resource.kind,
        "metadata": {"name": name, **place, **({"labels": labels} if labels else {})},
    }


def minimal(schema: Object) -> Any:
    """The smallest value that a CRD's schema accepts, as far as it says so plainly (not by rules such as CEL)."""
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("x-kubernetes-int-or-string"):
        return 1
    match schema.get("type"):
        case "array":
            return [minimal(schema.get("items") or {})] * int(schema.get("minItems") or 0)
        case "string":
            return _text(schema)
        case "integer" | "number":
            return schema.get("minimum", min(1, schema.get("maximum", 1)))
        case "boolean":
            return False
        case _:
            return _mapping(schema)


def unanswered(message: str, hooks: Iterable[str]) -> str:
    """Why one of the webhooks ``hooks`` did not answer, from the API server's message; empty where all did."""
    found = _CALL.search(message)
    if found is None or found["name"] not in set(hooks):
        return ""
    return " ".join(found["why"].split())


def answered(message: str, hook: str, later: Collection[str] | None, *, invalid: bool) -> bool:
    """Whether a refusal shows that the webhook was asked: it said no itself, or what said no comes after it.

    ``later`` are the validating webhooks that come after a mutating one; None for a webhook that is one of them.
    """
    denied = _DENIED.search(message)
    if denied is not None:
        return denied["name"] == hook or denied["name"] in (later or ())
    return later is not None and invalid


def _matches(rule: Mapping[str, Any], resource: Resource) -> bool:
    def has(key: str, value: str) -> bool:
        return bool({value, "*"} & set(rule.get(key) or ()))

    scope = rule.get("scope") or "*"
    return (
        has("apiGroups", resource.group)
        and has("apiVersions", resource.version)
        and (has("resources", resource.plural) or "*/*" in (rule.get("resources") or ()))
        and scope in ("*", "Namespaced" if resource.namespaced else "Cluster")
    )


def _labels(selector: Mapping[str, Any] | None) -> dict[str, str]:
    """Labels that a selector selects, where labels can do that."""
    labels = {str(key): str(value) for key, value in ((selector or {}).get("matchLabels") or {}).items()}
    for expression in (selector or {}).get("matchExpressions") or ():
        if expression.get("operator") == "In" and expression.get("values"):
            labels.setdefault(str(expression["key"]), str(expression["values"][0]))
        elif expression.get("operator") == "Exists":
            labels.setdefault(str(expression["key"]), "probe")
    return labels


def _fields(schema: Object) -> list[str]:
    """What a custom resource must have; and a spec, which many controllers take for granted."""
    required = {*(schema.get("required") or ()), *({"spec"} & set(schema.get("properties") or ()))}
    return sorted(required - {"apiVersion", "kind", "metadata"})


def _mapping(schema: Object) -> dict[str, Any]:
    properties: Mapping[str, Any] = schema.get("properties") or {}
    return {key: minimal(properties.get(key) or {}) for key in schema.get("required") or ()}


def _text(schema: Object) -> str:
    if schema.get("format") == "date-time":
        return "2000-01-01T00:00:00Z"
    pattern = str(schema.get("pattern") or "")
    for text in _TEXTS if pattern else ():
        try:
            if re.search(pattern, text):
                return text
        except re.error:  # Go's syntax has what Python's has not
            break
    return "x" * max(1, int(schema.get("minLength") or 1))
