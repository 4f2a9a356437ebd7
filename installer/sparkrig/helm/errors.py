"""What can go wrong with a helm process, as errors for a person.

May import ``sparkrig.errors`` only: pyhelm3 stays behind ``command`` and ``client``.
"""

from __future__ import annotations

import itertools
import re
import signal
from typing import Final

from sparkrig.errors import ExitCode, OperationError, SparkrigError

_CONFLICT = re.compile(r'conflicts? with "(?P<manager>[^"]+)"(?P<rest>.*)')
_INLINE_FIELDS = re.compile(r": (?P<fields>\..+)$")
_FIELD = re.compile(r"^\s*- (?P<field>\.\S+)")
_NOISE = ("usage:", 'use "helm', "flags:", "global flags:", "level=", "warning:", "use --debug flag")
_PREFIXES = (
    re.compile(r"^Error: "),
    re.compile(r"^(?:INSTALLATION|UPGRADE) FAILED: "),
    re.compile(r"^release \S+ failed: "),
    re.compile(r"^failed to (?:install|upgrade) CRD "),
)


UNKNOWN_SCHEMA: Final = "there can be a delay between when customresourcedefinitions are created"
"""What an API server says whose admission policies have not read the schema of a new custom resource yet."""


class HelmError(OperationError):
    """helm ended with an error.

    ``message`` is the essential line of helm's stderr, ``detail`` all of it. ``code`` is one of
    ``failed``, ``not-found`` (no such release), ``pending`` (another operation is, or was, in
    progress), ``conflict`` (fields owned by another manager), ``exists`` (an object belongs to
    somebody else), ``render`` (the chart or its values), ``webhook`` (one that does not answer),
    ``schema`` (the API server does not know a new kind everywhere yet), ``connection`` (the API
    server or a registry), ``timeout`` (``HelmTimeout``),
    ``killed`` (by a signal that was not ours).
    """

    def __init__(
        self, message: str, *, code: str = "failed", hint: str | None = None, detail: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.code = code


class HelmTimeout(HelmError):
    """helm was still running at our deadline and was ended.

    ``killed`` is False when helm obeyed TERM (``helm upgrade`` then marks its release failed) and
    True when it had to be killed: the release may be left pending, see ``sparkrig.helm.storage.recovery``.
    """

    def __init__(self, action: str, deadline_s: float, *, killed: bool, detail: tuple[str, ...] = ()) -> None:
        how = "and did not react to TERM: it was killed" if killed else "and was asked to end"
        super().__init__(
            f"{action}: helm was still running after {deadline_s:g} s {how}",
            code="timeout",
            hint="a hook that never ends or an admission webhook that does not answer holds helm up; "
            "kubectl get jobs,pods -A shows which",
            detail=detail,
        )
        self.deadline_s = deadline_s
        self.killed = killed


class ChartError(SparkrigError):
    """A chart's files are not what a chart is: damaged, unsafe, or incomplete."""

    exit_code = ExitCode.INVALID


def essential(stderr: str) -> str:
    """Returns the part of helm's stderr that says what is wrong, without prefixes and usage text."""
    lines = _error_lines(stderr)
    if lines:
        return "\n".join([_shorten(lines[0]), *lines[1:]])
    kept = [line.strip() for line in stderr.splitlines() if line.strip() and not line.lower().startswith(_NOISE)]
    return kept[-1] if kept else "helm gave no reason"


def classify(stderr: str) -> str:
    """Returns the ``HelmError.code`` for helm's stderr."""
    text = stderr.lower()
    for code, signs in _SIGNS:
        if any(sign in text for sign in signs):
            return code
    return "failed"


def conflicts(stderr: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Returns the field managers helm's apply collided with, each with the fields it holds."""
    found: dict[str, dict[str, None]] = {}
    manager: str | None = None
    for line in _error_lines(stderr):
        if match := _CONFLICT.search(line):
            manager = match["manager"]
            fields = found.setdefault(manager, {})
            if inline := _INLINE_FIELDS.search(match["rest"]):
                fields.update(dict.fromkeys(inline["fields"].replace(",", " ").split()))
        elif manager is not None and (field := _FIELD.match(line)):
            found[manager][field["field"]] = None
    return tuple((name, tuple(fields)) for name, fields in found.items())


def translate(stderr: str, action: str) -> HelmError:
    """Makes the error for a person out of helm's stderr; ``action`` is e.g. ``upgrade of web``."""
    code = classify(stderr)
    detail = tuple(line.rstrip() for line in stderr.splitlines() if line.strip())
    hint = _HINTS.get(code)
    message = f"{action}: {essential(stderr)}"
    if code == "conflict" and (held := conflicts(stderr)):
        owners = "; ".join(f"{name} owns {', '.join(fields) or 'a field'}" for name, fields in held)
        message = f"{action}: conflict with another field manager: {owners}"
    return HelmError(message, code=code, hint=hint, detail=detail)


def killed(number: int, action: str) -> HelmError:
    """Makes the error for a helm that ended by a signal which was not ours."""
    return HelmError(
        f"{action}: helm was killed from outside ({signal.Signals(number).name})",
        code="killed",
        hint="by a person, or by the kernel for want of memory (dmesg says so); the next run recovers the release",
    )


def _error_lines(stderr: str) -> list[str]:
    """Returns what follows helm's ``Error:``, without log lines before it and usage text after it."""
    lines = [line.rstrip() for line in stderr.splitlines() if line.strip()]
    start = next((i for i, line in enumerate(lines) if line.startswith("Error: ")), None)
    if start is None:
        return []
    rest = itertools.takewhile(lambda line: not line.lower().startswith(_NOISE), lines[start + 1 :])
    return [lines[start], *rest]


def _shorten(line: str) -> str:
    changed = True
    while changed:
        changed = False
        for prefix in _PREFIXES:
            shorter = prefix.sub("", line, count=1)
            changed = changed or shorter != line
            line = shorter
    return line


_SIGNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    # Before "connection": a webhook that refuses connections says nothing about the API server.
    ("webhook", ("failed calling webhook",)),
    ("schema", (UNKNOWN_SCHEMA,)),
    (
        "connection",
        (
            "etcdserver",
            "kubernetes cluster unreachable",
            "connection refused",
            "connection reset by peer",
            "http2: client connection lost",
            "http2: server sent goaway",
            "apiserver not ready",
            "no such host",
            "i/o timeout",
        ),
    ),
    ("not-found", ("release: not found",)),
    ("pending", ("another operation (install/upgrade/rollback) is in progress",)),
    ("conflict", ('conflict with "', 'conflicts with "', "apply failed with")),
    (
        "exists",
        (
            "invalid ownership metadata",
            "rendered manifests contain a resource that already exists",
            "cannot be imported into the current release",
        ),
    ),
    (
        "render",
        (
            "execution error",
            "parse error at",
            "values don't meet the specifications",
            'executing "',
            "chart requires kubeversion",
            "yaml parse error",
            "failed to render chart",
            "chart.metadata",
            "found in chart.yaml, but missing",
        ),
    ),
)

_HINTS = {
    "webhook": "an admission webhook of this or another component does not answer; is its pod ready?",
    "schema": "the API server's admission policies read the schemas of new CRDs every few seconds: run it again",
    "connection": "is the cluster up? kubectl get nodes with the same context answers that",
    "pending": "another helm is at work on this release, or died at it: wait for one that lives to end; "
    "the next sparkrig up recovers what a dead one left",
    "conflict": "another field manager changed what the chart sets: set the same value in the stack file, or take the "
    "field back with `conflicts: take` below the component there",
    "exists": "the object belongs to something else: delete it, or take it over with `existing: adopt` below the "
    "component in the stack file",
    "render": "the chart refused its values; sparkrig explain COMPONENT shows where each value comes from",
}
