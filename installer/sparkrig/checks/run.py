"""Asks the checks: several at once, each within its time, nothing left behind."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from sparkrig import log, timeline
from sparkrig.catalog.references import Scope, Unknown
from sparkrig.checks.kinds import KINDS
from sparkrig.checks.kinds.base import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    Cluster,
    Context,
    NotApplicable,
    NotYet,
    Subject,
    Wrong,
)
from sparkrig.checks.kinds.made import new_name, sweep
from sparkrig.checks.needs import look_at
from sparkrig.checks.selection import Selection
from sparkrig.checks.waits import Waits
from sparkrig.defaults import CHECK_CLEANUP_S, CHECK_PATIENCE_S, CHECK_WORKERS
from sparkrig.errors import SparkrigError
from sparkrig.models.check import CheckResult, CheckStatus
from sparkrig.models.component import CheckSpec
from sparkrig.models.json import JsonObject, JsonValue, mapping_at, text_at
from sparkrig.readiness.fields import value_at

INTERRUPTED = "the run was interrupted"
Pair = tuple[Subject, CheckSpec]


@dataclass(frozen=True, slots=True)
class Asked:
    """How a run went."""

    results: tuple[CheckResult, ...]
    left_out: int
    swept: tuple[str, ...]
    interrupted: bool


def run_checks(
    cluster: Cluster,
    subjects: Sequence[Subject],
    selection: Selection,
    *,
    patience_s: float | None = CHECK_PATIENCE_S,
    on_result: Callable[[CheckResult, int, int], None] = lambda _result, _done, _total: None,
    on_wait: Callable[[str], None] | None = None,
) -> Asked:
    """Ask what the selection takes, ``CHECK_WORKERS`` at a time; never raises for a check that fails.

    ``patience_s`` is how long an answer that is not good is asked for again; None is as long as the check's own
    timeout, for what was changed a moment ago. ``on_result`` gets each result as it comes, how many there are, and of
    how many. ``on_wait`` gets a line about what is waited for: when that changes, and again after a while.
    Ctrl-C and SIGTERM end the run in order: what was made is deleted, what was not answered is skipped, and fails.
    """
    pairs = [(subject, spec) for subject in subjects for spec in subject.checks]
    taken = [pair for pair in pairs if selection.takes(*pair)]
    swept = sweep(cluster.api, cluster.stack, _places(cluster, pairs))
    run = _Run(cluster, selection, patience_s, on_wait)
    results: dict[int, CheckResult] = {}

    def keep(place: int, result: CheckResult) -> None:
        results[place] = result
        name = f"{result.component}/{result.name}"
        log.info("check", check=name, status=result.status.value, seconds=result.seconds, message=result.message)
        on_result(result, len(results), len(taken))

    try:
        with _ended_by_signals():
            run.all_of(taken, keep)
    except KeyboardInterrupt:
        run.end(taken, results)
    in_order = tuple(results[place] for place in range(len(taken)))
    return Asked(in_order, len(pairs) - len(taken), tuple(swept), run.cancelled.is_set())


class _Run:
    def __init__(
        self,
        cluster: Cluster,
        selection: Selection,
        patience_s: float | None,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self.cancelled = threading.Event()
        self._waits = Waits(on_wait) if on_wait is not None else None
        self._hopeless: set[str] = set()
        """Components of which a check has failed for good: nobody waits for what else they have to say."""
        self._cluster = cluster
        self._selection = selection
        self._patience_s = patience_s
        self._working: dict[int, Context] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(CHECK_WORKERS, "check")
        self._futures: dict[Future[CheckResult], int] = {}

    def all_of(self, pairs: Sequence[Pair], keep: Callable[[int, CheckResult], None]) -> None:
        self._futures = {self._pool.submit(self.one, place, pair): place for place, pair in enumerate(pairs)}
        left = set(self._futures)
        while left:
            # In slices: a main thread that waits for ever in a lock sees Ctrl-C late on some systems.
            done, left = wait(left, timeout=0.5, return_when=FIRST_COMPLETED)
            if self._waits is not None:
                self._waits.show()
            for future in sorted(done, key=self._futures.__getitem__):
                keep(self._futures[future], future.result())
        self._pool.shutdown()

    def end(self, pairs: Sequence[Pair], results: dict[int, CheckResult]) -> None:
        """End what works, give it time to delete what it made, and say of the rest that it was not answered."""
        self.cancelled.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            working = list(self._working.values())
        for context in working:
            context.interrupt()
        wait([f for f in self._futures if not f.cancelled()], timeout=CHECK_CLEANUP_S + 2)
        for future, place in self._futures.items():
            if place not in results and future.done() and not future.cancelled():
                results[place] = future.result()
        for place, (subject, spec) in enumerate(pairs):
            results.setdefault(place, self._result(subject, spec, CheckStatus.SKIP, INTERRUPTED, 0.0, True))

    def one(self, place: int, pair: Pair) -> CheckResult:
        """Ask one check. A defect of ours is a failed check, not a lost run."""
        subject, spec = pair
        started = time.monotonic()
        must = self._selection.must(subject, spec)
        status, message, expected = CheckStatus.PASS, "", True
        try:
            parameters, name = self._expanded(subject, spec)
            if reason := self._why_not(spec, parameters, must):
                return self._result(subject, spec, CheckStatus.SKIP, reason, 0.0, must)
            with timeline.span("check", spec.name, subject.component):
                message = self._ask(place, subject, spec, parameters, name)
        except NotApplicable as error:
            status, message, expected = CheckStatus.SKIP, str(error), must
        except Exception as error:
            # Its connections are closed under a check that is being ended: whatever it says then is no answer.
            ended = self.cancelled.is_set()
            status, message = (CheckStatus.SKIP, INTERRUPTED) if ended else (CheckStatus.FAIL, _reason(error))
            if not ended and not isinstance(error, NotYet | Wrong | Unknown | SparkrigError):
                log.bug(error, f"{subject.component}/{spec.name}")
            if isinstance(error, Wrong) and spec.gate:
                self._hopeless.add(subject.component)
        return self._result(subject, spec, status, message, time.monotonic() - started, expected)

    def _expanded(self, subject: Subject, spec: CheckSpec) -> tuple[JsonObject, str]:
        _applies(subject, spec)
        name = new_name(spec.name)
        return mapping_at(scope_of(self._cluster, subject, name).expand(dict(spec.parameters))), name

    def _why_not(self, spec: CheckSpec, parameters: JsonObject, must: bool) -> str:
        """Why the cluster cannot answer; what is merely unknown does not keep a required check from being asked."""
        needs = look_at([*KINDS[spec.kind].needs(parameters), *spec.needs], self._cluster.facts)
        blocking = [need for need in needs if need.met is False or (need.met is None and not must)]
        return blocking[0].why if blocking else ""

    def _ask(self, place: int, subject: Subject, spec: CheckSpec, parameters: JsonObject, name: str) -> str:
        kind = KINDS[spec.kind]
        began = time.monotonic()
        gate = self._patience_s is None
        context = Context(self._cluster, subject, spec, parameters, began + spec.timeout_s, self.cancelled, name, gate)
        if self._waits is not None:
            context.say = self._waits.of(f"{subject.component}/{spec.name}", spec.timeout_s)
        with self._lock:
            self._working[place] = context
        try:
            pause = FIRST_PAUSE_S
            patience = spec.timeout_s if self._patience_s is None else min(self._patience_s, spec.timeout_s)
            while True:
                context.left_s()
                try:
                    return kind.ask(context)
                except NotYet as error:
                    hopeless = gate and subject.component in self._hopeless
                    if kind.once or hopeless or time.monotonic() + pause - began > patience:
                        raise
                    context.say(str(error))
                context.pause(pause)
                pause = min(pause * 1.6, LONGEST_PAUSE_S)
        finally:
            with self._lock:
                del self._working[place]
            if self._waits is not None:
                self._waits.end(f"{subject.component}/{spec.name}")

    def _result(
        self, subject: Subject, spec: CheckSpec, status: CheckStatus, message: str, seconds: float, expected: bool
    ) -> CheckResult:
        return CheckResult(
            component=subject.component,
            name=spec.name,
            status=status,
            message=message,
            gate=spec.gate,
            hint=self._hint(subject, spec) if status is CheckStatus.FAIL else "",
            simulated=self._cluster.facts.simulated,
            seconds=seconds,
            kind=spec.kind,
            expected=expected,
        )

    def _hint(self, subject: Subject, spec: CheckSpec) -> str:
        with contextlib.suppress(Unknown):
            return str(scope_of(self._cluster, subject).expand(spec.hint))
        return spec.hint


def _reason(error: Exception) -> str:
    if isinstance(error, NotYet | Wrong | Unknown):
        return str(error)
    if isinstance(error, SparkrigError):
        return error.message
    return f"the check itself broke: {type(error).__name__}: {error}"


def scope_of(cluster: Cluster, subject: Subject, name: str = "") -> Scope:
    """What the parameters of a component's checks can refer to."""
    state = subject.state
    return Scope(subject.component, state.release, state.namespace, cluster.stack, state.values, name)


def _applies(subject: Subject, spec: CheckSpec) -> None:
    """Raises NotApplicable where the check's ``when`` says so."""
    if spec.when is None:
        return
    path = text_at(spec.when, "value")
    value = value_at(subject.state.values, path)
    value = spec.when.get("default") if value is None else value
    if value != spec.when["equals"]:
        raise NotApplicable(f"{subject.component}.{path} is {_yaml(value)}")


def _yaml(value: JsonValue) -> str:
    if value is None:
        return "not set"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _places(cluster: Cluster, pairs: Sequence[Pair]) -> list[tuple[str, str, str, str]]:
    """Kind and namespace of every object that a check of this stack can make."""
    places = []
    for subject, spec in pairs:
        if not KINDS[spec.kind].once:
            continue
        with contextlib.suppress(Unknown):
            parameters = scope_of(cluster, subject).expand(dict(spec.parameters))
            manifest = mapping_at(parameters, "object") or {"apiVersion": "batch/v1", "kind": "Job"}
            group, _, version = text_at(manifest, "apiVersion").rpartition("/")
            namespace = text_at(parameters, "namespace") or subject.state.namespace
            places.append((group, version, text_at(manifest, "kind"), namespace))
    return places


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end a run as Ctrl-C does. Only the main thread gets signals, and may say what they do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    numbers = [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]
    old = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
