"""Default values of charts, for a plan that shows what a value was that nobody had set. Reads; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkrig.errors import AccessDenied
from sparkrig.helm.storage.releases import read_release
from sparkrig.kube.client import KubeApi, NotFoundApi
from sparkrig.models.chart import Chart
from sparkrig.models.json import mapping_at
from sparkrig.models.release import ReleaseState, ResolvedStack
from sparkrig.models.state import ObservedState
from sparkrig.plan.diff.changes import Defaults, needs_defaults


def chart_defaults(api: KubeApi, resolved: ResolvedStack, observed: ObservedState) -> dict[str, Defaults]:
    """Component -> the defaults of the installed chart and of the wanted one; only where a value needs them.

    Of an older chart Helm has its own values and not those of its subcharts.
    """
    recorded = {state.component: state for state in (observed.last.after if observed.last else ())}
    found = {}
    for desired in resolved.releases:
        state = recorded.get(desired.component)
        if state is not None and needs_defaults(desired, state):
            new = _of_chart(desired.chart)
            same = state.chart_digest == desired.chart.digest
            found[desired.component] = (new if same else _of_release(api, state), new)
    return found


def _of_chart(chart: Chart) -> Mapping[str, Any]:
    from sparkrig.helm.charts.archive import read_chart
    from sparkrig.stack.lint.chart_values import read_defaults
    from sparkrig.yaml.nodes import to_python

    return mapping_at(to_python(read_defaults(read_chart(chart.path)).tree))


def _of_release(api: KubeApi, state: ReleaseState) -> Mapping[str, Any]:
    try:
        release = read_release(api, state.namespace, state.release, state.helm_revision)
    except (NotFoundApi, AccessDenied):  # gone, or not ours to read: the value is shown as not set
        return {}
    values: Mapping[str, Any] = mapping_at(release, "chart", "values")
    return values
