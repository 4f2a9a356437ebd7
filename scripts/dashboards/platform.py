"""The way in, and the stack as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from scripts.dashboards.parts import board, choice, heading, lines, listing, number

BACKEND: Final = 'backend=~"$backend"'
REQUESTS: Final = f"sparkrig:ingress_requests:rate5m{{{BACKEND}}}"
IN: Final = 'namespace=~"$namespace"'
REAL: Final = f'container!="", {IN}'
"""Containers only: the kubelet also tells the sum of each pod, without this label."""
ROOT: Final = 'mountpoint="/"'


def boards() -> Iterator[Dashboard]:
    """The two dashboards."""
    yield ingress()
    yield overview()


def ingress() -> Dashboard:
    """What comes in through Traefik."""
    made = board(
        "ingress", "traffic", "Ingress / Traffic", "Requests through Traefik: rate, errors, latency, certificates"
    )
    made = made.with_variable(choice("backend", "Service", "sparkrig:ingress_requests:rate5m", "backend"))
    for panel in (
        number("Requests", "reqps", f"sum(sparkrig:ingress_requests:rate5m{{{BACKEND}}})", about="Per second.", span=6),
        number(
            "Server errors",
            "percentunit",
            f"sum(sparkrig:ingress_errors:rate5m{{{BACKEND}}}) / sum({REQUESTS}) or vector(0)",
            about="Share of the answers that are 5xx.",
            bad=0.05,
            span=6,
        ),
        number("Open connections", "short", "sum(traefik_open_connections)", about="At this moment.", span=6),
        number(
            "Next certificate to expire",
            "s",
            "min(traefik_tls_certs_not_after) - time()",
            about="Of those that Traefik serves.",
            bad=1209600,
            good_above=True,
            span=6,
        ),
    ):
        made = made.with_panel(panel)
    made = made.with_row(heading("By service"))
    for chart in (
        lines(
            "Requests", "reqps", (f"sparkrig:ingress_requests:rate5m{{{BACKEND}}}", "{{backend}}"), about="Per second."
        ),
        lines(
            "Server errors",
            "reqps",
            (f"sparkrig:ingress_errors:rate5m{{{BACKEND}}}", "{{backend}}"),
            about="Answers with 5xx, per second.",
        ),
        lines(
            "Latency, 95 %",
            "s",
            (f"sparkrig:ingress_latency:p95_5m{{{BACKEND}}}", "{{backend}}"),
            about="Nineteen of twenty requests are answered within this time; uploads count whole.",
        ),
        listing(
            "Share of server errors",
            "percentunit",
            f"sort_desc(sparkrig:ingress_errors:rate5m{{{BACKEND}}} / {REQUESTS} > 0)",
            about="Services with any.",
        ),
    ):
        made = made.with_panel(chart)
    made = made.with_row(heading("By entry point"))
    for chart in (
        lines(
            "Requests",
            "reqps",
            (
                "sum by (entrypoint, code) (rate(traefik_entrypoint_requests_total[$__rate_interval]))",
                "{{entrypoint}} {{code}}",
            ),
            about="With what no route takes (404).",
            stacked=True,
        ),
        lines(
            "Open connections",
            "short",
            ("sum by (entrypoint, protocol) (traefik_open_connections)", "{{entrypoint}} {{protocol}}"),
            about="Notebooks and streams keep theirs.",
        ),
        lines(
            "Configuration reloads",
            "short",
            ("sum(increase(traefik_config_reloads_total[$__rate_interval]))", "reloads"),
            about="One for each change of an Ingress, a Service or a Secret.",
        ),
        listing(
            "Certificates",
            "s",
            "sort(min by (cn, sans) (traefik_tls_certs_not_after) - time())",
            about="Time until each expires.",
        ),
    ):
        made = made.with_panel(chart)
    return made


def overview() -> Dashboard:
    """Everything on one page: what is wrong, what is full."""
    made = board("stack", "overview", "Stack / Overview", "What is wrong now, what is full, what each component uses")
    made = made.with_variable(choice("namespace", "Namespace", "sparkrig:targets_up:ratio", "namespace"))
    ready = 'kube_node_status_condition{condition="Ready", status="true"}'
    for panel in (
        number(
            "Critical alerts",
            "short",
            'count(ALERTS{alertstate="firing", severity="critical"}) or vector(0)',
            about="Firing now.",
            bad=1,
        ),
        number(
            "Warnings",
            "short",
            'count(ALERTS{alertstate="firing", severity="warning"}) or vector(0)',
            about="Firing now.",
            bad=1,
        ),
        number(
            "Targets down", "short", f"count(up{{{IN}}} == 0) or vector(0)", about="Of the stack's components.", bad=1
        ),
        number("Nodes not ready", "short", f"count({ready} == 0) or vector(0)", about="Of all nodes.", bad=1),
        number(
            "GPUs requested",
            "percentunit",
            "sum(sparkrig:gpus_requested:count) / sum(sparkrig:gpus_allocatable:count)",
            about="Share of the GPUs that pods hold or wait for.",
        ),
        number(
            "Fullest volume",
            "percentunit",
            f"1 - min(sparkrig:volume_free:ratio{{{IN}}})",
            about="Of the stack's namespaces.",
            bad=0.85,
        ),
    ):
        made = made.with_panel(panel)
    made = made.with_panel(
        listing(
            "Alerts",
            "none",
            'max by (alertname, severity, namespace, pod) (ALERTS{alertstate="firing", severity!="none"})',
            about="Each has a runbook; its address is in the alert's annotations.",
            span=24,
        )
    )
    made = made.with_row(heading("Components"))
    for chart in (
        lines(
            "Targets up",
            "percentunit",
            (f"sparkrig:targets_up:ratio{{{IN}}}", "{{namespace}} {{job}}"),
            about="Share of each job's targets that answer.",
            top=1,
        ),
        lines(
            "Pods that do not run",
            "short",
            (
                f'sum by (namespace, phase) (kube_pod_status_phase{{phase=~"Pending|Failed|Unknown", {IN}}}) > 0',
                "{{namespace}} {{phase}}",
            ),
            about="Pending for long: no room, no volume, no image.",
        ),
        lines(
            "CPU",
            "short",
            (
                f"sum by (namespace) (rate(container_cpu_usage_seconds_total{{{REAL}}}[$__rate_interval]))",
                "{{namespace}}",
            ),
            about="Cores in use.",
            stacked=True,
        ),
        lines(
            "Memory",
            "bytes",
            (f"sum by (namespace) (container_memory_working_set_bytes{{{REAL}}})", "{{namespace}}"),
            about="Working set: what counts against the limit.",
            stacked=True,
        ),
        lines(
            "Restarts",
            "short",
            (
                f"sum by (namespace, pod) (increase(kube_pod_container_status_restarts_total{{{IN}}}[1h])) > 0",
                "{{namespace}}/{{pod}}",
            ),
            about="Within the last hour.",
        ),
        listing(
            "Volumes",
            "percentunit",
            f"sort_desc(1 - sparkrig:volume_free:ratio{{{IN}}})",
            about="How full each is.",
        ),
    ):
        made = made.with_panel(chart)
    made = made.with_row(heading("Nodes"))
    for chart in (
        lines(
            "CPU",
            "percentunit",
            ('1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))', "{{instance}}"),
            about="Share of the node's cores that work.",
            top=1,
        ),
        lines(
            "Memory",
            "percentunit",
            ("1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", "{{instance}}"),
            about="Share of the node's memory that cannot be had.",
            top=1,
        ),
        lines(
            "CPU requested",
            "percentunit",
            (
                (
                    'sum by (node) (kube_pod_container_resource_requests{resource="cpu"})'
                    ' / sum by (node) (kube_node_status_allocatable{resource="cpu"})'
                ),
                "{{node}}",
            ),
            about="Share of what pods may ask for that is asked for.",
        ),
        lines(
            "Disk",
            "percentunit",
            (
                f"1 - max by (instance) (node_filesystem_avail_bytes{{{ROOT}}} / node_filesystem_size_bytes{{{ROOT}}})",
                "{{instance}}",
            ),
            about="The root file system, images included.",
            top=1,
        ),
    ):
        made = made.with_panel(chart)
    return made
