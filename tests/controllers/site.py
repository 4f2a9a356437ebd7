"""A simulated cluster in which the pods that have a recipe run their real programs."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.controllers import recipes as recipe_file
from tests.controllers import router
from tests.controllers.kubelet import Kubelet, stages
from tests.controllers.recipes import Recipe

from sparkrig.clusters import sim as provider
from sparkrig.clusters.sim import state
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle


@dataclass(frozen=True)
class Site:
    """The cluster, and what plays its node."""

    handle: ClusterHandle
    api: KubeApi
    kubelet: Kubelet

    def logs(self) -> str:
        """The end of each program's log, for a test that failed."""
        pods = tuple(self.kubelet.pods.values())
        return "\n".join(f"--- {pod.namespace}/{pod.name}\n{pod.log()[-3000:]}" for pod in pods)


def chosen(names: Sequence[str] = ()) -> tuple[Recipe, ...]:
    """Return the recipes of these names (all without) whose programs are here or can be built."""
    every = recipe_file.load()
    wanted = [recipe for recipe in every if not names or recipe.name in names]
    return tuple(recipe for recipe in wanted if not recipe.unavailable())


def _count_as_real(api: KubeApi) -> None:
    """Have checks judge what controllers say: on a cluster of nodes that are all marked as simulated they are skipped.

    KWOK manages every node of a simulated cluster, marked or not.
    """
    for node in api.list("/api/v1/nodes", metadata_only=True):
        path = f"/api/v1/nodes/{node['metadata']['name']}"
        api.patch(path, {"metadata": {"annotations": {"kwok.x-k8s.io/node": None}}})


@contextmanager
def controllers(recipes: Sequence[Recipe], name: str = "", **options: Any) -> Iterator[Site]:
    """Make a cluster and run the programs of these recipes in it; at the end nothing is left of either.

    ``options`` are those of ``SimOptions``.
    """
    recipe_file.build(recipes)
    name = name or f"controllers-{uuid.uuid4().hex[:6]}"
    # Not below the tests' own folder: the path of a Unix socket has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="sparkrig-controllers-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "stages.yaml").write_text(stages(recipes), encoding="utf-8")
        apis: list[KubeApi] = []
        kubelets: list[Kubelet] = []

        def dial(address: str, port: int) -> Any:
            pod = kubelets[0].at(address) if kubelets else None
            if pod is None:
                raise ConnectionRefusedError(f"no pod with a program has the address {address}")
            return pod.connect(port)

        proxy = router.egress(folder / "egress", lambda: apis[0], dial)
        stack.callback(proxy.close)
        stack.callback(provider.delete, name)
        wanted = {"webhooks": True, "egress": folder / "egress", "stages": (folder / "stages.yaml",)} | options
        handle = provider.create(name, provider.SimOptions(**wanted))
        api = KubeApi(handle)
        stack.callback(api.close)
        apis.append(api)
        record = state.read_record(name)
        assert record is not None
        gate = router.api_gate(folder / "api", record.ports["apiserver"])
        stack.callback(gate.close)
        service = (api.get("/api/v1/namespaces/default/services/kubernetes") or {})["spec"]
        where = (service["clusterIP"], service["ports"][0]["port"])
        kubelet = Kubelet(api, recipes, folder, where, folder / "api")
        kubelets.append(kubelet)
        _count_as_real(api)
        kubelet.start()
        stack.callback(kubelet.close)
        yield Site(handle, api, kubelet)
