"""Revisions in the cluster: one Secret each, split when large.

Writes Secrets of type ``sparkrig.dev/revision`` in the namespace ``sparkrig-system`` and nothing
else. The first Secret of a revision names the number of its parts; it is written last, so that a
revision whose writer died half-way is never read half.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sparkrig.defaults import LABEL_REVISION, LABEL_STACK, LABEL_STATUS, SECRET_PART_BYTES, SYSTEM_NAMESPACE
from sparkrig.errors import Locked, OperationError
from sparkrig.history.codec import DamagedRecord, decode, encode
from sparkrig.kube.client import Conflict, KubeApi
from sparkrig.models.json import JsonDict, JsonObject, annotations_of, labels_of, name_of, text_map_at
from sparkrig.models.revision import Revision, RevisionStatus

TYPE: Final = "sparkrig.dev/revision"
_SUCCESSES: Final = (RevisionStatus.DEPLOYED, RevisionStatus.REMOVED)
PARTS: Final = "sparkrig.dev/parts"
SECRETS: Final = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets"


@dataclass(frozen=True, slots=True)
class RevisionInfo:
    """What the labels of a revision's Secret tell without reading it."""

    number: int
    status: RevisionStatus
    parts: int


class History:
    """The revisions of one stack."""

    def __init__(self, api: KubeApi, stack: str) -> None:
        self._api = api
        self._stack = stack

    @property
    def stack(self) -> str:
        """Whose revisions these are."""
        return self._stack

    def infos(self) -> tuple[RevisionInfo, ...]:
        """Every revision by its labels, oldest first; one metadata-only LIST.

        One that is still marked deployed below a newer success counts as superseded: a run may die between the two.
        """
        return _superseding(self._stored())

    def _stored(self) -> tuple[RevisionInfo, ...]:
        selector = f"{LABEL_STACK}={self._stack},{LABEL_REVISION}"
        items = self._api.list(SECRETS, label_selector=selector, metadata_only=True)
        return tuple(sorted((_info(item) for item in items), key=lambda info: info.number))

    def is_open(self, number: int) -> bool:
        """Whether a revision was begun and nobody has finished it."""
        return any(info.number == number and info.status is RevisionStatus.PENDING for info in self._stored())

    def read(self, info: RevisionInfo) -> Revision:
        """One revision, whole; its status is that of ``info``.

        Raises:
            OperationError: its record is damaged (which one is said), or a newer sparkrig wrote it.
        """
        names = [_name(self._stack, info.number, part) for part in range(1, info.parts + 1)]
        try:
            data = b"".join(_payload(self._api.get(f"{SECRETS}/{name}", missing_ok=True), name) for name in names)
            return replace(decode(data), status=info.status)
        except DamagedRecord as error:
            first = f"{SYSTEM_NAMESPACE}/{names[0]}"
            raise OperationError(
                f"the record of revision {info.number} of stack {self._stack} is damaged (Secret {first}): {error}",
                hint=f"restore it from a backup. Without it this revision is lost and, where it is the newest, the one "
                f"before counts as what is deployed: kubectl delete secret -n {SYSTEM_NAMESPACE} {' '.join(names)}",
            ) from error

    def newest(self, infos: Sequence[RevisionInfo] | None = None) -> tuple[Revision | None, Revision | None, int]:
        """(the newest finished revision, a newer one that was never finished, the newest number).

        ``infos`` are all of them where they were listed already.
        """
        infos = self.infos() if infos is None else infos
        finished = [info for info in infos if info.status is not RevisionStatus.PENDING]
        last = self.read(finished[-1]) if finished else None
        number = infos[-1].number if infos else 0
        unfinished = [i for i in infos if i.status is RevisionStatus.PENDING and (not last or i.number > last.number)]
        return last, (self.read(unfinished[-1]) if unfinished else None), number

    def all(self) -> tuple[Revision, ...]:
        """Every revision, oldest first."""
        return tuple(self.read(info) for info in self.infos())

    def begin(self, revision: Revision) -> None:
        """Writes a new revision.

        Raises:
            Locked: somebody else wrote a revision of this number meanwhile.
        """
        first = f"{SECRETS}/{_name(self._stack, revision.number, 1)}"
        try:
            if self._api.get(first, missing_ok=True) is not None:  # before its parts could be written over
                raise self._taken(revision)
            self._write(revision, create=True)
        except Conflict as error:
            raise self._taken(revision) from error

    def _taken(self, revision: Revision) -> Locked:
        return Locked(
            f"another run began revision {revision.number} of stack {self._stack}",
            hint="run the command again; it reads the new state first",
        )

    def finish(self, revision: Revision) -> None:
        """Writes the outcome of a revision that was begun; parts that it no longer needs go."""
        part = self._write(revision, create=False) + 1
        while self._api.get(path := f"{SECRETS}/{_name(revision.stack, revision.number, part)}", missing_ok=True):
            self._api.delete(path)
            part += 1

    def supersede(self, number: int) -> None:
        """Marks every revision below a successful one that is still marked deployed."""
        for info in self._stored():
            if info.number < number and info.status is RevisionStatus.DEPLOYED:
                self._write(replace(self.read(info), status=RevisionStatus.SUPERSEDED), create=False)

    def delete(self, info: RevisionInfo) -> None:
        """Removes one revision; its parts go after the first Secret, so that it is never half there."""
        for part in range(1, info.parts + 1):
            self._api.delete(f"{SECRETS}/{_name(self._stack, info.number, part)}")

    def _write(self, revision: Revision, *, create: bool) -> int:
        """Writes all parts and returns how many there are."""
        secrets = list(_secrets(revision))
        for secret in reversed(secrets):
            first = secret is secrets[0]
            if first and create:
                self._api.create(SECRETS, secret)
            else:
                self._api.apply(secret)
        return len(secrets)


def _secrets(revision: Revision) -> Iterator[JsonDict]:
    data = encode(revision)
    pieces = [data[start : start + SECRET_PART_BYTES] for start in range(0, len(data), SECRET_PART_BYTES)]
    for part, piece in enumerate(pieces, start=1):
        labels = {LABEL_STACK: revision.stack}
        if part == 1:
            labels |= {LABEL_REVISION: str(revision.number), LABEL_STATUS: revision.status.value}
        yield {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": _name(revision.stack, revision.number, part),
                "namespace": SYSTEM_NAMESPACE,
                "labels": labels,
                "annotations": {PARTS: str(len(pieces))},
            },
            "type": TYPE,
            "data": {"revision": base64.b64encode(piece).decode()},
        }


def _name(stack: str, number: int, part: int) -> str:
    name = f"sparkrig.{stack}.v{number}"
    return name if part == 1 else f"{name}.part{part}"


def _superseding(stored: Sequence[RevisionInfo]) -> tuple[RevisionInfo, ...]:
    newest = max((info.number for info in stored if info.status in _SUCCESSES), default=0)
    return tuple(
        replace(info, status=RevisionStatus.SUPERSEDED)
        if info.status is RevisionStatus.DEPLOYED and info.number < newest
        else info
        for info in stored
    )


def _info(item: JsonObject) -> RevisionInfo:
    labels, annotations = labels_of(item), annotations_of(item)
    try:
        return RevisionInfo(
            int(labels[LABEL_REVISION]), RevisionStatus(labels[LABEL_STATUS]), int(annotations.get(PARTS, "1"))
        )
    except (KeyError, ValueError) as error:
        raise OperationError(
            f"Secret {SYSTEM_NAMESPACE}/{name_of(item)} is not a readable revision: {error}",
            hint="its labels were changed by hand; restore them or delete the Secret",
        ) from error


def _payload(secret: JsonObject | None, name: str) -> bytes:
    if secret is None:
        raise OperationError(
            f"Secret {SYSTEM_NAMESPACE}/{name}, a part of a revision, is gone",
            hint="restore it from a backup, or delete the remaining parts of that revision",
        )
    try:
        return base64.b64decode(text_map_at(secret, "data")["revision"], validate=True)
    except (KeyError, binascii.Error) as error:
        raise DamagedRecord(f"{name}: {type(error).__name__}: {error}") from error
