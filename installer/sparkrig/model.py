"""The records that travel between the stages of sparkrig.

A leaf module: it imports the standard library only. Every record is frozen, so that a stage can
hand its result on without fearing what the next one does with it. Mappings inside records are
plain ``dict`` objects for speed; nobody writes to a mapping he did not make.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

API_VERSION: Final = "sparkrig.dev/v1"

JSON = Any
"""A JSON value: None, bool, int, float, str, list or dict with str keys."""


# --------------------------------------------------------------------------- problems


class Commands(enum.StrEnum):
    """Whose commands (``fromCommand``) may run to obtain a user name or password.

    A stack file comes with a repository: whoever proposes a change to it must not be able to run a program on the
    machine that checks the change.
    """

    NONE = "none"
    OWN = "own"
    """Those of the user's own configuration file only."""
    ALL = "all"


class Severity(enum.StrEnum):
    """How bad a problem is: an error stops the run, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text file. ``line`` and ``column`` count from 1, columns in characters."""

    file: str
    line: int
    column: int
    length: int = 1
    """How many characters the caret line underlines."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the input. All problems are collected and shown together."""

    severity: Severity
    code: str
    """Stable kebab-case identifier, e.g. ``unknown-key``; documented in docs/problems.md."""
    message: str
    """One sentence: what was found and what was expected."""
    position: Position | None = None
    where: str | None = None
    """Where, if the place is not in a file, e.g. ``--set web.replicas``."""
    label: str | None = None
    """Short text behind the carets, e.g. ``did you mean 'replicas'?``."""
    hint: str | None = None
    """What to do next, or what the key means."""


# --------------------------------------------------------------------------- Kubernetes objects


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Names one Kubernetes object. ``namespace`` is empty for cluster-scoped objects."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str

    @property
    def api_version(self) -> str:
        """``group/version``, or ``version`` alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


class Readiness(enum.StrEnum):
    """What one look at an object says."""

    READY = "ready"
    PROGRESSING = "progressing"
    FAILED = "failed"
    """Failed for good: waiting longer cannot help."""
    NOT_JUDGED = "not-judged"
    """A custom resource without a rule: shown, counted, never ready, never in the way."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The readiness of one object and the reason in a person's words."""

    readiness: Readiness
    message: str = ""
    unset: bool = False
    """Nothing is reported yet: the object has no state, rather than one that is not good."""


# --------------------------------------------------------------------------- catalogue


class CrdOwner(enum.StrEnum):
    """Who applies a component's CRDs; never two."""

    US = "us"
    HELM = "helm"
    HOOK = "hook"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ChartRef:
    """Which chart a component uses.

    ``repository`` is an ``https://`` chart repository, an ``oci://`` registry path, or None when
    ``path`` names a chart folder (relative to the component folder, made absolute on loading).
    """

    name: str
    version: str
    repository: str | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class FactRule:
    """When a fact of the cluster has a value, set values: the derived layer."""

    fact: str
    """Dotted name of a fact, e.g. ``gpu.driver-installed``."""
    equals: Any
    set: Mapping[str, Any]
    """Dotted value path -> value."""
    reason: str


@dataclass(frozen=True, slots=True)
class GlobalRule:
    """Maps one key of the stack's ``global`` section into a component's values."""

    key: str
    path: str
    """Dotted value path. ``\\.`` escapes a dot inside a key; ``[]`` is not supported."""
    template: str | None = None
    """Text with ``{value}`` and ``{stack}``; None hands the value on as it is."""
    each: JSON = None
    """What each item becomes, e.g. ``{"name": "{item}"}`` or ``"hub.{item}"``; the path then holds a
    list, and a value that is no list counts as a list of one."""


@dataclass(frozen=True, slots=True)
class FollowRule:
    """A value of another component that decides about values of this one, where that component is on."""

    component: str
    value: str
    """Dotted value path in the other component; ``list[].name`` is the list of all its items' names."""
    reason: str
    path: str | None = None
    """Value path of this component that becomes the same."""
    same: bool = False
    """Whether a different value, written by a person, is refused."""
    equals: Any = None
    set: Mapping[str, Any] = field(default_factory=dict)
    """Without ``path``: value path -> value of this component, set where the other's value is ``equals``."""


@dataclass(frozen=True, slots=True)
class ReadinessRule:
    """How to judge a custom resource (see ``readiness.custom``)."""

    group: str
    kind: str
    ready: Mapping[str, Any]
    """Either ``{"condition": "Ready"}`` (status "True") or ``{"path": "status.state", "equals": [..]}``."""
    failed: Mapping[str, Any] | None = None
    optional: bool = False
    """The object may be absent, and may have no state: a state that is not good counts all the same."""
    real_pods: bool = False
    """Its state depends on pods that run; on a simulated cluster a bad one is excused where it is optional."""
    settle_s: float = 30.0
    """Without ``observedGeneration``: how long after a change of its spec a state may be that of the old spec."""


@dataclass(frozen=True, slots=True)
class NodeStateRule:
    """A node label that shows how far a controller is with the node."""

    label: str
    what: str
    """What is done to the node, in a person's words: ``driver upgrade``."""
    done: tuple[str, ...]
    failed: tuple[str, ...] = ()
    """Every value that is in neither is a step on the way."""


@dataclass(frozen=True, slots=True)
class NodeLeftovers:
    """Labels and annotations that a component's programs put on nodes and leave there."""

    labels: tuple[str, ...]
    annotations: tuple[str, ...]
    """Patterns with ``*`` of the keys."""
    managers: tuple[str, ...]
    """Patterns of the field managers that write them; what somebody else wrote stays."""


@dataclass(frozen=True, slots=True)
class RunningRule:
    """Custom resources that a removal of their controller must name while they are at work (``plan.running``)."""

    group: str
    kind: str
    rests: tuple[Mapping[str, Any], ...]
    """Tests as in ``ReadinessRule.ready``; where one of them holds, the object is not at work."""
    without: str
    """What becomes of one that is at work without the controller."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check as ``component.yaml`` declares it; ``kind`` is a protocol name, never a product."""

    name: str
    kind: str
    gate: bool
    timeout_s: float
    needs: tuple[str, ...] = ()
    """What the cluster must be able to do: ``real-pods``, ``gpu``, ``internet``."""
    hint: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    when: Mapping[str, Any] | None = None
    """``{value: PATH, equals: V, default: D}``: the check applies only where the value is that; None: always."""


@dataclass(frozen=True, slots=True)
class SecurityException:
    """One deviation of a component's pods from the ``restricted`` pod-security level."""

    workload: str
    field: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class DisturbingChange:
    """Fields of a component's objects whose change reaches pods of others."""

    group: str
    kind: str
    paths: tuple[str, ...]
    """Dotted field paths, e.g. ``spec.driver``; a change anywhere below one counts."""
    does: str
    """What the change does to those pods, in a sentence."""
    ignore: tuple[str, ...] = ()
    """Paths below them that reach no pod."""


@dataclass(frozen=True, slots=True)
class DisturbedPods:
    """Which pods of others a component serves, and which of its changes reach them."""

    resources: tuple[str, ...]
    """Names of resources that such a pod requests; ``*`` stands for any characters."""
    drivers: tuple[str, ...] = ()
    """Drivers of the devices that such a pod has through a ResourceClaim."""
    changes: tuple[DisturbingChange, ...] = ()
    """What reaches them; empty: any change does."""
    removal: str | None = None
    """What removing the component does to them, in a sentence."""
    when: Mapping[str, Any] | None = None
    """``{value: PATH, equals: V, default: D}``: an upgrade reaches pods only where the value is that."""


@dataclass(frozen=True, slots=True)
class BlockedRollback:
    """A pair of chart versions between which a rollback cannot work."""

    newer: str
    """Range of the versions that are left, e.g. ``>=2.0``."""
    older: str
    """Range of the versions that are returned to."""
    reason: str
    instead: str
    """The way around, in a sentence."""
    when: Mapping[str, Any] | None = None
    """``{value: PATH, equals: V, default: D}`` of the values returned to; None: always."""


@dataclass(frozen=True, slots=True)
class DetectRule:
    """How to find an installation of something that a component brings, made by somebody else.

    Any of the ways is enough; the patterns are searched in the text they are for.
    """

    component: str
    name: str
    """What is found, in a person's words."""
    crds: tuple[str, ...] = ()
    image: str | None = None
    """Pattern of a container image of a Deployment, DaemonSet or StatefulSet."""
    ingress_controller: str | None = None
    """Pattern of ``spec.controller`` of an IngressClass."""
    api_service: str | None = None
    """Name of an APIService that a Service in the cluster answers."""
    fact: str | None = None
    """Fact that is true where it is found; the component's ``facts`` then leave that part out."""
    stands_in: bool = False
    """Something else that does the same: no second copy, but ``existing: reuse`` may name it."""


@dataclass(frozen=True, slots=True)
class Install:
    """Something that was found in the cluster and that no release of ours brought."""

    component: str
    name: str
    who: str
    """Continues "installed by": ``Helm release x/y``, ``plain manifests``."""
    version: str = ""
    workloads: tuple[ObjectRef, ...] = ()
    selectors: Mapping[ObjectRef, Any] = field(default_factory=dict)
    """Workload -> its ``spec.selector``, which nobody can change."""
    crds: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """IngressClasses and APIServices."""
    release: tuple[str, str] | None = None
    """(namespace, name) of the Helm release."""
    stack: str | None = None
    """The stack of ours that brought it."""
    manager: str = ""
    """A tool that manages it and restores what somebody else changes, such as ``Flux``; empty where none does."""
    fact: str | None = None
    stands_in: bool = False

    @property
    def crds_only(self) -> bool:
        """True when nothing but CRDs is left of it."""
        return not self.workloads and not self.others


@dataclass(frozen=True, slots=True)
class Component:
    """One folder under ``charts/``. See docs/components.md for the file format."""

    name: str
    folder: Path
    description: str
    homepage: str
    licence: str
    chart: ChartRef
    release: str
    namespace: str
    namespace_labels: Mapping[str, str]
    enabled: Literal["true", "false", "auto"]
    """Default state; ``auto`` is decided by ``auto_fact``."""
    auto_fact: str | None
    profiles: Mapping[str, str]
    """Profile name -> enabled state in that profile, where it differs from ``enabled``."""
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    """Names of components, or ``crd:NAME`` for a CRD another component provides."""
    provides: tuple[str, ...]
    requires: Mapping[str, Any]
    facts: tuple[FactRule, ...]
    globals: tuple[GlobalRule, ...]
    crd_owner: CrdOwner
    crd_off_values: Mapping[str, Any]
    """Dotted value path -> value that switches the chart's own CRD installation off."""
    crd_labels: Mapping[str, str]
    rollback: Literal["reversible", "forward-only"]
    disturbs: str | None
    keep: tuple[str, ...]
    """Kinds whose objects ``down`` keeps because they hold users' data, e.g. ``Namespace``."""
    readiness: tuple[ReadinessRule, ...]
    checks: tuple[CheckSpec, ...]
    images: tuple[str, ...]
    security_exceptions: tuple[SecurityException, ...]
    urls: tuple[Mapping[str, Any], ...]
    timeout_s: float
    renamed_values: tuple[Mapping[str, str], ...]
    position: Position | None = None
    secret_namespaces: tuple[str, ...] = ()
    """Value paths (``items[].name``) of further namespaces whose pods pull images, which the chart makes."""
    detect: tuple[DetectRule, ...] = ()
    disturbs_pods: DisturbedPods | None = None
    """The running pods of others that a change of this component reaches, e.g. those with a GPU."""
    blocked_rollbacks: tuple[BlockedRollback, ...] = ()
    """Versions between which no rollback works, whatever ``rollback`` says."""
    follows: tuple[FollowRule, ...] = ()
    leaves: tuple[Mapping[str, Any], ...] = ()
    """Objects that the component's programs make and no release contains: ``apiVersion``, ``kind``, ``namespace``,
    ``name``, each may refer to the release by ``${…}`` (``catalog.references``)."""
    node_states: tuple[NodeStateRule, ...] = ()
    node_leftovers: NodeLeftovers | None = None
    running: tuple[RunningRule, ...] = ()


# --------------------------------------------------------------------------- charts


class ChartOrigin(enum.StrEnum):
    """Where a chart's files came from."""

    LOCAL = "local"
    REPOSITORY = "repository"
    OCI = "oci"
    MIRROR = "mirror"
    STAND_IN = "stand-in"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart that is on this machine, ready for Helm."""

    name: str
    version: str
    app_version: str
    digest: str
    """``sha256:…`` over the chart's files (names and contents), not over an archive's bytes."""
    path: Path
    """A ``.tgz`` or a folder; what is given to helm."""
    origin: ChartOrigin
    kube_version: str | None = None

    @property
    def stand_in(self) -> bool:
        """True for a test chart that only imitates the upstream one."""
        return self.origin is ChartOrigin.STAND_IN


# --------------------------------------------------------------------------- cluster


@dataclass(frozen=True, slots=True)
class ClusterHandle:
    """How to reach a cluster. The kubeconfig file may hold credentials: never log its text."""

    provider: Literal["context", "kind", "sim"]
    name: str
    kubeconfig: Path | None
    """None means kubectl's own rules (KUBECONFIG, ~/.kube/config)."""
    context: str | None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What was read from the cluster. ``None`` means unknown, e.g. offline."""

    kubernetes: str | None = None
    nodes: int | None = None
    gpu_nodes: int | None = None
    gpus: int | None = None
    default_storage_class: str | None = None
    simulated: bool = False
    test_cluster: bool = False
    """Marked by us as a cluster for tests; stand-ins are allowed there."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Dotted fact name -> value, what ``component.yaml`` refers to."""
    installs: tuple[Install, ...] = ()
    """What others installed, as the components' ``detect`` rules find it."""


FACTS: Final[Mapping[str, str]] = {
    "kubernetes.version": "version of the API server, e.g. 1.36.3",
    "cluster.simulated": "all nodes and pods are simulated",
    "cluster.load-balancer": "something gives a Service of type LoadBalancer an address",
    "cluster.distribution": "k3s, rke2, microk8s or k0s, where the nodes say so",
    "gpu.nodes-present": "at least one node has a GPU",
    "gpu.count": "GPUs that pods can ask for",
    "gpu.models": "names of the GPU models, sorted",
    "gpu.memory-mib": "memory of the GPU models, sorted",
    "gpu.driver-installed": "the GPU nodes carry a driver of their own",
    "gpu.toolkit-installed": "the GPU nodes' container runtime knows the GPUs already",
    "gpu.device-plugin-installed": "a device plugin for GPUs is there and not ours",
    "gpu.container-runtime": "the container runtime of the GPU nodes, where all have the same",
    "gpu.cdi-supported": "the GPU nodes' container runtime knows the Container Device Interface",
    "gpu.mig-capable": "a GPU can be cut into MIG slices",
    "gpu.mig-strategy": "mixed where nodes offer MIG slices by size, else single or none",
    "ingress.default-class-present": "there is a default IngressClass and it is not ours",
    "nfd.installed": "Node Feature Discovery is there and not ours",
    "node.architectures": "architectures of the nodes, sorted",
    "node.container-runtime": "the container runtime, where all nodes have the same",
    "node.container-runtimes": "container runtimes with versions, sorted",
    "storage.default-class": "name of the default StorageClass, or null",
    "storage.default-class-present": "there is a default StorageClass",
}
"""Facts that ``component.yaml`` can refer to, besides ``crd.NAME`` (see docs/components.md), and what each says."""


# --------------------------------------------------------------------------- secrets


@dataclass(frozen=True, slots=True)
class SecretField:
    """One piece of a Secret and where its value comes from; never the value."""

    key: str
    reference: Mapping[str, Any]
    """``{"fromEnv": NAME}``, ``fromFile`` (absolute), ``fromSecret``, ``fromCommand``; or ``{"text": …}`` for
    a user name that the stack file writes out."""
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """A Secret that the stack file describes."""

    name: str
    type: str
    """``kubernetes.io/dockerconfigjson`` or ``Opaque``."""
    fields: tuple[SecretField, ...]
    registry: str = ""
    """Of a ``dockerconfigjson``."""
    folder: Path = Path()
    """The stack file's: where a command runs."""
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class DesiredSecret:
    """Where a Secret is wanted, and what it holds at this moment by its fingerprint."""

    spec: SecretSpec
    namespaces: tuple[str, ...]
    made: tuple[tuple[str, str], ...] = ()
    """(component, namespace): namespaces that the component's chart makes."""
    components: tuple[str, ...] = ()
    """Components whose pods read it, and restart when it changes."""
    fingerprint: str = ""
    """A keyed hash of the content; empty while it is unknown."""


# --------------------------------------------------------------------------- desired


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says about values; it wins over all files."""

    values: tuple[str, ...] = ()
    """Arguments of ``--values``: ``COMPONENT=FILE``, the file relative to the current directory."""
    sets: tuple[str, ...] = ()
    """Arguments of ``--set``: ``COMPONENT.PATH=VALUE``."""


@dataclass(frozen=True, slots=True)
class DesiredRelease:
    """One release as the stack wants it: everything Helm needs, values merged."""

    component: str
    release: str
    namespace: str
    namespace_labels: Mapping[str, str]
    chart: Chart
    values: Mapping[str, Any]
    needs: tuple[str, ...]
    """Components that must be ready first (hard needs, and soft ones that are on)."""
    crd_needs: tuple[str, ...]
    """Components whose CRDs must be established first, without waiting for their pods."""
    crd_owner: CrdOwner
    crd_labels: Mapping[str, str]
    rollback: Literal["reversible", "forward-only"]
    keep: tuple[str, ...]
    timeout_s: float
    digest: str
    """``sha256:…`` over all of the above that changes the cluster."""
    secrets: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """Secret of the stack that its pods read -> fingerprint of what it holds now; empty while unknown."""
    readiness: tuple[ReadinessRule, ...] = ()
    """How to judge the custom resources of the release; from ``component.yaml``."""
    checks: tuple[CheckSpec, ...] = ()
    urls: tuple[Mapping[str, Any], ...] = ()
    adopt: bool = False
    """Take over what somebody else installed, on the first install (``existing: adopt``)."""
    conflicts: Literal["fail", "take"] = "fail"
    """What to do with fields that somebody else owns; like ``immutable`` no part of the digest."""
    immutable: Literal["fail", "recreate"] = "fail"
    """What to do with objects whose change the API server refuses."""
    crds: tuple[str, ...] = ()
    """CRDs that the component says it provides."""
    leaves: tuple[ObjectRef, ...] = ()
    """What its programs make and no release contains: removed behind the release."""


@dataclass(frozen=True, slots=True)
class ResolvedStack:
    """A stack file, the catalogue and the facts, brought together."""

    name: str
    profile: str
    file: str
    text: str
    """The stack file as written, for the revision record."""
    releases: tuple[DesiredRelease, ...]
    """In a dependency order (stable: ties in the catalogue's order)."""
    disabled: tuple[str, ...]
    """Components that are known and off."""
    problems: tuple[Problem, ...] = ()
    """Warnings only; errors are raised."""
    secrets: tuple[DesiredSecret, ...] = ()
    reused: tuple[str, ...] = ()
    """Components in whose place an installation of somebody else serves (``existing: reuse``)."""


# --------------------------------------------------------------------------- observed


@dataclass(frozen=True, slots=True)
class ObservedRelease:
    """The newest revision of one Helm release, read from its release Secret's labels."""

    name: str
    namespace: str
    revision: int
    status: str
    """Helm's word: deployed, failed, pending-install, pending-upgrade, pending-rollback, uninstalling, uninstalled."""
    stack: str | None
    """The stack that owns it, from our label; None when somebody else made it."""
    component: str | None = None
    """The component it was made for, from our label."""
    modified: str | None = None
    """RFC 3339 time of the release Secret's creation."""
    deployed_revision: int | None = None
    """The newest revision with the status ``deployed``: older than ``revision`` after a failed upgrade."""
    former: str | None = None
    """The stack that gave it up and left it in place."""


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """One release as a finished revision left it."""

    component: str
    release: str
    namespace: str
    chart: str
    version: str
    chart_digest: str
    stand_in: bool
    digest: str
    """The desired digest that was applied."""
    helm_revision: int
    inventory: tuple[ObjectRef, ...]
    crds: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    """Merged values, secret references unresolved."""
    keep: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    timeout_s: float = 600.0
    """How long it may take to become ready, for a return to this state."""
    rollback: Literal["reversible", "forward-only"] = "reversible"
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret that its pods read -> fingerprint of what it held when they were last started for it."""
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of its namespace, so that it can be made again."""
    immutable: Literal["fail", "recreate"] = "fail"
    """What the stack file said of objects that cannot be changed, for a return from this state."""
    leaves: tuple[ObjectRef, ...] = ()
    """What its programs make and no release contains: removed behind the release."""
    crd_digests: Mapping[str, str] = field(default_factory=dict)
    """CRD that sparkrig applied -> digest of what was applied (``history.crds`` stores the content). Empty where Helm
    or a hook applies the CRDs, and in records of older versions."""


class RevisionStatus(enum.StrEnum):
    """Where a revision of the whole stack stands."""

    PENDING = "pending"
    DEPLOYED = "deployed"
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"
    SUPERSEDED = "superseded"
    REMOVED = "removed"
    """A ``down`` that finished."""


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """How one operation of a revision went."""

    id: str
    status: str
    seconds: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Revision:
    """One recorded attempt to change the whole stack."""

    stack: str
    number: int
    status: RevisionStatus
    action: str
    """up, rollback, down."""
    who: str
    message: str
    started: str
    finished: str | None
    sparkrig: str
    profile: str
    stack_file: str
    before: tuple[ReleaseState, ...]
    after: tuple[ReleaseState, ...]
    operations: tuple[OperationRecord, ...] = ()
    summary: str = ""
    """What it changed, in one line; empty in records that older versions wrote."""
    kept: tuple[ReleaseState, ...] = ()
    """Releases that this or an earlier revision gave up and left in place, as the stack last knew them."""
    reused: tuple[str, ...] = ()
    """Components in whose place an installation of somebody else serves; empty in records of older versions."""

    @property
    def interrupted(self) -> bool:
        """True when the run was ended from outside, and nothing failed by itself."""
        ends = {operation.status for operation in self.operations}
        return (
            self.status is RevisionStatus.FAILED
            and OperationStatus.INTERRUPTED in ends
            and OperationStatus.FAILED not in ends
        )


@dataclass(frozen=True, slots=True)
class CrdDrift:
    """A CRD of a recorded release that is not as recorded."""

    name: str
    what: Literal["missing", "changed", "unserved"]
    why: str
    """Continues "CRD NAME …": ``is missing``, ``was changed by kubectl``."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One field of a live object that somebody changed since it was recorded."""

    ref: ObjectRef
    path: str
    """``spec.replicas``."""
    text: str
    """What is there, whose it is and what was recorded; secrets masked."""
    around: bool = False
    """A label that we gave to the release's namespace: no object of the chart."""


@dataclass(frozen=True, slots=True)
class ObservedState:
    """What the cluster holds, as far as the plan needs it."""

    releases: Mapping[tuple[str, str], ObservedRelease]
    """(namespace, release name) -> newest revision."""
    last: Revision | None
    """The newest finished revision, whatever its status: what the next run compares with."""
    pending: Revision | None
    """A revision that was begun and has not finished: its process died, or is the one ``at_work``."""
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Namespace -> its labels."""
    live: Mapping[str, tuple[Judgement, ...]] = field(default_factory=dict)
    """Component -> judgement of each object of its inventory that is missing or not ready."""
    missing: Mapping[str, tuple[ObjectRef, ...]] = field(default_factory=dict)
    """Component -> objects of its inventory that are gone."""
    secrets: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(namespace, name) -> fingerprint of each Secret that the stack made."""
    crd_drift: Mapping[str, tuple[CrdDrift, ...]] = field(default_factory=dict)
    """Component -> its CRDs that are not as recorded."""
    drifted: Mapping[str, tuple[Drift, ...]] = field(default_factory=dict)
    """Component -> fields that somebody changed; empty unless it was looked for."""
    at_work: str | None = None
    """Whose run holds the stack's lock where a revision is pending; empty for nobody, None where that is not known."""


# --------------------------------------------------------------------------- plan


class Action(enum.StrEnum):
    """What an operation does."""

    RECOVER = "recover"
    NAMESPACE = "namespace"
    CRDS = "crds"
    INSTALL = "install"
    UPGRADE = "upgrade"
    REPAIR = "repair"
    ROLLBACK = "rollback"
    UNINSTALL = "uninstall"
    WAIT = "wait"
    SECRETS = "secrets"
    DELETE = "delete"
    """Deletes objects that no uninstall removes, and waits until they are gone."""
    VACATE = "vacate"
    """Removes a namespace that nothing foreign is in."""
    ROLL = "roll"
    """Restarts pods that read a Secret which changed."""
    KEEP = "keep"
    """Gives the claim on a release up, which stays in the cluster as it is."""
    CLAIM = "claim"
    """Takes back what was given up."""
    CHECK = "check"
    """The gate checks after a change; never part of a plan, only of what happened."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One node of the plan's graph."""

    id: str
    """Stable: ``<action>/<component>``."""
    action: Action
    component: str
    needs: tuple[str, ...]
    """Ids of the operations that must have succeeded first."""
    release: str
    namespace: str
    reason: str
    """Why it is done, in a person's words."""
    timeout_s: float
    desired: DesiredRelease | None = None
    state: ReleaseState | None = None
    """The release as it was, for uninstall, rollback and recover."""
    helm_revision: int | None = None
    """The Helm revision that is observed now (rollback: that is to be restored)."""
    newest_revision: int = 0
    """The newest Helm revision when a rollback was planned."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the namespace, for a namespace operation."""
    recreated: tuple[ObjectRef, ...] = ()
    """Objects that cannot be changed as wanted: deleted first, so that Helm makes them anew."""
    reselected: tuple[ObjectRef, ...] = ()
    """Those of them whose selector changes: their pods do not become the new object's."""
    leftovers: tuple[ObjectRef, ...] = ()
    """Objects of earlier hooks that would stand in for the new ones: deleted first."""
    keep_history: bool = True
    """For an uninstall: leave Helm's history, so that a rollback can bring the release back."""
    secret: SecretSpec | None = None
    """For a secrets operation: what to apply in ``namespaces``; None removes the Secret ``secret_name`` there."""
    secret_name: str = ""
    namespaces: tuple[str, ...] = ()
    objects: tuple[ObjectRef, ...] = ()
    """For a delete: what goes. For an uninstall: what goes behind the release. For a vacate: what hooks left there,
    which does not count as foreign. For a keep and a claim: the Secrets that go with the release."""
    purged: tuple[str, ...] = ()
    """Kinds of data that may go along (``PersistentVolumeClaim``, ``Namespace``)."""
    rolled: tuple[str, ...] = ()
    """For a roll: names of the Secrets that changed."""
    weight_s: float | None = None
    """Rough seconds, where what it writes is known; else those of its action. For the order of starting alone."""
    effects: tuple[str, ...] | None = None
    """What it does to running pods of others, a sentence each; None where that was not looked at."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the plan does to one component, for showing."""

    component: str
    symbol: Literal["+", "~", "-", "=", "!", "^", ">"]
    """+ new, ~ changed, - removed, = unchanged, ! unhealthy or missing objects, ^ recovery, > left in place."""
    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered graph from what is observed to what is desired. The executor takes nothing else."""

    stack: str
    action: str
    base: int
    """Number of the newest revision the plan was made from; 0 for none."""
    operations: tuple[Operation, ...]
    changes: tuple[Change, ...]
    unchanged: tuple[ReleaseState, ...]
    """Releases the plan leaves alone; they go into the new revision's ``after`` as they are."""
    kept: tuple[ReleaseState, ...] = ()
    """Releases that were given up earlier and are still there."""

    @property
    def empty(self) -> bool:
        """True when there is nothing to do."""
        return not self.operations


class OperationStatus(enum.StrEnum):
    """How an operation ended, or where it stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not started because something before it failed or the run was interrupted."""
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class OperationResult:
    """How one operation ended."""

    operation: Operation
    status: OperationStatus
    seconds: float
    message: str = ""
    state: ReleaseState | None = None
    """What the release is now, where the operation changed one."""


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """How a plan went. ``after`` is complete: unchanged releases included."""

    results: tuple[OperationResult, ...]
    after: tuple[ReleaseState, ...]
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """True when every operation is done."""
        return all(r.status is OperationStatus.DONE for r in self.results)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing worth showing while a plan runs."""

    component: str
    operation: str
    status: OperationStatus
    message: str
    seconds: float
    """Since the operation started."""


# --------------------------------------------------------------------------- checks


class CheckStatus(enum.StrEnum):
    """What a check says."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The answer to one check, with its reason."""

    component: str
    name: str
    status: CheckStatus
    message: str
    gate: bool = True
    hint: str = ""
    simulated: bool = False
    seconds: float = 0.0
    kind: str = ""
    expected: bool = False
    """It had to be answered: its needs are met, or it was required. Skipped all the same, it fails the run."""

    @property
    def ok(self) -> bool:
        """False for a failure, and for an expected answer that was not given."""
        return self.status is not CheckStatus.FAIL and not (self.status is CheckStatus.SKIP and self.expected)


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What ``sparkrig verify`` says of a stack."""

    stack: str
    cluster: str
    revision: int
    results: tuple[CheckResult, ...]
    """In the order of the components and of their checks."""
    kubernetes: str | None = None
    simulated: bool = False
    seconds: float = 0.0
    left_out: int = 0
    """Checks that were not asked for, such as deep ones without ``--deep``."""
    swept: tuple[str, ...] = ()
    """What an earlier run that was killed had left in the cluster, and this one removed."""
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """True when something was asked, and every expected answer is there and good."""
        return bool(self.results) and not self.interrupted and all(result.ok for result in self.results)


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One line of ``sparkrig status``."""

    component: str
    version: str
    stand_in: bool
    ready: int
    total: int
    """Objects that can be judged, missing ones included; ``not_judged`` ones are not among them."""
    missing: tuple[ObjectRef, ...]
    problems: tuple[str, ...]
    """Each one or more lines; a line that begins with ``next:`` says what to do."""
    url: str | None = None
    helm_revision: int = 0
    not_judged: int = 0
    namespace: str = ""
    notes: tuple[str, ...] = ()
    """What is worth knowing and no problem: optional objects that are not ready."""
    changed: str | None = None
    """RFC 3339 time of the release's newest Helm revision."""
    drift: int | None = None
    """Fields of live objects that are not as they were recorded; None where nobody looked."""


@dataclass(frozen=True, slots=True)
class StackStatus:
    """What ``sparkrig status`` says of a stack: the newest recorded revision, and what is live."""

    stack: str
    cluster: str
    kubernetes: str | None = None
    revision: int = 0
    """0 when no revision is recorded."""
    status: str = ""
    """A ``RevisionStatus``; empty when no revision is recorded."""
    interrupted: bool = False
    """Whether it failed because somebody ended the run."""
    when: str | None = None
    """RFC 3339 time at which the revision finished, or began when it never finished."""
    who: str = ""
    message: str = ""
    simulated: bool = False
    components: tuple[ComponentStatus, ...] = ()
    kept: tuple[ReleaseState, ...] = ()
    """Releases that the stack gave up and left in place."""
    reused: tuple[str, ...] = ()
    """Components in whose place an installation of somebody else serves."""
    gpus_allocated: int | None = None
    gpus_allocatable: int | None = None
    gpu_nodes: int | None = None
    problems: tuple[str, ...] = ()
    """What is wrong with the stack as a whole; lines as in ``ComponentStatus.problems``."""
    at_work: str | None = None
    """Whose run makes the pending revision; empty where its run is no more, None where that is not known."""

    @property
    def ok(self) -> bool:
        """True when something is deployed, all of it that can be judged is ready, and nothing is wrong."""
        return (
            self.status in (RevisionStatus.DEPLOYED, RevisionStatus.ROLLED_BACK)
            and not self.problems
            and all(c.ready == c.total and not c.missing and not c.problems for c in self.components)
        )


def refs_of(objects: Sequence[Mapping[str, Any]], default_namespace: str) -> tuple[ObjectRef, ...]:
    """Names the given manifests' objects, in order, without duplicates.

    ``default_namespace`` is used where a manifest names none; whether a kind is cluster-scoped is
    not known here, so callers that need exact namespaces must ask the cluster.
    """
    seen: dict[ObjectRef, None] = {}
    for item in objects:
        group, _, version = str(item.get("apiVersion", "")).rpartition("/")
        metadata = item.get("metadata") or {}
        namespace = str(metadata.get("namespace") or default_namespace)
        seen[ObjectRef(group, version, str(item.get("kind")), namespace, str(metadata.get("name")))] = None
    return tuple(seen)
