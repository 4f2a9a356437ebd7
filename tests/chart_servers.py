"""Chart repositories and registries on loopback, with passwords and certificates, for tests."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from tests.mini import World

from sparkrig import tools

TLS = Path(__file__).parent / "cases" / "tls"
USER = "ci"
PASSWORD = "Pl4nted-registry-password"
HTPASSWD = f"{USER}:$2b$04$RWMTETuA7fXNoUvUJYYitebsaR0LaKb59SdGC2dMI8iCFR5YJAvE6\n"
"""bcrypt of PASSWORD, at its lowest cost."""
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {text: {{ .Values.text | quote }}}
"""


def pack_chart(folder: Path, name: str, version: str, text: str = "one") -> Path:
    """Writes a small chart and packs it; returns the archive."""
    chart = folder / f"{name}-{version}-{text}" / name
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: {version}\n")
    (chart / "values.yaml").write_text(f"text: {text}\n")
    (chart / "templates" / "c.yaml").write_text(TEMPLATE)
    to = folder / f"{name}-{version}.tgz"
    with tarfile.open(to, "w:gz") as archive:
        archive.add(chart, name)
    return to


@dataclass
class Site:
    """A chart repository; ``asked`` counts what was answered with content."""

    url: str
    folder: Path
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)

    def publish(self, name: str, version: str, text: str = "one", address: str | None = None) -> None:
        data = pack_chart(self.folder, name, version, text).read_bytes()
        self.files[f"/{name}-{version}.tgz"] = data
        index = yaml.safe_load(self.files.get("/index.yaml", b"apiVersion: v1\nentries: {}\n"))
        entry = {
            "apiVersion": "v2",
            "name": name,
            "version": version,
            "urls": [address or f"{name}-{version}.tgz"],
            "digest": hashlib.sha256(data).hexdigest(),
        }
        others = [item for item in index["entries"].get(name, ()) if item["version"] != version]
        index["entries"][name] = [entry, *others]
        self.files["/index.yaml"] = yaml.safe_dump(index).encode()


@contextmanager
def site(
    folder: Path, *, password: bool = False, tls: bool = False, client_certificate: bool = False
) -> Iterator[Site]:
    """A repository over HTTP, or TLS, that may want a password or a client certificate."""
    wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place.headers.append(dict(self.headers))
            if password and self.headers.get("Authorization") != wanted:
                self.answer(401, b"who are you", ("WWW-Authenticate", 'Basic realm="charts"'))
            elif target := place.redirects.get(self.path):
                self.answer(302, b"", ("Location", target))
            elif (data := place.files.get(self.path)) is None:
                self.answer(404, b"no")
            else:
                self.answer(200, data)

        def answer(self, status: int, data: bytes, *headers: tuple[str, str]) -> None:
            place.asked.append((self.path, status))
            self.send_response(status)
            for name, value in (*headers, ("Content-Length", str(len(data)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(TLS / "server.crt", TLS / "server.key")
            if client_certificate:
                context.load_verify_locations(TLS / "ca.crt")
                context.verify_mode = ssl.CERT_REQUIRED
            server.socket = context.wrap_socket(server.socket, server_side=True)
        place = Site(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}", folder)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield place
        server.shutdown()
        thread.join()


class Server(ThreadingHTTPServer):
    """A failed handshake is the client's business."""

    def handle_error(self, *_: object) -> None:
        """Says nothing."""


@dataclass
class Registry:
    """A running registry."""

    host: str
    log: Path

    def requests(self) -> int:
        """How many requests it answered."""
        return self.log.read_text().count("http.request.uri")


@contextmanager
def registry(folder: Path, *, tls: bool = False, password: bool = True) -> Iterator[Registry]:
    """The reference registry in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(HTPASSWD)
    http = {"addr": f"127.0.0.1:{port}", "secret": "of no use"}
    if tls:
        http["tls"] = {"certificate": str(TLS / "server.crt"), "key": str(TLS / "server.key")}  # type: ignore[assignment]
    document = {
        "version": 0.1,
        "log": {"level": "info", "formatter": "text"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": http,
        **({"auth": {"htpasswd": {"realm": "charts", "path": str(folder / "htpasswd")}}} if password else {}),
    }
    (folder / "config.yml").write_text(yaml.safe_dump(document))
    log = folder / "log"
    command = [str(tools.find("registry").path), "serve", str(folder / "config.yml")]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=subprocess.STDOUT, env={"OTEL_TRACES_EXPORTER": "none"}
        )
    try:
        _until_open(port, process, log)
        yield Registry(f"127.0.0.1:{port}", log)
    finally:
        process.terminate()
        process.wait(10)


def _until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"the registry does not listen: {log.read_text()}")


def push(registry: Registry, archive: Path, path: str, private: Path, *, tls: bool = False) -> None:
    """Puts a chart into a registry with helm, the password through stdin."""
    helm = str(tools.find("helm").path)
    environment = {"HELM_CONFIG_HOME": str(private), "HELM_CACHE_HOME": str(private), "HOME": str(private), "PATH": ""}
    trust = ["--ca-file", str(TLS / "ca.crt")] if tls else ["--plain-http"]
    login = [helm, "registry", "login", registry.host, "--username", USER, "--password-stdin", *trust]
    subprocess.run(login, input=PASSWORD.encode(), env=environment, check=True, capture_output=True)
    command = [helm, "push", str(archive), f"oci://{registry.host}/{path}", *trust]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def remote_component(world: World, name: str, repository: str, version: str = "1.0.0") -> None:
    """A component whose chart is elsewhere."""
    folder = world.catalog / name
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "apiVersion": "sparkrig.dev/v1",
        "kind": "Component",
        "metadata": {
            "name": name,
            "description": f"{name} for a test",
            "homepage": "https://example.org",
            "licence": "Apache-2.0",
        },
        "chart": {"name": name, "version": version, "repository": repository},
        "release": {"name": name, "namespace": f"{world.stack}-{name}"},
        "crds": {"owner": "none"},
    }
    (folder / "component.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
