"""A Secret's content, its manifest and its fingerprint. Pure, but for what ``Reader`` reads."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Final

from sparkrig.defaults import FIELD_MANAGER, LABEL_SECRET, LABEL_STACK
from sparkrig.errors import InvalidInput
from sparkrig.models.json import JsonDict
from sparkrig.models.problem import Problem, Severity
from sparkrig.models.secret import SecretField, SecretSpec
from sparkrig.secrets.reading import Hidden, Reader, SecretUnavailable

FINGERPRINT: Final = "sparkrig.dev/fingerprint"
_DOCKER: Final = ".dockerconfigjson"


def content(spec: SecretSpec, reader: Reader) -> dict[str, Hidden]:
    """The Secret's data, read now.

    Raises:
        InvalidInput: with every value that cannot be had.
    """
    values: dict[str, Hidden] = {}
    problems = []
    for field in spec.fields:
        try:
            values[field.key] = reader.read(field.reference, spec.folder)
            if spec.registry:
                values[field.key].text()
        except SecretUnavailable as error:
            problems.append(unavailable(spec, field, error.message))
    if problems:
        raise InvalidInput(problems, "secrets cannot be read")
    return {_DOCKER: _docker_config(spec, values)} if spec.registry else values


def unavailable(spec: SecretSpec, field: SecretField, why: str) -> Problem:
    """A value that cannot be had."""
    message = f"secret '{spec.name}': {field.key}: {why}"
    return Problem(Severity.ERROR, "secret-unavailable", message, field.position)


def _docker_config(spec: SecretSpec, values: Mapping[str, Hidden]) -> Hidden:
    username, password = values["username"].text(), values["password"].text()
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    entry = {"username": username, "password": password, "auth": auth}
    return Hidden(json.dumps({"auths": {spec.registry: entry}}).encode())


def fingerprint(spec: SecretSpec, data: Mapping[str, Hidden], key: bytes) -> str:
    """Tells one content from another and nothing else: without the key it says nothing about a guess."""
    total = hmac.new(key, spec.type.encode(), hashlib.sha256)
    for name in sorted(data):
        value = data[name].reveal()
        total.update(f"\0{name}\0{len(value)}\0".encode() + value)
    return total.hexdigest()[:32]


def manifest(stack: str, spec: SecretSpec, namespace: str, data: Mapping[str, Hidden], mark: str) -> JsonDict:
    """The Secret as it is applied; ``mark`` is its fingerprint."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": spec.name,
            "namespace": namespace,
            "labels": {
                LABEL_STACK: stack,
                LABEL_SECRET: "true",
                "app.kubernetes.io/managed-by": FIELD_MANAGER,
            },
            "annotations": {FINGERPRINT: mark},
        },
        "type": spec.type,
        "data": {name: base64.b64encode(value.reveal()).decode() for name, value in data.items()},
    }
