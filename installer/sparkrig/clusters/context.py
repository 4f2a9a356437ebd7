"""The provider ``context``: a cluster that is there already, named by a context of the user's kubeconfig."""

from __future__ import annotations

from pathlib import Path

from sparkrig.kube.kubeconfig import credentials_of, in_cluster_credentials, kubeconfig_files, read_kubeconfig
from sparkrig.models.cluster import ClusterHandle


def connect(name: str | None = None, *, kubeconfig: Path | None = None) -> ClusterHandle:
    """Return the handle of a context; of the current one without a name. Contacts nothing.

    The kubeconfig files are kubectl's: ``kubeconfig``, else KUBECONFIG, else ``~/.kube/config``. In a pod without
    any of them the pod's own service account is used.

    Raises:
        NotFound: no kubeconfig, no such context (names those there are), or no current one.
        OperationError: a kubeconfig cannot be read.
    """
    no_file = kubeconfig is None and not any(file.is_file() for file in kubeconfig_files(None))
    if name is None and no_file:
        pod = in_cluster_credentials()
        if pod is not None:
            return ClusterHandle("context", pod.context, None, None)
    found = credentials_of(read_kubeconfig(kubeconfig), name)
    return ClusterHandle("context", found.context, kubeconfig, found.context)
