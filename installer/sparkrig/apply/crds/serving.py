"""Waits until the API server serves what CRDs define.

By discovery, which is what helm asks next, and not by watching CRDs: each event of one carries all of its schemas, half
a megabyte for a large one, and an API server that sets up fifty CRDs sends hundreds (docs/adr/0024).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sparkrig.apply.waiting import GONE, unready
from sparkrig.kube.client import KubeApi
from sparkrig.models.json import mappings_at, name_of
from sparkrig.models.objects import Judgement, ObjectRef, Readiness
from sparkrig.plan.crds.drift import CRDS
from sparkrig.plan.survey import CRD
from sparkrig.readiness import judge

PAUSE_FIRST_S: Final = 0.05
PAUSE_LONGEST_S: Final = 0.5
JUDGE_AFTER_S: Final = 2.0
"""How long a CRD may be silent before it is asked what it lacks, and how long until it is asked again."""

Wanted = Mapping[str, Mapping[str, str]]
"""Path of a group and version -> plural of a resource -> name of the CRD that defines it."""


class Serving:
    """Waits for the CRDs of one component, with one round of questions for all of them. Belongs to one event loop."""

    def __init__(self, api: KubeApi, *, timeout_s: float, say: Callable[[str], None]) -> None:
        """``timeout_s`` is how long a CRD may take that is not served."""
        self._api = api
        self._timeout_s = timeout_s
        self._say = say
        self._waiting: dict[str, _Waiting] = {}
        self._asking: asyncio.Task[None] | None = None

    async def until_served(self, crd: Mapping[str, Any]) -> None:
        """Returns when every served version of the CRD is found in discovery.

        Raises:
            OperationError: its names are taken, or it is not served in time.
        """
        name = name_of(crd)
        served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[name] = _Waiting(crd, served, time.monotonic())
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        try:
            await served
        finally:
            self._waiting.pop(name, None)

    async def _ask(self) -> None:
        """Asks again and again while somebody waits; what goes wrong goes to all who do."""
        pause = PAUSE_FIRST_S
        try:
            while waiting := dict(self._waiting):
                unserved = await asyncio.to_thread(_unserved, self._api, _wanted([w.crd for w in waiting.values()]))
                left = {name for resources in unserved.values() for name in resources.values()}
                for name in waiting.keys() - left:
                    self._end(name)
                await self._look_at([name for name in waiting if name in left])
                pause = PAUSE_FIRST_S if len(left) < len(waiting) else min(pause * 1.5, PAUSE_LONGEST_S)
                await asyncio.sleep(pause)
        except Exception as error:
            for name in list(self._waiting):
                self._end(name, error)

    def _end(self, name: str, error: Exception | None = None) -> None:
        found = self._waiting.pop(name, None)
        if found is None or found.served.done():
            return
        if error is None:
            found.served.set_result(None)
        else:
            found.served.set_exception(error)

    async def _look_at(self, names: Sequence[str]) -> None:
        """Asks CRDs that have been silent for a while what they lack.

        Raises:
            OperationError: for those that will never be served, or have not been in time.
        """
        now = time.monotonic()
        still = [(name, found) for name in names if (found := self._waiting.get(name)) is not None]
        if not still:
            return
        more = f" and {len(still) - 1} more" if len(still) > 1 else ""
        self._say(f"waiting: CustomResourceDefinition {still[0][0]} not served yet{more}")
        late = [name for name, found in still if now >= found.since + self._timeout_s]
        silent = [name for name, found in still if now >= found.judged + JUDGE_AFTER_S]
        if late or silent:
            await asyncio.to_thread(_refuse, self._api, late or silent, self._timeout_s if late else None)
        for name in silent:
            if (found := self._waiting.get(name)) is not None:
                found.judged = now


@dataclass(slots=True)
class _Waiting:
    crd: Mapping[str, Any]
    served: asyncio.Future[None]
    since: float
    judged: float = field(init=False)

    def __post_init__(self) -> None:
        self.judged = self.since


def _wanted(crds: Sequence[Mapping[str, Any]]) -> Wanted:
    found: dict[str, dict[str, str]] = {}
    for crd in crds:
        spec = crd["spec"]
        for version in spec["versions"]:
            if version.get("served"):
                path = f"/apis/{spec['group']}/{version['name']}"
                found.setdefault(path, {})[spec["names"]["plural"]] = name_of(crd)
    return found


def _unserved(api: KubeApi, wanted: Wanted) -> Wanted:
    """What of it discovery does not have; one request for each group and version."""
    left = {}
    for path, resources in wanted.items():
        answer = api.get(path, missing_ok=True) or {}
        there = {resource["name"] for resource in mappings_at(answer, "resources")}
        if lacking := {plural: name for plural, name in resources.items() if plural not in there}:
            left[path] = lacking
    return left


def _refuse(api: KubeApi, names: Sequence[str], waited_s: float | None) -> None:
    """Raises for CRDs that will never be served; for all of them where they were waited for long enough."""
    verdicts = {ObjectRef(*CRD, "", name): _judged(api, name) for name in names}
    if failed := {ref: j for ref, j in verdicts.items() if j.readiness is Readiness.FAILED}:
        raise unready("CRDs", "failed", failed)
    if waited_s is not None:
        raise unready("CRDs", f"not ready after {waited_s:.0f} s", verdicts)


def _judged(api: KubeApi, name: str) -> Judgement:
    found = api.get(f"{CRDS}/{name}", missing_ok=True)
    if found is None:
        return GONE
    verdict = judge(found)
    ready = verdict.readiness is Readiness.READY
    return Judgement(Readiness.PROGRESSING, "established, and not in discovery yet") if ready else verdict
