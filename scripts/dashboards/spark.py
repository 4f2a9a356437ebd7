"""Spark: the applications themselves, and the operator that runs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from scripts.dashboards.parts import Query, board, choice, heading, lines, listing, number

IN: Final = 'namespace=~"$namespace"'
OF: Final = f'{IN}, application_name=~"$application"'
OPERATOR: Final = 'container=~"spark-operator-.+"'
DRIVER: Final = 'pod=~".+-driver"'
EXECUTOR: Final = 'pod=~".+-exec-[0-9]+"'
FINISHED: Final = "spark_application_{}_count"


def boards() -> Iterator[Dashboard]:
    """The two dashboards."""
    yield applications()
    yield operator()


def _pods(phase: str, which: str) -> str:
    return f'count(kube_pod_status_phase{{phase="{phase}", {which}, {IN}}} == 1) or vector(0)'


def _rate(metric: str, title: str) -> Query:
    return f"sum by (application_name) (rate({metric}{{{OF}}}[$__rate_interval]))", title


def _spent(what: str) -> str:
    return f"sum by (application_name) (rate(metrics_executor_{what}_seconds_total{{{OF}}}[$__rate_interval]))"


def applications() -> Dashboard:
    """What runs, what waits, and how each application gets on."""
    made = board("spark", "applications", "Spark / Applications", "Drivers, executors and tasks, as the drivers tell")
    made = made.with_variable(choice("namespace", "Namespace", "kube_pod_status_phase{" + DRIVER + "}", "namespace"))
    made = made.with_variable(choice("application", "Application", "metrics_executor_totalCores", "application_name"))
    tasks = f"sum(metrics_executor_activeTasks{{{OF}}})"
    for panel in (
        number("Drivers", "short", _pods("Running", DRIVER), about="Applications that run."),
        number("Executors", "short", _pods("Running", EXECUTOR), about="Executors that run."),
        number("Waiting drivers", "short", _pods("Pending", DRIVER), about="Not on a node yet.", bad=1),
        number("Waiting executors", "short", _pods("Pending", EXECUTOR), about="Not on a node yet.", bad=1),
        number("Tasks", "short", tasks, about="Tasks that run at this moment."),
        number(
            "Slots in use",
            "percentunit",
            f"{tasks} / sum(metrics_executor_maxTasks{{{OF}}})",
            about="Share of the task slots that have a task. Low: executors are held and not used.",
        ),
    ):
        made = made.with_panel(panel)
    made = made.with_row(heading("Progress"))
    for chart in (
        lines(
            "Executors",
            "short",
            (
                f'count by (application_name) (metrics_executor_totalCores{{executor_id!="driver", {OF}}})',
                "{{application_name}}",
            ),
            ("sum by (application) (sparkrig:spark_executors_pending:count{" + IN + "})", "{{application}} waiting"),
            about="With dynamic allocation they come and go with the work.",
            stacked=True,
        ),
        lines(
            "Tasks completed",
            "ops",
            _rate("metrics_executor_completedTasks_total", "{{application_name}}"),
            about="Tasks per second. A flat zero with running tasks: few long ones, or a hanging source.",
        ),
        lines(
            "Tasks failed",
            "ops",
            _rate("metrics_executor_failedTasks_total", "{{application_name}}"),
            about="Failed tasks are tried again, four times by default, before the application fails.",
        ),
        lines(
            "Time in garbage collection",
            "percentunit",
            (f"{_spent('totalGCTime')} / {_spent('totalDuration')}", "{{application_name}}"),
            about="Above a tenth, executors want more memory.",
        ),
    ):
        made = made.with_panel(chart)
    made = made.with_row(heading("Data"))
    for chart in (
        lines(
            "Input",
            "Bps",
            _rate("metrics_executor_totalInputBytes_bytes_total", "{{application_name}}"),
            about="Read from storage.",
        ),
        lines(
            "Shuffle",
            "Bps",
            _rate("metrics_executor_totalShuffleRead_bytes_total", "{{application_name}} read"),
            _rate("metrics_executor_totalShuffleWrite_bytes_total", "{{application_name}} written"),
            about="Moved between executors.",
        ),
        lines(
            "Memory of executors",
            "bytes",
            (f"sum by (application_name) (metrics_executor_memoryUsed_bytes{{{OF}}})", "{{application_name}} used"),
            (f"sum by (application_name) (metrics_executor_maxMemory_bytes{{{OF}}})", "{{application_name}} available"),
            about="Memory for cached data.",
        ),
        listing(
            "Executors by failed tasks",
            "short",
            f"topk(20, sum by (application_name, executor_id) (metrics_executor_failedTasks_total{{{OF}}}) > 0)",
            about="One executor far above the others: look at its node.",
        ),
    ):
        made = made.with_panel(chart)
    return made


def _by_end(title: str, end: str) -> Query:
    return f"sum(increase({FINISHED.format(end)}[$__rate_interval]))", title


def _share(end: str) -> str:
    return f"sum(increase({FINISHED.format(end)}[$__range]))"


def _reconciled(what: str) -> str:
    return f"rate(controller_runtime_reconcile_{what}{{{OPERATOR}}}[$__rate_interval])"


def operator() -> Dashboard:
    """What the operator submitted, and how it copes."""
    made = board(
        "spark", "operator", "Spark / Operator", "The Spark operator: submissions, results, latency, its own queues"
    )
    running, executors = "spark_application_running_count", "spark_executor_running_count"
    for panel in (
        number("Running", "short", f"sum({running}) or vector(0)", about="Applications in state RUNNING."),
        number("Executors", "short", f"sum({executors}) or vector(0)", about="Executors in state RUNNING."),
        number(
            "Failed, 30 min",
            "short",
            "sum(sparkrig:spark_failures:increase30m) or vector(0)",
            about="Applications that ended in FAILED.",
            bad=1,
        ),
        number(
            "Not submitted, 30 min",
            "short",
            "sum(sparkrig:spark_submission_failures:increase30m) or vector(0)",
            about="Applications for which spark-submit failed.",
            bad=1,
        ),
        number(
            "Executors lost, 30 min",
            "short",
            "sum(sparkrig:spark_executor_failures:increase30m) or vector(0)",
            about="Executors that ended in FAILED.",
            bad=1,
        ),
        number(
            "Success",
            "percentunit",
            f"{_share('success')} / ({_share('success')} + {_share('failure')})",
            about="Share of the finished applications of this time range that succeeded.",
            bad=0.9,
            good_above=True,
        ),
    ):
        made = made.with_panel(panel)
    made = made.with_row(heading("Applications"))
    for chart in (
        lines(
            "Ends",
            "short",
            _by_end("succeeded", "success"),
            _by_end("failed", "failure"),
            _by_end("not submitted", "failed_submission"),
            about="Per step of the graph.",
            stacked=True,
        ),
        lines(
            "Running",
            "short",
            (f"sum by (exported_namespace) ({running})", "applications {{exported_namespace}}"),
            (f"sum by (exported_namespace) ({executors})", "executors {{exported_namespace}}"),
            about="The namespace is there where the operator has it among its metric labels.",
        ),
        lines(
            "Time to submit",
            "s",
            *_quantiles("spark_application_submit_latency_seconds_histogram_bucket"),
            about="From the object's creation until spark-submit is done.",
        ),
        lines(
            "Time to start",
            "s",
            *_quantiles("spark_application_start_latency_seconds_histogram_bucket"),
            about="From the object's creation until the driver runs.",
        ),
    ):
        made = made.with_panel(chart)
    made = made.with_row(heading("The operator itself"))
    for chart in (
        lines(
            "Queue",
            "short",
            (f"max by (name) (workqueue_depth{{{OPERATOR}}})", "{{name}}"),
            about="Items that wait for a worker.",
        ),
        lines(
            "Reconciliations",
            "ops",
            (
                f"sum by (controller, result) ({_reconciled('total')})",
                "{{controller}} {{result}}",
            ),
            about="How often it looks at objects, and how that ends.",
        ),
        lines(
            "Time of a reconciliation, 95 %",
            "s",
            (
                (
                    "histogram_quantile(0.95, sum by (controller, le) "
                    f"(rate(controller_runtime_reconcile_time_seconds_bucket{{{OPERATOR}}}[$__rate_interval])))"
                ),
                "{{controller}}",
            ),
            about="spark-submit runs within it.",
        ),
        lines(
            "Memory",
            "bytes",
            (f"sum by (pod) (container_memory_working_set_bytes{{{OPERATOR}}})", "{{pod}}"),
            about="Each submission forks a Java process; near the limit, the kernel kills it.",
        ),
    ):
        made = made.with_panel(chart)
    return made


def _quantiles(metric: str) -> Iterator[Query]:
    for quantile in (0.5, 0.9, 0.99):
        yield f"histogram_quantile({quantile}, sum by (le) (rate({metric}[$__rate_interval])))", f"{quantile:.0%}"
