"""The stack's Secrets in the cluster: which are there, applying, removing, restarting what reads them.

The key of the fingerprints is a Secret of its own, one a stack, made with the first Secret that is
applied. Whoever can read it can read the Secrets themselves.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sparkrig.defaults import API_CONNECTIONS, FIELD_MANAGER, LABEL_FORMER, LABEL_SECRET, LABEL_STACK, SYSTEM_NAMESPACE
from sparkrig.errors import InvalidInput, OperationError, Refused
from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import AlreadyExists
from sparkrig.models.json import JsonDict, JsonObject, annotations_of, labels_of, name_of, namespace_of, text_map_at
from sparkrig.models.problem import Problem
from sparkrig.models.secret import DesiredSecret, SecretSpec
from sparkrig.secrets.objects import FINGERPRINT, content, fingerprint, manifest, unavailable
from sparkrig.secrets.reading import Hidden, Reader

_KEY: Final = "key"
_KEY_BYTES: Final = 32


class SecretBook:
    """The Secrets of one stack."""

    def __init__(self, stack: str, api: KubeApi) -> None:
        self._stack = stack
        self._api = api
        self._reader = Reader(api)
        self._content: dict[str, Mapping[str, Hidden]] = {}

    def there(self, *, former: bool = False) -> dict[tuple[str, str], str]:
        """(namespace, name) -> fingerprint of each Secret that the stack made; one metadata-only LIST.

        ``former`` gives those instead that the stack gave up with what reads them.
        """
        selector = f"{LABEL_FORMER if former else LABEL_STACK}={self._stack},{LABEL_SECRET}"
        found = {}
        for item in self._api.list("/api/v1/secrets", label_selector=selector, metadata_only=True):
            found[namespace_of(item), name_of(item)] = annotations_of(item).get(FINGERPRINT, "")
        return found

    def fingerprints(self, specs: Iterable[SecretSpec]) -> dict[str, str]:
        """What each Secret holds at this moment; empty texts until the stack has a key.

        Values are read, hashed and forgotten.

        Raises:
            InvalidInput: with every value that cannot be had.
        """
        key = self._key()
        found: dict[str, str] = {}
        problems: list[Problem] = []
        for spec in specs:
            try:
                found[spec.name] = fingerprint(spec, content(spec, self._reader), key) if key else ""
            except InvalidInput as error:
                problems += error.problems
        if problems:
            raise InvalidInput(problems, "secrets cannot be read")
        return found

    def apply(self, spec: SecretSpec, namespaces: Iterable[str]) -> str:
        """Makes the Secret what it shall be in each namespace; returns its fingerprint.

        Its values are read once a run.

        Raises:
            OperationError: a value cannot be had any more, or a Secret of that name is not the stack's.
        """
        key = self._key() or self._make_key()
        data = self._content_of(spec)
        mark = fingerprint(spec, data, key)
        for namespace in namespaces:
            path = _path(namespace, spec.name)
            found = self._api.get(path, missing_ok=True)
            if found is not None and not (_is_ours(found, self._stack) or _was_ours(found, self._stack)):
                raise OperationError(_foreign(namespace, spec.name), hint=_FOREIGN_HINT)
            if found is not None and _was_ours(found, self._stack):
                self._api.patch(path, {"metadata": {"labels": {LABEL_FORMER: None}}})  # apply brings ours back
            if found is not None and found.get("type") != spec.type:
                self._api.delete(path)  # a Secret's type cannot be changed
            self._api.apply(manifest(self._stack, spec, namespace, data, mark))
        return mark

    def _content_of(self, spec: SecretSpec) -> Mapping[str, Hidden]:
        if spec.name not in self._content:
            try:
                self._content[spec.name] = content(spec, self._reader)
            except InvalidInput as error:
                lines = [problem.message for problem in error.problems]
                raise OperationError(lines[0], detail=lines[1:]) from error
        return self._content[spec.name]

    def remove(self, name: str, namespaces: Iterable[str]) -> None:
        """Deletes the stack's Secret of that name; one that is somebody else's by now stays."""
        for namespace in namespaces:
            found = self._api.get(_path(namespace, name), missing_ok=True)
            if found is not None and _is_ours(found, self._stack):
                self._api.delete(_path(namespace, name))

    def refuse_foreign(self, wanted: Iterable[DesiredSecret], there: Mapping[tuple[str, str], str]) -> None:
        """Looks for Secrets of somebody else in the places where the stack wants its own.

        Raises:
            Refused: names all of them.
        """
        places = [
            (namespace, secret.spec.name)
            for secret in wanted
            for namespace in (*secret.namespaces, *(space for _, space in secret.made))
            if (namespace, secret.spec.name) not in there
        ]
        with ThreadPoolExecutor(API_CONNECTIONS) as pool:
            found = pool.map(lambda place: self._api.get(_path(*place), missing_ok=True), places)
            lines = [
                _foreign(*place)
                for place, item in zip(places, found, strict=True)
                if item is not None and not _was_ours(item, self._stack)
            ]
        if lines:
            raise Refused(
                lines[0] if len(lines) == 1 else f"{len(lines)} Secrets belong to somebody else",
                detail=() if len(lines) == 1 else lines,
                hint=_FOREIGN_HINT,
            )

    def _key(self) -> bytes | None:
        found = self._api.get(_path(SYSTEM_NAMESPACE, self._key_name), missing_ok=True)
        return base64.b64decode(text_map_at(found, "data")[_KEY]) if found else None

    def _make_key(self) -> bytes:
        made = secrets.token_bytes(_KEY_BYTES)
        body: JsonDict = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self._key_name,
                "namespace": SYSTEM_NAMESPACE,
                "labels": {LABEL_STACK: self._stack, "app.kubernetes.io/managed-by": FIELD_MANAGER},
            },
            "type": "sparkrig.dev/fingerprint-key",
            "data": {_KEY: base64.b64encode(made).decode()},
        }
        try:
            self._api.create(f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets", body)
        except AlreadyExists:  # made by an operation beside this one
            return self._key() or made
        return made

    @property
    def _key_name(self) -> str:
        return f"sparkrig.{self._stack}.fingerprint-key"


def lacking(specs: Iterable[SecretSpec], reader: Reader | None = None) -> list[Problem]:
    """Every value that can certainly not be had on this machine; reads no value and runs nothing."""
    reader = reader or Reader()
    return [
        unavailable(spec, field, why)
        for spec in specs
        for field in spec.fields
        if (why := reader.lacking(field.reference, spec.folder))
    ]


_FOREIGN_HINT: Final = "delete it if the stack shall have its own, or give yours another name in the stack file"


def _foreign(namespace: str, name: str) -> str:
    return f"Secret {namespace}/{name} is there already and is not of this stack"


def _is_ours(found: JsonObject, stack: str) -> bool:
    labels = labels_of(found)
    return labels.get(LABEL_STACK) == stack and LABEL_SECRET in labels


def _was_ours(found: JsonObject, stack: str) -> bool:
    """Whether the stack gave it up, and nobody claimed it since."""
    labels = labels_of(found)
    return labels.get(LABEL_FORMER) == stack and LABEL_STACK not in labels and LABEL_SECRET in labels


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{name}"
