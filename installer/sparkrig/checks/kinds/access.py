"""``access``: a service account may do what its program must do, by the word of the API server's own authorisers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet, no_needs
from sparkrig.models.json import JsonDict, JsonObject, dig, mappings_at, text_at, texts_at

API: Final = "authorization.k8s.io"
SHOWN: Final = 4


def ask(context: Context) -> str:
    """Every verb on every resource of ``may`` is granted to ``serviceAccount`` in the namespace.

    One LocalSubjectAccessReview each: nothing is stored, and only rights in the namespace are needed to ask.
    """
    account = text_at(context.parameters, "serviceAccount")
    home = text_at(context.parameters, "accountNamespace") or context.namespace
    missing: list[str] = []
    count = 0
    for attributes, words in _rights(mappings_at(context.parameters, "may")):
        count += 1
        if not _granted(context, f"{home}:{account}", home, attributes):
            missing.append(words)
    if missing:
        rest = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        where = f" in {context.namespace}" if home != context.namespace else ""
        raise NotYet(f"service account {home}/{account} may not{where}: {', '.join(missing[:SHOWN])}{rest}")
    return f"{home}/{account} has the {count} rights that it needs"


def _rights(may: Iterable[JsonObject]) -> Iterator[tuple[dict[str, str], str]]:
    """Each right as the review's attributes and as words: ``create pods``, ``get jobs.batch``, ``get pods/log``."""
    for entry in may:
        group = text_at(entry, "group")
        for written in texts_at(entry, "resources"):
            resource, _, subresource = written.partition("/")
            attributes = {"group": group, "resource": resource, "subresource": subresource}
            named = ".".join(filter(None, (resource, group))) + (f"/{subresource}" if subresource else "")
            for verb in texts_at(entry, "verbs"):
                yield {**attributes, "verb": verb}, f"{verb} {named}"


def _granted(context: Context, user: str, home: str, attributes: Mapping[str, str]) -> bool:
    review: JsonDict = {
        "apiVersion": f"{API}/v1",
        "kind": "LocalSubjectAccessReview",
        "metadata": {"namespace": context.namespace},
        "spec": {
            "user": f"system:serviceaccount:{user}",
            # What the authenticator would add; RBAC binds to these too.
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{home}", "system:authenticated"],
            "resourceAttributes": {**attributes, "namespace": context.namespace},
        },
    }
    path = f"/apis/{API}/v1/namespaces/{context.namespace}/localsubjectaccessreviews"
    answer = context.api.request("POST", path, body=review, timeout_s=context.request_s)
    return bool(dig(answer, "status", "allowed"))


KIND = Kind(ask, Depth.FAST, no_needs)
