"""``sparkrig render``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from sparkrig.cli.completion import components
from sparkrig.cli.groups import Only
from sparkrig.cli.options import Format, OutputOptions, StackOptions
from sparkrig.cli.prompt import out, print_json, session_for
from sparkrig.errors import NotFound

MARKER = ".sparkrig-render"
"""Marks a directory that sparkrig may clear."""


def render(
    components: Annotated[
        list[str] | None, typer.Argument(metavar="COMPONENT", help="Only these components.", autocompletion=components)
    ] = None,
    crds: Annotated[
        bool, typer.Option("--crds", help="Include the CRDs that sparkrig applies before a chart.")
    ] = False,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            metavar="DIR",
            help="Write one file for each object, COMPONENT/KIND-NAMESPACE-NAME.yaml, including CRDs.",
        ),
    ] = None,
    *,
    stack: Annotated[StackOptions, Only("file target catalog mirror stand_ins values sets run_commands")],
    output: OutputOptions,
) -> None:
    """Print the manifests that `up` would install. Names the fields that differ between two renderings."""
    from sparkrig.commands import render as rendering
    from sparkrig.output.rendering import rendering_files, rendering_json, rendering_text

    with session_for(stack.request(), output) as session:
        rendered = rendering.render(session, tuple(components or ()))
    if output_dir is not None:
        count = write_files(output_dir, rendering_files(rendered, crds=True))
        out().write(f"{count} objects written to {output_dir}\n")
    elif output.format is Format.JSON:
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
                f"{folder} is not empty and was not written by `render`",
                hint="use a new or empty directory: `render` deletes files that are no longer rendered",
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
