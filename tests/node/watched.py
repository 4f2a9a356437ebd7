"""The stack that tests/node/test_monitoring.py watches: its values, and what there is to see beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.node import dcgm

HOLDER = f"{dcgm.NAMESPACE}/trainer"
"""Namespace and name of the pod that has a GPU and does nothing with it."""


def components() -> dict[str, Mapping[str, Any]]:
    """Values by component: quick enough for a test, small enough for two cores."""
    small = {"requests": {"cpu": "50m", "memory": "200Mi"}}
    receivers = [
        {"name": name, "webhook": {"secret": {"name": "alerting", "key": name}}} for name in ("oncall", "chat")
    ]
    return {
        "kube-prometheus-stack": {
            "grafana": {"enabled": False},  # not to be had
            "alertmanager": {"enabled": True},  # the profile for laptops has none
            "prometheus": {"prometheusSpec": {"resources": small}},
        },
        "monitoring": {
            "interval": "5s",
            "scrapeTimeout": "5s",
            "parts": {"gpu": True, "spark": True},  # their operators are not here; what else their rules name is
            "dcgmExporter": {"enabled": True},
            "thresholds": {"stack": {"downFor": "10s"}},
            "alerts": {"labels": {"team": "platform"}},
            "alertmanager": {
                "enabled": True,
                "receivers": receivers,
                "receiver": "chat",
                "routes": [{"receiver": "oncall", "matchers": {"severity": "critical"}}],
                "groupWait": "1s",
                "groupInterval": "5s",
            },
        },
        "triton": {"gpu": {"enabled": False}, "client": {"enabled": False}},
    }


def _pod(name: str, command: str, gpus: int = 0) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "main",
        "image": "sparkrig.test/python:1",
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", command],
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"memory": "64Mi", **({"nvidia.com/gpu": str(gpus)} if gpus else {})},
        },
    }
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


WORKLOADS = (
    _pod(HOLDER.partition("/")[2], "sleep infinity", gpus=1),
    # Spark calls its executors so.
    _pod("etl-exec-1", "sleep infinity", gpus=2),
    # Lives long enough that its counter is seen before it rises.
    _pod("restarts", "sleep 30; exit 1"),
)
"""Pods that a dashboard has something to say about: one holds a GPU, one finds too few, one ends again and again."""
