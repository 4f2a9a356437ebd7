"""The namespace where revisions and locks live."""

from __future__ import annotations

from sparkrig.defaults import FIELD_MANAGER, SYSTEM_NAMESPACE
from sparkrig.kube.client import KubeApi


def ensure_home(api: KubeApi) -> None:
    """Creates the namespace when it is not there; an existing one is left as it is.

    Looked at first, so that somebody with rights inside the namespace only can work in one that an
    administrator made.
    """
    if api.get(f"/api/v1/namespaces/{SYSTEM_NAMESPACE}", missing_ok=True) is None:
        api.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": SYSTEM_NAMESPACE,
                    "labels": {
                        "app.kubernetes.io/managed-by": FIELD_MANAGER,
                        "pod-security.kubernetes.io/enforce": "restricted",
                    },
                },
            }
        )
