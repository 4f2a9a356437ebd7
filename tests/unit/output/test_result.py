"""What is counted at the end of a change: components, not the stack's own Secrets."""

from __future__ import annotations

import re

from tests import records

from sparkrig.commands.transaction import Outcome
from sparkrig.errors import OperationError
from sparkrig.models.explanation import Explanation
from sparkrig.models.operation import Action, RemoveSecret
from sparkrig.models.plan import ApplyResult, OperationResult, OperationStatus, Plan
from sparkrig.output.result import apply_text, outcome
from sparkrig.output.returned import outcome_json, return_text
from sparkrig.output.terminal import Style

SECRET = RemoveSecret(
    id="secrets/ngc", component="secret ngc", reason="new", timeout_s=1.0, name="ngc", namespaces=("x",)
)
INSTALL = records.operation(Action.INSTALL, "web")


def ended(status: OperationStatus) -> tuple[Plan, ApplyResult]:
    plan = Plan(stack="lab", action="up", base=0, operations=(SECRET, INSTALL), changes=(), unchanged=())
    good = OperationResult(INSTALL, OperationStatus.DONE, 1.0)
    return plan, ApplyResult((OperationResult(SECRET, status, 0.1, (Explanation("forbidden"),)), good), ())


def test_a_secret_of_the_stack_is_no_component() -> None:
    plan, result = ended(OperationStatus.DONE)
    assert apply_text(plan, result, seconds=2.0) == "✓ 1 component ready in 2.0s\n"
    assert outcome(plan, result).done == ("web",)


def test_a_secret_that_failed_is_shown() -> None:
    plan, result = ended(OperationStatus.FAILED)
    assert outcome(plan, result).failed == ("secret ngc",)
    text = apply_text(plan, result)
    assert "1 of 1 component done" in text
    assert "secret ngc" in text


BROKEN = Explanation("it broke", ("line 1", "  line 2"), "mend it")


def test_a_failure_is_shown_with_its_details_and_what_to_do_next() -> None:
    plan, _ = ended(OperationStatus.DONE)
    failed = OperationResult(INSTALL, OperationStatus.FAILED, 1.0, (BROKEN, Explanation("and this", hint="look")))
    lines = apply_text(plan, ApplyResult((failed,), ()), color=True).splitlines()
    below = next(number for number, line in enumerate(lines) if "operation install/web" in line) + 1
    assert [re.sub(r"\x1b\[\d*m", "", line) for line in lines[below : below + 6]] == [
        "      it broke",
        "      line 1",
        "        line 2",
        "      next: mend it",
        "      and this",
        "      next: look",
    ]
    assert ["\x1b[1m" in line for line in lines[below : below + 6]] == [False, False, False, True, False, True]
    assert failed.message == "it broke\nline 1\n  line 2\nnext: mend it\nand this\nnext: look"


def test_why_there_was_no_return_and_no_record_is_shown_whole() -> None:
    plan, result = ended(OperationStatus.FAILED)
    error = OperationError("it broke", detail=["line 1", "  line 2"], hint="mend it")
    assert error.explanation == BROKEN
    change = Outcome(plan, result, 4, restored_to=3, stopped=error.explanation, unrecorded=error.explanation)
    lines = return_text(change, Style(False)).splitlines()
    for head in ("✗ revision 3 could not be restored: what is where", "✗ revision 4 could not be recorded"):
        below = lines.index(head) + 1
        assert lines[below : below + 4] == ["    it broke", "    line 1", "      line 2", "    next: mend it"]
    document = outcome_json(change, result, 1.0)
    assert document["return"]["stopped"] == document["unrecorded"] == "it broke\nline 1\n  line 2\nnext: mend it"
