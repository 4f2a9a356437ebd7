"""Objects that a check makes: marked, deleted behind it, and found again when a run was killed."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sparkrig.checks.kinds.base import Context, Wrong
from sparkrig.defaults import CHECK_CLEANUP_S, LABEL_CHECK, LABEL_STACK
from sparkrig.errors import SparkrigError
from sparkrig.history import process
from sparkrig.kube.client import KindNotServed, KubeApi
from sparkrig.models.json import (
    JsonDict,
    JsonObject,
    annotations_of,
    dig,
    labels_of,
    mapping_at,
    name_of,
    namespace_of,
    text_at,
    text_map_at,
)
from sparkrig.models.objects import ObjectRef

RUN = "sparkrig.dev/check-run"
"""Annotation: which process made the object, and until when it may be needed."""
THIS_RUN = secrets.token_hex(8)
"""Tells this process from every other one, wherever it runs."""
MARGIN_S = 60.0
"""Clocks differ, and a delete may wait for a busy API server."""


def new_name(check: str) -> str:
    """Return a name for an object of this check, that no other run uses. A DNS label that begins with a letter."""
    return f"check-{check[:40].strip('-')}-{secrets.token_hex(3)}"


@contextmanager
def made(context: Context, manifest: JsonObject) -> Iterator[JsonDict]:
    """Create an object, and delete it at the end, however that comes; yield it as the API server made it.

    Raises:
        Wrong: the API server refuses it, or does not serve its kind.
    """
    marked = _marked(context, manifest)
    try:
        path = _path(context.api, marked)
    except KindNotServed as error:
        raise Wrong(error.message) from error
    collection = path.rpartition("/")[0]
    try:
        try:
            created = context.api.create(collection, marked)
        except SparkrigError as error:
            raise Wrong(f"{marked['kind']} {namespace_of(marked)}/{name_of(marked)}: {error.message}") from error
        yield created
    finally:  # also after a create whose answer was lost
        with contextlib.suppress(SparkrigError):  # the next run sweeps it
            _delete(context.api, path)


def _path(api: KubeApi, manifest: JsonObject) -> str:
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    return api.path_of(ObjectRef(group, version, text_at(manifest, "kind"), namespace_of(manifest), name_of(manifest)))


def sweep(api: KubeApi, stack: str, places: Sequence[tuple[str, str, str, str]]) -> list[str]:
    """Delete what killed runs left behind; return what it was.

    ``places`` are (group, version, kind, namespace) of the objects that this stack's checks make. What a run that is
    alive made is left alone: one on this machine is looked for, one elsewhere has the time that it gave itself.
    """
    swept = []
    for group, version, kind, namespace in dict.fromkeys(places):
        with contextlib.suppress(SparkrigError):
            collection = api.resource_of(group, version, kind).collection(namespace)
            for item in api.list(collection, label_selector=f"{LABEL_CHECK},{LABEL_STACK}={stack}", metadata_only=True):
                if dig(item, "metadata", "deletionTimestamp") or _in_use(mapping_at(item, "metadata")):
                    continue
                _delete(api, f"{collection}/{name_of(item)}")
                swept.append(f"{kind} {namespace}/{name_of(item)}")
    return swept


def _marked(context: Context, manifest: JsonObject) -> JsonDict:
    own = {
        LABEL_CHECK: f"{context.subject.component}.{context.spec.name}"[:63].rstrip("-."),
        LABEL_STACK: context.cluster.stack,
        "app.kubernetes.io/managed-by": "sparkrig",
    }
    annotations = {**annotations_of(manifest), RUN: json.dumps(_this_run(context.spec.timeout_s))}
    labels = {**labels_of(manifest), **own}
    return {
        **manifest,
        "metadata": {**mapping_at(manifest, "metadata"), "labels": labels, "annotations": annotations},
    }


def _this_run(timeout_s: float) -> JsonDict:
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=timeout_s + MARGIN_S)
    me: JsonDict = {"host": socket.gethostname(), "pid": os.getpid(), "process": process.mark(), "run": THIS_RUN}
    return {**me, "until": until.isoformat("T", "seconds")}


def _in_use(metadata: JsonObject) -> bool:
    """Whether the run that made it may still need it.

    Host name and pid do not name a run: containers share both. The mark names a process of one boot and one pid
    namespace, so that one which is certainly dead is known; any other run has the time that it gave itself.
    """
    try:
        run = json.loads(text_map_at(metadata, "annotations")[RUN])
        if run.get("run") == THIS_RUN:
            return True
        if process.is_dead(str(run.get("process") or "")):
            return False
        return datetime.datetime.fromisoformat(run["until"]) > datetime.datetime.now(datetime.UTC)
    except (KeyError, ValueError, TypeError, AttributeError):
        return False  # it carries our label and no word of a run: nobody waits for it


def _delete(api: KubeApi, path: str) -> None:
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    api.request("DELETE", path, body=body, timeout_s=CHECK_CLEANUP_S)
