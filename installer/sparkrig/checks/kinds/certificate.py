"""``certificate``: what a Service shows for a host name is a certificate for that name, and is not over."""

from __future__ import annotations

import datetime
import socket
import ssl
import time
from typing import Final

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet
from sparkrig.checks.kinds.exchange import Target, find_target, port_of, through
from sparkrig.models.json import JsonDict, JsonObject, number_at, sequence_at, text_at, texts_at

WITHOUT_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which ssl has no name."""
HOUR_S: Final = 3600


def ask(context: Context) -> str:
    """Dates and names only: who signed it is the site's business, which a browser or ``http`` with ``tls`` judges."""
    parameters = context.parameters
    name, service = text_at(parameters, "serverName"), text_at(parameters, "service")
    found = _presented(context, find_target(context, service, port_of(parameters)), name)
    judge(found, name, remaining_s=number_at(parameters, "remainingHours") * HOUR_S, now=time.time())
    return f"{name}: signed by {_issuer(found)}, until {_date(text_at(found, 'notAfter'))}"


def judge(found: JsonObject, name: str, *, remaining_s: float, now: float) -> None:
    """Raises NotYet where the certificate, as ``SSLSocket.getpeercert`` gives it, is not good for this host name.

    ``now`` is in seconds since 1970; the certificate must last ``remaining_s`` longer.
    """
    begins, ends = (ssl.cert_time_to_seconds(text_at(found, key)) for key in ("notBefore", "notAfter"))
    signed = f"signed by {_issuer(found)}"
    if now < begins:
        raise NotYet(
            f"the certificate for {name} ({signed}) begins on {_date(text_at(found, 'notBefore'))}, which is to come"
        )
    if now > ends:
        raise NotYet(f"the certificate for {name} ({signed}) ended on {_date(text_at(found, 'notAfter'))}")
    names = [text for kind, text in map(texts_at, sequence_at(found, "subjectAltName")) if kind == "DNS"]
    if not any(covers(each, name) for each in names):
        raise NotYet(f"the certificate ({signed}) is for {', '.join(names) or 'no host name'}, and not for {name}")
    if now + remaining_s > ends:
        left, wanted = (ends - now) / HOUR_S, remaining_s / HOUR_S
        raise NotYet(
            f"the certificate for {name} ({signed}) ends on {_date(text_at(found, 'notAfter'))}, in {left:.1f} hours, "
            f"and is not renewed; {wanted:g} are expected"
        )


def covers(pattern: str, name: str) -> bool:
    """Whether a name of a certificate is this host, by RFC 6125: ``*`` is the whole first label and nothing else."""
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == name
    first, _, rest = name.partition(".")
    return bool(first) and rest == pattern[2:]


def _presented(context: Context, target: Target, name: str) -> JsonDict:
    """The fields of what the server shows.

    ssl decodes only what it trusts: first the certificate is taken as it is, then it alone is trusted, at any time.
    """

    def raw(plain: socket.socket) -> bytes | None:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        secure.check_hostname = False
        secure.verify_mode = ssl.CERT_NONE
        plain.settimeout(context.request_s)
        with secure.wrap_socket(plain, server_hostname=name) as connected:
            return connected.getpeercert(binary_form=True)

    shown = through(context, target, raw)
    if not shown:
        raise NotYet(f"{target.name} shows no certificate for {name}")

    def decoded(plain: socket.socket) -> JsonDict:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        secure.check_hostname = False
        secure.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(WITHOUT_TIME)
        secure.load_verify_locations(cadata=shown)
        plain.settimeout(context.request_s)
        with secure.wrap_socket(plain, server_hostname=name) as connected:
            return dict(connected.getpeercert() or {})

    return through(context, target, decoded)


def _issuer(found: JsonObject) -> str:
    fields = {key: value for part in sequence_at(found, "issuer") for key, value in map(texts_at, sequence_at(part))}
    return str(fields.get("commonName") or fields.get("organizationName") or "nobody named")


def _date(text: str) -> str:
    moment = datetime.datetime.fromtimestamp(ssl.cert_time_to_seconds(text), datetime.UTC)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


KIND = Kind(ask, Depth.NORMAL)
