"""Formats that Kubernetes and the programs on it ask of a text: what ``format`` means in our schemas. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_QUANTITY = re.compile(rf"[+-]?{_NUMBER}(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")
_GO_DURATION = re.compile(rf"[+-]?(?:0|(?:{_NUMBER}(?:ns|us|µs|μs|ms|s|m|h))+)")
_PROMETHEUS_DURATION = re.compile(
    r"(?!$)(?:[0-9]+y)?(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?|0"
)
_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(rf"(?=.{{1,63}}$){_LABEL}")
_DNS_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_HOST = re.compile(rf"(?=.{{1,253}}$)(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_LABEL_VALUE = re.compile(rf"(?=.{{0,63}}$)(?:{_NAME})?")
_LABEL_NAME = re.compile(rf"(?=.{{1,63}}$){_NAME}")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


@dataclass(frozen=True, slots=True)
class Format:
    """One format: the test of a text, and what it asks for in a person's words."""

    accepts: Callable[[str], bool]
    words: str


def is_quantity(text: str) -> bool:
    """``500m``, ``2``, ``10Gi``, ``1e3``: what Kubernetes takes for an amount."""
    return _QUANTITY.fullmatch(text) is not None


def is_duration(text: str) -> bool:
    """``30s``, ``1h30m``: what Go's ParseDuration takes."""
    return _GO_DURATION.fullmatch(text) is not None


def is_prometheus_duration(text: str) -> bool:
    """``30s``, ``15d``: what Prometheus takes; it knows days, and no fractions."""
    return _PROMETHEUS_DURATION.fullmatch(text) is not None


def is_label_key(text: str) -> bool:
    """``app``, ``example.org/team``: the key of a label or an annotation."""
    prefix, slash, name = text.rpartition("/")
    return _LABEL_NAME.fullmatch(name) is not None and (not slash or _DNS_SUBDOMAIN.fullmatch(prefix) is not None)


def is_label_value(text: str) -> bool:
    """The value of a label: 63 letters, digits, dashes, underscores and dots at most."""
    return _LABEL_VALUE.fullmatch(text) is not None


def is_dns_subdomain(text: str) -> bool:
    """The name of most objects."""
    return _DNS_SUBDOMAIN.fullmatch(text) is not None


def is_dns_label(text: str) -> bool:
    """The name of a namespace or a Service."""
    return _DNS_LABEL.fullmatch(text) is not None


def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None


def _is_env_name(text: str) -> bool:
    return _ENV_NAME.fullmatch(text) is not None


FORMATS: Final[Mapping[str, Format]] = {
    "quantity": Format(is_quantity, "a quantity such as 500m, 2 or 10Gi"),
    "duration": Format(is_duration, "a duration such as 30s, 5m or 1h30m"),
    "prometheus-duration": Format(is_prometheus_duration, "a duration such as 30s, 12h or 15d"),
    "dns-label": Format(is_dns_label, "lower-case letters, digits and dashes, 63 characters at most"),
    "dns-subdomain": Format(is_dns_subdomain, "lower-case letters, digits, dashes and dots"),
    "host": Format(_is_host, "a host name such as app.example.org"),
    "label-key": Format(is_label_key, "a label key such as app or example.org/team"),
    "label-value": Format(
        is_label_value, "a label value: letters, digits, '-', '_' and '.', 63 characters at most, no other at its ends"
    ),
    "env-name": Format(_is_env_name, "the name of an environment variable"),
}
"""Name in a schema -> the format. A format that is not here is not checked."""
