"""Reads one secret value from where the stack file says it is.

A value is kept in ``Hidden``, which shows nothing of itself in messages, logs and tracebacks. Nothing
of what a command prints is shown: not its output, which is the secret, and not its errors, which may
repeat it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparkrig.defaults import MAX_SECRET_BYTES, SECRET_COMMAND_TIMEOUT_S
from sparkrig.errors import SparkrigError
from sparkrig.models.json import JsonObject, text_at, text_map_at, text_or_none, texts_at

if TYPE_CHECKING:
    from sparkrig.kube.client import KubeApi


class SecretUnavailable(SparkrigError):
    """A value cannot be had; the message says why and never holds any of it."""


class CommandNotRun(SecretUnavailable):
    """A value comes from a command, and this run does not execute commands of that file."""


class Hidden:
    """A secret value. Only ``reveal`` gives it away."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The value; for the request that needs it."""
        return self._value

    def text(self) -> str:
        """The value without a last line break, as text: what a password is.

        Raises:
            SecretUnavailable: it is not UTF-8.
        """
        try:
            return _stripped(self._value).decode()
        except UnicodeDecodeError:
            raise SecretUnavailable("is not UTF-8 text") from None

    def __repr__(self) -> str:
        return "Hidden(***)"


class Reader:
    """Reads references. ``api`` None for where no cluster may be asked; ``run_commands`` False runs no program."""

    def __init__(
        self, api: KubeApi | None = None, environ: Mapping[str, str] = os.environ, *, run_commands: bool = True
    ) -> None:
        self._api = api
        self._environ = environ
        self._run_commands = run_commands

    def lacking(self, reference: JsonObject, folder: Path) -> str | None:
        """Why a value is certainly not available, without running or reading anything; None when it may be.

        ``folder`` is where a command runs: a program with a slash in its name is relative to it, as in a shell.
        """
        if (name := text_or_none(reference, "fromEnv")) is not None:
            return None if name in self._environ else f"environment variable {name} is not set"
        if (path := text_or_none(reference, "fromFile")) is not None:
            return None if Path(path).is_file() else f"there is no file {path}"
        if argv := texts_at(reference, "fromCommand"):
            return None if _program(argv[0], folder) else f"there is no program {argv[0]}"
        return None

    def read(self, reference: JsonObject, folder: Path) -> Hidden:
        """The value of a reference; a command runs in ``folder``.

        Raises:
            CommandNotRun: it comes from a command, and this reader runs none.
            SecretUnavailable: it is not available; the message continues the field's name.
        """
        if "fromCommand" in reference and not self._run_commands:
            raise CommandNotRun("comes from a command")
        if why := self.lacking(reference, folder):
            raise SecretUnavailable(why)
        if "text" in reference:
            return Hidden(str(reference["text"]).encode())
        if "fromEnv" in reference:
            return _checked(os.fsencode(self._environ[text_at(reference, "fromEnv")]))
        if "fromFile" in reference:
            return _file(Path(text_at(reference, "fromFile")))
        if "fromCommand" in reference:
            return _command(texts_at(reference, "fromCommand"), folder)
        return self._from_cluster(text_map_at(reference, "fromSecret"))

    def _from_cluster(self, place: Mapping[str, str]) -> Hidden:
        where = f"Secret {place['namespace']}/{place['name']}"
        if self._api is None:
            raise SecretUnavailable(f"{where} can be read with a cluster only")
        path = f"/api/v1/namespaces/{place['namespace']}/secrets/{place['name']}"
        found = self._api.get(path, missing_ok=True)
        if found is None:
            raise SecretUnavailable(f"there is no {where}")
        data = text_map_at(found, "data")
        if place["key"] not in data:
            raise SecretUnavailable(f"{where} has no key {place['key']}, it has {', '.join(sorted(data)) or 'none'}")
        with contextlib.suppress(binascii.Error):
            return _checked(base64.b64decode(data[place["key"]]))
        raise SecretUnavailable(f"{where}: {place['key']} is damaged")


def _program(name: str, folder: Path) -> str | None:
    """The program's full path; None where there is none, or it must not be executed."""
    return shutil.which(str(folder / name) if os.sep in name else name)


def _file(path: Path) -> Hidden:
    try:
        with path.open("rb") as stream:
            return _checked(stream.read(MAX_SECRET_BYTES + 1))
    except OSError as error:
        raise SecretUnavailable(f"{path} cannot be read: {error.strerror}") from None


def _command(argv: Sequence[str], folder: Path) -> Hidden:
    """Runs a program without a shell, in a process group of its own; what it prints is the value."""
    name = argv[0]
    try:
        process = subprocess.Popen(
            [_program(name, folder) or name, *argv[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise SecretUnavailable(f"{name} cannot be run: {error.strerror}") from None
    try:
        out, err = process.communicate(timeout=SECRET_COMMAND_TIMEOUT_S)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise SecretUnavailable(f"{name} did not end within {SECRET_COMMAND_TIMEOUT_S:g} s") from None
        raise
    if process.returncode:
        lines = len(err.splitlines())
        raise SecretUnavailable(
            f"{name} ended with status {process.returncode}; its {lines} lines of errors are not shown, for they may "
            "hold secrets: run it by hand"
        )
    return _checked(_stripped(out))


def _stripped(value: bytes) -> bytes:
    return value.removesuffix(b"\n").removesuffix(b"\r")


def _checked(value: bytes) -> Hidden:
    if not value:
        raise SecretUnavailable("is empty")
    if len(value) > MAX_SECRET_BYTES:
        raise SecretUnavailable(f"is larger than {MAX_SECRET_BYTES} bytes, the most that a Secret holds")
    return Hidden(value)
