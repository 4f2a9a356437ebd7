"""Kinds by which the API server is extended: CRDs, APIServices, webhook configurations."""

from __future__ import annotations

from sparkrig.models.json import mapping_at, mappings_at, text_at
from sparkrig.models.objects import Judgement
from sparkrig.readiness.context import Context
from sparkrig.readiness.fields import Object, condition, failed, holds, progressing, ready, said


def definition(obj: Object) -> Judgement:
    """Ready when established; failed when another CRD has its names."""
    accepted = condition(obj, "NamesAccepted")
    if accepted is not None and accepted.get("status") == "False":
        return failed(f"its names are taken: {said(accepted)}")
    if holds(obj, "Terminating"):
        return progressing("being deleted")
    if holds(obj, "Established") and accepted is not None:
        return ready("established")
    return progressing("not established yet")


def api_service(obj: Object) -> Judgement:
    """Ready when the API server reaches the one behind it."""
    found = condition(obj, "Available")
    if found is None:
        return progressing("the API server has not tried it yet")
    if found.get("status") == "True":
        return ready("available")
    return progressing(f"not available: {said(found)}")


def webhooks(obj: Object, context: Context) -> Judgement:
    """Ready when registered and, where webhooks are called, each webhook that uses a Service has its CA.

    Whether it answers, only a request shows: ``apply.webhooks`` sends one.
    """
    missing = [text_at(hook, "name") for hook in mappings_at(obj, "webhooks") if _lacks_ca(hook)]
    if missing and context.webhooks_served:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return progressing(f"no CA yet for webhook {missing[0]}{more}")
    return ready()


def _lacks_ca(hook: Object) -> bool:
    client = mapping_at(hook, "clientConfig")
    return bool(client.get("service")) and not client.get("caBundle")
