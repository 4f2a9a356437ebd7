"""What the dashboards are put together from: queries, panels, variables. Each returns a builder of the Grafana SDK.

Sizes are in Grafana's grid: a dashboard is 24 wide. Units are Grafana's ids (``percentunit``, ``bytes``, ``s``).
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as kinds
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE: Final = kinds.DataSourceRef(type_val="prometheus", uid="${datasource}")
MONEY: Final = "currencyUSD"
"""The chart puts the currency of its values in the place of this unit."""
Query = tuple[str, str]
"""(expression, legend); a legend has Grafana's form ``{{label}}``."""


def board(part: str, name: str, title: str, description: str) -> dashboard.Dashboard:
    """An empty dashboard with the choice of the data source and links to the others."""
    links = dashboard.DashboardLink("All dashboards").type(kinds.DashboardLinkType.DASHBOARDS).tags(["sparkrig"])
    return (
        dashboard.Dashboard(title)
        .uid(f"sparkrig-{part}-{name}")
        .description(description)
        .tags(["sparkrig", part])
        .editable()
        .timezone("browser")
        .refresh("30s")
        .time("now-3h", "now")
        .tooltip(kinds.DashboardCursorSync.CROSSHAIR)
        .link(links.as_dropdown(True).keep_time(True))
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )


def choice(name: str, label: str, metric: str, of: str) -> dashboard.QueryVariable:
    """A variable: the values of label ``of`` in ``metric``; any number of them, all at first."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(f"label_values({metric}, {of})")
        .refresh(kinds.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(kinds.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(kinds.VariableOption(selected=True, text="All", value="$__all"))
    )


def number(
    title: str,
    unit: str,
    expression: str,
    *,
    about: str,
    bad: float | None = None,
    span: int = 4,
    good_above: bool = False,
) -> stat.Panel:
    """One number. From ``bad`` on it is red; with ``good_above`` it is red below it."""
    return (
        stat.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .datasource(DATASOURCE)
        .span(span)
        .height(4)
        .graph_mode(shapes.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("–")  # noqa: RUF001 - what people see
        .thresholds(_steps(bad, good_above))
        .with_target(_target(expression, title, "A"))
    )


def _steps(bad: float | None, good_above: bool) -> dashboard.ThresholdsConfig:
    colours = ("red", "green") if good_above else ("green", "red")
    steps = [kinds.Threshold(value=None, color=colours[0] if bad is not None else "text")]
    if bad is not None:
        steps.append(kinds.Threshold(value=bad, color=colours[1]))
    return dashboard.ThresholdsConfig().mode(kinds.ThresholdsMode.ABSOLUTE).steps(steps)


def lines(
    title: str, unit: str, *queries: Query, about: str, stacked: bool = False, top: float | None = None, span: int = 12
) -> timeseries.Panel:
    """Lines over time, from zero; ``top`` is the largest value there can be."""
    legend = common.VizLegendOptions().display_mode(shapes.LegendDisplayMode.TABLE)
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .datasource(DATASOURCE)
        .span(span)
        .height(8)
        .min(0)
        .fill_opacity(10)
        .line_width(1)
        .show_points(shapes.VisibilityMode.NEVER)
        .legend(legend.placement(shapes.LegendPlacement.BOTTOM).show_legend(True).calcs(["mean", "max", "lastNotNull"]))
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING))
    )
    if top is not None:
        panel = panel.max(top)
    if stacked:
        panel = panel.fill_opacity(40).stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    for place, (expression, label) in enumerate(queries):
        panel = panel.with_target(_target(expression, label, chr(ord("A") + place)))
    return panel


def listing(title: str, unit: str, expression: str, *, about: str, span: int = 12, height: int = 8) -> table.Panel:
    """A table of the series of one expression, the largest value on top; labels are columns."""
    query = _target(expression, "", "A").instant().format(PromQueryFormat.TABLE)
    tidy = kinds.DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}})
    return (
        table.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .datasource(DATASOURCE)
        .span(span)
        .height(height)
        .with_transformation(tidy)
        .sort_by([common.TableSortByFieldState().display_name("Value").desc(True)])
        .with_target(query)
    )


def heading(title: str) -> dashboard.Row:
    """A row under which the panels that follow stand."""
    return dashboard.Row(title)


def _target(expression: str, legend: str, name: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().datasource(DATASOURCE).expr(expression).ref_id(name).range()
    return query.legend_format(legend) if legend else query
