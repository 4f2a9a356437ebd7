"""What others installed already, against what the stack would bring: never a second copy."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrig.models.component import Install
from sparkrig.models.json import JsonValue, dig, name_of
from sparkrig.models.objects import ObjectRef
from sparkrig.preflight.data import Case, Wanted
from sparkrig.preflight.finding import Finding, fail, listed, ok, warn
from sparkrig.preflight.objects import kind_of, namespace_in
from sparkrig.preflight.releases import WAIT, at_work_text


def foreign(case: Case) -> Iterator[Finding]:
    """One finding for each installation that the stack, or nobody, has to do with."""
    wanted = {w.name: w for w in case.wanted}
    for install in case.facts.installs:
        if install.stack is not None and install.stack == case.stack:
            continue
        if install.release is not None and install.release in case.releases:
            continue
        if install.component in case.reused:
            yield ok("existing", install.component, f"{described(install)}; it is reused")
        elif install.component in wanted:
            yield from _beside(case, install, wanted[install.component])
        elif not case.wanted and not install.crds_only:
            yield ok("existing", install.component, described(install))
    for name in case.reused:
        yield from _reusable(case, name)


def described(install: Install) -> str:
    """``the operator v1.2 is there already: Deployment x/y, installed by Helm release x/z``."""
    version = f" {install.version}" if install.version else ""
    traces = [*map(str, install.workloads), *install.others] or [f"CRD {name}" for name in install.crds]
    return f"{install.name}{version} is there already ({listed(traces, 3)}), installed by {install.who}"


def _beside(case: Case, install: Install, wanted: Wanted) -> Iterator[Finding]:
    name = wanted.name
    if install.crds_only:
        message = f"CRDs of {install.name} are there already ({listed(install.crds, 3)}), installed by {install.who}"
        yield warn(
            "existing", name, message, "they are brought to the version of this chart and stay compatible or not"
        )
    elif install.fact is not None:
        yield ok("existing", name, f"{described(install)}; that part of the component is left out")
    elif install.stands_in:
        message = f"{described(install)}; the component would stand beside it"
        yield warn("existing", name, message, f"components.{name}.existing: reuse installs nothing and uses it")
    elif wanted.desired.adopt:
        yield from _adopted(case, install, wanted)
    else:
        hint = f"set components.{name}.existing to reuse (use it, install nothing) or adopt (take it over)"
        if install.stack is not None:
            hint = f"one is enough for a cluster: components.{name}.existing: reuse, or remove it from that stack"
        yield fail("existing", name, f"{described(install)}; a second copy would fight with it", hint)


def _adopted(case: Case, install: Install, wanted: Wanted) -> Iterator[Finding]:
    """Helm can take over objects of the same name only; a rest would be the second copy."""
    name = wanted.name
    if install.release is not None and (busy := case.busy.get(install.release)):
        if install.release != (wanted.desired.namespace, wanted.desired.release):  # else that is a finding of its own
            message = f"{described(install)}; it cannot be adopted now: {at_work_text(busy)}"
            yield fail("existing", name, message, WAIT)
        return
    ours = _rendered(wanted)
    if install.stack is not None:
        yield fail("existing", name, f"{described(install)}; only its own stack can let go of it")
        return
    if install.manager:
        message = f"{described(install)}; it cannot be adopted: {install.manager} would take it back"
        hint = (
            f"remove it from {install.manager} without deleting its objects, and remove that tool's labels and "
            f"annotations from them; or reuse it (components.{name}.existing: reuse)"
        )
        yield fail("existing", name, message, hint)
        return
    left = [ref for ref in install.workloads if _key(ref) not in ours]
    if left:
        message = (
            f"{described(install)}; it cannot be adopted: the chart has no {listed(map(str, left), 3)} to take over"
        )
        yield fail("existing", name, message, _other_names(install, wanted, left))
        return
    fixed = [
        ref
        for ref in install.workloads
        if install.selectors.get(ref) is not None and install.selectors[ref] != dig(ours[_key(ref)], "selector")
    ]
    if fixed:
        message = f"{described(install)}; it cannot be adopted: the selector of {listed(map(str, fixed), 3)} differs"
        hint = "a selector cannot be changed: delete that workload (its pods stop), or reuse it"
        yield fail("existing", name, message, hint)
        return
    release = install.release
    if release is not None and release != (wanted.desired.namespace, wanted.desired.release):
        message = f"{described(install)}; it is taken over, and that release must not be uninstalled any more"
        hint = f"forget it afterwards: kubectl -n {release[0]} delete secret -l owner=helm,name={release[1]}"
        yield warn("existing", name, message, hint)
    else:
        yield ok("existing", name, f"{described(install)}; it is taken over")


def _other_names(install: Install, wanted: Wanted, left: list[ObjectRef]) -> str:
    """What to do where names differ: the namespace may be another, or the chart is, as over a major version."""
    name = wanted.name
    if any(ref.namespace != wanted.desired.namespace for ref in left):
        return f"give the component its namespace (components.{name}.namespace), or reuse it"
    if install.release is None:
        remove = f"delete {listed(map(str, left), 3)} and what belongs to it"
    else:
        remove = f"remove that release (helm -n {install.release[0]} uninstall {install.release[1]})"
    kept = (
        ", keep its CRDs and custom resources (see first whether they are among its templates)" if install.crds else ""
    )
    return (
        f"chart {wanted.desired.chart.version} gives its objects other names than what is there, so neither can take "
        f"the other's place: {remove}{kept}, then run up without existing: adopt"
    )


def _rendered(wanted: Wanted) -> dict[tuple[str, str, str, str], JsonValue]:
    return {
        (kind_of(item)[0], kind_of(item)[2], namespace_in(item, wanted), name_of(item)): item.get("spec") or {}
        for item in wanted.objects
    }


def _key(ref: ObjectRef) -> tuple[str, str, str, str]:
    return (ref.group, ref.kind, ref.namespace, ref.name)


def _reusable(case: Case, name: str) -> Iterator[Finding]:
    """A component that is to be reused must be there, with the CRDs that others count on."""
    component = case.reused[name]
    mine = [i for i in case.facts.installs if i.component == name and i.fact is None and i.stack != case.stack]
    if component.detect and not any(not i.crds_only for i in mine):
        message = f"{name} is to be reused, and nothing of it was found in this cluster"
        yield fail("existing", name, message, f"leave out components.{name}.existing, so that it is installed")
        return
    stands_in = all(i.stands_in for i in mine if not i.crds_only)
    crds = [thing.removeprefix("crd:") for thing in component.provides if thing.startswith("crd:")]
    lacking = [crd for crd in crds if crd not in case.survey.crds]
    if lacking and not stands_in and "crds" not in case.survey.denied:
        message = f"{name} is to be reused, but what is there lacks CRD {listed(lacking, 3)}"
        yield fail("existing", name, message, "install what brings it, or let the stack install its own")
