"""Asks the admission webhooks of a release: each has to answer before anything that needs the release starts.

That its pods are ready does not show it. The API server may not reach them yet, and the CA that it trusts is often
written by a leader that is elected later. So each webhook is asked by a dry run, which stores nothing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sparkrig.apply.admission.probes import Cluster, NotProbed, dry_run, kind_of, namespaces_of, read_cluster
from sparkrig.defaults import WEBHOOK_ANSWER_S
from sparkrig.errors import AccessDenied, SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import ApiError, ConnectionLost, Invalid
from sparkrig.models.json import mapping_at, mappings_at
from sparkrig.models.objects import Judgement, ObjectRef
from sparkrig.plan.crds.drift import CRDS
from sparkrig.plan.crds.safety import strategy
from sparkrig.plan.server.webhook_probe import answered, probe, unanswered, why_not
from sparkrig.plan.server.webhooks import dead_service, pod_port, reach
from sparkrig.readiness.fields import progressing

Object = Mapping[str, Any]
KINDS: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_CONVERSION: Final = re.compile(r"conversion webhook for [^:]+ failed: (?P<why>.*)", re.DOTALL)
_CLOSED_WAY: Final = re.compile(
    r"deadline exceeded|i/o timeout|timed out|connection refused|no route to host|Client.Timeout"
)
"""What the API server says where no packet comes back from a webhook's pods."""
TOO_MANY, SERVER_ERROR = 429, 500


class Webhooks:
    """The webhooks of one release while it is waited for; remembers which have answered."""

    def __init__(
        self,
        api: KubeApi,
        inventory: Sequence[ObjectRef],
        say: Callable[[str], None],
        converted: Sequence[str] = (),
    ) -> None:
        """``converted`` are CRDs of the release whose custom resources a webhook converts."""
        self._api = api
        self._converted = list(converted)
        self._say = say
        self._done: set[tuple[ObjectRef, str]] = set()
        self._places = namespaces_of(inventory)

    def silent(self, configurations: Mapping[ObjectRef, Object], within_s: float) -> dict[ObjectRef, Judgement]:
        """The first webhook of them that has not answered yet, with the reason; empty once all have.

        A webhook that no dry run can ask is taken as it is once its Service has a ready endpoint, and that is said.
        """
        # In the API server's order: what a mutating webhook stops no validating one is asked about.
        asked = [
            (ref, hook)
            for ref in sorted(configurations, key=lambda ref: KINDS.index(ref.kind))
            for hook in configurations[ref].get("webhooks") or ()
        ]
        names = {kind: [str(hook.get("name")) for ref, hook in asked if ref.kind == kind] for kind in KINDS}
        cluster: Cluster | None = None
        for ref, hook in asked:
            name = str(hook.get("name"))
            if (ref, name) in self._done:
                continue
            try:
                if why := self._dead(hook):
                    return {ref: progressing(f"webhook {name} cannot answer: {why}")}
                cluster = cluster or read_cluster(self._api, self._places)
                if why := self._ask(cluster, ref, hook, names, within_s):
                    return {ref: progressing(f"webhook {name} does not answer yet: {why}{self._reach(hook, why)}")}
            except ConnectionLost as error:
                why = error.message
                return {ref: progressing(f"webhook {name} does not answer yet: {why}{self._reach(hook, why)}")}
            except NotProbed as reason:
                self._say(f"webhook {name} was not probed: {reason}")
            self._done.add((ref, name))
        return self._unconverted(within_s)

    def _unconverted(self, within_s: float) -> dict[ObjectRef, Judgement]:
        """The first CRD whose conversion webhook does not answer yet, with the reason; empty once all do."""
        while self._converted:
            name = self._converted[0]
            ref = ObjectRef("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "", name)
            try:
                why = self._convert(name, within_s)
            except ConnectionLost as error:
                why = f"does not answer yet: {error.message}"
            if why:
                return {ref: progressing(f"its conversion webhook {why}")}
            self._converted.pop(0)
        return {}

    def _convert(self, name: str, within_s: float) -> str:
        """Why a CRD's conversion webhook cannot be used yet; empty where it can, or nothing tells.

        A dry run encodes the object as it would be stored, so one in another version than the stored one is converted.
        """
        spec = mapping_at(self._api.get(f"{CRDS}/{name}", missing_ok=True), "spec")
        client = mapping_at(spec, "conversion", "webhook", "clientConfig")
        other = next((v for v in mappings_at(spec, "versions") if v.get("served") and not v.get("storage")), None)
        if strategy(spec) != "Webhook" or other is None:
            return ""
        if why := self._dead({"clientConfig": client}):
            return f"cannot answer: {why}"
        if client.get("service") and not client.get("caBundle"):
            return "has no CA yet"
        info, schema = kind_of(spec, other), mapping_at(other, "schema", "openAPIV3Schema")
        body = probe({}, info, "default", f"sparkrig-probe-{secrets.token_hex(4)}", schema)
        if body is None:  # no object can be made up: nothing tells
            return ""
        try:
            dry_run(self._api, info, body, within_s)
        except ConnectionLost:
            raise
        except SparkrigError as error:  # what else refuses it says nothing of the webhook
            found = _CONVERSION.search(error.message)
            return f"does not answer yet: {' '.join(found['why'].split())}" if found else ""
        return ""

    def _dead(self, hook: Object) -> str:
        service = (hook.get("clientConfig") or {}).get("service")
        if not service:
            return ""
        namespace, name = str(service.get("namespace")), str(service.get("name"))
        try:
            found = self._api.get(f"/api/v1/namespaces/{namespace}/services/{name}", missing_ok=True)
            path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
            slices = self._api.list(path, label_selector=f"kubernetes.io/service-name={name}")
        except AccessDenied:  # the probe tells
            return ""
        return dead_service(service, [found] if found else [], slices)

    def _reach(self, hook: Object, why: str) -> str:
        """What may close the way to pods that are ready; empty where something else was said."""
        client = (hook.get("clientConfig") or {}).get("service") or {}
        if not client or not _CLOSED_WAY.search(why):
            return ""
        service = f"{client.get('namespace')}/{client.get('name')}"
        try:
            path = f"/api/v1/namespaces/{client.get('namespace')}/services/{client.get('name')}"
            found = self._api.get(path, missing_ok=True)
        except AccessDenied:
            return ""
        port = pod_port(client, [found] if found else [])
        return f"; {reach(service, port)}" if port else ""

    def _ask(
        self, cluster: Cluster, ref: ObjectRef, hook: Object, names: Mapping[str, Sequence[str]], within_s: float
    ) -> str:
        """Why the webhook does not answer yet; empty when it did.

        Raises:
            NotProbed: nothing was learned of it.
            ConnectionLost: the API server did not say in time.
        """
        if why := why_not(hook):
            raise NotProbed(why)
        resource, body = cluster.probe_for(hook)
        longest_s = float(hook.get("timeoutSeconds") or WEBHOOK_ANSWER_S) + 1.0
        try:
            dry_run(self._api, resource, body, within_s, longest_s)
        except ConnectionLost:
            raise
        except ApiError as error:
            if why := unanswered(error.message, [name for each in names.values() for name in each]) or _passing(error):
                return why
            later = names[KINDS[1]] if ref.kind == KINDS[0] else None
            if not answered(error.message, str(hook.get("name")), later, invalid=isinstance(error, Invalid)):
                raise NotProbed(f"a {resource.kind} was refused before it was asked: {error.message}") from error
        except SparkrigError as error:
            raise NotProbed(error.message) from error
        return ""


def _passing(error: ApiError) -> str:
    """What the API server says of a trouble of its own, which tells nothing of the webhook; empty for a verdict."""
    return error.message if error.status == TOO_MANY or error.status >= SERVER_ERROR else ""
