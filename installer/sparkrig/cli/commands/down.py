"""``sparkrig down``."""

from __future__ import annotations

from typing import Annotated

import typer

from sparkrig.cli.change import run_change
from sparkrig.cli.groups import Only
from sparkrig.cli.options import ChangeOptions, DeployedStack, OutputOptions


def down(
    purge: Annotated[
        str | None,
        typer.Option(
            "--purge",
            metavar="WHAT",
            help="Also delete data: crds (with all their custom resources), claims (with their volumes), namespaces "
            "(with everything in them), nodes (labels and annotations that components left on nodes), history (no "
            "rollback afterwards), or all. Comma-separated.",
        ),
    ] = None,
    *,
    stack: DeployedStack,
    change: Annotated[ChangeOptions, Only("message allow_disruption wait_lock yes timings trace")],
    output: OutputOptions,
) -> None:
    """Uninstall the stack, dependents first. Keeps CRDs, custom resources and user data unless --purge names them."""
    from sparkrig.commands import workflows

    options = change.options(purge=purged(purge))
    run_change(
        stack.request(),
        change,
        output,
        lambda session, person: workflows.down(session, session.stack_name(stack.name), options, person),
    )


def purged(text: str | None) -> tuple[str, ...]:
    """What ``crds,claims`` or ``all`` names.

    Raises:
        typer.BadParameter: it names something else.
    """
    from sparkrig.plan.removal import PURGEABLE

    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    if text is not None and not words:
        raise typer.BadParameter(f"--purge is empty; use one or more of {', '.join(PURGEABLE)}, or all")
    unknown = [word for word in words if word not in (*PURGEABLE, "all")]
    if unknown:
        raise typer.BadParameter(
            f"--purge: unknown {', '.join(unknown)}; use one or more of {', '.join(PURGEABLE)}, or all"
        )
    return tuple(name for name in PURGEABLE if name in words or "all" in words)
