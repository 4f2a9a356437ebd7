"""The tools, each as the command line that a person would use for a case. What one does not do is said beside it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from bench.process import CommandFailed
from bench.workload import Stack, State, Workload

CASES: Mapping[str, str] = {
    "nothing": "from nothing",
    "again": "nothing to do",
    "changed": "one value of one release changed",
    "upgraded": "chart upgrade of all",
    "rollback": "rollback of all",
    "status": "status, the first look",
    "looked": "status, once more",
}
STACK_OF: Mapping[str, State] = {
    "nothing": "base",
    "again": "base",
    "changed": "changed",
    "upgraded": "upgraded",
    "rollback": "changed",
    "status": "changed",
    "looked": "changed",
}


LOOKS = ("status", "looked")
"""Cases that change nothing: what the first look has proven is in the user's cache for the second."""
TRACE = "trace.json"
"""Where sparkrig writes a change's timeline, in the bench's folder; that costs a millisecond."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a tool works: one fresh cluster, one folder, the binaries."""

    kubeconfig: Path
    context: str
    cluster: str
    folder: Path
    helm: Path
    helmfile: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Rival(Protocol):
    """One tool."""

    name: str
    does_not: str
    """What stands beside its figures: what it leaves undone that sparkrig does."""

    def command(self, case: str, stack: Stack, bench: Bench) -> Sequence[str] | None:
        """The command for a case, its input written to the bench's folder; None where it has none."""


class Sparkrig:
    """``python -m sparkrig`` as installed."""

    name = "sparkrig"
    does_not = ""

    def command(self, case: str, stack: Stack, bench: Bench) -> Sequence[str] | None:
        base = [sys.executable, "-m", "sparkrig"]
        target = ["--on", f"sim:{bench.cluster}"]
        if case in LOOKS:
            return [*base, "status", *stack.arguments[:2], *target]
        changing = ["--yes", *stack.allow, *target, "--trace", str(bench.folder / TRACE)]
        if case == "rollback":
            return [*base, "rollback", *stack.arguments[:2], *changing]
        return [*base, "up", *stack.arguments, *changing]


class Helmfile:
    """``helmfile sync`` with helm's own wait, so that its needs mean ready as ours do."""

    name = "helmfile sync"
    does_not = (
        "record the whole, return on failure, look whether objects are missing, upgrade CRDs; its rollback is a sync "
        "of the old file"
    )

    def command(self, case: str, stack: Stack, bench: Bench) -> Sequence[str] | None:
        if bench.helmfile is None or case in LOOKS:
            return None
        document = {
            "helmDefaults": {"wait": True, "timeout": 600, "createNamespace": True},
            "releases": [
                {
                    "name": release.name,
                    "namespace": release.namespace,
                    "chart": str(release.chart),
                    "values": [str(_values_file(bench.folder, release.name, release.values))],
                    "needs": [f"{_where(stack, need)}/{need}" for need in release.needs],
                }
                for release in stack.releases
            ],
        }
        path = bench.folder / f"helmfile-{case}.yaml"
        path.write_text(yaml.safe_dump(document))
        return [
            str(bench.helmfile), "--file", str(path), "--helm-binary", str(bench.helm), "--no-color", "--quiet",
            "sync", "--skip-deps",
        ]  # fmt: skip


class Helm:
    """helm, one release after the other, as a script would."""

    name = "helm in turn"
    does_not = "work in parallel, record the whole, return on failure, look whether objects are missing, upgrade CRDs"

    def command(self, case: str, stack: Stack, bench: Bench) -> Sequence[str] | None:
        helm = shlex.quote(str(bench.helm))
        lines = ["set -e"]
        for release in stack.releases:
            where = f"{release.name} --namespace {release.namespace}"
            if case in LOOKS:
                lines.append(f"{helm} status {where} >/dev/null")
            elif case == "rollback":
                lines.append(f"{helm} rollback {where} --wait --timeout 600s")
            else:
                values = _values_file(bench.folder, release.name, release.values)
                name, namespace = where.split(" ", 1)
                lines.append(
                    f"{helm} upgrade --install {name} {shlex.quote(str(release.chart))} {namespace} --create-namespace "
                    f"--values {shlex.quote(str(values))} --wait --timeout 600s >/dev/null"
                )
        script = bench.folder / f"helm-{case}.sh"
        script.write_text("\n".join(lines) + "\n")
        return ["sh", str(script)]


class Floor:
    """The same objects, rendered beforehand, by server-side apply over 8 connections."""

    name = "floor"
    does_not = "render, keep history, keep an order, wait, run hooks, delete: it only writes"

    def command(self, case: str, stack: Stack, bench: Bench) -> Sequence[str] | None:
        if case not in ("nothing", "again", "upgraded"):
            return None
        path = bench.folder / f"floor-{case}.json"
        path.write_text(json.dumps(_waves(stack, bench)))
        return [sys.executable, str(Path(__file__).with_name("floor_apply.py")), str(bench.kubeconfig), str(path)]


def rivals(names: Sequence[str]) -> list[Rival]:
    """The tools by name, in the order of the table."""
    every: list[Rival] = [Sparkrig(), Helmfile(), Helm(), Floor()]
    return [rival for rival in every if not names or rival.name.split()[0] in names]


def environment(workload: Workload, case: str, bench: Bench) -> dict[str, str]:
    """What every command runs with."""
    stack = workload.states[STACK_OF[case]]
    # An installed package is compiled when it is installed; so that this one is compiled once and not at each run.
    left_out = ("HELM_", "SPARKRIG_DATA", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    homes = {f"HELM_{kind}_HOME": str(bench.folder / "helm" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    return {
        **kept,
        **homes,
        "KUBECONFIG": str(bench.kubeconfig),
        "SPARKRIG_DATA_DIR": str(stack.data),
        "SPARKRIG_HELM": str(bench.helm),
        **bench.environment,
    }


def _where(stack: Stack, name: str) -> str:
    return next(release.namespace for release in stack.releases if release.name == name)


def _values_file(folder: Path, name: str, values: Mapping[str, Any]) -> Path:
    path = folder / f"values-{name}.yaml"
    path.write_text(json.dumps(dict(values)))  # JSON is YAML, and reads the same everywhere
    return path


def _waves(stack: Stack, bench: Bench) -> list[list[dict[str, Any]]]:
    """Namespaces, CRDs, the rest: each object with the path it is written to."""
    from sparkrig.yaml.plain import load_plain_all

    crds: dict[str, dict[str, Any]] = {}
    for release in stack.releases:
        shown = _said([str(bench.helm), "show", "crds", str(release.chart)])
        crds |= {c["metadata"]["name"]: c for c in load_plain_all(shown, release.name) if isinstance(c, dict)}
    names = {release.namespace for release in stack.releases}
    rest: list[dict[str, Any]] = []
    for release in stack.releases:
        values = _values_file(bench.folder, release.name, release.values)
        argv = [str(bench.helm), "template", release.name, str(release.chart), "--namespace", release.namespace]
        more = ["--values", str(values), "--no-hooks", *_served(crds.values())]
        for item in load_plain_all(_said([*argv, *more]), release.name):
            if not isinstance(item, dict):
                continue
            if item.get("kind") == "CustomResourceDefinition":
                crds[item["metadata"]["name"]] = item
            elif item.get("kind") == "Namespace":
                names.add(item["metadata"]["name"])
            else:
                rest.append(_placed(item, release.namespace, crds))
    namespaces = [
        _placed({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "", crds)
        for name in sorted(names)
    ]
    return [namespaces, [_placed(crd, "", crds) for crd in crds.values()], rest]


def _said(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        raise CommandFailed(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _served(crds: Iterable[Mapping[str, Any]]) -> list[str]:
    """Options that tell helm what the cluster will serve: real charts do not render without (traefik's monitors)."""
    specs = [crd["spec"] for crd in crds]
    kinds = {(f"{s['group']}/{v['name']}", s["names"]["kind"]) for s in specs for v in s["versions"] if v["served"]}
    said = {version for version, _ in kinds} | {f"{version}/{kind}" for version, kind in kinds}
    return [f"--api-versions={each}" for each in sorted(said)]


CLUSTERED = (
    "Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "IngressClass", "PriorityClass",
    "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "StorageClass", "APIService", "RuntimeClass",
)  # fmt: skip
PLURALS = {"Ingress": "ingresses", "IngressClass": "ingressclasses", "NetworkPolicy": "networkpolicies"}


def _placed(item: dict[str, Any], namespace: str, crds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    kind, version = item["kind"], item["apiVersion"]
    group = version.split("/")[0] if "/" in version else ""
    plural, clustered = PLURALS.get(kind), kind in CLUSTERED
    for crd in crds.values():
        if crd["spec"]["group"] == group and crd["spec"]["names"]["kind"] == kind:
            plural, clustered = crd["spec"]["names"]["plural"], crd["spec"]["scope"] == "Cluster"
    plural = plural or (kind.lower() + ("es" if kind.endswith(("s", "x")) else "s"))
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    scope = "" if clustered else f"/namespaces/{item['metadata'].get('namespace') or namespace}"
    return {"path": f"{base}{scope}/{plural}/{item['metadata']['name']}", "object": item}
