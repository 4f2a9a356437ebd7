"""What makes commands start quickly. Knows typer's insides, and does without them where they changed."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Any


def without_adapters(command: Any) -> Any:
    """The command, with parameters that import pydantic only for values that must be converted or checked.

    Since 0.29 typer hands every value to pydantic, defaults and None included, whose import takes as long as all of
    ``sparkrig --help``. Names, enumerations and paths that nothing is asked of need none of it.
    """
    for parameter in command.params:
        _relieve(parameter)
    make_help = getattr(command, "get_help_option", None)
    if make_help is not None:
        command.get_help_option = lambda ctx: _relieve(make_help(ctx))
    for child in getattr(command, "commands", {}).values():
        without_adapters(child)
    return command


def _relieve(parameter: Any) -> Any:
    make = getattr(parameter, "get_runtime_param", None)
    descriptor = getattr(parameter, "type_descriptor", None)
    if make is not None and descriptor is not None and not isinstance(getattr(make, "__self__", None), _Plain):
        plain = isinstance(descriptor.annotation, type) and not _is_checked(descriptor)
        parameter.get_runtime_param = _Plain(descriptor.annotation if plain else None, make).itself
    return parameter


class _Plain:
    """Takes a value that needs no conversion as it is; all others go to typer."""

    def __init__(self, kind: type | None, make: Any) -> None:
        self._kind = kind
        self._make = make

    def itself(self) -> _Plain:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        kind = self._kind
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if kind is Path and isinstance(value, (str, Path)) and value and _can_be_read(value):
            return Path(value)
        if kind is not None and kind is not Path and isinstance(value, kind):
            return value
        if kind is not None and issubclass(kind, enum.Enum) and value in [each.value for each in kind]:
            return kind(value)
        return self._make().coerce(value, param, ctx)


def _is_checked(descriptor: Any) -> bool:
    """True where the declaration asks for more than the type: a range, a parser, a file that exists, and so on."""
    asked = descriptor.parameter_info
    if asked.parser is not None or asked.min is not None or asked.max is not None or descriptor.is_file:
        return True
    allowed = asked.file_okay and asked.dir_okay and asked.path_type is None and asked.case_sensitive
    return not allowed or asked.exists or asked.resolve_path or asked.allow_dash or asked.writable


def _can_be_read(path: str | Path) -> bool:
    """As typer asks of every path: it may be missing, but not unreadable."""
    return os.access(path, os.R_OK) or not os.path.lexists(path)
