"""The kind ``prometheus-targets`` against a server behind a real port-forward that answers as Prometheus does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.cluster.answering import Seen, Site, answering
from tests.cluster.test_verify_kinds import FAIL, PASS, SKIP, ask

from sparkrig.models.check import CheckResult
from sparkrig.models.objects import ObjectRef

pytestmark = pytest.mark.cluster

GROUP = "monitoring.coreos.com"
WITH = {"service": "web", "port": 80, "apiVersion": f"{GROUP}/v1", "kinds": ["ServiceMonitor", "PodMonitor"]}
MONITORS = (
    ObjectRef(GROUP, "v1", "ServiceMonitor", "a", "web"),
    ObjectRef(GROUP, "v1", "PodMonitor", "b", "jobs"),
    ObjectRef(GROUP, "v1", "PrometheusRule", "a", "web"),
    ObjectRef("example.org", "v1", "ServiceMonitor", "a", "of-others"),
)
POOLS = ("podMonitor/b/jobs/0", "serviceMonitor/a/web/0", "serviceMonitor/a/web/1", "serviceMonitor/a/web-2/0")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, environment: Path) -> Iterator[Site]:
    with answering(tmp_path_factory.mktemp("answers"), "") as site:
        yield site


@pytest.fixture
def site(cluster: Site) -> Site:
    cluster.reset()
    return cluster


def told(site: Site, pools: Sequence[str] = POOLS, down: Mapping[str, str] | None = None) -> CheckResult:
    """Ask a Prometheus with these scrape pools of one target each; ``down``: pool -> its target's last error."""

    def targets(seen: Seen) -> Any:
        (pool,) = parse_qs(urlsplit(seen.path).query)["scrapePool"]
        error = (down or {}).get(pool)
        health = "up" if error is None else "down" if error else "unknown"
        one = {"scrapePool": pool, "scrapeUrl": "http://10.0.0.1/metrics", "health": health, "lastError": error or ""}
        return 200, {}, success({"activeTargets": [one]})

    site.says("/api/v1/scrape_pools", {"status": "success", "data": {"scrapePools": list(pools)}})
    site.routes["/api/v1/targets"] = targets
    return ask(site, "prometheus-targets", WITH, inventory=MONITORS)


def success(data: Any) -> bytes:
    return json.dumps({"status": "success", "data": data}).encode()


def test_monitors_that_are_scraped_and_well(site: Site) -> None:
    result = told(site)
    # web-2 is another's: a name is not a prefix of names.
    assert (result.status, result.message) == (PASS, "2 monitors, 3 targets up")


def test_a_monitor_that_prometheus_does_not_take_is_named(site: Site) -> None:
    result = told(site, ["serviceMonitor/a/web-2/0", "podMonitor/b/jobs/0"])
    assert (result.status, result.message) == (FAIL, "Prometheus does not scrape ServiceMonitor a/web")


def test_a_target_that_is_down_is_named_with_its_error(site: Site) -> None:
    result = told(site, down={"serviceMonitor/a/web/1": "server returned HTTP status 503"})
    assert result.message == (
        "1 of 3 targets are not up: serviceMonitor/a/web/1 http://10.0.0.1/metrics: server returned HTTP status 503"
    )


def test_a_target_that_was_not_asked_yet_is_not_up(site: Site) -> None:
    result = told(site, down={"podMonitor/b/jobs/0": ""})
    assert (result.status, "podMonitor/b/jobs/0" in result.message) == (FAIL, True)
    assert result.message.endswith("not asked yet")


def test_others_targets_do_not_count(site: Site) -> None:
    assert told(site, down={"serviceMonitor/a/web-2/0": "connection refused"}).status is PASS


def test_a_monitor_without_targets_is_well(site: Site) -> None:
    site.says("/api/v1/scrape_pools", {"status": "success", "data": {"scrapePools": POOLS}})
    site.says("/api/v1/targets", {"status": "success", "data": {"activeTargets": []}})
    result = ask(site, "prometheus-targets", WITH, inventory=MONITORS)
    assert result.message == "2 monitors, 0 targets up"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"starting", 503, "the answer is no JSON: starting"),
        ({"status": "error", "error": "busy"}, 503, "scrape_pools: status 503: busy"),
        (["x"], 200, 'scrape_pools: status 200: ["x"]'),
    ],
)
def test_an_answer_that_is_none(site: Site, body: Any, status: int, message: str) -> None:
    site.says("/api/v1/scrape_pools", body, status)
    result = ask(site, "prometheus-targets", WITH, inventory=MONITORS)
    assert (result.status, result.message) == (FAIL, message)


def test_a_release_without_monitors_has_nothing_to_ask(site: Site) -> None:
    result = ask(site, "prometheus-targets", WITH, inventory=MONITORS[2:])
    assert (result.status, result.message) == (SKIP, "the release brings no ServiceMonitor and no PodMonitor")
    assert site.seen == []
