"""The way in on real pods: Traefik and cert-manager, a page behind them, and what goes wrong with either."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.mini import ROOT, Done
from tests.node.conftest import Shared
from tests.node.kubectl import Kubectl, until
from tests.node.stacks import NodeStack, furnished
from tests.node.through import Door

from sparkrig import tools

IMAGES = (
    "python",
    "traefik",
    "cert-manager-controller",
    "cert-manager-webhook",
    "cert-manager-cainjector",
    "cert-manager-startupapicheck",
)
HERE = Path(__file__).parent
EXPIRED = ROOT / "tests" / "cases" / "tls"
CATALOG = ("--catalog", str(HERE / "components"))
HOST, PATH_HOST = "echo.lab.example.org", "lab.example.org"
ISSUER = "sparkrig"
REDIRECT = {"to": "websecure", "scheme": "https", "permanent": "true"}


@pytest.fixture(scope="module")
def stack(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeStack]:
    furnished(shared.node, IMAGES)
    made = NodeStack(tmp_path_factory.mktemp("way-in"), shared.node, "wayin")
    domain = {"global": {"domain": PATH_HOST}}
    service = {"service": {"spec": {"type": "LoadBalancer"}}}
    made.write({"cert-manager": {}, "traefik": {**service, **domain}, "echo": {"certificate": ISSUER}})
    made.up(*CATALOG, *made.charts)
    yield made
    gone = made.run("down", "--yes", "--purge", "all", *CATALOG)
    assert gone.code == 0, gone.out + gone.err


@pytest.fixture
def kube(stack: NodeStack) -> Kubectl:
    return Kubectl(tools.find("kubectl").path, stack.node.kubeconfig, "traefik")


@pytest.fixture
def door(kube: Kubectl) -> Door:
    """Where the load balancer answers; its TLS is trusted only with the cluster's own authority."""
    until("both certificates are issued", lambda: ready(kube, "traefik", "default") and ready(kube, "echo", "echo-tls"))
    address = kube.get("service", "traefik")["status"]["loadBalancer"]["ingress"][0]["ip"]
    authority = kube.get("secret", "sparkrig-ca", "-n", "cert-manager")["data"]["tls.crt"]
    return Door(address, trusted=base64.b64decode(authority).decode())


def ready(kube: Kubectl, namespace: str, certificate: str) -> bool:
    found = kube.get("certificates", "-n", namespace)["items"]
    (one,) = [each for each in found if each["metadata"]["name"] == certificate] or [{}]
    conditions = {c["type"]: c["status"] for c in one.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True"


def verify(stack: NodeStack, *arguments: str) -> tuple[Done, dict[str, dict[str, Any]]]:
    """The run, and each check by COMPONENT/CHECK."""
    done = stack.run("verify", "--deep", "--output", "json", *CATALOG, *arguments)
    return done, {f"{check['component']}/{check['name']}": check for check in done.json["checks"]}


def change(stack: NodeStack, *values: str) -> None:
    """Deploy again with these values, or as it was."""
    stack.up(*CATALOG, *stack.charts, *(word for value in values for word in ("--set", value)))


def test_every_check_passes(stack: NodeStack, door: Door) -> None:
    _, found = verify(stack)
    wrong = {name: (check["status"], check["message"]) for name, check in found.items() if check["status"] != "pass"}
    assert wrong == {}
    assert "denied the request" in found["cert-manager/validation"]["message"]
    assert found["traefik/certificate"]["message"].startswith("check.lab.example.org: signed by sparkrig, until ")
    assert found["echo/ingress"]["message"] == f"{HOST}, {PATH_HOST} through the controller"


def test_a_second_up_changes_nothing(stack: NodeStack, kube: Kubectl) -> None:
    def lives() -> dict[str, int]:
        pods = kube.get("pods", "--all-namespaces")["items"]
        return {p["metadata"]["uid"]: sum(c["restartCount"] for c in p["status"]["containerStatuses"]) for p in pods}

    before = lives()
    done = stack.up(*CATALOG, *stack.charts)
    assert "nothing to do" in done.out + done.err
    assert lives() == before


@pytest.mark.parametrize(("host", "path"), [(HOST, "/a?b=1"), (PATH_HOST, "/echo/deep")])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_request_comes_through(door: Door, host: str, path: str, tls: bool) -> None:
    """With TLS the client checks signer and name: the one host has a certificate of its own, the other the default."""
    answer = door.get(host, path, tls=tls)
    assert answer.status == 200
    said = json.loads(answer.body)
    assert said["path"] == path
    assert said["headers"]["host"] == host
    assert said["headers"]["x-forwarded-proto"] == ("https" if tls else "http")


@pytest.mark.parametrize(("host", "path"), [("nobody.lab.example.org", "/"), (PATH_HOST, "/"), (PATH_HOST, "/other")])
def test_what_no_route_names_is_not_found(door: Door, host: str, path: str) -> None:
    assert door.get(host, path).status == 404
    assert door.get(host, path, tls=True).status == 404


def test_each_host_has_the_certificate_it_asked_for(door: Door) -> None:
    for host, names in ((HOST, {HOST}), (PATH_HOST, {PATH_HOST, f"*.{PATH_HOST}"})):
        with door.connect(host, tls=True) as connected:
            assert isinstance(connected, ssl.SSLSocket)
            shown = connected.getpeercert() or {}
        fields: dict[str, Any] = dict(shown)
        assert {name for _, name in fields["subjectAltName"]} == names
        assert fields["issuer"] == ((("commonName", "sparkrig"),),)


def test_nobody_else_is_trusted(door: Door) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        door.get("example.net", tls=True)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get"):
        Door(door.address).get(HOST, tls=True)


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_a_websocket_comes_through(door: Door, tls: bool) -> None:
    texts = ["one", "zwei", "x" * 125]
    assert door.websocket(HOST, "/ws", texts, tls=tls) == [text.upper() for text in texts]


def test_plain_http_is_sent_to_https_where_the_values_say_so(stack: NodeStack, door: Door) -> None:
    change(stack, *(f"traefik.ports.web.http.redirections.entryPoint.{key}={value}" for key, value in REDIRECT.items()))
    try:
        answer = until("it redirects", lambda: (got := door.get(HOST, "/a?b=1")).status != 200 and got)
        assert (answer.status, answer.headers["location"]) == (301, f"https://{HOST}/a?b=1")
        assert door.get(HOST, "/a?b=1", tls=True).status == 200
    finally:
        change(stack)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "echo.ingressClass=nginx",
            (
                "status 404: 404 page not found; it names IngressClass nginx, which does not exist; "
                "that of traefik is traefik"
            ),
        ),
        ("echo.targetPort=8081", "status 502: Bad Gateway"),
        ("echo.replicas=0", "status 503: no available server"),
    ],
    ids=["class", "port", "nobody"],
)
def test_a_route_that_leads_nowhere_fails_its_check(stack: NodeStack, door: Door, value: str, message: str) -> None:
    change(stack, value)
    try:
        done, found = verify(stack, "--only", "echo/ingress")
        check = found["echo/ingress"]
        assert done.code == 1
        assert (check["status"], check["message"]) == ("fail", f"Ingress host, https://{HOST}/: {message}")
        assert check["hint"] == "kubectl -n echo describe ingress; kubectl -n echo get endpointslices"
    finally:
        change(stack)
    assert verify(stack, "--only", "echo/ingress")[0].code == 0


def test_an_expired_certificate_fails_its_check_and_is_renewed(stack: NodeStack, kube: Kubectl, door: Door) -> None:
    """While nobody renews it; cert-manager does so as soon as it is back."""
    kube("-n", "cert-manager", "scale", "deployment/cert-manager", "--replicas=0")
    try:
        until("it is gone", lambda: not kube.get("pods", "-n", "cert-manager", "-l", CONTROLLER)["items"])
        data = {
            f"tls.{kind}": base64.b64encode((EXPIRED / f"expired.{kind}").read_bytes()).decode()
            for kind in ("crt", "key")
        }
        kube("patch", "secret", "default-tls", "-p", json.dumps({"data": data}))
        until("it is served", lambda: refused(door))
        done, found = verify(stack, "--only", "traefik/certificate")
        check = found["traefik/certificate"]
        assert done.code == 1
        assert check["message"] == (
            "the certificate for check.lab.example.org (signed by lab.example.org) ended on 2020-02-01 00:00 UTC"
        )
        assert check["hint"].startswith("kubectl -n traefik describe certificate default")
    finally:
        kube("-n", "cert-manager", "scale", "deployment/cert-manager", "--replicas=1")
    until("a new one is served", lambda: not refused(door))
    assert verify(stack, "--only", "traefik/certificate")[0].code == 0


CONTROLLER = "app.kubernetes.io/component=controller"


def refused(door: Door) -> bool:
    """Whether a client does not accept what the default host shows."""
    try:
        door.get(PATH_HOST, "/echo", tls=True)
    except ssl.SSLCertVerificationError:
        return True
    return False


def test_a_webhook_that_is_gone_fails_its_check(stack: NodeStack, kube: Kubectl) -> None:
    kube("-n", "cert-manager", "scale", "deployment/cert-manager-webhook", "--replicas=0")
    try:
        until("nobody is behind it", lambda: not addresses(kube, "cert-manager-webhook"))
        done, found = verify(stack, "--only", "cert-manager/validation")
        check = found["cert-manager/validation"]
        assert (done.code, check["status"]) == (1, "fail")
        assert "Internal error occurred" in check["message"]
        assert "the API server must reach its port 10250" in check["hint"]
    finally:
        kube("-n", "cert-manager", "scale", "deployment/cert-manager-webhook", "--replicas=1")
    until("it answers", lambda: verify(stack, "--only", "cert-manager/validation")[0].code == 0)


def addresses(kube: Kubectl, service: str) -> list[str]:
    found = kube.get("endpointslices", "-n", "cert-manager", "-l", f"kubernetes.io/service-name={service}")["items"]
    return [address for each in found for end in each["endpoints"] or [] for address in end["addresses"]]
