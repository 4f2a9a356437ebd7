"""The programs in the chart triton: the client, and the probe of several models, against a server of the protocol.

The server here answers what a real one was seen to answer: 400 for a model that is not ready, an error as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.own_charts import ROOT, pods, render

CHART = ROOT / "charts" / "triton"
CLIENT = CHART / "files" / "client.py"
NASTY = "<b>bad</b>"


class Models(BaseHTTPRequestHandler):
    """``sum`` is ready and echoes its inputs; ``half`` wants what JSON cannot hold; ``NASTY`` is not ready."""

    inputs: dict[str, Any] = {  # noqa: RUF012 - never changed
        "sum": [
            {"name": "A", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "N", "datatype": "INT64", "shape": [3]},
            {"name": "T", "datatype": "BYTES", "shape": [1]},
            {"name": "Y", "datatype": "BOOL", "shape": [2]},
        ],
        "half": [{"name": "A", "datatype": "FP16", "shape": [1]}],
    }

    def do_GET(self) -> None:
        parts = self.path.strip("/").split("/")
        if parts[-1] == "ready":
            self.answer(200 if parts[2] in self.inputs else 400, None)
        elif parts[-1] in self.inputs:
            self.answer(200, {"name": parts[-1], "inputs": self.inputs[parts[-1]]})
        else:
            self.answer(404, {"error": f"unknown model {parts[-1]}"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v2/repository/index":
            bad = {"name": NASTY, "state": "UNAVAILABLE", "reason": "<script>"}
            self.answer(200, [bad, *({"name": name, "state": "READY"} for name in self.inputs)])
        else:
            self.answer(200, {"outputs": body["inputs"]})

    def answer(self, status: int, value: Any) -> None:
        data = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Models)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def environment(port: int) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "SERVERS": f"llm=http://127.0.0.1:{port}", "PYTHONDONTWRITEBYTECODE": "1"}


def client(port: int, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(CLIENT), *arguments]
    return subprocess.run(argv, env=environment(port) | more, capture_output=True, text=True, timeout=60)


def test_a_sample_fits_what_the_model_says_of_its_inputs(port: int) -> None:
    done = client(port, "send", "--model", "sum")
    assert done.returncode == 0, done.stderr
    sent = json.loads(done.stdout)["request"]["inputs"]
    assert [(each["shape"], each["data"]) for each in sent] == [
        ([1, 2], [1.0, 2.0]), ([3], [1, 2, 3]), ([1], ["sample"]), ([2], [True, False]),
    ]  # fmt: skip
    assert json.loads(done.stdout)["response"]["outputs"] == sent


def test_the_first_server_and_its_first_ready_model_are_taken(port: int) -> None:
    done = client(port, "send", "--count", "3")
    assert '"model": "sum"' in done.stdout
    assert done.stdout.splitlines()[-1].startswith("3 requests, median ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "none"), 'request 1 of 1: status 404: {"error": "unknown model none"}'),
        (("--model", "half"), "request 1 of 1: input A is FP16, which JSON cannot hold"),
        (("--server", "nobody"), "request 1 of 1: there is no server 'nobody'; known: llm"),
    ],
)
def test_what_cannot_be_sent_is_said_without_a_traceback(port: int, arguments: tuple[str, ...], said: str) -> None:
    done = client(port, "send", *arguments)
    assert (done.returncode, done.stderr.strip(), done.stdout) == (1, said, "")


def test_a_server_that_is_gone_does_not_hide_the_others(port: int) -> None:
    done = client(port, "list", SERVERS=f"gone=http://127.0.0.1:1 llm=http://127.0.0.1:{port}")
    assert done.returncode == 1
    assert done.stdout == f"llm: {NASTY} UNAVAILABLE, sum READY, half READY\n"
    assert "gone: http://127.0.0.1:1/v2/repository/index does not answer" in done.stderr


@pytest.fixture
def page(port: int) -> Iterator[str]:
    argv = [sys.executable, "-u", str(CLIENT), "serve", "--address", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(argv, env=environment(port), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as served:
        assert served.stdout is not None
        yield f"http://127.0.0.1:{served.stdout.readline().decode().split()[-1]}"
        served.terminate()
        assert served.wait(30) == 0


def fetch(url: str, body: bytes | None = None) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_page_shows_models_and_sends_and_quotes_what_it_shows(page: str) -> None:
    status, text = fetch(f"{page}/")
    assert status == 200
    assert "&lt;b&gt;bad&lt;/b&gt;" in text
    assert NASTY not in text
    assert "<script>" not in text
    assert text.count("send a sample") == 2
    assert "&quot;milliseconds&quot;" in fetch(f"{page}/send", b"server=llm&model=sum")[1]
    assert "there is no server &#x27;&lt;i&gt;&#x27;" in fetch(f"{page}/send", b"server=<i>")[1]
    assert fetch(f"{page}/healthz") == (200, "ok\n")
    assert [each["name"] for each in json.loads(fetch(f"{page}/api/models")[1])["llm"]] == [NASTY, "sum", "half"]


def test_what_is_wrong_with_a_request_is_an_answer(page: str) -> None:
    assert json.loads(fetch(f"{page}/api/send", b'{"model": "sum"}')[1])["model"] == "sum"
    assert fetch(f"{page}/api/send", b"[1")[0] == 502
    assert fetch(f"{page}/api/send", b"x" * 20_000)[0] == 413
    assert fetch(f"{page}/none")[0] == 404


@pytest.mark.parametrize("program", ["curl", "python3"])
@pytest.mark.parametrize(("last", "code", "said"), [("half", 0, ""), ("gone", 1, "model gone is not ready\n")])
def test_the_probe_asks_each_model(port: int, tmp_path: Path, program: str, last: str, code: int, said: str) -> None:
    found = str(Path(sys.executable).resolve()) if program == "python3" else shutil.which(program)
    if found is None:
        pytest.skip(f"no {program} on this machine")
    (tmp_path / program).symlink_to(found)
    values = {"server": {"requiredModels": ["sum", last]}}
    ((_, template),) = list(pods(render(CHART, values)))
    shell, *rest = template["spec"]["containers"][0]["readinessProbe"]["exec"]["command"]
    argv = [shell, *(text.replace("127.0.0.1:8000", f"127.0.0.1:{port}") for text in rest)]
    done = subprocess.run(argv, env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (code, said), done.stderr
