"""Whether an object is ready, progressing or failed. Pure functions of objects from the API server."""

from sparkrig.readiness.context import NO_CONTEXT, Context
from sparkrig.readiness.judge import is_custom_group, judge, needs_window
from sparkrig.readiness.pods import judge_workload, pods_of

__all__ = ["NO_CONTEXT", "Context", "is_custom_group", "judge", "judge_workload", "needs_window", "pods_of"]
