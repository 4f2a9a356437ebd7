"""``sparkrig cluster``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sparkrig.cli.options import Output, OutputOption, TargetOption
from sparkrig.cli.progress import QuietOption, step_lines
from sparkrig.cli.prompt import out, print_json

app = typer.Typer(help="Clusters that sparkrig makes: create, list, delete, kubeconfig, mark.", no_args_is_help=True)

MadeOption = Annotated[
    str, typer.Option("--on", metavar="PROVIDER[:NAME]", help="sim[:NAME] or kind[:NAME].", show_default=True)
]


@app.command("create")
def create(
    target: MadeOption = "sim",
    nodes: Annotated[int | None, typer.Option("--nodes", min=0, help="sim: nodes without GPUs. Default 2.")] = None,
    gpu_nodes: Annotated[
        int | None, typer.Option("--gpu-nodes", min=0, help="sim: nodes with GPUs. Default 2.")
    ] = None,
    gpus: Annotated[int | None, typer.Option("--gpus", min=1, help="sim: GPUs on each of them. Default 8.")] = None,
    webhooks: Annotated[
        bool | None, typer.Option("--webhooks", help="sim: run admission webhooks (simulated pods serve none).")
    ] = None,
    audit: Annotated[
        bool | None, typer.Option("--audit", help="sim: write every API request to the cluster's logs/audit.log.")
    ] = None,
    stages: Annotated[
        list[Path] | None, typer.Option("--stages", metavar="FILE", help="sim: further KWOK Stages. Repeatable.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Create a cluster, or start the one there is; does nothing when it runs."""
    from sparkrig.clusters import ensure, parse_target, sim
    from sparkrig.clusters.sim.state import SimOptions

    del quiet  # its callback has seen to it
    wanted = parse_target(target)
    asked = {"cpu_nodes": nodes, "gpu_nodes": gpu_nodes, "gpus_per_node": gpus, "webhooks": webhooks, "audit": audit}
    given: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    if stages:
        given["stages"] = tuple(stages)
    if wanted.provider != "sim" and given:
        raise typer.BadParameter(f"{', '.join(sorted(given))}: for --on sim only")
    if wanted.provider == "sim" and given:
        handle = sim.create(wanted.name or "sparkrig", SimOptions(**given), on_progress=step_lines())
    else:
        handle = ensure(wanted, on_progress=step_lines())
    out().write(f"{handle.provider}:{handle.name} is ready; use it with --on {handle.provider}:{handle.name}\n")


@app.command("list")
def list_(output: OutputOption = Output.TEXT) -> None:
    """List the clusters that sparkrig made on this machine."""
    from sparkrig.clusters import list_clusters
    from sparkrig.output.cluster import clusters_json, clusters_text

    clusters = list_clusters()
    if output is Output.JSON:
        print_json(clusters_json(clusters))
        return
    terminal = out()
    terminal.write(clusters_text(clusters, color=terminal.color, width=terminal.width))


@app.command("delete")
def delete(target: MadeOption = "sim") -> None:
    """Delete a cluster with everything in it; leaves no process and no file behind."""
    from sparkrig.clusters import kind, parse_target, sim

    wanted = parse_target(target)
    name = wanted.name or ""
    if wanted.provider == "context":
        raise typer.BadParameter("sparkrig deletes only what it made: --on sim[:NAME] or --on kind[:NAME]")
    gone = sim.delete(name, on_progress=step_lines()) if wanted.provider == "sim" else kind.delete(name)
    out().write(f"{wanted} is deleted\n" if gone else f"there is no {wanted}\n")


@app.command("kubeconfig")
def kubeconfig(target: MadeOption = "sim") -> None:
    """Print the path of a cluster's kubeconfig file, e.g. for KUBECONFIG."""
    from sparkrig.clusters import kind, parse_target, sim

    wanted = parse_target(target)
    name = wanted.name or ""
    if wanted.provider == "context":
        raise typer.BadParameter("a context has the kubeconfig that names it")
    path = sim.kubeconfig_path(name) if wanted.provider == "sim" else kind.kubeconfig_file(name)
    out().write(f"{path}\n")


@app.command("mark")
def mark(
    target: TargetOption = None,
    test: Annotated[
        bool | None, typer.Option("--test/--no-test", help="A cluster for tests: stand-ins are allowed there.")
    ] = None,
    charts: Annotated[
        str | None, typer.Option("--charts", metavar="upstream|stand-ins", help="What `make up` installs there.")
    ] = None,
) -> None:
    """Show, or set, what a cluster is for."""
    from sparkrig.clusters import connect, parse_target
    from sparkrig.clusters.mark import read_mark, write_mark
    from sparkrig.kube.client import KubeApi

    if charts not in (None, "upstream", "stand-ins"):
        raise typer.BadParameter(f"--charts is '{charts}', expected upstream or stand-ins")
    api = KubeApi(connect(parse_target(target)))
    if test is None and charts is None:
        found = read_mark(api)
    else:
        found = write_mark(api, test_cluster=test, stand_ins=None if charts is None else charts == "stand-ins")
    choice = {None: "not chosen", True: "stand-ins", False: "upstream"}[found.stand_ins]
    out().write(f"test cluster: {'yes' if found.test_cluster else 'no'}\ncharts of make up: {choice}\n")
