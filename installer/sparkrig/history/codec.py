"""Revision <-> the bytes that are stored. Pure.

The stored form is JSON, gzip-compressed with a fixed time so that equal revisions are equal bytes.
Fields that a newer sparkrig added are ignored by an older one; a higher ``format`` is refused.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sparkrig.errors import OperationError
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ReleaseState
from sparkrig.models.revision import OperationRecord, Revision, RevisionStatus

FORMAT: Final = 1


def encode(revision: Revision) -> bytes:
    """The compressed bytes of a revision."""
    document = {
        "format": FORMAT,
        "stack": revision.stack,
        "number": revision.number,
        "status": revision.status.value,
        "action": revision.action,
        "who": revision.who,
        "message": revision.message,
        "summary": revision.summary,
        "started": revision.started,
        "finished": revision.finished,
        "sparkrig": revision.sparkrig,
        "profile": revision.profile,
        "stackFile": revision.stack_file,
        "before": [_encode_state(state) for state in revision.before],
        "after": [_encode_state(state) for state in revision.after],
        "kept": [_encode_state(state) for state in revision.kept],
        "reused": list(revision.reused),
        "operations": [
            {"id": op.id, "status": op.status, "seconds": round(op.seconds, 3), "message": op.message}
            for op in revision.operations
        ],
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return gzip.compress(text.encode(), mtime=0)


class DamagedRecord(Exception):
    """Bytes that are no revision, and why."""


def decode(data: bytes) -> Revision:
    """The revision in the given bytes.

    Raises:
        DamagedRecord: these are no revision.
        OperationError: a newer sparkrig wrote them.
    """
    try:
        document = json.loads(gzip.decompress(data))
        if document["format"] > FORMAT:
            raise OperationError(
                f"revision {document.get('number')} was written by a newer sparkrig "
                f"(format {document['format']}, this one reads up to {FORMAT})",
                hint="use the sparkrig version that wrote it, or a newer one",
            )
        return _decode(document)
    except (ValueError, KeyError, TypeError, EOFError, OSError) as error:
        raise DamagedRecord(f"{type(error).__name__}: {error}") from error


def _decode(document: Mapping[str, Any]) -> Revision:
    return Revision(
        stack=document["stack"],
        number=document["number"],
        status=RevisionStatus(document["status"]),
        action=document["action"],
        who=document["who"],
        message=document["message"],
        started=document["started"],
        finished=document["finished"],
        sparkrig=document["sparkrig"],
        profile=document["profile"],
        stack_file=document["stackFile"],
        before=tuple(_decode_state(state) for state in document["before"]),
        after=tuple(_decode_state(state) for state in document["after"]),
        operations=tuple(
            OperationRecord(op["id"], op["status"], op["seconds"], op["message"]) for op in document["operations"]
        ),
        summary=document.get("summary", ""),
        kept=tuple(_decode_state(state) for state in document.get("kept", ())),
        reused=tuple(document.get("reused", ())),
    )


def _encode_state(state: ReleaseState) -> dict[str, Any]:
    return {
        "component": state.component,
        "release": state.release,
        "namespace": state.namespace,
        "chart": state.chart,
        "version": state.version,
        "chartDigest": state.chart_digest,
        "standIn": state.stand_in,
        "digest": state.digest,
        "helmRevision": state.helm_revision,
        "inventory": [_list(ref) for ref in state.inventory],
        "crds": list(state.crds),
        "values": state.values,
        "keep": list(state.keep),
        "needs": list(state.needs),
        "timeout": state.timeout_s,
        "rollback": state.rollback,
        "secrets": state.secrets,
        "namespaceLabels": state.namespace_labels,
        "immutable": state.immutable,
        "leaves": [_list(ref) for ref in state.leaves],
        "crdDigests": state.crd_digests,
    }


def _decode_state(document: Mapping[str, Any]) -> ReleaseState:
    return ReleaseState(
        component=document["component"],
        release=document["release"],
        namespace=document["namespace"],
        chart=document["chart"],
        version=document["version"],
        chart_digest=document["chartDigest"],
        stand_in=document["standIn"],
        digest=document["digest"],
        helm_revision=document["helmRevision"],
        inventory=tuple(ObjectRef(*_five(item)) for item in document["inventory"]),
        crds=tuple(document["crds"]),
        values=document["values"],
        keep=tuple(document["keep"]),
        needs=tuple(document["needs"]),
        timeout_s=document["timeout"],
        rollback=document["rollback"],
        secrets=document.get("secrets", {}),
        namespace_labels=document.get("namespaceLabels", {}),
        immutable=document.get("immutable", "fail"),
        leaves=tuple(ObjectRef(*_five(item)) for item in document.get("leaves", ())),
        crd_digests=document.get("crdDigests", {}),
    )


def _list(ref: ObjectRef) -> list[str]:
    return [ref.group, ref.version, ref.kind, ref.namespace, ref.name]


def _five(item: Sequence[str]) -> tuple[str, str, str, str, str]:
    group, version, kind, namespace, name = item
    return group, version, kind, namespace, name
