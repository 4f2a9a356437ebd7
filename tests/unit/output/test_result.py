"""What is counted at the end of a change: components, not the stack's own Secrets."""

from __future__ import annotations

from tests import records

from sparkrig.models.operation import Action, RemoveSecret
from sparkrig.models.plan import ApplyResult, OperationResult, OperationStatus, Plan
from sparkrig.output.result import apply_text, outcome

SECRET = RemoveSecret(
    id="secrets/ngc", component="secret ngc", reason="new", timeout_s=1.0, name="ngc", namespaces=("x",)
)
INSTALL = records.operation(Action.INSTALL, "web")


def ended(status: OperationStatus) -> tuple[Plan, ApplyResult]:
    plan = Plan(stack="lab", action="up", base=0, operations=(SECRET, INSTALL), changes=(), unchanged=())
    good = OperationResult(INSTALL, OperationStatus.DONE, 1.0, "", None)
    return plan, ApplyResult((OperationResult(SECRET, status, 0.1, "forbidden", None), good), ())


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
