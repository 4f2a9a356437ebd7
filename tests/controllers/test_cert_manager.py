"""cert-manager's own controller, webhook and injector as processes: issuing, refusing, waiting, restarting, leaving."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from tests.controllers.site import Site
from tests.controllers.stacks import Stack
from tests.controllers.waiting import condition, until

from sparkrig.kube.errors import ApiError

RECIPES = tuple(f"cert-manager-{part}" for part in ("controller", "webhook", "cainjector", "startupapicheck"))
GROUP = "/apis/cert-manager.io/v1"
NAMESPACE = "cert-manager"
SLOW_S = 4.0


def certificate(name: str, **spec: object) -> dict[str, object]:
    issuer = {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "sparkrig"}
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"secretName": name, "issuerRef": issuer, **spec},
    }


@pytest.fixture(scope="module", autouse=True)
def installed(stack: Stack) -> float:
    """The stack, on whose first ``up`` the webhook needs some seconds to start; returns what ``up`` took."""
    stack.site.kubelet.slow["cert-manager-webhook"] = SLOW_S
    stack.write({"cert-manager": {}})
    began = time.monotonic()
    stack.up()
    stack.site.kubelet.slow.clear()
    return time.monotonic() - began


def test_up_waits_until_the_webhook_answers(site: Site, installed: float) -> None:
    """Its objects of cert-manager's kinds are refused while the webhook is away: they are there."""
    assert installed > SLOW_S
    issuer = site.api.get(f"{GROUP}/clusterissuers/sparkrig")
    assert issuer is not None
    pods = site.kubelet.named("cert-manager-")
    assert {c.recipe.name for pod in pods for c in pod.containers} >= {
        "cert-manager-controller",
        "cert-manager-webhook",
        "cert-manager-cainjector",
    }


def test_issuers_and_certificates_become_ready(site: Site) -> None:
    for path in ("clusterissuers/sparkrig-self-signed", "clusterissuers/sparkrig"):
        until(lambda path=path: condition(site.api.get(f"{GROUP}/{path}"), "Ready").get("status") == "True", path)
    site.api.apply(certificate("leaf", dnsNames=["leaf.example.org"]))
    path = f"{GROUP}/namespaces/{NAMESPACE}/certificates/leaf"
    until(lambda: condition(site.api.get(path), "Ready").get("status") == "True", "the certificate is ready")
    secret = site.api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/leaf")
    assert secret is not None
    assert base64.b64decode(secret["data"]["tls.crt"]).startswith(b"-----BEGIN CERTIFICATE-----")


def test_the_webhook_refuses_what_it_must(site: Site) -> None:
    """Through its Service, by its own certificate, whose authority the injector wrote into the configuration."""
    with pytest.raises(ApiError, match=r"denied the request.*commonName"):
        site.api.apply(certificate("nameless"), dry_run=True)
    site.api.apply(certificate("named", dnsNames=["named.example.org"]), dry_run=True)


def test_verify_asks_the_webhook_and_the_issuer(stack: Stack) -> None:
    done = stack.run("verify", "--output", "json")
    checks = {check["name"]: check for check in done.json["checks"]}
    assert {name: checks[name]["status"] for name in ("validation", "issuer", "workloads", "crds")} == {
        "validation": "pass",
        "issuer": "pass",
        "workloads": "pass",
        "crds": "pass",
    }, done.out


def test_a_webhook_that_is_away_is_reported_at_once(site: Site, stack: Stack) -> None:
    """As kube-proxy refuses a Service without endpoints; a simulated Service hangs for ten seconds instead."""
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/cert-manager-webhook"
    site.api.patch(path, {"spec": {"replicas": 0}})
    until(lambda: not site.kubelet.named("cert-manager-webhook"), "its process ends")
    began = time.monotonic()
    with pytest.raises(ApiError, match="cert-manager-webhook"):
        site.api.apply(certificate("named", dnsNames=["named.example.org"]), dry_run=True)
    assert time.monotonic() - began < 5
    asking = stack.start("verify", "--only", "cert-manager/validation", "--output", "json")
    time.sleep(SLOW_S)
    site.api.patch(path, {"spec": {"replicas": 1}})
    done = stack.finish(asking)
    (check,) = done.json["checks"]
    assert (done.code, check["status"]) == (0, "pass"), done.out
    site.api.apply(certificate("named", dnsNames=["named.example.org"]), dry_run=True)


def test_a_program_that_is_killed_is_started_again(site: Site) -> None:
    (pod,) = (p for p in site.kubelet.named("cert-manager-") if p.containers[0].recipe.name.endswith("-controller"))
    until(lambda: pod.containers[0].ready, "it runs")
    pod.kill()
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod.name}"

    def status() -> Any:
        found = (site.api.get(path) or {})["status"]["containerStatuses"][0]
        return found if found["restartCount"] == 1 and found["ready"] else {}

    ended = until(status, "it is ready again")["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "Error")


def test_up_again_changes_nothing(site: Site, stack: Stack) -> None:
    before = {pod.name for pod in site.kubelet.named("")}
    done = stack.up("--output", "json")
    assert not done.json["operations"], done.out
    assert {pod.name for pod in site.kubelet.named("")} == before


def test_down_leaves_nothing(site: Site, stack: Stack) -> None:
    stack.good("down", "--yes", "--purge", "all")
    assert not site.kubelet.named("cert-manager")
    assert site.api.get(f"/api/v1/namespaces/{NAMESPACE}", missing_ok=True) is None
    crds = site.api.list("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", metadata_only=True)
    assert not [crd for crd in crds if crd["metadata"]["name"].endswith("cert-manager.io")]
