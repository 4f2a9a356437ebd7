"""Does readiness know every kind that a chart renders, and do checks and URLs name what the chart really makes?

    python -m tests.upstream.recognised --charts DIR

DIR holds charts, as archives ``NAME-VERSION.tgz`` or as folders ``NAME``; every version of a chart is looked at, charts
of no component too. Prints each kind with what judges it. Exit code 1: the chart of a component, in the component's
version, renders a kind that nothing judges, or one of its checks or URLs names a Service, port, Secret or webhook that
is not there.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from tests.upstream.check_paths import CATALOG, Setting, Subject, chart_of
from tests.upstream.documents import Folder, upstream_folders
from tests.upstream.rendering import Release, RenderError

from sparkrig.catalog.build import component_from
from sparkrig.catalog.references import Scope
from sparkrig.models.component import Component
from sparkrig.models.objects import Readiness
from sparkrig.models.problem import Position
from sparkrig.readiness import judge
from sparkrig.readiness.judge import has_judge

Object = Mapping[str, Any]
Kind = tuple[str, str]

REQUESTS: Final = ("http", "prometheus-query", "prometheus-targets", "inference-v2")
"""Kinds of checks that go to a port of a Service."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of one rendering."""

    kind: Kind
    count: int
    rule: str
    """``by its status``, ``by a rule`` of component.yaml, ``when it exists``, or ``not judged``."""


def kind_of(item: Object) -> Kind:
    """Group and kind."""
    return str(item.get("apiVersion", "")).rpartition("/")[0], str(item.get("kind", ""))


def is_hook(item: Object) -> bool:
    """Helm runs hooks itself and waits for them; they are in no inventory."""
    return "helm.sh/hook" in ((item.get("metadata") or {}).get("annotations") or {})


def rows(objects: Sequence[Object], component: Component | None) -> list[Row]:
    """Every kind, how often, and what judges it."""
    rules = component.readiness if component else ()
    counted = Counter(kind_of(item) for item in objects if not is_hook(item))
    samples = {kind_of(item): item for item in objects}
    return [Row(kind, count, _rule(samples[kind], rules)) for kind, count in sorted(counted.items())]


def _rule(item: Object, rules: Sequence[Any]) -> str:
    kind = kind_of(item)
    if any((rule.group, rule.kind) == kind for rule in rules):
        return "by a rule"
    judged = judge({**item, "status": {}, "metadata": {**item["metadata"], "generation": 1}}, rules).readiness
    if judged is Readiness.NOT_JUDGED:
        return "not judged"
    return "by its status" if has_judge(*kind) else "when it exists"


def described(folder: Folder) -> Component:
    """The component of a folder."""
    return component_from(dict(folder.component), folder.path, Position("component.yaml", 1, 1))


def targets(component: Component, values: Mapping[str, Any], objects: Sequence[Object]) -> Iterator[str]:
    """What a check or a URL names and the rendering lacks; one line for each."""
    scope = Scope(component.name, component.release, component.namespace, "lab", values, name="made")
    for spec in component.checks:
        parameters = scope.expand(dict(spec.parameters))
        if spec.kind in REQUESTS and "service" in parameters:
            yield from _port(f"check {spec.name}", parameters, objects)
        if "basicAuth" in parameters:
            yield from _keys(f"check {spec.name}", parameters["basicAuth"], objects)
        if spec.kind == "webhook":
            yield from _asked(f"check {spec.name}", parameters, objects)
    for url in map(scope.expand, component.urls):
        if "service" in url:
            yield from _port(f"URL {url['name']}", url, objects)
        if "credentials" in url:
            yield from _keys(f"URL {url['name']}", url["credentials"], objects)


def _port(who: str, wanted: Mapping[str, Any], objects: Sequence[Object]) -> Iterator[str]:
    service = next((o for o in objects if o["kind"] == "Service" and o["metadata"]["name"] == wanted["service"]), None)
    if service is None:
        yield f"{who}: no Service {wanted['service']}"
        return
    ports = service["spec"].get("ports") or ()
    asked = wanted.get("port", ports[0]["port"] if ports else None)
    port = next((p for p in ports if str(asked) in (str(p["port"]), p.get("name"))), None)
    if port is None:
        yield f"{who}: Service {wanted['service']} has ports {[p['port'] for p in ports]}, not {asked}"
        return
    target = port.get("targetPort", port["port"])
    pods = [spec for labels, spec in _pods(objects) if _selects(service["spec"].get("selector"), labels)]
    # Pods that an operator makes are not in the rendering.
    if pods and isinstance(target, str) and target not in {name for spec in pods for name in _port_names(spec)}:
        yield f"{who}: no pod behind Service {wanted['service']} has a port named {target}"


def _pods(objects: Sequence[Object]) -> Iterator[tuple[Mapping[str, str], Object]]:
    for item in objects:
        template = (item.get("spec") or {}).get("template") if isinstance(item.get("spec"), dict) else None
        if isinstance(template, dict) and "spec" in template:
            yield (template.get("metadata") or {}).get("labels") or {}, template["spec"]


def _selects(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    return bool(selector) and all(labels.get(key) == value for key, value in (selector or {}).items())


def _port_names(spec: Object) -> Iterator[str]:
    for container in spec.get("containers") or ():
        yield from (str(port.get("name")) for port in container.get("ports") or ())


def _keys(who: str, wanted: Mapping[str, str], objects: Sequence[Object]) -> Iterator[str]:
    found = next((o for o in objects if o["kind"] == "Secret" and o["metadata"]["name"] == wanted["secret"]), None)
    keys = {*(found.get("data") or {}), *(found.get("stringData") or {})} if found else set()
    for key in (wanted["username"], wanted["password"]):
        if key not in keys:
            yield f"{who}: Secret {wanted['secret']} has no {key}" if found else f"{who}: no Secret {wanted['secret']}"


def _asked(who: str, parameters: Mapping[str, Any], objects: Sequence[Object]) -> Iterator[str]:
    """A webhook that would be asked about the object: one that changes it, or one that can refuse it."""
    group, kind = kind_of(parameters["object"])
    suffix = ("MutatingWebhookConfiguration",) if "changed" in parameters else ()
    suffix += ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration") if "denied" in parameters else ()
    for item in objects:
        for webhook in (item.get("webhooks") or ()) if item["kind"] in suffix else ():
            for rule in webhook.get("rules") or ():
                plural = {kind.lower() + "s", "*", "*/*"} & set(rule.get("resources") or ())
                if plural and {group, "*"} & set(rule.get("apiGroups") or ()):
                    return
    yield f"{who}: no webhook would be asked about a {kind} of {group}"


def archives(charts: Path) -> dict[str, list[Path]]:
    """Chart name -> every version of it in a folder."""
    found: dict[str, list[Path]] = {}
    for path in sorted(charts.iterdir()):
        if path.suffix == ".tgz":
            found.setdefault(path.stem.rpartition("-")[0], []).append(path)
        elif (path / "Chart.yaml").is_file():
            found.setdefault(path.name, []).append(path)
    return found


def look_at(folder: Folder, chart: Path, profile: str | None) -> tuple[list[Row], list[str]]:
    """The kinds of a component's chart with one profile, and what its checks and URLs miss."""
    subject, component = Subject(folder, chart), described(folder)
    values = subject.values(Setting(profile, ("globals",)))
    objects = subject.release.render(values)
    return rows(objects, component), list(targets(component, values, objects))


def main(argv: list[str] | None = None) -> int:
    """The command line; prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charts", type=Path, required=True, help="folder of charts: NAME-VERSION.tgz or NAME/")
    parser.add_argument("--catalog", type=Path, default=CATALOG, help="folder of component folders")
    arguments = parser.parse_args(argv)
    folders = {folder.component["chart"]["name"]: folder for folder in upstream_folders(arguments.catalog)}
    bad = 0
    for name, paths in archives(arguments.charts).items():
        for path in paths:
            folder = folders.get(name)
            try:
                if folder is None:
                    found, missed = rows(Release(path, name, name).render({}), None), []
                else:
                    found, missed = look_at(folder, path, "standard" if "standard" in folder.profiles else None)
            except (RenderError, yaml.YAMLError) as error:
                sys.stdout.write(f"{path.name}: does not render: {str(error).splitlines()[0]}\n")
                continue
            sys.stdout.write(f"{path.name}{'' if folder else '  (of no component)'}\n")
            for row in found:
                group, kind = row.kind
                sys.stdout.write(f"  {row.count:4} {kind + ('.' + group if group else ''):62} {row.rule}\n")
            for line in missed:
                sys.stdout.write(f"  !    {line}\n")
            if folder is not None and path == chart_of(folder, arguments.charts):
                bad += len(missed) + sum(row.rule == "not judged" for row in found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
