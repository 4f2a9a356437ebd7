"""What plays dcgm-exporter: a pod that measures the pretend GPUs, with the names and labels of the real one.

It is a program of its own too: ``python3 dcgm.py HOLDER`` serves port 9400; HOLDER is the ``namespace/pod`` that has
the first GPU. The second is free, and its last XID is a fatal one.
"""

from __future__ import annotations

import http.server
import os
import sys
from pathlib import Path

NAME = "nvidia-dcgm-exporter"
NAMESPACE = "gpu-operator"
"""Where the GPU operator has it: the rules and the monitor count on that."""
PORT = 9400
FATAL_XID = 79
# Per GPU: the first is held and idle, the second is free and sick.
GAUGES = {
    "DCGM_FI_DEV_GPU_TEMP": (41, 44),
    "DCGM_FI_DEV_MEMORY_TEMP": (39, 40),
    "DCGM_FI_DEV_POWER_USAGE": (71.5, 68.25),
    "DCGM_FI_DEV_SM_CLOCK": (1980, 345),
    "DCGM_FI_DEV_GPU_UTIL": (0, 0),
    "DCGM_FI_DEV_FB_USED": (512, 0),
    "DCGM_FI_DEV_FB_FREE": (81000, 81512),
    "DCGM_FI_DEV_XID_ERRORS": (0, FATAL_XID),
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": (0, 0),
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": (0.01, 0),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": (0.005, 0),
    "DCGM_FI_PROF_DRAM_ACTIVE": (0.002, 0),
    "DCGM_FI_PROF_PCIE_TX_BYTES": (1e6, 1e3),
    "DCGM_FI_PROF_PCIE_RX_BYTES": (2e6, 1e3),
}
COUNTERS = {
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": (0, 3),
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": (0, 1),
    "DCGM_FI_DEV_RETIRED_DBE": (0, 0),
}
STOPPED = "/tmp/stopped"
LOOP = f"""
while true; do
  if [ -e {STOPPED} ]; then sleep 0.2; continue; fi
  python3 /app/dcgm.py "$HOLDER" & echo $! > /tmp/server; wait $!
done
"""
STOP = f"touch {STOPPED}; kill $(cat /tmp/server)"
"""For ``sh -c`` in the pod: nothing listens any more, and the pod goes on."""
START = f"rm -f {STOPPED}"


def page(holder: str, own_pod: str) -> str:
    """The metrics in Prometheus' text format."""
    lines = []
    for kind, metrics in (("gauge", GAUGES), ("counter", COUNTERS)):
        for name, values in metrics.items():
            lines += [f"# HELP {name} pretended", f"# TYPE {name} {kind}"]
            for number, value in enumerate(values):
                # A free GPU is the exporter's own, as far as kubelet's list of devices tells.
                namespace, _, pod = (holder if number == 0 else f"{NAMESPACE}/{own_pod}").partition("/")
                labels = {
                    "gpu": str(number),
                    "UUID": f"GPU-{number}",
                    "device": f"nvidia{number}",
                    "modelName": "NVIDIA H200",
                    "Hostname": "node",
                    "namespace": namespace,
                    "pod": pod,
                    "container": "main",
                }
                text = ",".join(f'{label}="{said}"' for label, said in labels.items())
                lines.append(f"{name}{{{text}}} {value}")
    return "\n".join(lines) + "\n"


def manifests(holder: str) -> list[dict]:
    """The pod, its program and its Service, as the monitor of charts/monitoring looks for them."""
    labels = {"app": NAME}
    program = Path(__file__).read_text(encoding="utf-8")
    container = {
        "name": "exporter",
        "image": "sparkrig.test/python:1",
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", LOOP],
        "env": [{"name": "HOLDER", "value": holder}],
        "ports": [{"name": "gpu-metrics", "containerPort": PORT}],
        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
    }
    volumes = [{"name": "app", "configMap": {"name": NAME}}]
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": volumes}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"dcgm.py": program}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "labels": labels},
            "spec": {"selector": labels, "ports": [{"name": "gpu-metrics", "port": PORT}]},
        },
    ]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every GET with the page."""

    def do_GET(self) -> None:
        body = page(sys.argv[1], os.environ.get("HOSTNAME", "")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing: one line every few seconds helps nobody."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", PORT), Handler).serve_forever()
