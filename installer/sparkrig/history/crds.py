"""The CRDs of recorded revisions, as they were applied, so that a rollback can apply them again.

A revision records the digest of each CRD. The content lies beside the revisions in ``sparkrig-system``, in Secrets of
type ``sparkrig.dev/crds``: one set for each release and content, split when large, so that revisions with the same CRDs
share one. Any machine can then return to a revision, whether or not it still has that chart.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sparkrig.defaults import LABEL_STACK, SECRET_PART_BYTES, SYSTEM_NAMESPACE
from sparkrig.errors import OperationError
from sparkrig.history.store import PARTS, SECRETS
from sparkrig.kube.client import KubeApi
from sparkrig.models.json import JsonDict, JsonObject, annotations_of, labels_of, name_of, text_map_at
from sparkrig.models.release import ReleaseState
from sparkrig.plan.crds.drift import DIGEST

TYPE: Final = "sparkrig.dev/crds"
LABEL_CRDS: Final = "sparkrig.dev/crds"
"""Label of the Secrets of one set: its key."""
KEY_LENGTH: Final = 20
LEVEL: Final = 4
"""Of gzip: at 9 three megabytes take four times as long and become a tenth smaller."""


class CrdStore:
    """The stored CRDs of one stack."""

    def __init__(self, api: KubeApi, stack: str) -> None:
        self._api = api
        self._stack = stack

    def keep(self, crds: Sequence[JsonObject]) -> None:
        """Stores CRDs that carry their digest; does nothing where the same ones are stored already."""
        key = set_key({name_of(crd): str(annotations_of(crd)[DIGEST]) for crd in crds})
        if self._first(key) is not None:
            return
        text = json.dumps(list(crds), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        data = gzip.compress(text.encode(), LEVEL, mtime=0)
        pieces = [data[start : start + SECRET_PART_BYTES] for start in range(0, len(data), SECRET_PART_BYTES)]
        for part, piece in reversed(list(enumerate(pieces, start=1))):  # the first one last: it says that all are there
            self._api.apply(self._secret(key, part, len(pieces), piece))

    def has(self, state: ReleaseState) -> bool:
        """Whether the CRDs that a release recorded are stored."""
        return bool(state.crd_digests) and self._first(set_key(state.crd_digests)) is not None

    def read(self, state: ReleaseState) -> list[JsonDict]:
        """The CRDs that a release recorded, as they were applied.

        Raises:
            OperationError: they are gone or damaged.
        """
        key = set_key(state.crd_digests)
        first = self._name(key, 1)
        found = self._first(key)
        try:
            if found is None:
                raise ValueError("it does not exist")
            parts = int(annotations_of(found).get(PARTS, "1"))
            rest = [self._api.get(f"{SECRETS}/{self._name(key, part)}") for part in range(2, parts + 1)]
            texts = [text_map_at(secret, "data")["crds"] for secret in (found, *rest) if secret]
            data = b"".join(base64.b64decode(text, validate=True) for text in texts)
            crds: list[JsonDict] = json.loads(gzip.decompress(data))
        except (ValueError, KeyError, TypeError, EOFError, OSError, binascii.Error) as error:
            raise OperationError(
                f"the CRDs recorded for {state.component} {state.version} cannot be read "
                f"(Secret {SYSTEM_NAMESPACE}/{first}): {error}",
                hint="restore the Secret from a backup, or check out the stack file of that time and run up",
            ) from error
        return crds

    def prune(self, kept: Iterable[ReleaseState]) -> None:
        """Deletes every set that none of the releases in ``kept`` recorded."""
        needed = {set_key(state.crd_digests) for state in kept if state.crd_digests}
        selector = f"{LABEL_STACK}={self._stack},{LABEL_CRDS}"
        for item in self._api.list(SECRETS, label_selector=selector, metadata_only=True):
            if labels_of(item)[LABEL_CRDS] not in needed:
                self._api.delete(f"{SECRETS}/{name_of(item)}")

    def _first(self, key: str) -> JsonDict | None:
        return self._api.get(f"{SECRETS}/{self._name(key, 1)}", missing_ok=True)

    def _name(self, key: str, part: int) -> str:
        name = f"sparkrig.{self._stack}.crds.{key}"
        return name if part == 1 else f"{name}.part{part}"

    def _secret(self, key: str, part: int, parts: int, piece: bytes) -> JsonDict:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self._name(key, part),
                "namespace": SYSTEM_NAMESPACE,
                "labels": {LABEL_STACK: self._stack, LABEL_CRDS: key},
                "annotations": {PARTS: str(parts)},
            },
            "type": TYPE,
            "data": {"crds": base64.b64encode(piece).decode()},
        }


def set_key(digests: Mapping[str, str]) -> str:
    """Identifies a set of CRDs: by their names and digests."""
    text = json.dumps(dict(digests), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
