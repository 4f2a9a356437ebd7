"""``sparkrig schema``."""

from __future__ import annotations

from typing import Annotated

import typer

from sparkrig.cli.groups import Only, grouped
from sparkrig.cli.options import StackOptions
from sparkrig.cli.prompt import print_json

app = typer.Typer(help="Print JSON Schemas for editors and for other programs.")


@app.command("stack")
@grouped
def stack(*, stack: Annotated[StackOptions, Only("catalog")]) -> None:
    """Print the schema of the stack file, including component values."""
    from sparkrig.catalog.load import load_catalog
    from sparkrig.stack.compose_schema import compose
    from sparkrig.tools.data import data_dir

    print_json(compose(load_catalog((data_dir("charts"), *(stack.catalog or ())))))


@app.command("component")
def component() -> None:
    """Print the schema of component.yaml."""
    from sparkrig.catalog.load import SCHEMA
    from sparkrig.catalog.validate import schema_file

    print_json(dict(schema_file(SCHEMA)))


@app.command("output")
def output(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="A kind of document, e.g. Plan. Default: all kinds.")
    ] = None,
) -> None:
    """Print the schema of the documents printed with --output json."""
    from sparkrig.output.json_schema import kinds, output_schema

    if kind is not None and kind not in kinds():
        raise typer.BadParameter(f"there is no kind '{kind}'; use one of {', '.join(kinds())}")
    print_json(output_schema(kind))
