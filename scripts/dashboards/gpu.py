"""GPUs: the fleet as hardware, and who holds it at what cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from scripts.dashboards.parts import MONEY, board, choice, heading, lines, listing, number

GPU: Final = "{{Hostname}} {{gpu}} {{GPU_I_ID}}"
ON: Final = 'Hostname=~"$node"'
HELD_BY: Final = 'namespace=~"$namespace"'
SAMPLES_AN_HOUR: Final = 120
"""The recorded series of the group gpu-series come every 30 s."""


def boards() -> Iterator[Dashboard]:
    """The two dashboards."""
    yield fleet()
    yield usage()


def fleet() -> Dashboard:
    """Health and load of each card."""
    made = board("gpu", "fleet", "GPU / Fleet", "Every GPU as DCGM sees it: load, memory, heat, power, errors")
    made = made.with_variable(choice("node", "Node", "DCGM_FI_DEV_GPU_TEMP", "Hostname"))
    for panel in (
        number("GPUs", "short", f"count(sparkrig:gpu_temperature:celsius{{{ON}}})", about="Cards that answer."),
        number(
            "Busy",
            "short",
            f"count(max by (UUID) (sparkrig:gpu_utilization:ratio{{{ON}}}) >= 0.05) or vector(0)",
            about="Cards that compute at least a twentieth of the time.",
        ),
        number("Load", "percentunit", f"avg(sparkrig:gpu_utilization:ratio{{{ON}}})", about="Mean over all cards."),
        number("Hottest", "celsius", f"max(sparkrig:gpu_temperature:celsius{{{ON}}})", about="Warmest card.", bad=85),
        number("Power", "watt", f"sum(sparkrig:gpu_power:watts{{{ON}}})", about="What all cards draw."),
        number(
            "With an XID",
            "short",
            f"count(max by (UUID) (DCGM_FI_DEV_XID_ERRORS{{{ON}}}) > 0) or vector(0)",
            about="Cards whose driver reported an error since it started.",
            bad=1,
        ),
    ):
        made = made.with_panel(panel)
    made = made.with_row(heading("Load"))
    for chart in (
        lines(
            "Utilization",
            "percentunit",
            (f"max by (Hostname, gpu, GPU_I_ID) (sparkrig:gpu_utilization:ratio{{{ON}}})", GPU),
            about="Share of the time in which the card, or the MIG slice, computes.",
            top=1,
        ),
        lines(
            "Memory used",
            "percentunit",
            (f"sparkrig:gpu_memory_used:ratio{{{ON}}}", GPU),
            about="Share of the card's memory that processes hold.",
            top=1,
        ),
        lines(
            "Tensor cores active",
            "percentunit",
            (f"max by (Hostname, gpu, GPU_I_ID) (DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{{{ON}}})", GPU),
            about="Share of cycles in which the tensor pipe works; data-centre cards only.",
            top=1,
        ),
        lines(
            "Memory interface active",
            "percentunit",
            (f"max by (Hostname, gpu, GPU_I_ID) (DCGM_FI_PROF_DRAM_ACTIVE{{{ON}}})", GPU),
            about="Share of cycles in which device memory sends or receives; data-centre cards only.",
            top=1,
        ),
        lines(
            "PCIe traffic",
            "Bps",
            (f"sum by (Hostname) (DCGM_FI_PROF_PCIE_RX_BYTES{{{ON}}})", "{{Hostname}} in"),
            (f"sum by (Hostname) (DCGM_FI_PROF_PCIE_TX_BYTES{{{ON}}})", "{{Hostname}} out"),
            about="Bytes per second between cards and host.",
        ),
        lines(
            "SM clock",
            "rotmhz",
            (f"max by (Hostname, gpu) (DCGM_FI_DEV_SM_CLOCK{{{ON}}})", "{{Hostname}} {{gpu}}"),
            about="A card that lowers its clock under load is too hot or short of power.",
        ),
    ):
        made = made.with_panel(chart)
    made = made.with_row(heading("Health"))
    for chart in (
        lines(
            "Temperature",
            "celsius",
            (f"sparkrig:gpu_temperature:celsius{{{ON}}}", "{{Hostname}} {{gpu}}"),
            about="Of the chip.",
        ),
        lines(
            "Memory temperature",
            "celsius",
            (f"max by (Hostname, gpu) (DCGM_FI_DEV_MEMORY_TEMP{{{ON}}})", "{{Hostname}} {{gpu}}"),
            about="Of the device memory, on cards that measure it.",
        ),
        lines(
            "Power",
            "watt",
            (f"sparkrig:gpu_power:watts{{{ON}}}", "{{Hostname}} {{gpu}}"),
            about="What each card draws.",
        ),
        lines(
            "PCIe retries",
            "cps",
            (
                f"sum by (Hostname, gpu) (rate(DCGM_FI_DEV_PCIE_REPLAY_COUNTER{{{ON}}}[$__rate_interval]))",
                "{{Hostname}} {{gpu}}",
            ),
            about="A steady rate points to a bad slot, riser or cable.",
        ),
        listing(
            "Last XID",
            "none",
            f"max by (Hostname, gpu, modelName, UUID) (DCGM_FI_DEV_XID_ERRORS{{{ON}}}) > 0",
            about="The last error number that the driver reported for each card; 0 is left out.",
        ),
        listing(
            "Memory rows remapped after uncorrectable errors",
            "none",
            f"max by (Hostname, gpu, modelName, UUID) (DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS{{{ON}}}) > 0",
            about="Each is a fault that ECC could not correct. A card has few spare rows.",
        ),
    ):
        made = made.with_panel(chart)
    return made


def usage() -> Dashboard:
    """Who holds GPUs, uses them, and what idle ones cost."""
    made = board("gpu", "usage", "GPU / Usage and cost", "GPUs by namespace and pod, and what those that idle cost")
    made = made.with_variable(choice("namespace", "Namespace", "sparkrig:gpu_utilization:ratio", "namespace"))
    for panel in (
        number(
            "Allocatable",
            "short",
            "sum(sparkrig:gpus_allocatable:count)",
            about="GPUs and MIG slices that pods can ask for.",
        ),
        number(
            "Requested",
            "short",
            "sum(sparkrig:gpus_requested:count) or vector(0)",
            about="Of these, asked for by pods.",
        ),
        number(
            "Load of held GPUs",
            "percentunit",
            f'avg(sparkrig:gpu_utilization:ratio{{pod!="", {HELD_BY}}})',
            about="Mean of the GPUs that a pod holds.",
        ),
        number("Price of the fleet", MONEY, "sum(sparkrig:gpu_price:hourly)", about="Per hour, all cards."),
        number(
            "Idle now",
            MONEY,
            f"sum(sparkrig:gpu_idle_cost:hourly{{{HELD_BY}}}) or vector(0)",
            about="Per hour, what GPUs cost that nothing uses: held ones, and those that no pod has.",
        ),
        number(
            "Idle in this time range",
            MONEY,
            f"sum(sum_over_time(sparkrig:gpu_idle_cost:hourly{{{HELD_BY}}}[$__range])) / {SAMPLES_AN_HOUR}",
            about="What idle GPUs cost from the left edge of the graphs to the right one.",
        ),
    ):
        made = made.with_panel(panel)
    made = made.with_row(heading("By namespace"))
    for chart in (
        lines(
            "GPUs requested",
            "short",
            (
                f"sum by (namespace, resource) (sparkrig:gpus_requested:count{{{HELD_BY}}})",
                "{{namespace}} {{resource}}",
            ),
            about="By pods that run or wait.",
            stacked=True,
        ),
        lines(
            "Cost of idle GPUs, per hour",
            MONEY,
            (f'sum by (namespace) (sparkrig:gpu_idle_cost:hourly{{pod!="", {HELD_BY}}})', "{{namespace}}"),
            ('sum(sparkrig:gpu_idle_cost:hourly{pod=""})', "held by nobody"),
            about="A GPU counts as idle when nothing used it for the whole idle window (thresholds.gpu.idleWindow).",
            stacked=True,
        ),
        lines(
            "Load",
            "percentunit",
            (f'avg by (namespace) (sparkrig:gpu_utilization:ratio{{pod!="", {HELD_BY}}})', "{{namespace}}"),
            about="Mean of the GPUs that each namespace holds.",
            top=1,
        ),
        listing(
            "Cost of idle GPUs in this time range",
            MONEY,
            "sort_desc(sum by (namespace) "
            f"(sum_over_time(sparkrig:gpu_idle_cost:hourly{{{HELD_BY}}}[$__range]))) / {SAMPLES_AN_HOUR}",
            about="An empty namespace stands for GPUs that no pod held.",
        ),
    ):
        made = made.with_panel(chart)
    made = made.with_row(heading("By pod"))
    for chart in (
        lines(
            "Load",
            "percentunit",
            (f'sparkrig:gpu_utilization:ratio{{pod!="", {HELD_BY}}}', "{{namespace}}/{{pod}} on {{Hostname}} {{gpu}}"),
            about="Share of the time in which the pod's GPU computes.",
            top=1,
        ),
        lines(
            "GPU memory",
            "bytes",
            (
                f'sum by (namespace, pod) (DCGM_FI_DEV_FB_USED{{pod!~".*dcgm-exporter.*", {HELD_BY}}}) * 1048576',
                "{{namespace}}/{{pod}}",
            ),
            about="Device memory that the pod's processes hold.",
        ),
        listing(
            "Idle right now",
            MONEY,
            f'sort_desc(sparkrig:gpu_idle_cost:hourly{{pod!="", {HELD_BY}}} > 0)',
            about="Pods that hold a GPU and do not use it, with what it costs per hour.",
            span=24,
        ),
    ):
        made = made.with_panel(chart)
    return made
