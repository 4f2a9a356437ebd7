"""What the operator has done, counted under upstream's names: its chart has Prometheus ask for it."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COUNTERS = {
    "SUBMITTED": "spark_application_submit_count",
    "SUBMISSION_FAILED": "spark_application_failed_submission_count",
    "COMPLETED": "spark_application_success_count",
    "FAILED": "spark_application_failure_count",
}
"""State that an application comes to -> how often one came to it."""
counted: Counter[str] = Counter()


def page() -> str:
    """The counters in Prometheus' text format."""
    return "".join(f"# TYPE {name} counter\n{name} {counted[state]}\n" for state, name in COUNTERS.items())


class Page(BaseHTTPRequestHandler):
    """Gives the page, whatever it is called."""

    def do_GET(self) -> None:
        """Answer; http.server wants this name."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(page().encode())

    def log_message(self, *_: object) -> None:
        """A line for each scrape would hide what the log is for."""


def serve(address: str) -> None:
    """Answer at ``:PORT`` for as long as the process lives; nothing where no address is given."""
    if address:
        server = ThreadingHTTPServer(("", int(address.rpartition(":")[2])), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
