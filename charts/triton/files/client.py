"""A page and a command that send sample requests to servers of the open inference protocol. Standard library only.

    client.py serve [--port 8080]
    client.py list
    client.py send [--server NAME] [--model NAME] [--count N]

The servers stand in the environment: SERVERS="NAME=URL NAME=URL". A sample is made from what a model says of its inputs,
so it fits every model whose inputs JSON can hold. https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

import argparse
import html
import json
import math
import os
import signal
import socket
import string
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote

TIMEOUT_S = 30
LARGEST = 1_000_000
"""Numbers in one input; what needs more is no sample."""
WHOLE = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
MAX_BODY = 10_000
PAGE = Path(__file__).with_name("page.html")


class Failed(Exception):
    """A request that did not come to its end, in a person's words."""


def servers() -> dict[str, str]:
    """Name -> URL."""
    return dict(entry.split("=", 1) for entry in os.environ.get("SERVERS", "").split())


def ask(url: str, body: object = None) -> object:
    """The JSON that a server answers. Raises Failed."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        said = error.read(MAX_BODY).decode("utf-8", "replace")
        raise Failed(f"status {error.code}: {said.strip() or error.reason}") from error
    except (OSError, ValueError) as error:
        raise Failed(f"{url} does not answer: {getattr(error, 'reason', None) or error}") from error


def models(url: str) -> list[dict[str, str]]:
    """Name, version, state and reason of what the server knows."""
    found = ask(f"{url}/v2/repository/index", {})
    return found if isinstance(found, list) else []


def sample(model: dict[str, object]) -> dict[str, object]:
    """A request for a model, from its metadata: 1, 2, 3 … as numbers; a dimension that is open is 1. Raises Failed."""
    inputs = []
    for each in model.get("inputs") or ():
        shape = [1 if size < 0 else size for size in each["shape"]]
        count, kind = math.prod(shape), each["datatype"]
        if count > LARGEST:
            raise Failed(f"input {each['name']} has {count} numbers: too many for a sample")
        data: list[object]
        if kind in WHOLE:
            data = [place % 100 + 1 for place in range(count)]
        elif kind in ("FP32", "FP64"):
            data = [float(place % 100 + 1) for place in range(count)]
        elif kind == "BOOL":
            data = [place % 2 == 0 for place in range(count)]
        elif kind == "BYTES":
            data = ["sample"] * count
        else:
            raise Failed(f"input {each['name']} is {kind}, which JSON cannot hold")
        inputs.append({"name": each["name"], "shape": shape, "datatype": kind, "data": data})
    return {"inputs": inputs}


def send(server: str, model: str) -> dict[str, object]:
    """Send a sample; what was sent, what came back, and the milliseconds between. Raises Failed."""
    known = servers()
    name = server or next(iter(known), "")
    if name not in known:
        raise Failed(f"there is no server {name!r}; known: {', '.join(known) or 'none, SERVERS is empty'}")
    url = known[name]
    if not model:
        ready = [each["name"] for each in models(url) if each.get("state") == "READY"]
        if not ready:
            raise Failed(f"server {name} has no model that is ready")
        model = ready[0]
    path = f"{url}/v2/models/{quote(model, safe='')}"
    described = ask(path)
    request = sample(described if isinstance(described, dict) else {})
    begun = time.monotonic()
    answer = ask(f"{path}/infer", request)
    took = round((time.monotonic() - begun) * 1000, 1)
    return {"server": name, "model": model, "milliseconds": took, "request": request, "response": answer}


# --------------------------------------------------------------------------- the page


def rows() -> str:
    """A table row for each model of each server."""
    found = []
    for name, url in servers().items():
        try:
            listed = models(url)
        except Failed as error:
            found.append(f"<tr><td>{html.escape(name)}</td><td colspan=3 class=bad>{html.escape(str(error))}</td></tr>")
            continue
        if not listed:
            found.append(f"<tr><td>{html.escape(name)}</td><td colspan=3>ready, and has no model</td></tr>")
        found += [row(name, each) for each in listed]
    return "\n".join(found)


def row(server: str, model: dict[str, str]) -> str:
    """One model, with a button where it can be asked."""
    name, state = model.get("name", ""), model.get("state") or "not loaded"
    fields = "".join(
        f'<input type=hidden name={key} value="{html.escape(value)}">'
        for key, value in (("server", server), ("model", name))
    )
    button = f"<form method=post action=/send>{fields}<button>send a sample</button></form>"
    said = html.escape(f"{state} {model.get('reason', '')}".strip())
    cells = (html.escape(server), html.escape(name), said, button if state == "READY" else "")
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def page(result: str = "") -> bytes:
    """The whole page; ``result`` is text, not markup."""
    shown = f"<pre>{html.escape(result)}</pre>" if result else ""
    return string.Template(PAGE.read_text("utf-8")).substitute(rows=rows(), result=shown).encode()


def brief(value: object) -> str:
    """A result as JSON, cut where it gets long."""
    text = json.dumps(value, indent=1)
    return text if len(text) < 5000 else text[:5000] + "\n… cut"


class Handler(BaseHTTPRequestHandler):
    """GET /, /healthz and /api/models; POST /send (a form) and /api/send (JSON)."""

    server_version = "client"
    timeout = 60

    def do_GET(self) -> None:
        if self.path == "/":
            self.reply(200, page(), "text/html; charset=utf-8")
        elif self.path in ("/healthz", "/v2/health/ready"):  # the second: one path fits all Ingresses of a release
            self.reply(200, b"ok\n", "text/plain")
        elif self.path == "/api/models":
            self.answer(lambda: {name: models(url) for name, url in servers().items()})
        else:
            self.reply(404, b"no such page\n", "text/plain")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.reply(413, b"too much\n", "text/plain")
            return
        body = self.rfile.read(int(length))
        if self.path == "/send":
            form = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
            try:
                result = brief(send(form.get("server", ""), form.get("model", "")))
            except Failed as error:
                result = str(error)
            self.reply(200, page(result), "text/html; charset=utf-8")
        elif self.path == "/api/send":
            self.answer(lambda: self.wanted(body))
        else:
            self.reply(404, b"no such page\n", "text/plain")

    def wanted(self, body: bytes) -> dict[str, object]:
        """What an API call asks for."""
        try:
            given = json.loads(body or b"{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise Failed("the body is a JSON object with server and model, both optional")
        return send(str(given.get("server") or ""), str(given.get("model") or ""))

    def answer(self, make) -> None:
        """A JSON answer; 502 where a server behind did not do its part."""
        try:
            status, value = 200, make()
        except Failed as error:
            status, value = 502, {"error": str(error)}
        self.reply(status, json.dumps(value).encode(), "application/json")

    def reply(self, status: int, body: bytes, kind: str) -> None:
        """Send one answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, text: str, *values: object) -> None:
        """The kubelet's probes are not worth a line each."""
        if getattr(self, "path", "") != "/healthz":
            super().log_message(text, *values)


class Server(ThreadingHTTPServer):
    """Listens for IPv4 and IPv6 where the machine has both: a cluster may have either."""

    daemon_threads = True

    def __init__(self, address: str, port: int) -> None:
        both = "." not in address and socket.has_dualstack_ipv6()
        self.address_family = socket.AF_INET6 if both else socket.AF_INET
        super().__init__((address, port), Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


# --------------------------------------------------------------------------- the command


def listed() -> int:
    """Print each server's models; 1 where one does not answer."""
    status = 0
    for name, url in servers().items():
        try:
            found = [f"{each.get('name')} {each.get('state') or 'not loaded'}" for each in models(url)]
            print(f"{name}: {', '.join(found) or 'no model'}")
        except Failed as error:
            print(f"{name}: {error}", file=sys.stderr)
            status = 1
    return status


def sent(server: str, model: str, count: int) -> int:
    """Send ``count`` samples one after the other; print the last answer and how long they took."""
    took = []
    try:
        for _ in range(count):
            result = send(server, model)
            took.append(float(str(result["milliseconds"])))
    except Failed as error:
        print(f"request {len(took) + 1} of {count}: {error}", file=sys.stderr)
        return 1
    print(brief(result))
    if count > 1:
        middle = sorted(took)[len(took) // 2]
        print(f"{count} requests, median {middle} ms, slowest {max(took)} ms")
    return 0


def at_least_one(text: str) -> int:
    """A count, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return number


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description="sends sample requests to model servers")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve the page")
    serve.add_argument("--address", default="")
    serve.add_argument("--port", type=int, default=8080)
    commands.add_parser("list", help="list servers and models")
    one = commands.add_parser("send", help="send a sample request")
    one.add_argument("--server", default="", help="default: the first")
    one.add_argument("--model", default="", help="default: the first that is ready")
    one.add_argument("--count", type=at_least_one, default=1)
    given = parser.parse_args()
    if given.command == "list":
        return listed()
    if given.command == "send":
        return sent(given.server, given.model, given.count)
    # As the first process of a container it would otherwise not hear of its end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Server(given.address, given.port) as server:
        print(f"serving on port {server.server_port}", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
