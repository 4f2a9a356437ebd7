"""Writes docs/reference/<component>.md from the components' schemas, values and descriptions. ``make docs``.

In docs/charts/<component>.md it fills in what lies between two comments (chart_pages.py), in docs/imitations.md both
tables (imitations.py), and in CONTRIBUTING.md and docs/architecture.md the packages (packages.py). It writes
docs/cli.md from the commands (cli_reference.py), docs/overview.svg (overview.py) and the navigation of the site from
the pages in docs/ (site_nav.py).

    python scripts/reference.py [--check]

``--check`` writes nothing and exits 1 where a page is not what would be written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cli_reference
import imitations
import overview
import packages
import site_nav
from chart_pages import chart_pages

from sparkrig.catalog.catalog import PROFILES, Catalog
from sparkrig.catalog.load import load_catalog
from sparkrig.models.cluster import FACTS
from sparkrig.models.component import Component, CrdOwner, FactRule
from sparkrig.stack.explain.schema import ABSENT, document, groups, leaves, one_line
from sparkrig.yaml.nodes import Path as ValuePath
from sparkrig.yaml.nodes import find, parse_path, show_path, to_python

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "docs" / "reference"
CHARTS: Final = ROOT / "docs" / "charts"
MADE: Final = "<!-- made by scripts/reference.py from charts/{folder}: change that, then `make docs` -->"
INTRO: Final = """\
Every value that sparkrig sets or offers, with its default. A chart made elsewhere has more values than these:
all of them can be set, and `sparkrig explain COMPONENT.PATH` tells what any of them is and where it comes from."""
_OWNERS: Final[Mapping[CrdOwner, str]] = {
    CrdOwner.US: "sparkrig applies them, before the release",
    CrdOwner.HELM: "the chart's templates hold them",
    CrdOwner.HOOK: "a job of the chart applies them",
    CrdOwner.NONE: "none",
}


def pages(charts: Path) -> dict[str, str]:
    """File name -> text of every page."""
    catalog = load_catalog([charts])
    found = {f"{name}.md": page(catalog, component) for name, component in catalog.components.items()}
    return {"README.md": index(catalog), **found}


def index(catalog: Catalog) -> str:
    """The list of components."""
    lines = [
        MADE.format(folder="*"),
        "# Components",
        "",
        INTRO,
        "",
        "| component | what it does | chart | on in |",
        "|---|---|---|---|",
    ]
    for name, component in catalog.components.items():
        chart = f"{component.chart.name} {component.chart.version}"
        lines.append(f"| [{name}]({name}.md) | {component.description} | {chart} | {on_in(component)} |")
    return "\n".join([*lines, ""])


def on_in(component: Component) -> str:
    """The profiles in which a component is on."""
    states = {profile: component.profiles.get(profile, component.enabled) for profile in PROFILES}
    on = [profile for profile, state in states.items() if state == "true"]
    auto = [profile for profile, state in states.items() if state == "auto"]
    words = ["every profile" if len(on) == len(PROFILES) else ", ".join(on)] if on else []
    if auto:
        words.append(f"{', '.join(auto)} where {component.auto_fact} is true")
    return "; ".join(words) or "no profile"


def page(catalog: Catalog, component: Component) -> str:
    """The page of one component."""
    files = catalog.files[component.name]
    schema = files.schema
    if not isinstance(schema, Mapping):
        raise SystemExit(f"{component.name} has no values.schema.json that can be read")
    lines = [
        MADE.format(folder=component.folder.name),
        f"# {component.name}",
        "",
        f"{component.description}. {component.homepage} ({component.licence})",
        "",
        *_facts_of(component),
        "",
        *_values(catalog, component, schema),
        *_rules(component),
        *_renamed(component),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _facts_of(component: Component) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    yield f"| chart | {component.chart.name} {component.chart.version}, {component.chart.repository or 'of our own'} |"
    yield f"| release | {component.release} in namespace {component.namespace} |"
    yield f"| on in | {on_in(component)} |"
    for title, names in (("needs", component.needs), ("uses, where it is on", component.uses)):
        if names:
            yield f"| {title} | {', '.join(names)} |"
    if component.provides:
        yield f"| provides | {', '.join(component.provides)} |"
    yield f"| CRDs | {_OWNERS[component.crd_owner]} |"
    back = "yes" if component.rollback == "reversible" else "no: an older version cannot read what a newer one wrote"
    yield f"| can go back | {back} |"
    for pair in component.blocked_rollbacks:
        why = f"{pair.reason}. Instead: {pair.instead}"
        yield f"| no rollback from {_code(pair.newer)} to {_code(pair.older)} | {why} |"
    if component.disturbs:
        yield f"| an upgrade disturbs | {component.disturbs} |"
    if component.disturbs_pods:
        served = component.disturbs_pods
        names = ", ".join(map(_code, (*served.resources, *served.drivers)))
        yield f"| needs `--allow-disruption` while pods of others use | {names} |"
    if component.keep:
        yield f"| `down` keeps | {', '.join(component.keep)} |"


def _values(catalog: Catalog, component: Component, schema: Mapping[str, Any]) -> Iterator[str]:
    described = dict(groups(schema))
    yield "## Values"
    above: ValuePath = ()
    for path, part in leaves(schema):
        for depth in range(1, len(path)):
            group = path[:depth]
            if above[:depth] != group and group in described and depth == 1:
                yield ""
                yield f"### {show_path(group)}"
                yield ""
                yield str(described[group].get("description", ""))
        if len(path) == 1:
            yield ""
            yield f"### {show_path(path)}"
        above = path
        yield ""
        yield from _value(catalog, component, path, part)
    yield ""


def _value(catalog: Catalog, component: Component, path: ValuePath, schema: Mapping[str, Any]) -> Iterator[str]:
    doc = document(schema, "sparkrig")
    if doc is None:
        raise SystemExit(f"{component.name}.{show_path(path)}: the schema says nothing about it")
    yield f"**`{show_path(path)}`**  "
    facts = [one_line(doc)] if one_line(doc) else []
    facts.append(f"default {_code(doc.default)}" if doc.default is not ABSENT else "no default")
    shown = [_code(example) for example in doc.examples if example != doc.default][:3]
    if shown:
        facts.append(f"such as {', '.join(shown)}")
    text = f"{doc.description.rstrip('.')} ({'; '.join(facts)})."
    yield text
    for profile in PROFILES:
        value = _in_profile(catalog, component, path, profile)
        if value is not ABSENT:
            yield f"- profile {profile}: {_code(value)}"
    for rule, value in _facts_about(component, path):
        yield f"- {_code(value)} where `{rule.fact}` is {_code(rule.equals)}: {rule.reason}"
    for follow in component.follows:
        other = f"{follow.component}.{follow.value}"
        if follow.path is not None and parse_path(follow.path) == path:
            yield f"- follows `{other}`: {follow.reason}"
        for dotted, value in follow.set.items():
            if parse_path(dotted) == path:
                yield f"- {_code(value)} where `{other}` is {_code(follow.equals)}: {follow.reason}"
    for mapping in component.globals:
        if parse_path(mapping.path) == path:
            made = mapping.template or (json.dumps(mapping.each) if mapping.each is not None else "")
            yield f"- from `global.{mapping.key}`" + (f", as `{made}`" if made else "")


def _in_profile(catalog: Catalog, component: Component, path: ValuePath, profile: str) -> Any:
    loaded = catalog.files[component.name].profile(profile)
    node = find(loaded.document, path) if loaded is not None else None
    return ABSENT if node is None else to_python(node)


def _facts_about(component: Component, path: ValuePath) -> Iterator[tuple[FactRule, Any]]:
    for rule in component.facts:
        for dotted, value in rule.set.items():
            if parse_path(dotted) == path:
                yield rule, value


def _code(value: Any) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return f"`{text}`"


def _rules(component: Component) -> Iterator[str]:
    if component.crd_off_values:
        yield "## Fixed values"
        yield ""
        yield "They keep one owner of the CRDs; a stack file cannot change them."
        yield ""
        for dotted, value in component.crd_off_values.items():
            yield f"- `{dotted}`: {_code(value)}"
        yield ""
    facts = [rule for rule in component.facts if rule.fact in FACTS]
    if facts:
        yield "## Facts of the cluster"
        yield ""
        for fact in dict.fromkeys(rule.fact for rule in facts):
            yield f"- `{fact}`: {FACTS[fact]}"
        yield ""


def _renamed(component: Component) -> Iterator[str]:
    if not component.renamed_values:
        return
    yield "## Renamed and removed upstream"
    yield ""
    yield "| was | is | since | |"
    yield "|---|---|---|---|"
    for row in component.renamed_values:
        new = f"`{row['to']}`" if "to" in row else "gone"
        yield f"| `{row['from']}` | {new} | {row['since']} | {row.get('note', '')} |".replace(" |  |", " | |")
    yield ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the pages, or compares them."""
    parser = argparse.ArgumentParser(description="Writes docs/reference from the schemas.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page differs")
    options = parser.parse_args(arguments)
    made = {FOLDER / name: text for name, text in pages(ROOT / "charts").items()}
    there = {path: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    for name, text in chart_pages(load_catalog([ROOT / "charts"]), CHARTS).items():
        made[CHARTS / name] = text
        there[CHARTS / name] = (CHARTS / name).read_text(encoding="utf-8")
    page_of_imitations = ROOT / "docs" / "imitations.md"
    there[page_of_imitations] = page_of_imitations.read_text(encoding="utf-8")
    made[page_of_imitations] = imitations.filled(
        there[page_of_imitations], imitations.load(ROOT), load_catalog([ROOT / "charts"])
    )
    for page_of_packages, text in packages.pages().items():
        made[page_of_packages] = text
        there[page_of_packages] = page_of_packages.read_text(encoding="utf-8")
    commands = ROOT / "docs" / "cli.md"
    made[commands] = cli_reference.page()
    there[commands] = commands.read_text(encoding="utf-8") if commands.exists() else ""
    made[overview.TARGET] = overview.picture()
    there[overview.TARGET] = overview.TARGET.read_text(encoding="utf-8") if overview.TARGET.exists() else ""
    there[site_nav.CONFIG] = site_nav.CONFIG.read_text(encoding="utf-8")
    made[site_nav.CONFIG] = site_nav.filled(there[site_nav.CONFIG], made)
    differing = sorted(path for path in {*made, *there} if made.get(path) != there.get(path))
    if options.check:
        for path in differing:
            print(f"{path.relative_to(ROOT)} is out of date: run `make docs`")
        return 1 if differing else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in differing:
        if path in made:
            path.write_text(made[path], encoding="utf-8")
        else:
            path.unlink()
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
