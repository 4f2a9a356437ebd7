"""Revision <-> the bytes that are stored. Pure.

The stored form is JSON, gzip-compressed with a fixed time so that equal revisions are equal bytes.
Fields that a newer sparkrig added are ignored by an older one; a higher ``format`` is refused.
"""

from __future__ import annotations

import gzip
import json
from typing import Final

from sparkrig.errors import OperationError
from sparkrig.models.json import (
    JsonDict,
    JsonObject,
    JsonValue,
    mapping_at,
    mappings_at,
    sequence_at,
    text_at,
    text_map_at,
    texts_at,
)
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
        document: JsonObject = json.loads(gzip.decompress(data))
        if _number(document, "format") > FORMAT:
            raise OperationError(
                f"revision {document.get('number')} was written by a newer sparkrig "
                f"(format {document['format']}, this one reads up to {FORMAT})",
                hint="use the sparkrig version that wrote it, or a newer one",
            )
        return _decode(document)
    except (ValueError, KeyError, TypeError, EOFError, OSError) as error:
        raise DamagedRecord(f"{type(error).__name__}: {error}") from error


def _decode(document: JsonObject) -> Revision:
    return Revision(
        stack=_text(document, "stack"),
        number=int(_number(document, "number")),
        status=RevisionStatus(_text(document, "status")),
        action=_text(document, "action"),
        who=_text(document, "who"),
        message=_text(document, "message"),
        started=_text(document, "started"),
        finished=_text_or_none(document, "finished"),
        sparkrig=_text(document, "sparkrig"),
        profile=_text(document, "profile"),
        stack_file=_text(document, "stackFile"),
        before=tuple(map(_decode_state, _objects(document, "before"))),
        after=tuple(map(_decode_state, _objects(document, "after"))),
        operations=tuple(map(_decode_operation, _objects(document, "operations"))),
        summary=text_at(document, "summary"),
        kept=tuple(map(_decode_state, mappings_at(document, "kept"))),
        reused=tuple(texts_at(document, "reused")),
    )


def _decode_operation(document: JsonObject) -> OperationRecord:
    return OperationRecord(
        _text(document, "id"), _text(document, "status"), _number(document, "seconds"), _text(document, "message")
    )


def _encode_state(state: ReleaseState) -> JsonDict:
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
        "inventory": [_encode_ref(ref) for ref in state.inventory],
        "crds": list(state.crds),
        "values": state.values,
        "keep": list(state.keep),
        "needs": list(state.needs),
        "timeout": state.timeout_s,
        "rollback": state.rollback,
        "secrets": state.secrets,
        "namespaceLabels": state.namespace_labels,
        "immutable": state.immutable,
        "leaves": [_encode_ref(ref) for ref in state.leaves],
        "crdDigests": state.crd_digests,
    }


def _decode_state(document: JsonObject) -> ReleaseState:
    return ReleaseState(
        component=_text(document, "component"),
        release=_text(document, "release"),
        namespace=_text(document, "namespace"),
        chart=_text(document, "chart"),
        version=_text(document, "version"),
        chart_digest=_text(document, "chartDigest"),
        stand_in=bool(document["standIn"]),
        digest=_text(document, "digest"),
        helm_revision=int(_number(document, "helmRevision")),
        inventory=tuple(map(_ref, _list(document, "inventory"))),
        crds=tuple(map(str, _list(document, "crds"))),
        values=mapping_at(document["values"]),
        keep=tuple(map(str, _list(document, "keep"))),
        needs=tuple(map(str, _list(document, "needs"))),
        timeout_s=_number(document, "timeout"),
        rollback="forward-only" if document["rollback"] == "forward-only" else "reversible",
        secrets=text_map_at(document, "secrets"),
        namespace_labels=text_map_at(document, "namespaceLabels"),
        immutable="recreate" if document.get("immutable") == "recreate" else "fail",
        leaves=tuple(map(_ref, sequence_at(document, "leaves"))),
        crd_digests=text_map_at(document, "crdDigests"),
    )


def _encode_ref(ref: ObjectRef) -> list[str]:
    return [ref.group, ref.version, ref.kind, ref.namespace, ref.name]


def _ref(item: JsonValue) -> ObjectRef:
    group, version, kind, namespace, name = texts_at(item)
    return ObjectRef(group, version, kind, namespace, name)


# The readers below are strict, since a record that lacks something must not be taken for one that says so.


def _text(document: JsonObject, key: str) -> str:
    found = document[key]
    if not isinstance(found, str):
        raise TypeError(f"{key} is not a text")
    return found


def _text_or_none(document: JsonObject, key: str) -> str | None:
    return None if document[key] is None else _text(document, key)


def _number(document: JsonObject, key: str) -> float:
    found = document[key]
    if not isinstance(found, int | float):
        raise TypeError(f"{key} is not a number")
    return found


def _list(document: JsonObject, key: str) -> list[JsonValue]:
    found = document[key]
    if not isinstance(found, list):
        raise TypeError(f"{key} is not a list")
    return found


def _objects(document: JsonObject, key: str) -> list[JsonObject]:
    found = _list(document, key)
    objects = mappings_at(found)
    if len(objects) != len(found):
        raise TypeError(f"{key} is not a list of objects")
    return list(objects)
