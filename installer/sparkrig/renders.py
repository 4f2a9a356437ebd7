"""What charts render, as preflight judges it, kept in the user's cache under everything that a rendering depends on.

Never what is installed: helm renders again. No Secret's contents are kept, and nothing of a release whose values look
as if a secret were among them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from sparkrig.model import DesiredRelease
from sparkrig.plan.fields import comparable, is_secret
from sparkrig.plan.masking import masked_object, masked_values
from sparkrig.tools import cache_dir
from sparkrig.tools.kept import keep, recall

Objects: TypeAlias = Sequence[Mapping[str, Any]]
FORM: Final = 1
"""Grows when helm is called in another way, or its output read in another way."""
CONTENTS: Final = ("data", "stringData")


class Renders:
    """The renderings of one helm for one Kubernetes version and what it serves."""

    def __init__(self, helm: Path, version: str, kubernetes: str, api_versions: Iterable[str]) -> None:
        """``helm`` is the program, which may be a script that runs another; ``version`` is what it says of itself.

        ``api_versions`` as in ``helm template``.
        """
        found = helm.stat()
        program = [str(helm), found.st_mtime_ns, found.st_size, version]
        self._known = [FORM, program, kubernetes, sorted(api_versions)]

    def recall(self, desired: DesiredRelease, *, upgrade: bool) -> list[dict[str, Any]] | None:
        """The objects of a rendering of exactly this, Secrets perhaps without their contents; None where unknown."""
        if not desired.chart.digest or (text := recall(self._file(desired, upgrade=upgrade))) is None:
            return None
        found: list[dict[str, Any]] = json.loads(text)
        return found

    def remember(
        self, desired: DesiredRelease, objects: Objects, *, upgrade: bool, schema: Mapping[str, Any] | None = None
    ) -> None:
        """Keep a rendering, unless something of it must not be kept.

        ``schema`` is that of the component's values, which may name secrets. An upgrade is held against the cluster
        with the contents of its Secrets, so one that has any is not kept; nor is one with objects inside of a List.
        """
        if not desired.chart.digest or masked_values(desired.values, schema) != desired.values:
            return
        if any("items" in item for item in objects):
            return
        bare = [_without_contents(item) for item in objects]
        if upgrade and bare != list(objects):
            return
        try:
            text = json.dumps(bare)
        except (TypeError, ValueError):
            return
        # Numbers as keys become texts.
        if json.loads(text) == bare and not any(map(_shows_secret, bare)):
            keep(self._file(desired, upgrade=upgrade), text)

    def _file(self, desired: DesiredRelease, *, upgrade: bool) -> Path:
        release = [desired.release, desired.namespace, desired.chart.digest, desired.values, upgrade]
        told = json.dumps([*self._known, *release], sort_keys=True)
        return cache_dir() / "renders" / f"{hashlib.sha256(told.encode()).hexdigest()}.json"


def _shows_secret(item: Mapping[str, Any]) -> bool:
    """Whether something in it is masked where it is shown: what must not be in a log must not be in a cache either."""
    return not is_secret(item) and masked_object(item) != comparable(item)


def _without_contents(item: Mapping[str, Any]) -> dict[str, Any]:
    if not is_secret(item):
        return dict(item)
    return {key: dict.fromkeys(value, "") if key in CONTENTS and value else value for key, value in item.items()}
