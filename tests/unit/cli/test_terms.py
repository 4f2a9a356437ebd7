"""What status, history and verify call things: one name for one thing, and no word for what is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.cases.report import records
from tests.records import revision

from sparkrig.checks.kinds.matching import shown
from sparkrig.history.codec import decode, encode
from sparkrig.kube.ingresses import routes, wanted_host
from sparkrig.models.revision import OperationRecord, Revision, RevisionStatus
from sparkrig.models.status import StackStatus
from sparkrig.output.checks import MOST_LINES, checks_json, checks_text
from sparkrig.output.history import history_text
from sparkrig.output.status import status_json, status_text


def rows(*changes: dict[str, Any]) -> list[str]:
    made = [replace(revision(n + 1, state_of("a")), **change) for n, change in enumerate(changes)]
    return history_text("lab", made, records.NOW).splitlines()[1:]


def state_of(name: str) -> Any:
    return records.state(name, "1.0.0")


def done(*names: str) -> tuple[OperationRecord, ...]:
    return tuple(OperationRecord(name, "done", 1.0) for name in names)


def test_a_run_that_only_looked_is_listed_as_no_change() -> None:
    looked, changed, summed, begun = rows(
        {"operations": done("wait/a", "check/a")},
        {"operations": done("upgrade/a", "wait/a")},  # a record of an older version has no summary
        {"operations": done("wait/a"), "summary": "a repaired"},
        {"operations": (), "finished": None, "status": RevisionStatus.PENDING},
    )[::-1]
    assert "up, no change" in looked
    assert " up " in changed
    assert "no change" not in changed
    assert "a repaired" in summed
    assert "no change" not in begun


PENDING = replace(records.status(), status=RevisionStatus.PENDING)
BEGUN = StackStatus("lab", "sim-lab", "1.36.3", revision=1, status=RevisionStatus.PENDING, when="2026-05-04T11:59:00Z")


@pytest.mark.parametrize("status", [PENDING, BEGUN], ids=["an upgrade", "a first install"])
@pytest.mark.parametrize(
    ("at_work", "told"),
    [
        ("ops@ci pid 7", ["ops@ci pid 7 is at work on it", "next: sparkrig up --wait-lock 10m waits for that run"]),
        ("", ["it was begun and has not finished: its run is no more", "next: sparkrig up picks it up"]),
        (None, ["it was begun and has not finished", "next: if no other run is at work, sparkrig up picks it up"]),
    ],
)
def test_a_pending_revision_says_whether_somebody_is_at_work(
    status: StackStatus, at_work: str | None, told: list[str]
) -> None:
    lines = [line.strip() for line in status_text(replace(status, at_work=at_work), records.NOW).splitlines()]
    start = lines.index(told[0])
    assert lines[start : start + 2] == told
    assert lines.count("next: sparkrig up") == 0
    assert status_json(replace(status, at_work=at_work))["atWork"] == (at_work or None)


def test_status_lists_what_is_reused() -> None:
    reusing = replace(records.status(), reused=("cert-manager", "traefik"))
    assert "reused, installed by somebody else: cert-manager, traefik" in status_text(reusing, records.NOW)
    assert status_json(reusing)["reused"] == ["cert-manager", "traefik"]
    assert "reused" not in status_text(records.status(), records.NOW)


def test_what_is_reused_stands_in_the_record() -> None:
    kept: Revision = replace(revision(1), reused=("traefik",))
    assert decode(encode(kept)) == kept


def test_a_reason_is_whole_in_a_file_and_cut_on_a_terminal() -> None:
    told = f"status 500, expected 200: {'a page of words ' * 100}and its last word"
    result = records.checks()
    result = replace(result, results=(replace(result.results[0], message=shown(told)),))
    assert checks_json(result)["checks"][0]["message"] == told
    assert told in checks_text(result)
    narrow = checks_text(result, width=100)
    cells = [line for line in narrow.splitlines() if "words" in line or "word" in line]
    assert len(cells) <= 3 * MOST_LINES
    assert "status 500, expected 200" in narrow
    assert " ".join(narrow.split()).count("its last word") == 1
    assert " … " in narrow


INGRESS = {
    "spec": {
        "tls": [{"hosts": ["a.example.org"]}],
        "rules": [
            {"host": "*.example.org"},
            {"host": "a.example.org", "http": {"paths": [{"path": "/a"}]}},
            {"host": "b.example.org"},
            {"http": {"paths": [{"path": "/"}]}},
        ],
    }
}


@pytest.mark.parametrize(
    ("ingresses", "host", "urls"),
    [
        ([], "a.example.org", []),
        ([INGRESS], "", ["https://a.example.org/a", "http://b.example.org/"]),
        ([INGRESS], "b.example.org", ["http://b.example.org/", "https://a.example.org/a"]),
        ([INGRESS], "gone.example.org", ["https://a.example.org/a", "http://b.example.org/"]),
    ],
)
def test_an_address_is_what_an_ingress_publishes(ingresses: list[Any], host: str, urls: list[str]) -> None:
    assert [route.url({}) for route in routes(ingresses, host)] == urls
    assert [route.url({"path": "/x"}) for route in routes(ingresses, host)] == [
        f"{url.partition('.org')[0]}.org/x" for url in urls
    ]


@pytest.mark.parametrize(
    ("values", "entry", "host"),
    [
        ({"ingress": {"hosts": ["h.example.org", "other"]}}, {"host": "ingress.hosts"}, "h.example.org"),
        ({"ingress": {"host": "h.example.org"}}, {"host": "ingress.host"}, "h.example.org"),
        ({"ingress": {"hosts": []}}, {"host": "ingress.hosts"}, ""),
        ({}, {"host": "ingress.host"}, ""),
        ({"ingress": {"host": "h.example.org"}}, {}, ""),
    ],
)
def test_the_host_that_values_ask_for(values: dict[str, Any], entry: dict[str, Any], host: str) -> None:
    assert wanted_host(values, entry) == host
