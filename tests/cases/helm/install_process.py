"""An installer process for tests: upgrades one release through HelmClient, prints helm's pid, waits for it.

Arguments: helm, kubeconfig, context, chart folder, release, namespace, values as JSON, deadline in seconds.
"""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from sparkrig.errors import SparkrigError
from sparkrig.helm.client import HelmClient
from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.component import CrdOwner
from sparkrig.models.release import DesiredRelease


def desired(chart: Path, release: str, namespace: str, values: dict) -> DesiredRelease:
    return DesiredRelease(
        component=release,
        release=release,
        namespace=namespace,
        namespace_labels={},
        chart=Chart("hooked", "1.0.0", "", "sha256:0", chart, ChartOrigin.LOCAL),
        values=values,
        needs=(),
        crd_needs=(),
        crd_owner=CrdOwner.NONE,
        crd_labels={},
        rollback="reversible",
        keep=(),
        timeout_s=60.0,
        digest="sha256:0",
    )


async def main(arguments: list[str]) -> None:
    helm, kubeconfig, context, chart, release, namespace, values, deadline = arguments
    client = HelmClient(Path(helm), ClusterHandle("sim", "test", Path(kubeconfig), context, True))
    work = asyncio.create_task(
        client.install_or_upgrade(
            desired(Path(chart), release, namespace, json.loads(values)), stack="test", deadline_s=float(deadline)
        )
    )
    while not client.running and not work.done():
        await asyncio.sleep(0.02)
    sys.stdout.write(" ".join(map(str, client.running)) + "\n")
    sys.stdout.flush()
    with contextlib.suppress(SparkrigError):
        await work


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
