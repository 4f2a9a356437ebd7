"""``sparkrig render``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from sparkrig.cli.completion import components
from sparkrig.cli.options import (
    CatalogOption,
    MirrorOption,
    Output,
    OutputOption,
    RunCommandsOption,
    SetOption,
    StackFileOption,
    StandInsOption,
    TargetOption,
    ValuesOption,
    allowed_commands,
)
from sparkrig.cli.progress import QuietOption
from sparkrig.cli.prompt import out, print_json, session_for
from sparkrig.cli.request import request
from sparkrig.errors import NotFound

MARKER = ".sparkrig-render"
"""Says that a folder is ours to clear."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("render")(render)


def render(
    components: Annotated[
        list[str] | None, typer.Argument(metavar="COMPONENT", help="Only these components.", autocompletion=components)
    ] = None,
    file: StackFileOption = Path("stack.yaml"),
    target: TargetOption = None,
    catalog: CatalogOption = None,
    mirror: MirrorOption = None,
    stand_ins: StandInsOption = None,
    values: ValuesOption = None,
    sets: SetOption = None,
    crds: Annotated[bool, typer.Option("--crds", help="Also the CRDs that sparkrig applies before a chart.")] = False,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            metavar="DIR",
            help="Write one file an object, COMPONENT/KIND-NAMESPACE-NAME.yaml, CRDs too.",
        ),
    ] = None,
    run_commands: RunCommandsOption = False,
    quiet: QuietOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Print the manifests that up would install, and name what differs from one rendering to the next."""
    del quiet  # its callback has seen to it
    from sparkrig.commands import render as rendering
    from sparkrig.output.rendering import rendering_files, rendering_json, rendering_text

    with session_for(
        request(file, target, catalog, mirror, stand_ins, values, sets, commands=allowed_commands(run_commands)), output
    ) as session:
        rendered = rendering.render(session, tuple(components or ()))
    if output_dir is not None:
        count = write_files(output_dir, rendering_files(rendered, crds=True))
        out().write(f"{count} objects written to {output_dir}\n")
    elif output is Output.JSON:
        print_json(rendering_json(rendered, crds=crds))
    else:
        out().write(rendering_text(rendered, crds=crds))


def write_files(folder: Path, files: Mapping[str, str]) -> int:
    """Makes the folder hold exactly these files; returns how many.

    They can hold Secrets that charts make, so only their owner can read them.

    Raises:
        NotFound: there is something else in it than an earlier rendering, or it cannot be written.
    """
    marker = folder / MARKER
    try:
        if folder.exists() and any(folder.iterdir()) and not marker.exists():
            raise NotFound(
                f"{folder} is not empty, and what is in it is no earlier rendering",
                hint="give --output-dir a new or an empty folder: what is no longer rendered is removed from it",
            )
        folder.mkdir(parents=True, exist_ok=True)
        marker.touch()
        for old in sorted(folder.glob("*/*.yaml")):
            if old.relative_to(folder).as_posix() not in files:
                old.unlink()
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotFound(f"{folder} cannot be written: {error.strerror}") from error
    return len(files)
