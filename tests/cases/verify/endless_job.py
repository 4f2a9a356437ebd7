"""Run one check whose Job never ends: no node has what it asks for. Arguments: name of the sim cluster, namespace."""

from __future__ import annotations

import sys

from sparkrig.checks.kinds.base import Cluster, Depth, Subject
from sparkrig.checks.run import run_checks
from sparkrig.checks.selection import Selection
from sparkrig.clusters import sim
from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import CheckSpec
from sparkrig.models.release import ReleaseState

name, namespace = sys.argv[1:]
parameters = {"image": "tool", "resources": {"limits": {"nvidia.com/gpu": 99}}}
check = CheckSpec("endless", "job", True, 120.0, parameters=parameters)
state = ReleaseState("web", "web", namespace, "web", "1.0.0", "", False, "", 1, ())
subject = Subject("web", state, (check,))
api = KubeApi(sim.handle(name))
cluster = Cluster(api, ObjectWatch(api), ClusterFacts(), "lab", (subject,))
asked = run_checks(cluster, [subject], Selection(depth=Depth.DEEP))
words = ["interrupted" if asked.interrupted else "ended", *(f"{r.status} {r.message}" for r in asked.results)]
sys.stdout.write(" ".join(words) + "\n")
