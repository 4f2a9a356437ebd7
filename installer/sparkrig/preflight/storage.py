"""StorageClasses and access modes against the volumes that the stack asks for; load balancers against its Services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sparkrig.models.json import JsonObject, dig, name_of
from sparkrig.preflight.data import Case
from sparkrig.preflight.finding import Finding, fail, listed, ok, warn
from sparkrig.preflight.objects import claims, kind_of, namespace_in

ONE_NODE_ONLY: Final = frozenset(
    {"rancher.io/local-path", "kubernetes.io/no-provisioner", "kubernetes.io/host-path", "k8s.io/minikube-hostpath",
     "microk8s.io/hostpath", "docker.io/hostpath", "ebs.csi.aws.com", "kubernetes.io/aws-ebs",
     "disk.csi.azure.com", "kubernetes.io/azure-disk", "pd.csi.storage.gke.io", "kubernetes.io/gce-pd",
     "cinder.csi.openstack.org", "dobs.csi.digitalocean.com", "csi.hetzner.cloud", "topolvm.io",
     "rbd.csi.ceph.com", "rook-ceph.rbd.csi.ceph.com"}
)  # fmt: skip
"""Provisioners whose file systems one node at a time can mount (for block volumes some can do more)."""
MANY: Final = ("ReadWriteMany", "ReadOnlyMany")


def storage(case: Case) -> Iterator[Finding]:
    """The default StorageClass, classes by name, and access modes that a class cannot give."""
    default = case.facts.default_storage_class
    readable = "storage_classes" not in case.survey.denied
    classes = {name_of(item): item for item in case.survey.storage_classes}
    found = list(claims(case))
    without = sorted({c.component for c in found if c.storage_class is None})
    asking = [
        w.name
        for w in case.wanted
        if w.component.requires.get("defaultStorageClass") and (w.name in without or not w.objects)
    ]
    if readable and default is None:
        for component in dict.fromkeys([*without, *asking]):
            titles = [c.title for c in found if c.component == component and c.storage_class is None]
            message = f"{listed(titles, 3) or 'the component'} needs a default StorageClass, and there is none"
            yield fail("default-storage-class", component, message, _hint(classes))
        if not case.wanted:
            yield warn("default-storage-class", "cluster", "there is no default StorageClass", _hint(classes))
    elif default is not None:
        yield ok("default-storage-class", "cluster", f"default StorageClass {default}")
    for claim in found if readable else ():
        name = default if claim.storage_class is None else claim.storage_class
        if not name:
            continue  # the empty name: a volume that a person made
        if name not in classes:
            if not _has_volume(case, name):
                message = f"{claim.title} names StorageClass {name}, which does not exist"
                yield fail("storage-class", claim.component, message, _hint(classes))
            continue
        many = [mode for mode in claim.modes if mode in MANY]
        provisioner = str(classes[name].get("provisioner", ""))
        if many and provisioner in ONE_NODE_ONLY:
            message = f"{claim.title} wants {many[0]}, which StorageClass {name} ({provisioner}) cannot give"
            hint = "name a StorageClass of a shared file system in its values"
            yield fail("access-mode", claim.component, message, hint)


def load_balancer(case: Case) -> Iterator[Finding]:
    """Services that wait for an address nobody gives."""
    given = case.facts.values.get("cluster.load-balancer")
    for wanted in case.wanted:
        services = [
            f"{namespace_in(item, wanted)}/{name_of(item)}"
            for item in wanted.objects
            if kind_of(item) == ("", "v1", "Service") and dig(item, "spec", "type") == "LoadBalancer"
        ]
        required = wanted.component.requires.get("loadBalancer") is True
        if not services and not required:
            continue
        what = f"Service {listed(services, 3)} is of type LoadBalancer" if services else "it needs a load balancer"
        hint = "use type NodePort, or install a load balancer controller"
        if given is False:
            yield fail("load-balancer", wanted.name, f"{what}, and nothing here gives it an address", hint)
        elif given is None:
            yield warn("load-balancer", wanted.name, f"{what}; no sign that anything here gives it an address", hint)
    if given is True:
        yield ok("load-balancer", "cluster", "Services of type LoadBalancer get an address")


def _has_volume(case: Case, name: str) -> bool:
    if "volumes" in case.survey.denied:
        return True
    return any(dig(item, "spec", "storageClassName") == name for item in case.survey.volumes)


def _hint(classes: JsonObject | Sequence[str]) -> str:
    if classes:
        return f"there are {listed(sorted(classes))}: mark one as the default, or name one in global.storageClass"
    return "install a storage provisioner first"
