"""Whether an object is ready, still on its way, or has failed for good: pure functions of what the API server sent."""

from sparkrig.readiness.context import NO_CONTEXT, Context
from sparkrig.readiness.judge import is_custom_group, judge, needs_window
from sparkrig.readiness.pods import judge_workload, pods_of

__all__ = ["NO_CONTEXT", "Context", "is_custom_group", "judge", "judge_workload", "needs_window", "pods_of"]
