"""``controller start`` and ``webhook start``, with the arguments that upstream's chart gives."""

from __future__ import annotations

import argparse
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubernetes import config

from sparkoperator import lease, metrics, webhook

PROBES = ("/healthz", "/readyz")


def options() -> argparse.ArgumentParser:
    """What is read of the command line; anything else (rates, log levels, batch schedulers) is left alone."""
    parser = argparse.ArgumentParser(prog="sparkoperator", allow_abbrev=False)
    parser.add_argument("part", choices=["controller", "webhook"])
    parser.add_argument("verb", choices=["start"])
    parser.add_argument("--namespaces", default="", type=lambda text: tuple(filter(None, text.strip('"').split(","))))
    parser.add_argument("--health-probe-bind-address", default=":8081")
    parser.add_argument("--metrics-bind-address", default="")
    parser.add_argument("--leader-election", default=False, type=lambda text: text == "true")
    parser.add_argument("--leader-election-lock-name", default="spark-operator-lock")
    parser.add_argument("--leader-election-lock-namespace", default="spark-operator")
    for name, default in (("lease-duration", "15s"), ("renew-deadline", "10s"), ("retry-period", "2s")):
        parser.add_argument(f"--leader-election-{name}", default=default, type=lease.seconds)
    parser.add_argument("--controller-threads", type=int, default=10)
    parser.add_argument("--enable-ui-service", default=True, type=lambda text: text != "false")
    parser.add_argument("--webhook-cert-dir", default="/etc/k8s-webhook-server/serving-certs")
    parser.add_argument("--webhook-port", type=int, default=9443)
    parser.add_argument("--webhook-secret-name", default="spark-operator-webhook-certs")
    parser.add_argument("--webhook-secret-namespace", default="spark-operator")
    parser.add_argument("--webhook-svc-name", default="spark-webhook")
    parser.add_argument("--webhook-svc-namespace", default="spark-webhook")
    parser.add_argument("--mutating-webhook-name", default="spark-operator-webhook")
    parser.add_argument("--validating-webhook-name", default="spark-operator-webhook")
    return parser


def probes(address: str, ready: threading.Event) -> None:
    """Answer probes: alive and ready as soon as ``ready`` is set, whoever leads."""

    class Probe(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """http.server wants this name."""
            self.send_response(200 if self.path in PROBES and ready.is_set() else 500)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """A line for each probe would hide what the log is for."""

    server = ThreadingHTTPServer(("", int(address.rpartition(":")[2])), Probe)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    """Do what is asked, for ever."""
    asked, _ = options().parse_known_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    config.load_config()
    ready = threading.Event()
    probes(asked.health_probe_bind_address, ready)
    metrics.serve(asked.metrics_bind_address)
    if asked.part == "webhook":
        webhook.run(asked, ready)
        return
    ready.set()
    if asked.leader_election:
        times = (asked.leader_election_lease_duration, asked.leader_election_renew_deadline)
        place = (asked.leader_election_lock_name, asked.leader_election_lock_namespace)
        lease.Election(*place, *times, asked.leader_election_retry_period).lead()
    # kopf only where it is needed: it takes half a second.
    from sparkoperator import controller

    controller.run(asked.namespaces, asked.controller_threads, page=asked.enable_ui_service)


if __name__ == "__main__":
    main()
