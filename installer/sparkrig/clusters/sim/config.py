"""What is given to kwokctl, and the first objects of a simulated cluster. Pure: options in, documents out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from sparkrig.clusters.sim.state import Record, cluster_dir, home
from sparkrig.models.json import JsonDict

PROVISIONER = "sim.sparkrig.dev/volumes"

ADVERTISED = "192.0.2.1"
"""The API server will not advertise loopback and fails on a machine without a network; nothing uses the address."""

CPU_NODE = {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"}
GPU_NODE = {"cpu": "128", "memory": "2Ti", "ephemeral-storage": "8Ti", "pods": "110"}

GPU_LABELS = {
    # What node feature discovery and GPU feature discovery report on a machine with H100 SXM GPUs.
    "feature.node.kubernetes.io/pci-10de.present": "true",
    "feature.node.kubernetes.io/system-os_release.ID": "ubuntu",
    "feature.node.kubernetes.io/system-os_release.VERSION_ID": "24.04",
    "feature.node.kubernetes.io/kernel-version.full": "6.8.0-60-generic",
    "nvidia.com/cuda.driver-version.full": "580.65.06",
    "nvidia.com/cuda.driver-version.major": "580",
    "nvidia.com/cuda.driver-version.minor": "65",
    "nvidia.com/cuda.driver-version.revision": "06",
    "nvidia.com/cuda.runtime-version.full": "13.0",
    "nvidia.com/cuda.runtime-version.major": "13",
    "nvidia.com/cuda.runtime-version.minor": "0",
    "nvidia.com/gpu.compute.major": "9",
    "nvidia.com/gpu.compute.minor": "0",
    "nvidia.com/gpu.family": "hopper",
    "nvidia.com/gpu.machine": "simulated",
    "nvidia.com/gpu.memory": "81559",
    "nvidia.com/gpu.mode": "compute",
    "nvidia.com/gpu.present": "true",
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
    "nvidia.com/gpu.replicas": "1",
    "nvidia.com/gpu.sharing-strategy": "none",
    "nvidia.com/mig.capable": "true",
    "nvidia.com/mig.strategy": "single",
    "nvidia.com/mps.capable": "false",
}


AUDIT_POLICY = json.dumps(
    {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }
)

RECORD_FILES = ("log", "kwok.yaml", "kwok.audit.yaml", "egress.json")
"""Endings of what a cluster leaves beside its record."""


def egress_file(record: Record) -> Path:
    """Return the place of the API server's egress configuration."""
    return home() / "records" / f"{record.name}.egress.json"


def egress_config(socket: Path) -> str:
    """Return the API server's egress configuration: what is inside the cluster goes through this proxy."""
    connection = {"proxyProtocol": "HTTPConnect", "transport": {"uds": {"udsName": str(socket)}}}
    document = {
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [{"name": "cluster", "connection": connection}],
    }
    return json.dumps(document, indent=2) + "\n"


def kwokctl_config(record: Record, idle: str, audit_policy: str = "") -> str:
    """Return kwokctl's configuration with all Stages behind it.

    ``idle`` is a program that does nothing and succeeds: kwokctl calls kubectl only to ask whether the API server
    answers, which we ask ourselves. ``audit_policy`` is the path of a file with ``AUDIT_POLICY``, or empty.
    """
    ports, binaries = record.ports, record.binaries
    document = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary",
            "bindAddress": "127.0.0.1",
            "kubeVersion": f"v{record.kubernetes}",
            "kubeApiserverPort": ports["apiserver"],
            "etcdPort": ports["etcd"],
            "etcdPeerPort": ports["etcd-peer"],
            "kubeControllerManagerPort": ports["controller-manager"],
            "kubeSchedulerPort": ports["scheduler"],
            "kwokControllerPort": ports["kwok"],
            "etcdBinary": binaries["etcd"],
            "kubeApiserverBinary": binaries["kube-apiserver"],
            "kubeControllerManagerBinary": binaries["kube-controller-manager"],
            "kubeSchedulerBinary": binaries["kube-scheduler"],
            "kwokControllerBinary": binaries["kwok"],
            "kubectlBinary": idle,
            **({"kubeAuditPolicy": audit_policy} if audit_policy else {}),
        },
        "componentsPatches": [
            {"name": name, "extraArgs": [{"key": k, "value": v} for k, v in arguments.items()]}
            for name, arguments in _arguments(record).items()
        ],
    }
    ours = resources.files("sparkrig.clusters.sim").joinpath("stages.yaml").read_text(encoding="utf-8")
    theirs = [file.read_text(encoding="utf-8") for file in record.options.stages]
    # JSON is YAML; the Stages stay text, because their templates are not ours to reformat.
    return "\n---\n".join([json.dumps(document), ours, *theirs]) + "\n"


def kwokctl_environment(home: Path) -> dict[str, str]:
    """Return the environment for kwokctl: no KWOK_* of somebody's shell, and no kubectl to be found."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("KWOK_")}
    return {**kept, "KWOK_WORKDIR": str(home), "PATH": ""}


def first_objects(record: Record) -> Iterator[JsonDict]:
    """Yield the manifests every simulated cluster starts with: nodes and the default StorageClass."""
    yield from _nodes(record)
    yield {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }


def kubeconfig(name: str, server: str, pki: Path) -> str:
    """Return a kubeconfig with the keys in it, so that it can be copied. Secret."""
    import base64

    def data(file: str) -> str:
        return base64.b64encode((pki / file).read_bytes()).decode("ascii")

    context = f"sim-{name}"
    cluster = {"server": server, "certificate-authority-data": data("ca.crt")}
    user = {"client-certificate-data": data("admin.crt"), "client-key-data": data("admin.key")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }
    return json.dumps(document, indent=2) + "\n"


def _arguments(record: Record) -> dict[str, dict[str, str]]:
    apiserver = {"advertise-address": ADVERTISED}
    if not record.options.webhooks:
        apiserver["disable-admission-plugins"] = "MutatingAdmissionWebhook,ValidatingAdmissionWebhook"
    if record.options.egress:
        apiserver["egress-selector-config-file"] = str(egress_file(record))
    return {
        # A power cut may lose a simulated cluster; waiting for the disk on every write is not worth it.
        "etcd": {"unsafe-no-fsync": "true"},
        "kube-apiserver": apiserver,
        # There is one of each: waiting for a dead predecessor's lease would make a restart take 15 seconds.
        # Nobody renews the nodes' leases (below), and nobody's node dies: they are not given up for want of a sign.
        # Each controller may ask 20 times a second by default: forty Deployments at once then wait for that and not for
        # the machine.
        # The folder for volume plugins would be made below /usr otherwise, where root runs this.
        "kube-controller-manager": {
            "leader-elect": "false",
            "kube-api-qps": "100",
            "kube-api-burst": "200",
            "node-monitor-grace-period": "87600h",
            "flex-volume-plugin-dir": str(cluster_dir(record.name) / "volume-plugins"),
        },
        "kube-scheduler": {"leader-elect": "false"},
        # With leases a kwok that is started again may never take the nodes of the one before: where its cache is not
        # filled yet it tries to create a lease, is told that there is one, and loses its second try (0.8.0: the queue
        # of retries forgets to wake its worker). No pod would start any more. There is one kwok: it needs no lease.
        "kwok-controller": {"node-lease-duration-seconds": "0"},
    }


def _nodes(record: Record) -> Iterator[JsonDict]:
    options = record.options
    count = str(options.gpus_per_node)
    kinds: list[tuple[str, dict[str, str], dict[str, str]]] = [
        (f"sim-cpu-{n}", CPU_NODE, {}) for n in range(options.cpu_nodes)
    ]
    gpu, labels = {**GPU_NODE, "nvidia.com/gpu": count}, {**GPU_LABELS, "nvidia.com/gpu.count": count}
    kinds += [(f"sim-gpu-{n}", gpu, labels) for n in range(options.gpu_nodes)]
    for index, (name, resource, more) in enumerate(kinds):
        common = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        annotations = {
            "kwok.x-k8s.io/node": "fake",
            "sim.sparkrig.dev/resources": json.dumps(resource),
            "sim.sparkrig.dev/kubelet": f"v{record.kubernetes}",
            # The range for benchmarks (RFC 2544): routed nowhere.
            "sim.sparkrig.dev/address": f"198.18.{index // 250}.{index % 250 + 1}",
        }
        metadata: JsonDict = {"name": name, "labels": {**common, **more}, "annotations": annotations}
        yield {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
