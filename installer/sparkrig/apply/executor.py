"""Runs a plan's graph: bounded, longest path first, stopping in order.

Knows nothing of Helm or Kubernetes: what an operation does is the given ``run``.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Mapping

from sparkrig import log, timeline
from sparkrig.apply import ending
from sparkrig.apply.turns import Turns
from sparkrig.defaults import WORKERS
from sparkrig.errors import SparkrigError
from sparkrig.models.explanation import Explanation
from sparkrig.models.operation import KeepRelease, Operation, UninstallRelease, Wait, recorded_state
from sparkrig.models.plan import ApplyResult, Event, OperationResult, OperationStatus, Plan
from sparkrig.models.release import ReleaseState
from sparkrig.plan.graph import remaining_path_s

Say = Callable[[str], None]
"""Called by an operation with what it is doing or waiting for."""
LetThrough = Callable[[], None]
"""Called by an operation as soon as what needs it may start, if that is before its own end."""
Run = Callable[[Operation, Say, LetThrough], Awaitable[ReleaseState | None]]
Listener = Callable[[Event], None]
Guard = Callable[[], None]
"""Called before an operation starts; raises when it must not (the lock was lost)."""


class Stop:
    """The one way to end a run early, shared by the executor, signal handlers and the lock's heartbeat.

    Belongs to the event loop's thread; ``lose`` and ``request`` alone may be called from others, and from signal
    handlers. One for a whole change: what ended the change itself must end the way back from it too.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.interrupted = False
        """True when a person or the system asked for the end, not a failure."""
        self.lost: str | None = None
        """Why the lock is not this run's any more."""
        self.began = False
        """True once an operation that changes the cluster was started."""
        self._hard = False
        self._tasks: dict[asyncio.Task[OperationResult], Operation] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def asked(self) -> bool:
        """True when nothing more may start."""
        return self.reason is not None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tells which loop runs the operations."""
        self._loop = loop

    def ask(self, reason: str, *, hard: bool = False, interrupted: bool = False) -> None:
        """Start nothing more and give up waiting; ``hard`` ends what changes the cluster too."""
        self.reason = self.reason or reason
        self._hard = self._hard or hard
        self.interrupted = self.interrupted or interrupted
        for task, operation in self._tasks.items():
            if self._hard or _only_looks(operation):
                task.cancel()

    def lose(self, reason: str) -> None:
        """The lock is gone: end everything at once. Callable from any thread."""
        self.lost = self.lost or reason
        self._in_loop(functools.partial(self.ask, reason, hard=True))

    def request(self, reason: str, then: Callable[[bool], None]) -> None:
        """A person or the system asks for the end: in order, the second time at once. Callable from anywhere.

        ``then`` is told whether it was the first time.
        """

        def ask() -> None:
            first = not self.interrupted
            self.ask(reason, hard=not first, interrupted=True)
            then(first)

        self._in_loop(ask)

    def resume(self) -> None:
        """After a failure: forget it, so that the way back can run. An interrupt and a lost lock stay."""
        if not self.interrupted and self.lost is None:
            self.reason, self._hard = None, False

    def _in_loop(self, call: Callable[[], None]) -> None:
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(call)
        else:
            call()

    def add(self, task: asyncio.Task[OperationResult], operation: Operation) -> None:
        """Takes charge of a running operation."""
        self._tasks[task] = operation

    @property
    def running(self) -> bool:
        """True while an operation runs."""
        return bool(self._tasks)

    async def next_done(self, earlier: asyncio.Event) -> list[tuple[asyncio.Task[OperationResult], Operation]]:
        """Waits until an operation ended, or for ``earlier``, and hands over those that ended."""
        signal = asyncio.ensure_future(earlier.wait())
        try:
            done, _ = await asyncio.wait([*self._tasks, signal], return_when=asyncio.FIRST_COMPLETED)
        finally:
            signal.cancel()
        earlier.clear()
        return [(task, self._tasks.pop(task)) for task in [*self._tasks] if task in done]


class Executor:
    """Runs plans. One instance a run; it must live on the event loop of the main thread."""

    def __init__(
        self,
        run: Run,
        *,
        listener: Listener,
        guard: Guard = lambda: None,
        workers: int = WORKERS,
        stop: Stop | None = None,
        keep_going: bool = False,
    ) -> None:
        """``workers`` bounds the operations that change the cluster at the same time.

        ``keep_going`` runs what does not depend on a failed operation all the same.
        """
        self._keep_going = keep_going
        self._run = run
        self._listener = listener
        self._guard = guard
        self._workers = Turns(workers)
        self.stop = stop or Stop()
        self._through: set[str] = set()
        """Operations that have not ended, and let what needs them start."""
        self._opened = asyncio.Event()

    async def execute(self, plan: Plan) -> ApplyResult:
        """Runs every operation whose needs succeeded, or let it through; the first failure stops new work.

        Never raises for a failed operation: the result says what happened to each of them.
        """
        waiting = {operation.id: operation for operation in plan.operations}
        weight = remaining_path_s(plan.operations)
        results: dict[str, OperationResult] = {}
        while True:
            if not self.stop.asked:
                for operation in self._startable(waiting, results, weight):
                    del waiting[operation.id]
                    self.stop.add(asyncio.create_task(self._one(operation, weight), name=operation.id), operation)
            if not self.stop.running:
                break
            for task, operation in await self.stop.next_done(self._opened):
                result = results[operation.id] = _outcome(task, operation)
                if result.status is OperationStatus.FAILED and not self._keep_going:
                    self.stop.ask(f"{operation.id} failed")
        for operation in waiting.values():
            results[operation.id] = self._skipped(operation, results)
        in_order = tuple(results[operation.id] for operation in plan.operations)
        return ApplyResult(in_order, _after(plan, in_order), self.stop.interrupted)

    async def _one(self, operation: Operation, weight: Mapping[str, float]) -> OperationResult:
        ready_s = time.monotonic()
        if _only_looks(operation):
            return await self._recorded(operation, ready_s)
        # One that becomes free later may be on a longer path than those that wait already.
        async with self._workers.at(-weight[operation.id]):
            if self.stop.asked:
                return self._skipped(operation, {})
            return await self._recorded(operation, ready_s)

    async def _recorded(self, operation: Operation, ready_s: float) -> OperationResult:
        with timeline.operation(operation.id, operation.component, ready_s, operation.needs):
            return await self._timed(operation)

    async def _timed(self, operation: Operation) -> OperationResult:
        started = time.monotonic()

        def tell(status: OperationStatus, message: str) -> None:
            seconds = time.monotonic() - started
            log.debug("progress", operation=operation.id, status=status.value, message=message)
            self._listener(Event(operation.component, operation.id, status, message, seconds))

        def end(status: OperationStatus, *why: Explanation, state: ReleaseState | None = None) -> OperationResult:
            tell(status, why[0].message if why else "")
            result = OperationResult(operation, status, time.monotonic() - started, why, state)
            log.info(
                "operation",
                operation=operation.id,
                status=status.value,
                seconds=result.seconds,
                message=result.message,
            )
            return result

        tell(OperationStatus.RUNNING, operation.reason)
        try:
            self._guard()
            self.stop.began = self.stop.began or not _only_looks(operation)
            with ending.operation():
                state = await self._run(
                    operation,
                    lambda message: tell(OperationStatus.RUNNING, message),
                    lambda: self._let_through(operation),
                )
        except asyncio.CancelledError:
            if self.stop.reason is None:
                raise
            return end(OperationStatus.INTERRUPTED, Explanation(f"given up: {self.stop.reason}"))
        except SparkrigError as error:
            return end(OperationStatus.FAILED, error.explanation)
        return end(OperationStatus.DONE, state=state)

    def _let_through(self, operation: Operation) -> None:
        if operation.id not in self._through:
            timeline.let_through(operation.id)
            self._through.add(operation.id)
            self._opened.set()

    def _startable(
        self, waiting: dict[str, Operation], results: dict[str, OperationResult], weight: dict[str, float]
    ) -> list[Operation]:
        """What can start now, the longest remaining path first."""

        def open_(need: str) -> bool:
            return results[need].status is OperationStatus.DONE if need in results else need in self._through

        free = [operation for operation in waiting.values() if all(map(open_, operation.needs))]
        return sorted(free, key=lambda operation: -weight[operation.id])

    def _skipped(self, operation: Operation, results: dict[str, OperationResult]) -> OperationResult:
        blocked = [n for n in operation.needs if n in results and results[n].status is not OperationStatus.DONE]
        why = f"{blocked[0]} did not succeed" if blocked else self.stop.reason or "not started"
        log.info("operation", operation=operation.id, status=OperationStatus.SKIPPED.value, message=why)
        self._listener(Event(operation.component, operation.id, OperationStatus.SKIPPED, why, 0.0))
        return OperationResult(operation, OperationStatus.SKIPPED, 0.0, (Explanation(why),))


def _only_looks(operation: Operation) -> bool:
    """Whether it changes nothing: it takes no worker, and is given up when the run stops."""
    return isinstance(operation, Wait)


def _outcome(task: asyncio.Task[OperationResult], operation: Operation) -> OperationResult:
    if task.cancelled():
        return OperationResult(
            operation, OperationStatus.INTERRUPTED, 0.0, (Explanation("given up before it started"),)
        )
    error = task.exception()
    if error is None:
        return task.result()
    # A defect of ours must not lose what the other operations did: it is recorded like a failure.
    log.bug(error, operation.id)
    defect = Explanation(f"{type(error).__name__}: {error}")
    return OperationResult(operation, OperationStatus.FAILED, 0.0, (defect,))


def _after(plan: Plan, results: tuple[OperationResult, ...]) -> tuple[ReleaseState, ...]:
    """Every release of the stack as the run left it, in the plan's order."""
    states: dict[str, ReleaseState] = {state.component: state for state in plan.unchanged}
    for operation, result in zip(plan.operations, results, strict=True):
        if isinstance(operation, Wait):
            continue
        recorded = recorded_state(operation)
        if result.state is not None:
            states[operation.component] = result.state
        elif isinstance(operation, UninstallRelease | KeepRelease) and result.status is OperationStatus.DONE:
            states.pop(operation.component, None)
        elif recorded in plan.kept:
            continue  # of somebody else already
        elif recorded is not None and operation.component not in states:
            states[operation.component] = recorded
    return tuple(states.values())
