"""When a certificate is good for a host name, and what is said where it is not."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from sparkrig.checks.kinds.base import NotYet
from sparkrig.checks.kinds.certificate import HOUR_S, covers, judge

ENDS = "Feb 21 23:30:00 2027 GMT"
CERTIFICATE: dict[str, Any] = {
    "issuer": ((("organizationName", "Lab"),), (("commonName", "lab authority"),)),
    "notBefore": "Nov 23 23:30:00 2026 GMT",
    "notAfter": ENDS,
    "subjectAltName": (("DNS", "lab.example.org"), ("DNS", "*.lab.example.org"), ("IP Address", "127.0.0.1")),
}
END = ssl.cert_time_to_seconds(ENDS)


def said(found: dict[str, Any], name: str, *, hours_left: float, hours_wanted: float = 0) -> str:
    try:
        judge(found, name, remaining_s=hours_wanted * HOUR_S, now=END - hours_left * HOUR_S)
    except NotYet as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("hours_left", "hours_wanted", "message"),
    [
        (24.5, 24, ""),
        (0, 0, ""),
        (-0.001, 0, "the certificate for a.lab.example.org (signed by lab authority) ended on 2027-02-21 23:30 UTC"),
        (
            23,
            24,
            (
                "the certificate for a.lab.example.org (signed by lab authority) ends on 2027-02-21 23:30 UTC, "
                "in 23.0 hours, and is not renewed; 24 are expected"
            ),
        ),
        (
            24 * 90.1,
            0,
            (
                "the certificate for a.lab.example.org (signed by lab authority) begins on 2026-11-23 23:30 UTC, "
                "which is to come"
            ),
        ),
    ],
)
def test_dates(hours_left: float, hours_wanted: float, message: str) -> None:
    assert said(CERTIFICATE, "a.lab.example.org", hours_left=hours_left, hours_wanted=hours_wanted) == message


def test_a_certificate_for_others() -> None:
    found = said(CERTIFICATE, "a.b.lab.example.org", hours_left=100)
    assert found == (
        "the certificate (signed by lab authority) is for lab.example.org, *.lab.example.org, and not for "
        "a.b.lab.example.org"
    )
    bare = {key: CERTIFICATE[key] for key in ("notBefore", "notAfter")}
    assert said(bare, "a", hours_left=1) == (
        "the certificate (signed by nobody named) is for no host name, and not for a"
    )


@pytest.mark.parametrize(
    ("pattern", "name", "right"),
    [
        ("lab.example.org", "LAB.example.org.", True),
        ("*.lab.example.org", "a.lab.example.org", True),
        ("*.lab.example.org", "lab.example.org", False),
        ("*.lab.example.org", "a.b.lab.example.org", False),
        ("*.lab.example.org", ".lab.example.org", False),
        ("*.localhost", "check.localhost", True),
        ("a*.lab.example.org", "ab.lab.example.org", False),
        ("*", "localhost", False),
    ],
)
def test_names(pattern: str, name: str, right: bool) -> None:
    assert covers(pattern, name) is right
