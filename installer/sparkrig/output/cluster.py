"""The clusters that sparkrig made, as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from sparkrig.output.document import document
from sparkrig.output.tables import BELOW, Cell, Column, Row, table
from sparkrig.output.terminal import Style
from sparkrig.output.text import indent, joined


class Cluster(Protocol):
    """What is shown of one cluster."""

    @property
    def provider(self) -> str:
        """``sim`` or ``kind``."""
        ...

    @property
    def name(self) -> str:
        """The name given to ``cluster create``."""
        ...

    @property
    def state(self) -> str:
        """``running``, or a word for what it is instead."""
        ...

    @property
    def kubernetes(self) -> str | None:
        """The API server's version; None when it does not answer."""
        ...

    @property
    def nodes(self) -> int | None:
        """How many nodes it has; None when it does not answer."""
        ...

    @property
    def kubeconfig(self) -> Path | None:
        """The kubeconfig file to reach it with."""
        ...

    @property
    def message(self) -> str:
        """What is wrong and what to do next; empty when it runs."""
        ...


_COLUMNS = (
    Column(""),
    Column("cluster"),
    Column("state"),
    Column("kubernetes"),
    Column("nodes", right=True),
    Column("kubeconfig", fit="below"),
)


def clusters_text(clusters: Sequence[Cluster], *, color: bool = False, width: int = 0) -> str:
    """The table of clusters, or how to make one where there is none; ends with a newline."""
    style = Style(color)
    if not clusters:
        return joined(["no clusters", style.strong("next: sparkrig cluster create")])
    lines = table(_COLUMNS, [_row(cluster, style, width) for cluster in clusters], width=width, title=style.dim)
    return joined(lines)


def clusters_json(clusters: Sequence[Cluster]) -> dict[str, Any]:
    """The clusters as a JSON document of kind ``Clusters``."""
    return document(
        "Clusters",
        clusters=[
            {
                "provider": cluster.provider,
                "name": cluster.name,
                "state": cluster.state,
                "kubernetes": cluster.kubernetes,
                "nodes": cluster.nodes,
                "kubeconfig": str(cluster.kubeconfig) if cluster.kubeconfig else None,
                "message": cluster.message,
            }
            for cluster in clusters
        ],
    )


def _row(cluster: Cluster, style: Style, width: int) -> Row:
    up = cluster.state == "running"
    paint: Callable[[str], str] = style.good if up else style.bad
    nodes = "-" if cluster.nodes is None else str(cluster.nodes)
    return Row(
        (
            Cell("✓" if up else "✗", paint),
            f"{cluster.provider}:{cluster.name}",
            Cell(cluster.state, paint),
            cluster.kubernetes or "-",
            nodes,
            str(cluster.kubeconfig or "-"),
        ),
        indent(cluster.message, BELOW, width),
    )
