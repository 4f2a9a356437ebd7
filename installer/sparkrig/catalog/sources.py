"""Reads the input files and keeps their texts, so that problems can be shown with their lines.

The one place of the pure stages that opens files: only those that the input names, only to read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from sparkrig.defaults import MAX_INPUT_BYTES
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.load import Loaded, decode, load, load_values


class SourceTexts(Mapping[str, str]):
    """What was read: shown name -> text.

    Files below the current directory are shown relative to it, those of a folder that has a name
    (``name_folder``) under that name, others by their absolute path.
    """

    def __init__(self, current: Path | None = None) -> None:
        self._current = Path(os.path.abspath(current or Path.cwd()))  # noqa: PTH100  (links stay as they are)
        self._names: dict[Path, str] = {}
        self._texts: dict[str, str] = {}

    def __getitem__(self, shown: str) -> str:
        return self._texts[shown]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def include(self, other: Mapping[str, str]) -> None:
        """Take over what was read elsewhere."""
        if other is not self:
            self._texts.update(other)

    def name_folder(self, folder: Path, name: str) -> None:
        """Show the files below ``folder`` as ``name/…``, e.g. those of the shipped catalogue."""
        self._names[self._absolute(folder)] = name

    def shown(self, path: Path) -> str:
        """The name under which a file is shown."""
        path = self._absolute(path)
        for folder, name in self._names.items():
            if path.is_relative_to(folder):
                return f"{name}/{path.relative_to(folder).as_posix()}".removesuffix("/.")
        if path.is_relative_to(self._current):
            return path.relative_to(self._current).as_posix()
        return str(path)

    def read(self, path: Path) -> str | Problem:
        """The text of a file, or why it cannot be read. A file that is not there has the code ``no-file``."""
        shown = self.shown(path)
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_INPUT_BYTES + 1)
                size = max(len(data), os.fstat(stream.fileno()).st_size)
        except (FileNotFoundError, NotADirectoryError):
            return _problem("no-file", f"no file at {shown}", shown)
        except IsADirectoryError:
            return _problem("unreadable-file", f"{shown} is a directory, expected a file", shown)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            return _problem("unreadable-file", f"{shown} cannot be read: {reason}", shown)
        if size > MAX_INPUT_BYTES:
            limit = f"{MAX_INPUT_BYTES} ({MAX_INPUT_BYTES >> 20} MiB)"
            return _problem("too-large", f"the file has {size} bytes, the limit is {limit}", shown)
        text = decode(data, shown)
        if isinstance(text, str):
            self._texts[shown] = text
        return text

    def load_document(self, path: Path) -> Loaded:
        """A file that must hold one YAML map."""
        text = self.read(path)
        return load(text, self.shown(path), want_map=True) if isinstance(text, str) else Loaded(None, (text,))

    def load_values(self, path: Path) -> Loaded:
        """A Helm values file."""
        text = self.read(path)
        return load_values(text, self.shown(path)) if isinstance(text, str) else Loaded(None, (text,))

    def _absolute(self, path: Path) -> Path:
        return Path(os.path.normpath(self._current / path))


def _problem(code: str, message: str, shown: str) -> Problem:
    return Problem(Severity.ERROR, code, message, Position(shown, 1, 1))
