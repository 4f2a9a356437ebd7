"""``sparkrig cluster``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from sparkrig.cli.groups import Only, grouped
from sparkrig.cli.options import FormatOnly, QuietOnly, StackOptions
from sparkrig.cli.progress import step_lines
from sparkrig.cli.prompt import out, print_result

app = typer.Typer(help="Create, list, delete and mark local clusters.", no_args_is_help=True)

LocalCluster = Annotated[
    str, typer.Option("--on", metavar="PROVIDER[:NAME]", help="The cluster: sim[:NAME] or kind[:NAME].")
]


@app.command("create")
@grouped
def create(
    target: LocalCluster = "sim",
    nodes: Annotated[
        int | None, typer.Option("--nodes", min=0, help="sim: the number of nodes without GPUs. Default: 2.")
    ] = None,
    gpu_nodes: Annotated[
        int | None, typer.Option("--gpu-nodes", min=0, help="sim: the number of nodes with GPUs. Default: 2.")
    ] = None,
    gpus: Annotated[
        int | None, typer.Option("--gpus", min=1, help="sim: the number of GPUs on each node with GPUs. Default: 8.")
    ] = None,
    webhooks: Annotated[
        bool | None,
        typer.Option("--webhooks", help="sim: enable admission webhooks; simulated pods do not answer their calls."),
    ] = None,
    audit: Annotated[
        bool | None, typer.Option("--audit", help="sim: log all API requests to logs/audit.log of the cluster.")
    ] = None,
    stages: Annotated[
        list[Path] | None,
        typer.Option("--stages", metavar="FILE", help="sim: a file with additional KWOK Stages. Repeatable."),
    ] = None,
    *,
    output: QuietOnly,
) -> None:
    """Create a cluster, or start an existing one."""
    from sparkrig.clusters import ensure, parse_target, sim
    from sparkrig.clusters.sim.state import SimOptions

    progress = step_lines(quiet=output.quiet)
    wanted = parse_target(target)
    settings = {"cpu_nodes": nodes, "gpu_nodes": gpu_nodes, "gpus_per_node": gpus, "webhooks": webhooks, "audit": audit}
    given: dict[str, Any] = {key: value for key, value in settings.items() if value is not None}
    if stages:
        given["stages"] = tuple(stages)
    if wanted.provider != "sim" and given:
        raise typer.BadParameter(f"{', '.join(sorted(given))}: only for --on sim")
    if wanted.provider == "sim" and given:
        handle = sim.create(wanted.name or "sparkrig", SimOptions(**given), on_progress=progress)
    else:
        handle = ensure(wanted, on_progress=progress)
    out().write(f"{handle.provider}:{handle.name} is ready; use it with --on {handle.provider}:{handle.name}\n")


@app.command("list")
@grouped
def list_(*, output: FormatOnly) -> None:
    """List the clusters that sparkrig created on this machine."""
    from sparkrig.clusters import list_clusters
    from sparkrig.output.cluster import clusters_json, clusters_text

    clusters = list_clusters()
    print_result(output, partial(clusters_json, clusters), partial(clusters_text, clusters))


@app.command("delete")
def delete(target: LocalCluster = "sim") -> None:
    """Delete a cluster with all its data, processes and files."""
    from sparkrig.clusters import kind, parse_target, sim

    wanted = parse_target(target)
    name = wanted.name or ""
    if wanted.provider == "context":
        raise typer.BadParameter(
            "sparkrig deletes only clusters that it created; use --on sim[:NAME] or --on kind[:NAME]"
        )
    gone = sim.delete(name, on_progress=step_lines()) if wanted.provider == "sim" else kind.delete(name)
    out().write(f"{wanted} is deleted\n" if gone else f"there is no {wanted}\n")


@app.command("kubeconfig")
def kubeconfig(target: LocalCluster = "sim") -> None:
    """Print the path of the kubeconfig file of a cluster."""
    from sparkrig.clusters import kind, parse_target, sim

    wanted = parse_target(target)
    name = wanted.name or ""
    if wanted.provider == "context":
        raise typer.BadParameter("a context is already in a kubeconfig file; use --on sim[:NAME] or --on kind[:NAME]")
    path = sim.kubeconfig_path(name) if wanted.provider == "sim" else kind.kubeconfig_file(name)
    out().write(f"{path}\n")


@app.command("mark")
@grouped
def mark(
    test: Annotated[
        bool | None, typer.Option("--test/--no-test", help="Allow test charts (--stand-ins) on this cluster.")
    ] = None,
    charts: Annotated[
        str | None, typer.Option("--charts", metavar="upstream|stand-ins", help="The charts that `make up` installs.")
    ] = None,
    *,
    stack: Annotated[StackOptions, Only("target")],
) -> None:
    """Show or set the purpose of a cluster."""
    from sparkrig.clusters import connect, parse_target
    from sparkrig.clusters.mark import read_mark, write_mark
    from sparkrig.kube.client import KubeApi

    if charts not in (None, "upstream", "stand-ins"):
        raise typer.BadParameter(f"--charts is '{charts}', expected upstream or stand-ins")
    api = KubeApi(connect(parse_target(stack.target)))
    if test is None and charts is None:
        found = read_mark(api)
    else:
        found = write_mark(api, test_cluster=test, stand_ins=None if charts is None else charts == "stand-ins")
    choice = {None: "not chosen", True: "stand-ins", False: "upstream"}[found.stand_ins]
    out().write(f"test cluster: {'yes' if found.test_cluster else 'no'}\ncharts of make up: {choice}\n")
