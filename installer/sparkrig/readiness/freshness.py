"""Whether a controller has seen the newest spec of an object whose status does not say so. Pure.

A status without ``observedGeneration`` may be that of the spec before. What tells is who wrote what when, as the API
server notes it in ``metadata.managedFields``, to the second.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

from sparkrig.models.json import JsonDict, JsonObject, mapping_at, mappings_at, number_at, text_at
from sparkrig.readiness.fields import Object, status


def digest(managed_fields: Sequence[JsonObject]) -> list[JsonDict]:
    """The part of ``managedFields`` that this module reads: a hundredth of the bytes, in the same form."""
    return [
        {
            "time": entry["time"],
            **({"subresource": entry["subresource"]} if entry.get("subresource") else {}),
            "fieldsV1": {key: {} for key in ("f:spec", "f:status") if key in mapping_at(entry, "fieldsV1")},
        }
        for entry in managed_fields
        if entry.get("time")
    ]


def tells(obj: Object) -> bool:
    """True where the status itself names the generation that it is of, so that nothing has to be concluded."""
    return status(obj).get("observedGeneration") is not None


def spec_written(obj: Object) -> datetime.datetime | None:
    """When the spec was last written; None where nothing tells."""
    return _newest(e for e in _entries(obj) if not e.get("subresource") and "f:spec" in mapping_at(e, "fieldsV1"))


def status_written(obj: Object) -> datetime.datetime | None:
    """When the status was last written with a change; None where nothing tells."""
    return _newest(e for e in _entries(obj) if "f:status" in mapping_at(e, "fieldsV1"))


def unseen(
    obj: Object, now: datetime.datetime | None, settle_s: float, restarted: datetime.datetime | None = None
) -> str:
    """Why the status may be older than what it should be about; empty where it is not.

    The status is new when it was written after the spec. A controller that finds nothing to do writes nothing: after
    ``settle_s`` seconds without a write it has seen the spec. ``restarted`` is when the controller itself was last
    rolled out, which counts like a change of the spec. ``now`` is the API server's time (with a zone).
    """
    generation = number_at(obj, "metadata", "generation")
    changed = spec_written(obj) if generation > 1 and not tells(obj) else None
    what = "the change of its spec"
    if restarted is not None and (changed is None or restarted > changed):
        changed, what = restarted, "the start of its controller"
    written = status_written(obj)
    if changed is None or now is None or (written is not None and written > changed):
        return ""
    age = (now - changed).total_seconds()
    return "" if age >= settle_s else f"not updated by its controller in the {max(age, 0.0):.0f} s since {what}"


def held_s(obj: Object, now: datetime.datetime | None) -> float | None:
    """For how many seconds the status has certainly been as it is; None where nothing tells."""
    written = status_written(obj)
    if written is None or now is None:
        return None
    # Both times are cut to the second.
    return max((now - written).total_seconds() - 1.0, 0.0)


def _entries(obj: Object) -> Sequence[JsonObject]:
    return mappings_at(obj, "metadata", "managedFields")


def _newest(entries: Iterable[JsonObject]) -> datetime.datetime | None:
    stamps = [datetime.datetime.fromisoformat(text_at(entry, "time")) for entry in entries if entry.get("time")]
    return max(stamps, default=None)
