"""What down removes, keeps and counts, from records alone."""

from __future__ import annotations

from dataclasses import replace

from sparkrig.models.component import RunningRule
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import Action
from sparkrig.models.plan import Plan
from sparkrig.models.release import ObservedRelease, ReleaseState
from sparkrig.models.revision import Revision
from sparkrig.models.revision import RevisionStatus as Status
from sparkrig.models.state import ObservedState
from sparkrig.plan.removal import foreign, plan_removal
from sparkrig.plan.running import Running, at_work
from sparkrig.plan.survey import Content, Shared, Survey

OURS = {"sparkrig.dev/stack": "lab", "app.kubernetes.io/managed-by": "sparkrig"}


def state(component: str, **fields: object) -> ReleaseState:
    made = ReleaseState(
        component=component,
        release=component,
        namespace=component,
        chart=component,
        version="1.0.0",
        chart_digest="",
        stand_in=False,
        digest="sha256:x",
        helm_revision=1,
        inventory=(),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def observed(*states: ReleaseState, **labels: dict[str, str]) -> ObservedState:
    releases = {(s.namespace, s.release): ObservedRelease(s.release, s.namespace, 1, "deployed", "lab") for s in states}
    last = Revision("lab", 1, Status.DEPLOYED, "up", "", "", "", "", "", "", "", (), states)
    return ObservedState(releases, last, None, labels)


def needs(plan: Plan, identity: str) -> tuple[str, ...]:
    return next(operation.needs for operation in plan.operations if operation.id == identity)


def ref(kind: str, name: str, namespace: str = "op", group: str = "") -> ObjectRef:
    return ObjectRef(group, "v1", kind, namespace, name)


def content(kind: str, name: str, group: str = "", **metadata: object) -> Content:
    return Content(ref(kind, name, group=group), {"name": name, **metadata})


def test_a_release_with_crds_goes_after_those_that_use_them() -> None:
    operator = state("op", crds=("parts.example.org",))
    user = state("user", inventory=(ref("Part", "x", "user", "example.org"),))
    plan = plan_removal("lab", observed(operator, user), Survey())
    assert needs(plan, "uninstall/op") == ("uninstall/user",)
    assert needs(plan, "uninstall/user") == ()


def test_two_releases_that_use_each_other_make_no_cycle() -> None:
    one = state("one", crds=("parts.one.org",), inventory=(ref("Bit", "x", "one", "two.org"),))
    two = state("two", crds=("bits.two.org",), inventory=(ref("Part", "x", "two", "one.org"),))
    three = state("three", needs=("one",), inventory=(ref("Part", "x", "three", "one.org"),))
    plan = plan_removal("lab", observed(one, two, three), Survey())
    assert {o.id for o in plan.operations} == {"uninstall/one", "uninstall/two", "uninstall/three"}


def test_a_release_that_needs_the_user_of_its_crds_is_not_made_to_wait_for_it() -> None:
    base = state("base", inventory=(ref("Part", "x", "base", "example.org"),))
    operator = state("op", crds=("parts.example.org",), needs=("middle",))
    middle = state("middle", needs=("base",))
    plan = plan_removal("lab", observed(base, middle, operator), Survey())
    assert needs(plan, "uninstall/op") == ()
    assert needs(plan, "uninstall/base") == ("uninstall/middle",)


def test_crds_are_counted_and_those_of_another_stack_stay() -> None:
    survey = Survey(
        custom_resources={"parts.example.org": (ref("Part", "x", "user", "example.org"),), "bits.example.org": ()},
        crd_owners={"parts.example.org": "op", "bits.example.org": "op"},
        shared_crds={"bits.example.org": Shared("stack other")},
    )
    seen = observed(state("op", crds=("parts.example.org", "bits.example.org")))
    plan = plan_removal("lab", seen, survey, ("crds",))
    assert [o.id for o in plan.operations] == ["delete/op", "uninstall/op", "delete/CRDs"]
    assert [o.objects for o in plan.operations if o.action is Action.DELETE][1] == (
        ObjectRef("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "", "parts.example.org"),
    )
    lines = [(change.component, change.symbol, change.text) for change in plan.changes]
    assert ("CRDs", "-", "1 CRD with 1 custom resource") in lines
    assert ("CRD bits.example.org", "=", "kept: stack other uses it") in lines
    assert not any("keeps" in line for change in plan.changes for line in change.details)
    kept = plan_removal("lab", seen, survey)
    assert [o.id for o in kept.operations] == ["uninstall/op"]
    assert any("keeps 2 CRDs and their custom resources" in change.details for change in kept.changes)


def test_a_purge_names_every_crd_that_has_custom_resources() -> None:
    names = [f"c{number:02}.example.org" for number in range(30)]
    used = {"c20.example.org": 1, "c29.example.org": 3}
    resources = {
        name: tuple(ref("Part", str(n), "user", "example.org") for n in range(used.get(name, 0))) for name in names
    }
    survey = Survey(custom_resources=resources, crd_owners=dict.fromkeys(names, "op"))
    plan = plan_removal("lab", observed(state("op", crds=tuple(names))), survey, ("crds",))
    crds = next(change for change in plan.changes if change.component == "CRDs")
    assert crds.text == "30 CRDs with 4 custom resources"
    assert crds.details == (
        "c29.example.org: 3 custom resources",
        "c20.example.org: 1 custom resource",
        "28 more without custom resources",
    )


def test_namespaces_go_last_and_only_when_nothing_foreign_is_in_them() -> None:
    release = state("op", inventory=(ref("ConfigMap", "op"),))
    empty = (content("ConfigMap", "op"), content("ConfigMap", "kube-root-ca.crt"), content("ServiceAccount", "default"))
    seen = observed(release, op=OURS, theirs={})
    plan = plan_removal("lab", seen, Survey(contents={"op": empty}))
    assert [o.id for o in plan.operations] == ["uninstall/op", "vacate/op"]
    assert needs(plan, "vacate/op") == ("uninstall/op",)
    full = Survey(contents={"op": (*empty, content("PersistentVolumeClaim", "data"))})
    plan = plan_removal("lab", seen, full)
    assert [o.id for o in plan.operations] == ["uninstall/op"]
    kept = next(change for change in plan.changes if change.component == "namespace op")
    assert kept.text == "kept: it holds PersistentVolumeClaim data"
    claims = replace(full, claims=(ref("PersistentVolumeClaim", "data"),))
    plan = plan_removal("lab", seen, claims, ("claims",))
    assert [o.id for o in plan.operations] == ["uninstall/op", "delete/claims", "vacate/op"]


def test_what_is_foreign() -> None:
    ours = {"owner": "helm", "name": "op", "sparkrig.dev/stack": "lab"}
    theirs = {"owner": "helm", "name": "x"}
    contents = [
        content("Secret", "sh.helm.release.v1.op.v1", labels=ours),
        content("Secret", "sh.helm.release.v1.x.v1", labels=theirs),
        content("Pod", "owned", ownerReferences=[{"name": "x"}]),
        content("Pod", "going", deletionTimestamp="now"),
        content("Lease", "leader", "coordination.k8s.io"),
        content("Event", "e"),
        content("PodMetrics", "m", "metrics.k8s.io"),
        content("ServiceAccount", "default"),
        content("ServiceAccount", "other"),
        content("Job", "hook", "batch"),
    ]
    left = foreign(contents, "lab", [ref("Job", "hook", "op", "batch")])
    assert [(c.ref.kind, c.ref.name) for c in left] == [
        ("Secret", "sh.helm.release.v1.x.v1"),
        ("ServiceAccount", "other"),
    ]


def test_what_its_programs_made_goes_behind_a_release() -> None:
    made = ref("Service", "kubelet", "kube-system")
    inside = ref("Service", "inside", "op")
    operator = state("op", leaves=(made, inside))
    contents = {"op": (content("Service", "inside"),)}
    plan = plan_removal("lab", observed(operator, op=OURS), Survey(contents=contents))
    uninstall = next(operation for operation in plan.operations if operation.id == "uninstall/op")
    assert uninstall.objects == (made, inside)
    assert (
        "takes Service kube-system/kubelet, Service op/inside with it, made by its programs" in plan.changes[0].details
    )
    # It holds no namespace back.
    assert needs(plan, "vacate/op") == ("uninstall/op",)


RULE = RunningRule(
    "example.org",
    "Work",
    ({"path": "spec.suspend", "equals": [True]}, {"path": "status.state", "equals": ["DONE", "FAILED"]}),
    "its pods run on",
)


def test_what_is_at_work() -> None:
    def work(state: str | None, **spec: object) -> bool:
        return at_work({"spec": spec, **({"status": {"state": state}} if state is not None else {})}, RULE)

    assert work(None)
    assert work("")
    assert work("RUNNING")
    assert not work("DONE")
    assert not work("RUNNING", suspend=True)


def details(plan: Plan, component: str) -> tuple[str, ...]:
    return next(change.details for change in plan.changes if change.component == component)


def test_custom_resources_at_work_are_named_before_their_controller_goes() -> None:
    works = tuple(ref("Work", name, "jobs", "example.org") for name in "abcdefg")
    survey = Survey(running={"op": (Running("Work", works, RULE.without, "works.example.org"),)})
    operator = state("op", crds=("works.example.org",))
    assert (
        "leaves 7 running Works (jobs/a, jobs/b, jobs/c, jobs/d, jobs/e and 2 more) without a controller: "
        "its pods run on"
    ) in details(plan_removal("lab", observed(operator), survey), "op")
    # One of them belongs to a release that goes too.
    user = state("user", inventory=(works[0],))
    lines = details(plan_removal("lab", observed(operator, user), replace(survey)), "op")
    assert "deletes 1 running Work (jobs/a)" in lines
    assert any(line.startswith("leaves 6 running Works (jobs/b,") for line in lines)


def test_a_purge_says_that_it_deletes_what_is_at_work_and_not_what_others_use() -> None:
    work = ref("Work", "a", "jobs", "example.org")
    survey = Survey(
        custom_resources={"works.example.org": (work,)},
        crd_owners={"works.example.org": "op"},
        running={"op": (Running("Work", (work,), RULE.without, "works.example.org"),)},
    )
    seen = observed(state("op", crds=("works.example.org",)))
    assert details(plan_removal("lab", seen, survey, ("crds",)), "op") == ("deletes 1 running Work (jobs/a)",)
    shared = replace(survey, shared_crds={"works.example.org": Shared("stack other")})
    assert details(plan_removal("lab", seen, shared, ("crds",)), "op") == (
        "leaves 1 running Work (jobs/a) without a controller: its pods run on",
    )


def test_what_could_not_be_listed_is_said() -> None:
    survey = Survey(running={"op": (Running("Work", (), "", "works.example.org", "not allowed"),)})
    assert details(plan_removal("lab", observed(state("op")), survey), "op") == (
        "Work objects could not be listed, so some may be running: not allowed",
    )


def test_what_its_programs_made_keeps_no_namespace() -> None:
    """A Secret that the webhook made for itself held the operator's namespace."""
    made = (ref("Secret", "op-certs"), ref("Lease", "op-lock", group="coordination.k8s.io"))
    seen = observed(state("op", leaves=made), op=OURS)
    plan = plan_removal("lab", seen, Survey(contents={"op": (content("Secret", "op-certs"),)}))
    assert [o.id for o in plan.operations] == ["uninstall/op", "vacate/op"]
    assert plan.operations[0].objects == made
