"""``sparkrig init``."""

from __future__ import annotations

import enum
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from sparkrig.cli.groups import Only
from sparkrig.cli.options import StackOptions
from sparkrig.cli.prompt import err, out
from sparkrig.models.json import mapping_at, number_at, text_at


class Profile(enum.StrEnum):
    """The profiles of the catalog."""

    MINIMAL = "minimal"
    STANDARD = "standard"
    GPU = "gpu"
    HA = "ha"


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The stack file to create.")] = Path("stack.yaml"),
    profile: Annotated[
        Profile, typer.Option("--profile", help="The set of defaults to start from.")
    ] = Profile.STANDARD,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The name of the stack.")] = "lab",
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            metavar="PATH|URL",
            help="The schema for editors to use. Default: a schema written next to the stack file.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Include all documented values, not only the common ones.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    *,
    stack: Annotated[StackOptions, Only("catalog")],
) -> None:
    """Create a commented stack file, and its schema for editors."""
    from sparkrig.catalog.load import load_catalog
    from sparkrig.errors import NotFound, Refused
    from sparkrig.stack.compose_schema import compose
    from sparkrig.stack.template import stack_template
    from sparkrig.tools.data import data_dir

    _check_name(name)
    beside = file.with_suffix(".schema.json")
    loaded = load_catalog((data_dir("charts"), *(stack.catalog or ())))
    text = stack_template(loaded, name, profile.value, schema or beside.name, everything=everything)
    writes = {file: text}
    if schema is None:
        writes[beside] = json.dumps(compose(loaded), indent=2, ensure_ascii=False) + "\n"
    taken = [str(path) for path in writes if os.path.lexists(path)]
    if taken and not force:
        raise Refused(f"{' and '.join(taken)} already {'exists' if len(taken) == 1 else 'exist'}",
                      hint="use another file name, or overwrite with --force")  # fmt: skip
    for path, content in writes.items():
        try:
            path.write_text(content, encoding="utf-8")
        except OSError as error:
            raise NotFound(
                f"{path} cannot be written: {error.strerror}", hint="use a file in a directory that you can write to"
            ) from error
    out().write(f"{file}\n")
    again = "" if file == Path("stack.yaml") else f" -f {file}"
    err().write(f"next: edit {file}, then run sparkrig validate{again}\n")


def _check_name(name: str) -> None:
    import re

    from sparkrig.stack.file import stack_schema

    schema = mapping_at(stack_schema(), "properties", "metadata", "properties", "name")
    if not re.fullmatch(text_at(schema, "pattern"), name) or len(name) > number_at(schema, "maxLength"):
        raise typer.BadParameter(
            f"'{name}' is not a valid stack name: {schema['x-pattern']}, at most {schema['maxLength']} characters"
        )
