"""What the programs of a node are configured with. Pure: a node in, documents out."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from string import Template
from typing import Any

from tests.node.settings import HERE, HOST_NAME, Node

SANDBOX_IMAGE = "sparkrig.test/pause:1"
CNI_FOLDER = "/usr/lib/cni"
VOLUME_PLUGINS = "/var/lib/kubelet/volume-plugins"


def control_plane(node: Node, binaries: dict[str, str], version: str) -> dict[str, Any]:
    """kwokctl's configuration: the control plane without kwok, which plays Services only and is started apart."""
    arguments = {
        # The whole node is thrown away at its end.
        "etcd": {"unsafe-no-fsync": "true"},
        "kube-apiserver": {
            "advertise-address": node.ip,
            "service-cluster-ip-range": node.services,
            "kubelet-preferred-address-types": "InternalIP",
            "kubelet-client-certificate": str(node.kwok / "pki" / "admin.crt"),
            "kubelet-client-key": str(node.kwok / "pki" / "admin.key"),
        },
        # There is one of each: after a restart nobody needs to wait for a dead predecessor's lease.
        # It makes its folder for plugins; the default one would be the machine's.
        "kube-controller-manager": {"leader-elect": "false", "flex-volume-plugin-dir": VOLUME_PLUGINS},
        "kube-scheduler": {"leader-elect": "false"},
    }
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary",
            "bindAddress": "0.0.0.0",
            "kubeVersion": f"v{version}",
            "kubeApiserverPort": 6443,
            "kubeApiserverCertSANs": [node.ip, node.api_service_ip, HOST_NAME],
            "disable": ["kwok-controller"],
            "etcdBinary": binaries["etcd"],
            "kubeApiserverBinary": binaries["kube-apiserver"],
            "kubeControllerManagerBinary": binaries["kube-controller-manager"],
            "kubeSchedulerBinary": binaries["kube-scheduler"],
            # kwokctl calls kubectl only to ask whether the API server answers, which we ask ourselves.
            "kubectlBinary": "/usr/bin/true",
        },
        "componentsPatches": [
            {"name": name, "extraArgs": [{"key": k, "value": v} for k, v in pairs.items()]}
            for name, pairs in arguments.items()
        ],
    }


def kubeconfig(node: Node) -> dict[str, Any]:
    """A kubeconfig with the keys in it, for the user, kubelet and kube-proxy. Secret."""

    def data(file: str) -> str:
        return base64.b64encode((node.kwok / "pki" / file).read_bytes()).decode("ascii")

    cluster = {"server": node.server, "certificate-authority-data": data("ca.crt")}
    user = {"client-certificate-data": data("admin.crt"), "client-key-data": data("admin.key")}
    name = node.context
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }


def containerd(node: Node) -> str:
    """containerd's configuration (TOML). Its sockets and state are below /run, which is the node's own."""
    return f"""\
version = 3
root = '{node.folder}/containerd'
state = '/run/containerd'
[grpc]
  address = '/run/containerd/containerd.sock'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '{SANDBOX_IMAGE}'
[plugins.'io.containerd.cri.v1.runtime']
  # Where CAP_SYS_RESOURCE is missing runc cannot lower a score, and ends with "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['{CNI_FOLDER}']
    conf_dir = '{node.folder}/config/cni'
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = 'runc'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = 'io.containerd.runc.v2'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def cni(node: Node) -> dict[str, Any]:
    """The pods' network: a veth pair and a route each.

    No bridge: what two pods say to each other passes the node's rules like everything else, without the kernel
    module that bridges need for that.
    """
    return {
        "cniVersion": "1.0.0",
        "name": "node",
        "plugins": [
            {
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": node.pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet(node: Node) -> dict[str, Any]:
    """kubelet's configuration. Paths below /var/lib/kubelet and /var/log are the node's own mounts."""
    nothing_is_full = {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"}
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "x509": {"clientCAFile": str(node.kwok / "pki" / "ca.crt")},
            "webhook": {"enabled": True},
            "anonymous": {"enabled": False},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "clusterDNS": [node.dns_ip],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{node.folder}/config/resolv.conf",
        "volumePluginDir": VOLUME_PLUGINS,
        # The machine's disk is not the node's to judge, and an image that was removed cannot be fetched again.
        "evictionHard": {**nothing_is_full, "nodefs.inodesFree": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def kube_proxy(node: Node) -> dict[str, Any]:
    """kube-proxy's configuration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": node.pods,
        "hostnameOverride": HOST_NAME,
        "clientConnection": {"kubeconfig": str(node.kubeconfig)},
        # Limits of the whole kernel, which a network namespace cannot set.
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def manifests(node: Node, file: str) -> list[dict[str, Any]]:
    """The objects of a file in ``manifests/``, with this node's addresses."""
    import yaml

    return [document for document in yaml.safe_load_all(text(node, file)) if document]


def text(node: Node, file: str) -> str:
    """A file of ``manifests/``, with this node's addresses."""
    template = Template((HERE / "manifests" / file).read_text(encoding="utf-8"))
    return template.substitute(dns_ip=node.dns_ip, lb_prefix=node.lb_prefix, volumes=f"{node.folder}/volumes")


def write(node: Node) -> None:
    """Write what can be written before the control plane has made its keys; files that are right stay untouched.

    kube-proxy ends when its file is written, be it with the same words.
    """
    files = {
        "cni/10-node.conflist": json.dumps(cni(node), indent=2),
        "containerd.toml": containerd(node),
        "kubelet.json": json.dumps(kubelet(node), indent=2),
        "kube-proxy.json": json.dumps(kube_proxy(node), indent=2),
        "stages.yaml": text(node, "stages.yaml"),
        # No name server outside: pods that do not use the cluster's DNS resolve nothing.
        "resolv.conf": "",
    }
    for name, words in files.items():
        file = node.folder / "config" / name
        if not file.exists() or file.read_text(encoding="utf-8") != words:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(words, encoding="utf-8")


def write_kubeconfig(node: Node) -> None:
    """Write the kubeconfig, readable by its owner only, whole or not at all."""
    draft = Path(f"{node.kubeconfig}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(kubeconfig(node), indent=2) + "\n", encoding="utf-8")
    draft.replace(node.kubeconfig)
