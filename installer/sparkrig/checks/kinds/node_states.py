"""``node-states``: no controller is at work on a node, or has given up on one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotApplicable, NotYet, Wrong, no_needs
from sparkrig.defaults import CONTROLLER_SETTLE_S
from sparkrig.readiness.nodes import NodeState, labelled, node_states

SHOWN: Final = 4
FAILED_SINCE: Final = "nodes failed since"


def ask(context: Context) -> str:
    """By the component's ``nodeStates``; a node without such a label is none that anybody works on."""
    rules = context.subject.node_states
    nodes = context.api.list("/api/v1/nodes")
    number = labelled(nodes, rules)
    if not number:
        raise NotApplicable(f"no node has the label {' or '.join(rule.label for rule in rules) or 'of a rule'}")
    if open_ := judged(context, node_states(nodes, rules)):
        raise NotYet(open_)
    return f"{' and '.join(rule.what for rule in rules)} done on {number} {'node' if number == 1 else 'nodes'}"


def judged(context: Context, states: Sequence[NodeState]) -> str:
    """What is under way on nodes, in one line; empty when nothing is.

    Raises:
        Wrong: after a change, a node has been in a failed state for a while: waiting longer does not mend it.
    """
    failed = [state for state in states if state.failed]
    lines = [state.text for state in states[:SHOWN]]
    text = "; ".join(lines) + (f"; and {len(states) - SHOWN} more" if len(states) > SHOWN else "")
    if not failed:
        context.memory.pop(FAILED_SINCE, None)
        return text
    since = context.memory.setdefault(FAILED_SINCE, time.monotonic())
    if context.gate and time.monotonic() - since >= CONTROLLER_SETTLE_S:
        raise Wrong(text)
    return text


KIND = Kind(ask, Depth.FAST, no_needs)
