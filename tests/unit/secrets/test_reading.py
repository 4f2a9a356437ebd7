"""Reading secret values: real files, real programs; and what is never shown of them."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from sparkrig.errors import InvalidInput
from sparkrig.models.secret import SecretField, SecretSpec
from sparkrig.secrets import reading
from sparkrig.secrets.objects import content, fingerprint, manifest
from sparkrig.secrets.reading import Hidden, Reader, SecretUnavailable
from sparkrig.secrets.rolling import secrets_of

SECRET = "Pl4nted"


def python(text: str) -> dict[str, Any]:
    return {"fromCommand": [sys.executable, "-c", text]}


def why(reference: dict[str, Any], folder: Path, **environ: str) -> str:
    with pytest.raises(SecretUnavailable) as error:
        Reader(environ=environ).read(reference, folder)
    assert SECRET not in "".join(traceback.format_exception(error.value))
    return error.value.message


def test_each_source_gives_its_value(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff two\nlines\n")
    reader = Reader(environ={"NAME": "from env\n"})
    assert reader.read({"fromEnv": "NAME"}, tmp_path).reveal() == b"from env\n"
    assert reader.read({"fromEnv": "NAME"}, tmp_path).text() == "from env"
    assert reader.read({"fromFile": str(tmp_path / "file")}, tmp_path).reveal() == b"\xff two\nlines\n"
    assert reader.read(python("import os; print(os.getcwd())"), tmp_path).text() == str(tmp_path)
    assert reader.read(python("print('a\\n\\n')"), tmp_path).reveal() == b"a\n\n"  # one line break, not all


def test_a_command_has_no_shell_and_no_input(tmp_path: Path) -> None:
    reader = Reader()
    shown = reader.read({"fromCommand": ["echo", "$HOME;", "`id`", "> x"]}, tmp_path).text()
    assert shown == "$HOME; `id` > x"
    assert reader.read(python("import sys; print(len(sys.stdin.read()))"), tmp_path).text() == "0"


def test_why_a_value_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "locked").mkdir()
    assert why({"fromEnv": "NAME"}, tmp_path) == "environment variable NAME is not set"
    assert why({"fromEnv": "NAME"}, tmp_path, NAME="") == "is empty"
    assert why({"fromFile": str(tmp_path / "no")}, tmp_path) == f"there is no file {tmp_path / 'no'}"
    assert why({"fromFile": str(tmp_path / "empty")}, tmp_path) == "is empty"
    assert why({"fromCommand": ["no-such-program"]}, tmp_path) == "there is no program no-such-program"
    failing = python(f"import sys; print('{SECRET}'); sys.stderr.write('{SECRET}\\n{SECRET}'); sys.exit(7)")
    assert "ended with status 7; its 2 lines of errors are not shown" in why(failing, tmp_path)
    assert "larger than 1000000 bytes" in why(python("print('x' * 1000001)"), tmp_path)
    place = {"namespace": "a", "name": "b", "key": "c"}
    assert why({"fromSecret": place}, tmp_path) == "Secret a/b can be read with a cluster only"


def test_a_command_that_hangs_ends_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SECRET_COMMAND_TIMEOUT_S", 1.0)
    script = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path('pid').write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    assert "did not end within 1 s" in why(python(script), tmp_path)
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _runs(child):
        time.sleep(0.02)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_hidden_value_shows_nothing_of_itself() -> None:
    hidden = Hidden(SECRET.encode())
    assert SECRET not in f"{hidden} {hidden!r} {[hidden]} { ({'a': hidden}) }"
    with pytest.raises(SecretUnavailable) as error:
        Hidden(SECRET.encode() + b"\xff").text()
    assert SECRET not in "".join(traceback.format_exception(error.value))


def spec(**references: Any) -> SecretSpec:
    fields = tuple(SecretField(key, reference) for key, reference in references.items())
    return SecretSpec("db", "Opaque", fields, folder=Path.cwd())


def test_all_that_cannot_be_had_is_said_together() -> None:
    wanted = spec(a={"fromEnv": "NO_A"}, b={"fromEnv": "NO_B"}, c={"fromEnv": "C"})
    with pytest.raises(InvalidInput) as error:
        content(wanted, Reader(environ={"C": "1"}))
    assert [p.message for p in error.value.problems] == [
        "secret 'db': a: environment variable NO_A is not set",
        "secret 'db': b: environment variable NO_B is not set",
    ]


def test_a_fingerprint_tells_contents_apart_and_needs_its_key() -> None:
    key, other = os.urandom(32), os.urandom(32)
    contents = [
        {"a": "bc"},
        {"ab": "c"},
        {"a": "b", "c": ""},
        {"a": "bc", "d": "e"},
        {"a": "b\0c\0001\0"},
        {"c": "", "a": "b"},
    ]
    marks = [fingerprint(spec(), {k: Hidden(v.encode()) for k, v in data.items()}, key) for data in contents]
    assert len(set(marks)) == len(contents) - 1
    assert marks[2] == marks[5]  # the order of the keys does not count
    assert fingerprint(spec(), {"a": Hidden(b"bc")}, other) != marks[0]


def test_registry_credentials_have_dockers_form() -> None:
    fields = (SecretField("username", {"text": "$oauthtoken"}), SecretField("password", {"fromEnv": "KEY"}))
    pull = SecretSpec("ngc", "kubernetes.io/dockerconfigjson", fields, "nvcr.io", Path.cwd())
    made = content(pull, Reader(environ={"KEY": "secret\n"}))
    assert made[".dockerconfigjson"].reveal() == (
        b'{"auths": {"nvcr.io": {"username": "$oauthtoken", "password": "secret", "auth": "JG9hdXRodG9rZW46c2VjcmV0"}}}'
    )
    document = manifest("lab", pull, "apps", made, "mark")
    assert document["type"] == pull.type
    assert document["metadata"]["labels"]["sparkrig.dev/stack"] == "lab"


def test_who_reads_a_secret() -> None:
    pod = {
        "imagePullSecrets": [{"name": "pull"}],
        "initContainers": [
            {"name": "i", "envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "no"}}]}
        ],
        "containers": [
            {"name": "c", "env": [{"name": "A", "value": "x"}, {"valueFrom": {"secretKeyRef": {"name": "one"}}}]}
        ],
        "volumes": [
            {"secret": {"secretName": "mounted"}},
            {"projected": {"sources": [{"secret": {"name": "part"}}, {"configMap": {"name": "no"}}]}},
            {"emptyDir": {}},
        ],
    }
    assert secrets_of(pod) == {"all", "one", "mounted", "part"}
