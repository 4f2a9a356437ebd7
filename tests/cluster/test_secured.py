"""examples/secured.yaml on a real API server: certificates, a login, the Metrics API.

Charts are the stand-ins, helm is real. Where SPARKRIG_REAL_CHARTS names a folder of real charts, those are taken.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from tests.cluster.conftest import NewSim

from sparkrig.kube.client import KubeApi

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

ROOT: Final = Path(__file__).parents[2]
REAL: Final = os.environ.get("SPARKRIG_REAL_CHARTS")
CHARTS: Final = ("--chart-mirror", REAL) if REAL else ("--stand-ins", str(ROOT / "tests" / "charts"))
SECRETS: Final = {
    "OAUTH_CLIENT_ID": "pl4nted-id",
    "OAUTH_CLIENT_SECRET": "pl4nted-secret",
    "COOKIE_SECRET": "pl4nted-0123456789abcdef",
    "GRAFANA_PASSWORD": "pl4nted-grafana",
}
ISSUERS: Final = "/apis/cert-manager.io/v1/clusterissuers"
DEADLINE_S: Final = 400
"""For one run of twelve components; it takes twenty seconds on an idle machine."""

Run = Callable[..., subprocess.CompletedProcess[str]]


def runner(cluster: str) -> Run:
    environment = {**os.environ, **SECRETS, "PYTHONPATH": str(ROOT / "installer")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "sparkrig", *arguments, "-f", str(ROOT / "examples" / "secured.yaml")]
        argv += ["--on", f"sim:{cluster}", *CHARTS]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=DEADLINE_S)
        assert "Traceback" not in done.stderr, done.stderr
        assert "pl4nted" not in done.stdout + done.stderr
        return done

    return run


def test_it_comes_up_stays_and_can_be_changed(fresh_sim: NewSim) -> None:
    cluster = fresh_sim()
    run, api = runner(cluster.name), KubeApi(cluster)
    first = run("up", "--yes")
    assert first.returncode == 0, first.stdout + first.stderr

    # The issuers are hooks of the release that brings their CRDs: helm must have known them by then.
    names = {item["metadata"]["name"] for item in api.request("GET", ISSUERS)["items"]}
    assert names == {"sparkrig", "sparkrig-self-signed"}
    certificate = api.request("GET", "/apis/cert-manager.io/v1/namespaces/traefik/certificates/default")
    assert certificate["spec"]["dnsNames"] == ["lab.example.org", "*.lab.example.org"]
    assert certificate["spec"]["issuerRef"]["name"] == "sparkrig"
    store = api.request("GET", "/apis/traefik.io/v1alpha1/namespaces/traefik/tlsstores/default")
    assert store["spec"]["defaultCertificate"]["secretName"] == certificate["spec"]["secretName"]

    # Triton's Ingress names the Middleware by Traefik's word for it: namespace, dash, name.
    ingresses = api.request("GET", "/apis/networking.k8s.io/v1/namespaces/triton/ingresses")["items"]
    (word,) = {
        item["metadata"]["annotations"]["traefik.ingress.kubernetes.io/router.middlewares"] for item in ingresses
    }
    assert word == "oauth2-proxy-forward-auth@kubernetescrd"
    assert api.request("GET", "/apis/traefik.io/v1alpha1/namespaces/oauth2-proxy/middlewares/forward-auth")
    keys = api.request("GET", "/api/v1/namespaces/oauth2-proxy/secrets/oauth2-proxy")["data"]
    assert set(keys) == {"client-id", "client-secret", "cookie-secret"}

    second = run("up", "--yes")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "nothing to do" in second.stdout + second.stderr
    third = run("up", "--yes", "--set", "cert-manager.replicaCount=2", "--set", "metrics-server.replicas=2")
    assert third.returncode == 0, third.stdout + third.stderr
    assert {item["metadata"]["name"] for item in api.request("GET", ISSUERS)["items"]} == names
    api.close()
