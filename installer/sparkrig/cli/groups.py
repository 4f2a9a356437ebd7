"""Groups of options: a command takes a group as one parameter, Typer sees its fields as options of the command.

Typer builds a command from a function's signature, one parameter for each option, and has no groups. ``grouped`` gives
it such a signature and builds the groups from the values that it passes.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

import typer


@dataclasses.dataclass(frozen=True)
class Group:
    """The base of all groups, each a frozen dataclass of options."""

    SECTION: ClassVar[str]
    """The heading of the options in ``--help``."""

    @classmethod
    @functools.cache
    def parameters(cls) -> dict[str, Parameter]:
        """Return each field as a parameter of a command."""
        hints = get_type_hints(cls)
        found = {}
        for field in dataclasses.fields(cls):
            declared = field.metadata["option"]
            declared.rich_help_panel = cls.SECTION
            found[field.name] = Parameter(
                field.name, Parameter.KEYWORD_ONLY, default=declared, annotation=hints[field.name]
            )
        return found


@dataclasses.dataclass(frozen=True)
class Only:
    """In ``Annotated``: the command offers these fields of the group, the others keep their default."""

    names: str
    """Names of fields, separated by spaces."""


def option(default: Any, *names: str, **settings: Any) -> Any:
    """Declare a field of a group as the option that ``typer.Option`` describes with the same arguments."""
    return dataclasses.field(default=default, metadata={"option": typer.Option(default, *names, **settings)})


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with each parameter that is a group replaced by the options of that group."""
    hints = get_type_hints(command, include_extras=True)
    flat: list[Parameter] = []
    groups: dict[str, tuple[type[Group], list[str]]] = {}
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        kind, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if not (isinstance(kind, type) and issubclass(kind, Group)):
            flat.append(parameter.replace(annotation=hint, kind=Parameter.KEYWORD_ONLY))
            continue
        offered = kind.parameters()
        names = next((extra.names.split() for extra in extras if isinstance(extra, Only)), list(offered))
        flat += [offered[name] for name in names]
        groups[parameter.name] = kind, names

    @functools.wraps(command)
    def with_groups(**given: Any) -> None:
        built = {name: kind(**{key: given.pop(key) for key in names}) for name, (kind, names) in groups.items()}
        command(**given, **built)

    with_groups.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    with_groups.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    return with_groups
