"""A Helm release <-> the Secret that Helm's storage driver keeps it in. Pure.

One Secret a revision, type ``helm.sh/release.v1``, named ``sh.helm.release.v1.<release>.v<revision>``;
``data.release`` is base64 (Helm's) of gzip of JSON, in base64 once more (the API's).
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from typing import Final

from sparkrig.errors import OperationError
from sparkrig.models.json import JsonDict, JsonObject, labels_of, name_of, namespace_of, text_map_at

_GZIP: Final = b"\x1f\x8b"


def secret_path(namespace: str, release: str, revision: int) -> str:
    """Where a revision of a release is, as a path of the API."""
    return f"/api/v1/namespaces/{namespace}/secrets/sh.helm.release.v1.{release}.v{revision}"


def decode(secret: JsonObject) -> JsonDict:
    """The release in a Secret: ``chart``, ``config`` (values), ``manifest``, ``info``, ``hooks``.

    Raises:
        OperationError: the Secret does not hold one.
    """
    try:
        packed = base64.b64decode(base64.b64decode(text_map_at(secret, "data")["release"]))
        # Releases of Helm's early days are not compressed.
        text = gzip.decompress(packed) if packed[:2] == _GZIP else packed
        release = json.loads(text)
    except (KeyError, TypeError, ValueError, OSError, EOFError, binascii.Error, zlib.error) as error:
        raise _damaged(secret, type(error).__name__) from error
    if not isinstance(release, dict):
        raise _damaged(secret, "no JSON object")
    return release


def encode(release: JsonObject) -> str:
    """A release as the value of ``data.release``; the reverse of ``decode``."""
    packed = gzip.compress(json.dumps(release, separators=(",", ":")).encode(), compresslevel=9, mtime=0)
    return base64.b64encode(base64.b64encode(packed)).decode()


def _damaged(secret: JsonObject, why: str) -> OperationError:
    labels, namespace = labels_of(secret), namespace_of(secret)
    name, revision = labels.get("name", "?"), labels.get("version", "?")
    return OperationError(
        f"revision {revision} of release {namespace}/{name} cannot be read: {why}",
        hint=f"helm cannot read Secret {name_of(secret)} either: helm history {name} -n {namespace}",
    )
