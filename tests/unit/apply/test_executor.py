"""The executor: order, bounds, failure, interruption. Operations are coroutines of the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from tests import records
from tests.records import desired, state

from sparkrig.apply import ending
from sparkrig.apply.executor import Executor, LetThrough, Say, Stop
from sparkrig.errors import Locked, OperationError
from sparkrig.models.operation import Action, Operation
from sparkrig.models.plan import ApplyResult, Event, OperationStatus, Plan
from sparkrig.models.release import ReleaseState

Body = Callable[[], Awaitable[None]]


def operation(name: str, *needs: str, action: Action = Action.INSTALL) -> Operation:
    return records.operation(action, name.rsplit("/", maxsplit=1)[-1], needs, id=name)


def plan_of(*operations: Operation, unchanged: tuple[ReleaseState, ...] = ()) -> Plan:
    return Plan("lab", "up", 0, operations, (), unchanged)


class Recorder:
    """Runs operations and keeps what happened in which order."""

    def __init__(self, bodies: dict[str, Body] | None = None) -> None:
        self.bodies = bodies or {}
        self.log: list[str] = []
        self.events: list[Event] = []
        self.let_through: dict[str, LetThrough] = {}
        self.running = self.most = 0

    async def run(self, op: Operation, say: Say, let_through: LetThrough) -> ReleaseState | None:
        self.log.append(f"start {op.id}")
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            say("at work")
            self.let_through[op.id] = let_through
            await (self.bodies[op.id]() if op.id in self.bodies else asyncio.sleep(0))
        except asyncio.CancelledError:
            self.log.append(f"cancelled {op.id}")
            raise
        finally:
            self.running -= 1
        self.log.append(f"end {op.id}")
        return None if op.action is Action.WAIT else state(desired(op.component))

    def execute(self, plan: Plan, *, stop: Stop | None = None, **options: object) -> ApplyResult:
        executor = Executor(self.run, listener=self.events.append, stop=stop, **options)  # type: ignore[arg-type]
        return asyncio.run(executor.execute(plan))


def statuses(result: ApplyResult) -> dict[str, str]:
    return {item.operation.id: item.status.value for item in result.results}


async def fail() -> None:
    raise OperationError("it broke", hint="mend it", detail=["line 1"])


async def forever() -> None:
    await asyncio.Event().wait()


def test_what_is_needed_ends_before_what_needs_it() -> None:
    recorder = Recorder({"a": lambda: asyncio.sleep(0.02)})
    result = recorder.execute(plan_of(operation("a"), operation("b", "a"), operation("c", "a", "b")))
    assert result.ok
    assert not result.interrupted
    assert recorder.log == ["start a", "end a", "start b", "end b", "start c", "end c"]


def test_what_is_let_through_starts_before_the_end_of_what_it_needs() -> None:
    recorder = Recorder()
    used = asyncio.Event()

    async def window() -> None:
        recorder.let_through["wait/a"]()
        recorder.let_through["wait/a"]()  # ready, not ready, ready again
        await used.wait()

    async def use() -> None:
        used.set()

    recorder.bodies = {"wait/a": window, "install/b": use}
    plan = plan_of(operation("wait/a", action=Action.WAIT), operation("install/b", "wait/a"), operation("c", "wait/a"))
    assert recorder.execute(plan).ok
    assert recorder.log.index("start install/b") < recorder.log.index("end wait/a")
    assert recorder.log.count("start install/b") == 1


def test_one_that_let_through_and_fails_after_it_fails_the_run() -> None:
    recorder = Recorder()
    used = asyncio.Event()

    async def window() -> None:
        recorder.let_through["wait/a"]()
        await used.wait()
        raise OperationError("it did not stay ready")

    async def use() -> None:
        used.set()

    recorder.bodies = {"wait/a": window, "install/b": use}
    plan = plan_of(
        operation("wait/a", action=Action.WAIT), operation("install/b", "wait/a"), operation("c", "install/b", "wait/a")
    )
    result = recorder.execute(plan)
    assert statuses(result) == {"wait/a": "failed", "install/b": "done", "c": "skipped"}
    assert not result.ok


def test_changes_are_bounded_and_waits_are_not() -> None:
    changes = [operation(f"install/{n}") for n in range(8)]
    recorder = Recorder({op.id: (lambda: asyncio.sleep(0.01)) for op in changes})
    assert recorder.execute(plan_of(*changes), workers=3).ok
    assert recorder.most == 3
    waits = [operation(f"wait/{n}", action=Action.WAIT) for n in range(8)]
    recorder = Recorder({op.id: (lambda: asyncio.sleep(0.01)) for op in waits})
    assert recorder.execute(plan_of(*waits), workers=3).ok
    assert recorder.most == 8


def test_the_longest_path_starts_first() -> None:
    short, first, second = operation("short"), operation("first"), operation("second", "first")
    recorder = Recorder()
    recorder.execute(plan_of(short, first, second), workers=1)
    assert recorder.log.index("start first") < recorder.log.index("start short")


def test_a_longer_path_that_becomes_free_later_overtakes_who_waits_for_a_worker() -> None:
    gate = operation("gate")
    late, tail = operation("late", "gate"), operation("tail", "late")
    short = [operation(f"short{n}") for n in range(4)]
    recorder = Recorder({op.id: (lambda: asyncio.sleep(0.01)) for op in (*short, late)})
    assert recorder.execute(plan_of(*short, gate, late, tail), workers=1).ok
    started = [line.removeprefix("start ") for line in recorder.log if line.startswith("start ")]
    # The place of one that ends goes to who waits at that moment; what it has freed comes next.
    assert started == ["gate", "short0", "late", "short1", "short2", "short3", "tail"]


def test_a_failure_stops_new_work_lets_running_work_end_and_gives_up_waiting() -> None:
    async def slow() -> None:
        await asyncio.sleep(0.05)

    recorder = Recorder({"bad": fail, "slow": slow, "look": forever})
    result = recorder.execute(
        plan_of(
            operation("bad"),
            operation("slow"),
            operation("look", action=Action.WAIT),
            operation("after-bad", "bad"),
            operation("after-slow", "slow"),
        )
    )
    assert statuses(result) == {
        "bad": "failed",
        "slow": "done",
        "look": "interrupted",
        "after-bad": "skipped",
        "after-slow": "skipped",
    }
    assert not result.ok
    assert not result.interrupted
    messages = {item.operation.id: item.message for item in result.results}
    assert messages["bad"] == "it broke\nline 1\nnext: mend it"
    assert messages["after-bad"] == "bad did not succeed"
    assert messages["after-slow"] == "bad failed"


def test_an_unexpected_error_is_a_failed_operation_and_loses_nothing() -> None:
    async def defect() -> None:
        raise KeyError("oops")

    recorder = Recorder({"bad": defect})
    result = recorder.execute(plan_of(operation("good"), operation("bad", "good")))
    assert statuses(result) == {"good": "done", "bad": "failed"}
    assert "KeyError" in result.results[1].message
    assert [item.component for item in result.after] == ["good"]


def test_the_first_interrupt_lets_changes_end_the_second_does_not() -> None:
    async def scenario(presses: int) -> tuple[ApplyResult, Recorder]:
        stop = Stop()
        gate = asyncio.Event()

        async def change() -> None:
            await gate.wait()

        recorder = Recorder({"change": change, "look": forever})
        executor = Executor(recorder.run, listener=recorder.events.append, stop=stop)
        plan = plan_of(operation("change"), operation("look", action=Action.WAIT), operation("next", "change"))
        running = asyncio.create_task(executor.execute(plan))
        await asyncio.sleep(0.01)
        stop.ask("Ctrl-C", interrupted=True)
        await asyncio.sleep(0.01)
        assert "cancelled look" in recorder.log
        assert "cancelled change" not in recorder.log
        if presses == 2:
            stop.ask("Ctrl-C", hard=True, interrupted=True)
        else:
            gate.set()
        return await running, recorder

    once, _ = asyncio.run(scenario(1))
    assert once.interrupted
    assert statuses(once) == {"change": "done", "look": "interrupted", "next": "skipped"}
    twice, recorder = asyncio.run(scenario(2))
    assert statuses(twice)["change"] == "interrupted"
    assert "cancelled change" in recorder.log


def test_a_lost_lock_ends_everything_from_another_thread() -> None:
    async def scenario() -> ApplyResult:
        stop = Stop()
        stop.attach(asyncio.get_running_loop())
        recorder = Recorder({"change": forever})
        running = asyncio.create_task(
            Executor(recorder.run, listener=recorder.events.append, stop=stop).execute(plan_of(operation("change")))
        )
        await asyncio.sleep(0.01)
        await asyncio.to_thread(stop.lose, "another run took it over")
        return await running

    result = asyncio.run(scenario())
    assert statuses(result) == {"change": "interrupted"}
    assert "another run took it over" in result.results[0].message
    assert not result.interrupted


@pytest.mark.parametrize("how", ["lost", "interrupted"])
def test_the_way_back_does_not_outlive_the_lock_or_an_interrupt(how: str) -> None:
    """One ``Stop`` for the change and for its return: a failure is forgotten in between, the rest is not."""
    stop = Stop()
    stop.ask("upgrade/a failed")
    stop.resume()
    assert not stop.asked
    recorder = Recorder()
    assert statuses(recorder.execute(plan_of(operation("back")), stop=stop)) == {"back": "done"}
    if how == "lost":
        stop.lose("another run took it over")
    else:
        stop.request("interrupted by SIGTERM", lambda _first: None)
    stop.resume()
    assert stop.asked
    result = recorder.execute(plan_of(operation("more")), stop=stop)
    assert statuses(result) == {"more": "skipped"}


def test_whether_anything_was_begun() -> None:
    stop = Stop()
    looks = Recorder()
    looks.execute(plan_of(operation("look", action=Action.WAIT)), stop=stop)
    assert not stop.began

    def guard() -> None:
        raise Locked("this run lost the lock")

    Recorder().execute(plan_of(operation("a")), stop=stop, guard=guard)
    assert not stop.began
    stop.resume()
    Recorder().execute(plan_of(operation("a")), stop=stop)
    assert stop.began


def test_a_thread_ends_with_its_operation() -> None:
    """A removal that waits in a thread: the run ends in moments, and nothing more is deleted after it."""
    deleted: list[int] = []

    def remove() -> None:
        for number in range(1000):
            ending.check()
            deleted.append(number)
            ending.pause(0.02)

    async def scenario() -> ApplyResult:
        stop = Stop()
        stop.attach(asyncio.get_running_loop())
        recorder = Recorder({"removal": lambda: asyncio.to_thread(remove)})
        executor = Executor(recorder.run, listener=recorder.events.append, stop=stop)
        running = asyncio.create_task(executor.execute(plan_of(operation("removal"))))
        await asyncio.sleep(0.2)
        assert deleted
        await asyncio.to_thread(stop.lose, "another run took it over")
        return await running

    began = time.monotonic()
    result = asyncio.run(scenario())  # waits for its threads
    assert statuses(result) == {"removal": "interrupted"}
    assert time.monotonic() - began < 5
    count = len(deleted)
    time.sleep(0.1)
    assert len(deleted) == count


def test_no_operation_starts_without_the_lock() -> None:
    def guard() -> None:
        raise Locked("this run lost the lock")

    recorder = Recorder()
    result = recorder.execute(plan_of(operation("a"), operation("b", "a")), guard=guard)
    assert recorder.log == []
    assert statuses(result) == {"a": "failed", "b": "skipped"}


def test_after_holds_every_release_whatever_happened() -> None:
    kept, old = state(desired("kept")), state(desired("old"))
    removal = records.operation(Action.UNINSTALL, "old", state=old)
    failing = records.operation(Action.UPGRADE, "bad")
    recorder = Recorder({"upgrade/bad": fail})
    recorder.bodies["uninstall/old"] = lambda: asyncio.sleep(0)
    plan = plan_of(operation("install/new"), removal, failing, unchanged=(kept,))

    async def run(op: Operation, say: Say) -> ReleaseState | None:
        done = await recorder.run(op, say)
        return None if op.action is Action.UNINSTALL else done

    result = asyncio.run(Executor(run, listener=recorder.events.append, workers=1).execute(plan))
    names = {item.component for item in result.after}
    done = {item.operation.id for item in result.results if item.status is OperationStatus.DONE}
    assert "kept" in names
    assert "bad" in names
    assert ("old" in names) is ("uninstall/old" not in done)
    assert ("new" in names) is ("install/new" in done)
