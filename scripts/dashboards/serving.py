"""Model serving and notebooks: what users wait for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from scripts.dashboards.parts import Query, board, choice, heading, lines, listing, number

OF: Final = 'namespace=~"$namespace", model=~"$model"'
HUB: Final = 'namespace=~"$namespace"'
NOTEBOOK: Final = 'pod=~"jupyter-.+", container="notebook"'
EACH: Final = "{{namespace}} {{model}}"


def boards() -> Iterator[Dashboard]:
    """The two dashboards."""
    yield triton()
    yield jupyterhub()


def _mean(step: str) -> Query:
    """Milliseconds that a request spends in one step."""
    spent = f"sum(rate(nv_inference_{step}_duration_us{{{OF}}}[$__rate_interval]))"
    return f"{spent} / sum(rate(nv_inference_request_success{{{OF}}}[$__rate_interval])) / 1e6", step.replace("_", " ")


def triton() -> Dashboard:
    """Requests, errors, latency and queues by model."""
    made = board("triton", "models", "Triton / Models", "Requests, errors, latency and queue of each model")
    made = made.with_variable(choice("namespace", "Namespace", "nv_inference_request_success", "namespace"))
    made = made.with_variable(choice("model", "Model", "nv_inference_request_success", "model"))
    for panel in (
        number("Requests", "reqps", f"sum(sparkrig:triton_requests:rate5m{{{OF}}})", about="Per second."),
        number(
            "Errors",
            "percentunit",
            f"max(sparkrig:triton_errors:ratio_rate5m{{{OF}}})",
            about="Of the worst model, over five minutes.",
            bad=0.01,
        ),
        number(
            "Latency", "s", f"max(sparkrig:triton_latency:seconds_rate5m{{{OF}}})", about="Mean of the slowest model."
        ),
        number(
            "Queue",
            "s",
            f"max(sparkrig:triton_queue:seconds_rate5m{{{OF}}})",
            about="Mean wait at the most crowded model.",
        ),
        number(
            "Pending",
            "short",
            f"sum(nv_inference_pending_request_count{{{OF}}})",
            about="Requests that wait for a model instance now.",
        ),
        number(
            "Slow time, 6 h",
            "percentunit",
            f"max(sparkrig:triton_slow:ratio_6h{{{OF}}})",
            about="Share of the time in which the mean latency of the worst model was above the objective.",
            bad=0.05,
        ),
    ):
        made = made.with_panel(panel)
    made = made.with_row(heading("Requests"))
    batch = (
        f"rate(nv_inference_count{{{OF}}}[$__rate_interval])",
        f"rate(nv_inference_exec_count{{{OF}}}[$__rate_interval])",
    )
    for chart in (
        lines(
            "Requests by model",
            "reqps",
            (f"sparkrig:triton_requests:rate5m{{{OF}}}", EACH),
            about="Per second, by model.",
        ),
        lines(
            "Failed requests",
            "reqps",
            (
                f"sum by (namespace, model, reason) (rate(nv_inference_request_failure{{{OF}}}[$__rate_interval]))",
                EACH + " {{reason}}",
            ),
            about="By reason, where the server tells one.",
        ),
        lines(
            "Share of errors",
            "percentunit",
            (f"sparkrig:triton_errors:ratio_rate5m{{{OF}}}", EACH + " 5 min"),
            (f"sparkrig:triton_errors:ratio_rate1h{{{OF}}}", EACH + " 1 h"),
            about="What the alert TritonErrorBudgetBurn looks at.",
        ),
        lines(
            "Batch size",
            "short",
            (f"sum by (model) ({batch[0]}) / sum by (model) ({batch[1]})", "{{model}}"),
            about="Inferences in one execution: how well dynamic batching works.",
        ),
    ):
        made = made.with_panel(chart)
    made = made.with_row(heading("Latency"))
    for chart in (
        lines(
            "Mean latency",
            "s",
            (f"sparkrig:triton_latency:seconds_rate5m{{{OF}}}", EACH),
            about="From arrival to answer.",
        ),
        lines(
            "Mean wait in the queue",
            "s",
            (f"sparkrig:triton_queue:seconds_rate5m{{{OF}}}", EACH),
            about="Of it, before a model instance is free.",
        ),
        lines(
            "Where the time goes",
            "s",
            *(_mean(step) for step in ("queue", "compute_input", "compute_infer", "compute_output")),
            about="A mean request of the chosen models.",
            stacked=True,
        ),
        lines(
            "Pending requests",
            "short",
            (f"sum by (namespace, model) (nv_inference_pending_request_count{{{OF}}})", EACH),
            about="Autoscaling follows the queue.",
        ),
    ):
        made = made.with_panel(chart)
    made = made.with_row(heading("Servers"))
    for chart in (
        lines(
            "Requests by pod",
            "reqps",
            (f"sum by (pod) (rate(nv_inference_request_success{{{OF}}}[$__rate_interval]))", "{{pod}}"),
            about="Uneven: gRPC clients keep their connection; balance them, or let them reconnect.",
        ),
        lines(
            "GPU memory of the servers' cards",
            "bytes",
            (f"sum by (pod, gpu_uuid) (nv_gpu_memory_used_bytes{{{HUB}}})", "{{pod}} {{gpu_uuid}}"),
            about="All that is in use on the cards that a server sees.",
        ),
    ):
        made = made.with_panel(chart)
    return made


def _spawn(quantile: float) -> Query:
    buckets = f'jupyterhub_server_spawn_duration_seconds_bucket{{status="success", {HUB}}}'
    return f"histogram_quantile({quantile}, sum by (le) (rate({buckets}[30m])))", f"{quantile:.0%}"


def jupyterhub() -> Dashboard:
    """Users, servers, spawns."""
    made = board("jupyterhub", "users", "JupyterHub / Users", "Users, notebook servers, and how starting them goes")
    made = made.with_variable(choice("namespace", "Namespace", "jupyterhub_total_users", "namespace"))
    spawns = f"jupyterhub_server_spawn_duration_seconds_count{{{HUB}}}"
    for panel in (
        number("Servers", "short", f"sum(jupyterhub_running_servers{{{HUB}}})", about="Notebook servers that run."),
        number("Users", "short", f"sum(jupyterhub_total_users{{{HUB}}})", about="Users that the hub knows."),
        number(
            "Active, 24 h",
            "short",
            f'sum(jupyterhub_active_users{{period="24h", {HUB}}})',
            about="Users with any activity in the last day.",
        ),
        number(
            "Active, 30 d",
            "short",
            f'sum(jupyterhub_active_users{{period="30d", {HUB}}})',
            about="Users with any activity in the last month.",
        ),
        number(
            "Failed starts, 30 min",
            "short",
            f"sum(sparkrig:hub_spawn_failures:increase30m{{{HUB}}})",
            about="Notebook servers that did not start.",
            bad=1,
        ),
        number(
            "Start, 90 %",
            "s",
            f"max(sparkrig:hub_spawn_seconds:p90_30m{{{HUB}}})",
            about="Nine of ten servers are there within this time.",
            bad=120,
        ),
    ):
        made = made.with_panel(panel)
    made = made.with_row(heading("Users"))
    for chart in (
        lines(
            "Running servers",
            "short",
            (f"sum by (namespace) (jupyterhub_running_servers{{{HUB}}})", "{{namespace}}"),
            about="Notebook servers.",
        ),
        lines(
            "Active users",
            "short",
            (f"sum by (period) (jupyterhub_active_users{{{HUB}}})", "{{period}}"),
            about="The hub counts them once an hour.",
        ),
    ):
        made = made.with_panel(chart)
    made = made.with_row(heading("Starting and stopping"))
    for chart in (
        lines(
            "Starts",
            "short",
            (f"sum by (status) (increase({spawns}[$__rate_interval]))", "{{status}}"),
            about="By result. Throttled: more at once than the hub allows.",
            stacked=True,
        ),
        lines("Time to start", "s", *(_spawn(q) for q in (0.5, 0.9, 0.99)), about="Of the servers that did start."),
        lines(
            "Stops",
            "short",
            (
                f"sum by (status) (increase(jupyterhub_server_stop_seconds_count{{{HUB}}}[$__rate_interval]))",
                "{{status}}",
            ),
            about="By result.",
        ),
        listing(
            "Memory of notebook servers",
            "bytes",
            f"topk(20, sum by (namespace, pod) (container_memory_working_set_bytes{{{NOTEBOOK}, {HUB}}}))",
            about="The twenty largest.",
        ),
    ):
        made = made.with_panel(chart)
    made = made.with_row(heading("The hub"))
    for chart in (
        lines(
            "Requests",
            "reqps",
            (f"sum by (code) (rate(jupyterhub_request_duration_seconds_count{{{HUB}}}[$__rate_interval]))", "{{code}}"),
            about="By status code.",
            stacked=True,
        ),
        lines(
            "Event loop, 95 %",
            "s",
            (
                (
                    "histogram_quantile(0.95, sum by (le) "
                    f"(rate(jupyterhub_event_loop_interval_seconds_bucket{{{HUB}}}[$__rate_interval])))"
                ),
                "delay",
            ),
            about="The hub is one process: above a tenth of a second, everybody waits.",
        ),
    ):
        made = made.with_panel(chart)
    return made
