"""Secrets of a stack: where they come from and where they go. Never their values, but for ``DesiredSecret``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sparkrig.models.json import JsonObject
from sparkrig.models.problem import Position


@dataclass(frozen=True, slots=True)
class SecretField:
    """One piece of a Secret and where its value comes from; never the value."""

    key: str
    reference: JsonObject
    """``{"fromEnv": NAME}``, ``fromFile`` (absolute), ``fromSecret``, ``fromCommand``; or ``{"text": …}`` for
    a user name that the stack file writes out."""
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """A Secret that the stack file describes."""

    name: str
    type: str
    """``kubernetes.io/dockerconfigjson`` or ``Opaque``."""
    fields: tuple[SecretField, ...]
    registry: str = ""
    """Of a ``dockerconfigjson``."""
    folder: Path = Path()
    """The stack file's: where a command runs."""
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class DesiredSecret:
    """Where a Secret is wanted, and what it holds at this moment by its fingerprint."""

    spec: SecretSpec
    namespaces: tuple[str, ...]
    made: tuple[tuple[str, str], ...] = ()
    """(component, namespace): namespaces that the component's chart makes."""
    components: tuple[str, ...] = ()
    """Components whose pods read it, and restart when it changes."""
    fingerprint: str = ""
    """A keyed hash of the content; empty while it is unknown."""
