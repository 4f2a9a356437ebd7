"""What makes commands start quickly. Knows typer's insides, and does without them where they changed."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Any


def without_adapters(command: Any) -> Any:
    """The command, with parameters that import pydantic only for values that must be converted or checked.

    Since 0.29 typer hands every value to pydantic, defaults and None included, whose import takes as long as all of
    ``sparkrig --help``. Names, numbers in their range, enumerations, paths that nothing is asked of, and lists of names
    and paths need none of it.
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
        parameter.get_runtime_param = _plain(descriptor, make).itself
    return parameter


_OPEN = object()
"""What must be converted or checked."""


class _Plain:
    """Takes a value that needs no conversion as it is; all others go to typer."""

    def __init__(
        self, kind: type | None, make: Any, *, many: bool = False, within: tuple[Any, Any] = (None, None)
    ) -> None:
        self._kind = kind
        self._make = make
        self._many = many
        self._within = within

    def itself(self) -> _Plain:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if self._many:
            each = [self._taken(item) for item in value] if isinstance(value, (list, tuple)) else [_OPEN]
            taken: Any = _OPEN if _OPEN in each else each
        else:
            taken = self._taken(value)
        return self._make().coerce(value, param, ctx) if taken is _OPEN else taken

    def _taken(self, value: Any) -> Any:
        kind = self._kind
        if kind is None:
            return _OPEN
        if kind is Path:
            return Path(value) if isinstance(value, (str, Path)) and value and _can_be_read(value) else _OPEN
        if isinstance(value, kind):
            return value if self._is_within(value) else _OPEN
        if issubclass(kind, enum.Enum) and value in [each.value for each in kind]:
            return kind(value)
        return _OPEN

    def _is_within(self, value: Any) -> bool:
        least, most = self._within
        return (least is None or value >= least) and (most is None or value <= most)


def _plain(descriptor: Any, make: Any) -> _Plain:
    annotation, asked = descriptor.annotation, descriptor.parameter_info
    if _is_checked(descriptor):
        return _Plain(None, make)
    if annotation in (list[str], list[Path]):
        return _Plain(annotation.__args__[0], make, many=True)
    if not isinstance(annotation, type):
        return _Plain(None, make)
    return _Plain(annotation, make, within=(asked.min, asked.max))


def _is_checked(descriptor: Any) -> bool:
    """True where the declaration asks for more than a type and a range: a parser, a file that exists, and so on."""
    asked = descriptor.parameter_info
    if asked.parser is not None or asked.clamp or descriptor.is_file:
        return True
    allowed = asked.file_okay and asked.dir_okay and asked.path_type is None and asked.case_sensitive
    return not allowed or asked.exists or asked.resolve_path or asked.allow_dash or asked.writable


def _can_be_read(path: str | Path) -> bool:
    """As typer asks of every path: it may be missing, but not unreadable."""
    return os.access(path, os.R_OK) or not os.path.lexists(path)
