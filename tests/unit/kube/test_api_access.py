"""The way to an API server: kubeconfig users, exec plugins, proxies, certificates, and what is no API server."""

from __future__ import annotations

import datetime
import json
import os
import ssl
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.loopback import TLS, HttpProxy, Loopback, http_proxy, loopback

from sparkrig.errors import AccessDenied, ClusterUnreachable, NotFound, OperationError, Refused, SparkrigError
from sparkrig.kube.client import ApiError, KubeApi
from sparkrig.kube.kubeconfig import read_kubeconfig
from sparkrig.kube.proxy import bypassed, proxy_for
from sparkrig.kube.watch import ObjectWatch
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.objects import ObjectRef

V1 = "client.authentication.k8s.io/v1"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as played:
        yield played


@pytest.fixture
def secure() -> Iterator[Loopback]:
    with loopback("bare-server") as played:
        yield played


@pytest.fixture
def proxy() -> Iterator[HttpProxy]:
    with http_proxy() as played:
        yield played


def api_of(file: Path) -> KubeApi:
    return KubeApi(ClusterHandle("context", "c", file, None))


class Plugin:
    """An exec plugin that counts its runs and gives ``token-N``, or what ``answers`` says of the Nth run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "bin" / "plugin"
        self.path.parent.mkdir()

    def says(self, *answers: Any) -> None:
        """Each run prints the next of these; the last one stays."""
        for number, answer in enumerate(answers, 1):
            text = answer if isinstance(answer, str) else json.dumps(answer)
            (self.folder / f"answer-{number}").write_text(text)
        self.path.write_text(
            textwrap.dedent(f"""\
            #!/bin/sh
            cd {self.folder}
            echo "$KUBERNETES_EXEC_INFO" > info
            echo "$EXTRA $*" > arguments
            echo x >> runs
            n=$(wc -l < runs)
            [ -e answer-$n ] || n={len(answers)}
            cat answer-$n
            """)
        )
        self.path.chmod(0o700)

    @property
    def runs(self) -> int:
        runs = self.folder / "runs"
        return len(runs.read_text().splitlines()) if runs.exists() else 0

    def user(self, **more: Any) -> dict[str, Any]:
        return {"exec": {"apiVersion": V1, "command": str(self.path), "interactiveMode": "Never", **more}}


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


def credential(version: str = V1, **status: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": "ExecCredential", "status": status}


def in_s(seconds: float) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def wants(*tokens: str) -> Any:
    def answer(_method: str, _path: str, headers: Mapping[str, str]) -> Any:
        if headers.get("authorization") in [f"Bearer {token}" for token in tokens]:
            return 200, {}, {"items": []}
        return 401, {}, {"kind": "Status", "code": 401, "message": "Unauthorized"}

    return answer


# --------------------------------------------------------------------------- exec plugins


def test_a_plugin_without_expiry_runs_once(server: Loopback, plugin: Plugin, tmp_path: Path) -> None:
    plugin.says(credential(token="one"))
    server.answer = wants("one")
    api = api_of(server.kubeconfig(tmp_path, plugin.user()))
    for _ in range(5):
        assert api.list("/api/v1/pods") == []
    assert plugin.runs == 1
    assert server.seen[0][2]["authorization"] == "Bearer one"


def test_a_token_that_is_refused_is_asked_for_again_once(server: Loopback, plugin: Plugin, tmp_path: Path) -> None:
    """No ``expirationTimestamp``: nobody but the API server says that the token is over."""
    plugin.says(credential(token="one"), credential(token="two"))
    server.answer = wants("one")
    api = api_of(server.kubeconfig(tmp_path, plugin.user()))
    assert api.list("/api/v1/pods") == []
    server.answer = wants("two")
    assert api.list("/api/v1/pods") == []
    assert plugin.runs == 2
    server.answer = wants("three")
    with pytest.raises(AccessDenied, match="does not accept the credentials"):
        api.list("/api/v1/pods")
    assert plugin.runs == 3


def test_a_watch_and_a_create_after_the_end_of_a_token(server: Loopback, plugin: Plugin, tmp_path: Path) -> None:
    plugin.says(credential(token="one"), credential(token="two"), credential(token="three"))
    server.answer = wants("one")
    api = api_of(server.kubeconfig(tmp_path, plugin.user()))
    api.list("/api/v1/pods")
    server.answer = wants("two")
    api.create("/api/v1/pods", {})  # a refusal: nothing was done, so it is sent again
    server.answer = wants("three")
    with pytest.raises(AccessDenied):
        api.watch("/api/v1/pods", "1", 1)
    server.answer = lambda _method, _path, headers: (200 if "three" in headers["authorization"] else 401, {}, b"")
    assert list(api.watch("/api/v1/pods", "1", 1)) == []  # whoever follows opens it again, with the new token
    assert plugin.runs == 3


@pytest.mark.parametrize(("seconds", "runs"), [(3600, 1), (-1, 4)])
def test_a_token_is_used_until_it_expires(
    server: Loopback, plugin: Plugin, tmp_path: Path, seconds: float, runs: int
) -> None:
    plugin.says(credential(token="one", expirationTimestamp=in_s(seconds)))
    server.answer = wants("one")
    api = api_of(server.kubeconfig(tmp_path, plugin.user()))
    api.list("/api/v1/pods")
    api.list("/api/v1/pods")
    assert plugin.runs == 1 if runs == 1 else plugin.runs >= runs


def test_a_plugin_is_told_what_the_kubeconfig_says(server: Loopback, plugin: Plugin, tmp_path: Path) -> None:
    """Environment, arguments, the cluster with its configuration; a path is relative to the kubeconfig."""
    plugin.says(credential(token="one"))
    own = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "here"}}
    user = plugin.user(
        command="bin/plugin", args=["get", "token"], env=[{"name": "EXTRA", "value": "more"}], provideClusterInfo=True
    )
    api = api_of(server.kubeconfig(tmp_path, user, extensions=[own]))
    api.version()
    info = json.loads((tmp_path / "info").read_text())
    assert info["spec"] == {"interactive": False, "cluster": {"server": server.url, "config": {"audience": "here"}}}
    assert info["apiVersion"] == V1
    assert (tmp_path / "arguments").read_text() == "more get token\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "v1alpha1, which kubectl and Helm do not support"),
        ({"apiVersion": ""}, r"has apiVersion \(none\)"),
        ({"interactiveMode": ""}, r"has interactiveMode \(none\)"),
        ({"interactiveMode": "Sometimes"}, "has interactiveMode Sometimes"),
        ({"command": ""}, "has no command"),
    ],
)
def test_what_helm_would_refuse_is_refused_before_anything_else(
    server: Loopback, plugin: Plugin, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    plugin.says(credential(token="one"))
    with pytest.raises(Refused, match=words) as refused:
        api_of(server.kubeconfig(tmp_path, plugin.user(**change))).version()
    assert int(refused.value.exit_code) == 4
    assert refused.value.hint
    assert plugin.runs == 0
    assert server.seen == []


def test_v1beta1_needs_no_interactive_mode(server: Loopback, plugin: Plugin, tmp_path: Path) -> None:
    version = "client.authentication.k8s.io/v1beta1"
    plugin.says(credential(version, token="one"))
    user = plugin.user(apiVersion=version)
    del user["exec"]["interactiveMode"]
    assert api_of(server.kubeconfig(tmp_path, user)).version() == "1.36.3"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("no JSON: secret-token", "its output is not an ExecCredential"),
        ({"apiVersion": V1, "kind": "ExecCredential"}, "its output is not an ExecCredential"),
        (credential("client.authentication.k8s.io/v1beta1", token="secret-token"), "configured for .*v1 and returned"),
        (credential(), "neither a token nor a client certificate"),
        (credential(clientCertificateData="x"), "a client certificate without a key"),
        (credential(clientCertificateData="x", clientKeyData="y"), "its client certificate cannot be used"),
        (credential(token="secret-token", expirationTimestamp="tomorrow"), "'tomorrow' is not an RFC 3339 time"),
    ],
)
def test_an_answer_that_cannot_be_used_is_named_without_secrets(
    server: Loopback, plugin: Plugin, tmp_path: Path, answer: Any, words: str
) -> None:
    plugin.says(answer)
    with pytest.raises(OperationError, match=words) as error:
        api_of(server.kubeconfig(tmp_path, plugin.user())).version()
    assert "secret-token" not in str(error.value)
    assert error.value.__cause__ is None or "secret-token" not in str(error.value.__cause__)


def test_a_plugin_that_is_not_installed_gives_its_own_hint(server: Loopback, plugin: Plugin, tmp_path: Path) -> None:
    user = plugin.user(command="no-such-plugin-here", installHint="install it from example.org")
    with pytest.raises(OperationError, match="no-such-plugin-here: No such file") as error:
        api_of(server.kubeconfig(tmp_path, user)).version()
    assert error.value.hint == "install it from example.org"


def test_a_plugin_without_a_terminal_that_wants_one(server: Loopback, plugin: Plugin, tmp_path: Path) -> None:
    plugin.says(credential(token="one"))
    with pytest.raises(OperationError, match="needs a terminal"):
        api_of(server.kubeconfig(tmp_path, plugin.user(interactiveMode="Always"))).version()


def test_a_client_certificate_of_a_plugin_is_presented(plugin: Plugin, tmp_path: Path) -> None:
    with loopback("bare-server") as server:
        pem = {"clientCertificateData": "bare-server.crt", "clientKeyData": "bare-server.key"}
        plugin.says(credential(**{key: (TLS / name).read_text() for key, name in pem.items()}))
        file = server.kubeconfig(tmp_path, plugin.user(), **{"certificate-authority": str(TLS / "bare-ca.crt")})
        api = api_of(file)
        assert api.version() == "1.36.3"
        assert "authorization" not in server.seen[0][2]
        assert plugin.runs == 1


# --------------------------------------------------------------------------- other users


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "t"}, "Bearer t"),
        ({"username": "ann", "password": "pass:word"}, "Basic YW5uOnBhc3M6d29yZA=="),
        ({}, None),
    ],
)
def test_what_each_user_presents(server: Loopback, tmp_path: Path, user: dict[str, Any], header: str | None) -> None:
    api_of(server.kubeconfig(tmp_path, user)).version()
    assert server.seen[0][2].get("authorization") == header


def test_a_token_goes_before_a_plugin(server: Loopback, plugin: Plugin, tmp_path: Path) -> None:
    plugin.says(credential(token="one"))
    api_of(server.kubeconfig(tmp_path, {**plugin.user(), "token": "t"})).version()
    assert server.seen[0][2]["authorization"] == "Bearer t"


def test_a_token_file_that_was_renewed_is_read_again_at_a_refusal(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old")
    server.answer = wants("old")
    api = api_of(server.kubeconfig(tmp_path, {"tokenFile": "token"}))
    api.list("/api/v1/pods")
    (tmp_path / "token").write_text("new")
    server.answer = wants("new")
    assert api.list("/api/v1/pods") == []


def test_an_auth_provider_gets_its_token_from_the_library(server: Loopback, tmp_path: Path) -> None:
    """With every version of it that pyproject.toml allows; a JWT that has not expired needs no refresh."""
    import base64

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    token = f"{part({'alg': 'none'})}.{part({'exp': 4102444800})}.x"
    provider = {"name": "oidc", "config": {"id-token": token, "idp-issuer-url": "https://issuer.example.org"}}
    server.answer = wants(token)
    assert api_of(server.kubeconfig(tmp_path, {"auth-provider": provider})).list("/api/v1/pods") == []


def test_an_auth_provider_that_is_gone_says_so(server: Loopback, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="auth-provider for context 'c' failed") as error:
        api_of(server.kubeconfig(tmp_path, {"auth-provider": {"name": "azure", "config": {}}})).version()
    assert "exec plugins" in str(error.value.hint)


# --------------------------------------------------------------------------- certificates


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python 3.13 does with contexts it makes, with any Python: RFC 5280 to the letter."""
    import urllib3.connection
    import urllib3.util.ssl_

    def wrap(make: Any) -> Any:
        def made(*arguments: Any, **named: Any) -> ssl.SSLContext:
            context: ssl.SSLContext = make(*arguments, **named)
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            return context

        return made

    monkeypatch.setattr(ssl, "create_default_context", wrap(ssl.create_default_context))
    for module in (urllib3.util.ssl_, urllib3.connection):
        monkeypatch.setattr(module, "create_urllib3_context", wrap(urllib3.util.ssl_.create_urllib3_context))


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("kind", ["token", "exec", "basic", "oidc", "proxy"])
def test_an_authority_without_key_identifiers_is_trusted_on_every_path(
    secure: Loopback, proxy: HttpProxy, plugin: Plugin, tmp_path: Path, kind: str
) -> None:
    plugin.says(credential(token="t"))
    users: dict[str, dict[str, Any]] = {
        "token": {"token": "t"},
        "exec": plugin.user(),
        "basic": {"username": "u", "password": "p"},
        "oidc": {"auth-provider": {"name": "oidc", "config": {"id-token": "a.eyJleHAiOjQxMDI0NDQ4MDB9.b"}}},
        "proxy": {"token": "t"},
    }
    cluster = {"certificate-authority": str(TLS / "bare-ca.crt")}
    cluster |= {"proxy-url": proxy.url} if kind == "proxy" else {}
    assert api_of(secure.kubeconfig(tmp_path, users[kind], **cluster)).version() == "1.36.3"
    assert bool(proxy.asked) == (kind == "proxy")


def test_a_certificate_that_does_not_fit_gets_advice_about_certificates(secure: Loopback, tmp_path: Path) -> None:
    file = secure.kubeconfig(tmp_path, {"token": "t"}, **{"certificate-authority": str(TLS / "ca.crt")})
    with pytest.raises(ClusterUnreachable, match="cannot be trusted: certificate verify failed") as error:
        api_of(file).version()
    assert "certificate-authority" in str(error.value.hint)
    assert "openssl s_client" in str(error.value.hint)
    assert "VPN" not in str(error.value.hint)


# --------------------------------------------------------------------------- proxies


def test_a_proxy_that_refuses_is_named_with_its_answer(
    secure: Loopback, proxy: HttpProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.refusal = "403 Forbidden"
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("://", "://ann:secret@"))
    file = secure.kubeconfig(tmp_path, {"token": "t"}, server="https://api.lab.example.org:6443")
    with pytest.raises(ClusterUnreachable) as error:
        api_of(file).version()
    assert error.value.message == (
        "the API server at https://api.lab.example.org:6443 (context c) cannot be reached through the proxy "
        f"{proxy.url} (HTTPS_PROXY): it answered 403 Forbidden"
    )
    assert "NO_PROXY" in str(error.value.hint)
    assert proxy.asked == [("api.lab.example.org:6443", "Basic YW5uOnNlY3JldA==")]
    assert "secret" not in repr(error.value) + str(error.value.hint)


def test_a_proxy_that_is_down_is_named(secure: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    file = secure.kubeconfig(tmp_path, {"token": "t"}, server="https://api.lab.example.org:6443")
    with pytest.raises(
        ClusterUnreachable, match=r"through the proxy http://127\.0\.0\.1:1 \(https_proxy\): it refuses"
    ):
        api_of(file).version()


@pytest.mark.parametrize("how", ["HTTPS_PROXY", "https_proxy", "proxy-url"])
def test_requests_and_watches_go_through_the_proxy(
    secure: Loopback, proxy: HttpProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    host, port = secure.url.removeprefix("https://").split(":")
    proxy.target = (host, int(port))
    cluster: dict[str, Any] = {"certificate-authority": str(TLS / "bare-ca.crt")}
    cluster |= {"server": "https://api.lab.example.org:6443"}
    if how == "proxy-url":
        cluster["proxy-url"] = proxy.url
    else:
        monkeypatch.setenv(how, proxy.url)
    api = api_of(secure.kubeconfig(tmp_path, {"token": "t"}, **cluster))
    assert api.list("/api/v1/pods") == []
    secure.answer = lambda _method, _path, _headers: (200, {}, b"")
    assert list(api.watch("/api/v1/pods", "1", 1)) == []
    assert {host for host, _ in proxy.asked} == {"api.lab.example.org:6443"}


def test_a_socks_proxy_without_its_package_says_what_to_install(
    secure: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "urllib3.contrib.socks", None)
    with pytest.raises(SparkrigError, match="speaks SOCKS") as error:
        api_of(secure.kubeconfig(tmp_path, {"token": "t"}, **{"proxy-url": "socks5://127.0.0.1:1080"})).version()
    assert "pysocks" in str(error.value.hint)


@pytest.mark.parametrize(
    ("host", "no_proxy", "expected"),
    [
        ("api.corp.example", "corp.example", True),
        ("corp.example", "corp.example", True),
        ("corp.example", ".corp.example", False),
        ("api.corp.example", "*.corp.example", True),
        ("apicorp.example", "corp.example", False),
        ("10.1.2.3", "10.0.0.0/8, other", True),
        ("10.1.2.3", "10.1.2.3:6443", True),
        ("10.1.2.3", "10.1.2.3:443", False),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("fd00::1", "[fd00::1]:6443", True),
        ("fd00::1", "fd00::/8", True),
        ("anything", "*", True),
        ("anything", "", False),
        ("localhost", "", True),
        ("127.0.0.9", "", True),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(host: str, no_proxy: str, expected: bool) -> None:
    assert bypassed(host, 6443, no_proxy) is expected


def test_which_proxy_is_taken() -> None:
    environment = {"HTTPS_PROXY": "proxy:3128", "https_proxy": "http://other:1", "NO_PROXY": "inner.example"}
    chosen = proxy_for("https://api.example:6443", None, environment)
    assert chosen is not None
    assert (chosen.url, chosen.source) == ("http://proxy:3128", "HTTPS_PROXY")
    assert proxy_for("https://inner.example", None, environment) is None
    own = proxy_for("https://inner.example", "http://u:p@own:1", environment)
    assert own is not None
    assert own.shown == "http://own:1"
    assert proxy_for("http://api.example", None, environment) is None


# --------------------------------------------------------------------------- what is no API server


LOGIN = {"Location": "https://login.example.org/authorize?state=secret"}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308, 304])
def test_a_redirect_is_no_success(server: Loopback, tmp_path: Path, code: int) -> None:
    """An expired session behind a proxy of single sign-on: no empty list, and no namespace that exists."""
    server.answer = lambda _method, _path, _headers: (code, LOGIN, b"")
    api = api_of(server.kubeconfig(tmp_path, {"token": "t"}))
    calls = (
        lambda: api.list("/api/v1/pods"),
        lambda: api.get("/api/v1/namespaces/x", missing_ok=True),
        lambda: api.create("/api/v1/namespaces", {}),
        lambda: api.watch("/api/v1/pods", "1", 1),
        lambda: api.delete("/api/v1/namespaces/x"),
    )
    for call in calls:
        with pytest.raises(AccessDenied, match=r"redirects to https://login\.example\.org/authorize, not a") as error:
            call()
        assert "secret" not in str(error.value)
        assert "log in again" in str(error.value.hint)


def test_a_login_page_with_a_success_is_none(server: Loopback, tmp_path: Path) -> None:
    page = {"Content-Type": "text/html; charset=utf-8"}
    server.answer = lambda _method, _path, _headers: (200, page, b"<html>log in</html>")
    api = api_of(server.kubeconfig(tmp_path, {"token": "t"}))
    for call in (
        lambda: api.list("/api/v1/pods"),
        lambda: api.get("/api/v1/namespaces/x"),
        lambda: api.watch("/a", "1", 1),
    ):
        with pytest.raises(AccessDenied, match="answers HTTP 200 with a web page"):
            call()


@pytest.mark.parametrize("reply", [(302, LOGIN, b""), (403, {"Content-Type": "text/html"}, b"<p>denied</p>")])
def test_a_login_in_front_is_seen_at_first_contact(server: Loopback, tmp_path: Path, reply: Any) -> None:
    server.version = reply
    with pytest.raises(AccessDenied, match=r"cannot be used: GET /version (redirects to|answers HTTP 403 with a web)"):
        api_of(server.kubeconfig(tmp_path, {"token": "t"})).version()


def test_a_list_without_items_is_no_empty_list(server: Loopback, tmp_path: Path) -> None:
    server.answer = lambda _method, _path, _headers: (200, {}, {"kind": "Greeting"})
    with pytest.raises(ApiError, match=r"the answer is not a list \(kind Greeting\)"):
        api_of(server.kubeconfig(tmp_path, {"token": "t"})).list("/api/v1/pods")
    server.answer = lambda _method, _path, _headers: (200, {}, {"kind": "PodList", "items": None})
    assert api_of(server.kubeconfig(tmp_path, {"token": "t"})).list("/api/v1/pods") == []


# --------------------------------------------------------------------------- kubeconfig files


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "null\n"])
@pytest.mark.parametrize("order", ["good first", "good last"])
def test_an_empty_kubeconfig_among_several_is_skipped(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, order: str
) -> None:
    good, empty = server.kubeconfig(tmp_path, {"token": "t"}), tmp_path / "empty"
    empty.write_text(text)
    files = [good, empty] if order == "good first" else [empty, good]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, [*files, tmp_path / "missing"])))
    assert KubeApi(ClusterHandle("context", "c", None, None)).version() == "1.36.3"


def test_nothing_but_empty_kubeconfigs_has_no_context(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    api = api_of(tmp_path / "empty")
    with pytest.raises(NotFound, match="has no current context"):
        api.version()


@pytest.mark.parametrize("text", ["- a\n", "just words\n", "42\n"])
def test_what_is_no_kubeconfig_is_still_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad").write_text(text)
    with pytest.raises(OperationError, match="is not a mapping"):
        read_kubeconfig(tmp_path / "bad")


def test_yaml_of_a_kubeconfig_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text(yaml.safe_dump({"users": "x"}) + "token: [secret")
    with pytest.raises(OperationError) as error:
        read_kubeconfig(tmp_path / "bad")
    assert "secret" not in str(error.value)


# --------------------------------------------------------------------------- watches


def test_a_watch_that_is_too_old_each_time_does_not_spin(server: Loopback, tmp_path: Path) -> None:
    """A list from a cache that is behind gives versions that the watch refuses: with pauses, each longer."""
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    group = {"kind": "APIResourceList", "groupVersion": "v1"}
    pods = {"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["list"]}

    def answer(_method: str, path: str, _headers: Mapping[str, str]) -> Any:
        if "watch=true" in path:
            return 200, {}, (json.dumps(gone) + "\n").encode()
        if path.startswith("/api/v1/namespaces"):
            return 200, {}, {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": []}
        if path == "/api":
            return 200, {}, {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            return 200, {}, {"kind": "APIGroupList", "groups": []}
        return 200, {}, {**group, "resources": [pods]}

    server.answer = answer
    api = api_of(server.kubeconfig(tmp_path, {"token": "t"}))
    with ObjectWatch(api) as watch:
        watch.ensure([ObjectRef("", "v1", "Pod", "n", "*")])
        time.sleep(2.0)
    watches = [path for _, path, _ in server.seen if "watch=true" in path]
    assert 1 <= len(watches) <= 8
