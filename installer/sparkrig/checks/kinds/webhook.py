"""``webhook``: admission sees an object. A dry run stores nothing."""

from __future__ import annotations

import re

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet, Wrong
from sparkrig.checks.kinds.matching import mismatch, shown
from sparkrig.kube.client import ApiError, KindNotServed
from sparkrig.models.json import JsonDict, Manifest, mapping_at, mappings_at, text_or_none


def ask(context: Context) -> str:
    """The object must be ``denied`` with a message that matches, or come back ``changed`` as a webhook changes it.

    That an object is accepted proves nothing: so it is where no webhook is asked at all.
    """
    parameters = context.parameters
    manifest = with_place(context, mapping_at(parameters, "object"))
    denied = text_or_none(parameters, "denied")
    try:
        answer = context.api.server_dry_run(manifest)
    except KindNotServed as error:
        raise NotYet(error.message) from error
    except ApiError as error:
        if denied is not None and re.search(denied, error.message):
            return f"refuses what it must: {shown(error.body.get('message') or error.message)}"
        if error.status in (400, 422) or "denied the request" in error.message:
            raise Wrong(f"refused for another reason: {shown(error.message)}") from error
        raise NotYet(shown(error.message)) from error
    if denied is not None:
        raise NotYet(f"a {manifest['kind']} that must be refused was accepted: the webhook does not see it")
    for test in mappings_at(parameters, "changed"):
        if why := mismatch(answer, test):
            raise NotYet(f"the webhook did not change the {manifest['kind']}: {why}")
    return f"changes a {manifest['kind']} as it must"


def with_place(context: Context, manifest: Manifest) -> JsonDict:
    """The object with a name and the check's namespace where it says none."""
    metadata = {"name": context.name, "namespace": context.namespace, **mapping_at(manifest, "metadata")}
    return {**manifest, "metadata": metadata}


KIND = Kind(ask, Depth.NORMAL)
