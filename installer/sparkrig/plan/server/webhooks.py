"""Which admission webhooks are asked about an object, and which of them do not answer. Pure.

Facts are what the cluster says of itself: whether a webhook's Service has an endpoint, and what the API
server's own counters say of the webhook's answers (``cluster.webhooks`` reads both).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sparkrig.models.objects import ObjectRef

Object = Mapping[str, Any]
HTTPS: Final = 443
SLOW_S: Final = 1.0
"""A webhook that takes longer on average is the reason for the wait: usual are milliseconds."""


@dataclass(frozen=True, slots=True)
class Answers:
    """How a webhook answered since the API server started."""

    asked: int = 0
    seconds: float = 0.0
    """All answers together."""
    failed_open: int = 0
    """Requests that went on without its answer."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The webhooks of a cluster, and what tells whether they answer."""

    configurations: Sequence[Object] = ()
    services: Sequence[Object] = ()
    slices: Sequence[Object] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Namespace -> its labels."""
    answers: Mapping[str, Answers] = field(default_factory=dict)
    """Webhook -> its answers; empty where the counters may not be read."""


@dataclass(frozen=True, slots=True)
class Request:
    """One object as a webhook is asked about it."""

    ref: ObjectRef
    plural: str
    labels: Mapping[str, str] | None = None
    """None: not known, so that no selector takes it out."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A webhook that does not answer as it should."""

    configuration: str
    """``ValidatingWebhookConfiguration guard``."""
    name: str
    closed: bool
    """Without its answer the request is refused (``failurePolicy: Fail``); else it waits and goes on."""
    why: str
    requests: tuple[ObjectRef, ...]
    """What it is asked about."""
    service: str = ""
    """``namespace/name`` of the Service that it is reached by, where that exists: then it is no leftover."""
    port: str = ""
    """Of the pods behind the Service, where one is ready: then it is the way to them that is closed."""
    asked: str = ""
    """``create and update of pods``: everything that it is asked about."""

    def text(self, most: int = 3) -> str:
        """One sentence."""
        names = ", ".join(map(str, self.requests[:most]))
        more = f" and {len(self.requests) - most} more" if len(self.requests) > most else ""
        effect = f" {'blocks' if self.closed else 'delays'} {names}{more}" if names else ""
        return f"webhook {self.name} ({self.configuration}){effect}: {self.why}"

    @property
    def hint(self) -> str:
        """What to do about it."""
        refused = f"every {self.asked} is refused until it answers: " if self.closed and self.asked else ""
        if self.service and self.port:
            return f"{refused}{reach(self.service, self.port)}; then run the command again"
        if self.service:
            namespace, _, name = self.service.partition("/")
            return (
                f"{refused}look at the pods of Service {self.service} and at their logs (kubectl -n {namespace} "
                f"get pods,endpointslices), then run the command again; the webhook belongs to what runs there"
            )
        kind, name = self.configuration.split(" ", 1)
        return f"{refused}see that its server runs, or remove what is left of it: kubectl delete {kind.lower()} {name}"


def reach(service: str, port: str) -> str:
    """What to look at where a webhook's pods are ready and the API server does not get through to them."""
    return (
        f"the API server must reach port {port} of the pods of Service {service}: see whether a firewall between the "
        "control plane and the nodes, or a NetworkPolicy, closes it"
    )


def pod_port(client: Mapping[str, Any], services: Iterable[Object]) -> str:
    """The port of the pods that a webhook's requests arrive at; empty where its Service does not exist."""
    place = str(client.get("namespace")), str(client.get("name"))
    found = next((service for service in services if _place(service) == place), None)
    wanted = client.get("port") or HTTPS
    ports = ((found or {}).get("spec") or {}).get("ports") or ()
    entry = next((each for each in ports if each.get("port") == wanted), None)
    return str(entry.get("targetPort") or wanted) if entry else ""


def asked_of(hook: Object) -> str:
    """``create and update of pods and services``."""
    rules = hook.get("rules") or ()
    verbs = dict.fromkeys(str(verb).lower() for rule in rules for verb in rule.get("operations") or ())
    kinds = dict.fromkeys(str(kind) for rule in rules for kind in rule.get("resources") or ())
    what = "write" if "*" in verbs else " and ".join(verbs)
    return (
        f"{what} of {' and '.join('everything' if kind.startswith('*') else kind for kind in kinds)}" if kinds else ""
    )


def silent_webhooks(admission: Admission, requests: Iterable[Request]) -> tuple[Silent, ...]:
    """Every webhook that is asked about one of the requests and has no server, or does not answer in time."""
    asked = tuple(requests)
    found = []
    for configuration, hook in _hooks(admission.configurations):
        refs = tuple(r.ref for r in asked if asks(hook, r, admission.namespaces))
        why = _why(admission, hook) if refs else ""
        if why:
            where = f"{configuration['kind']} {configuration['metadata']['name']}"
            closed = hook.get("failurePolicy", "Fail") == "Fail"
            found.append(Silent(where, str(hook.get("name")), closed, why, refs, *_way(admission, hook)))
    return tuple(found)


def webhook_named(admission: Admission, name: str, refs: Iterable[ObjectRef]) -> tuple[Silent, ...]:
    """The webhook of a name that the API server complained about; ``refs`` is what it complained for."""
    blocked = tuple(refs)
    return tuple(
        Silent(
            f"{configuration['kind']} {configuration['metadata']['name']}",
            name,
            hook.get("failurePolicy", "Fail") == "Fail",
            _why(admission, hook) or "it does not answer",
            blocked,
            *_way(admission, hook),
        )
        for configuration, hook in _hooks(admission.configurations)
        if hook.get("name") == name
    )


def asked_about(admission: Admission, name: str, requests: Iterable[Request]) -> tuple[ObjectRef, ...]:
    """Those of the objects that the webhook of a name is asked about."""
    hooks = [hook for _, hook in _hooks(admission.configurations) if hook.get("name") == name]
    return tuple(r.ref for r in requests if any(asks(hook, r, admission.namespaces) for hook in hooks))


def _way(admission: Admission, hook: Object) -> tuple[str, str, str]:
    """The Service, the port of its pods where they are ready, and what the webhook is asked about."""
    client = (hook.get("clientConfig") or {}).get("service") or {}
    open_ = client and not dead_service(client, admission.services, admission.slices)
    return _service(admission, hook), pod_port(client, admission.services) if open_ else "", asked_of(hook)


def _service(admission: Admission, hook: Object) -> str:
    """``namespace/name`` of the Service that the webhook is reached by; empty where there is none (any more)."""
    service = (hook.get("clientConfig") or {}).get("service") or {}
    place = str(service.get("namespace")), str(service.get("name"))
    return "/".join(place) if any(_place(s) == place for s in admission.services) else ""


def _hooks(configurations: Iterable[Object]) -> list[tuple[Object, Object]]:
    return [(c, hook) for c in configurations for hook in c.get("webhooks") or ()]


def _why(admission: Admission, hook: Object) -> str:
    client = hook.get("clientConfig") or {}
    if client.get("service"):
        dead = dead_service(client["service"], admission.services, admission.slices)
        if dead:
            return dead
    answers = admission.answers.get(str(hook.get("name")))
    if answers is None:
        return ""
    place = f" at {client['url']}" if client.get("url") else ""
    told = []
    if answers.failed_open:
        told.append(f"left {answers.failed_open} requests without an answer")
    mean = answers.seconds / answers.asked if answers.asked else 0.0
    if mean >= SLOW_S:
        told.append(f"takes {mean:.1f} s a request on average")
    return f"its server{place} {' and '.join(told)}" if told else ""


def dead_service(service: Mapping[str, Any], services: Iterable[Object], slices: Iterable[Object]) -> str:
    """Why the Service behind a webhook cannot answer; empty where it can."""
    namespace, name = str(service.get("namespace")), str(service.get("name"))
    found = next((s for s in services if _place(s) == (namespace, name)), None)
    if found is None:
        return f"its Service {namespace}/{name} does not exist"
    if (found.get("spec") or {}).get("type") == "ExternalName":
        return ""
    for item in slices:
        labels = (item.get("metadata") or {}).get("labels") or {}
        if item["metadata"].get("namespace") == namespace and labels.get("kubernetes.io/service-name") == name:
            for endpoint in item.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is not False:
                    return ""
    return f"its Service {namespace}/{name} has no ready endpoint"


def asks(hook: Object, request: Request, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a webhook is asked when this object is written."""
    ref = request.ref
    if not any(rule_matches(rule, ref.group, ref.version, request.plural) for rule in hook.get("rules") or ()):
        return False
    if request.labels is not None and not selector_matches(hook.get("objectSelector"), request.labels):
        return False
    if not ref.namespace:
        return True
    own = {"kubernetes.io/metadata.name": ref.namespace, **namespaces.get(ref.namespace, {})}
    return selector_matches(hook.get("namespaceSelector"), own)


def rule_matches(rule: Mapping[str, Any], group: str, version: str, plural: str) -> bool:
    """Whether a webhook's rule is about creating or changing objects of this kind."""

    def has(key: str, value: str) -> bool:
        return bool({value, "*"} & set(rule.get(key) or ()))

    operations = set(rule.get("operations") or ())
    resources = has("resources", plural) or "*/*" in (rule.get("resources") or ())
    return (
        bool(operations & {"CREATE", "UPDATE", "*"})
        and has("apiGroups", group)
        and has("apiVersions", version)
        and resources
    )


def selector_matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels; one that is empty or absent selects everything."""
    for key, value in ((selector or {}).get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    return all(
        label_expression_holds(labels, str(e.get("key")), str(e.get("operator")), e.get("values") or ())
        for e in (selector or {}).get("matchExpressions") or ()
    )


def label_expression_holds(labels: Mapping[str, str], key: str, operator: str, values: Any) -> bool:
    """One line of a label selector's ``matchExpressions``; True for an operator that labels do not have."""
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return True


def _place(item: Object) -> tuple[str, str]:
    metadata = item.get("metadata") or {}
    return str(metadata.get("namespace")), str(metadata.get("name"))
