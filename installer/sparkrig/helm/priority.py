"""Lets a helm that nobody waits for run behind one that the end of the whole run waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Final

from sparkrig.tools.lifeline import NICENESS

AGAIN_S: Final = 0.15
"""Linux takes one change of a group's niceness in a tenth of a second from who is not root."""


def lower_group(pid: int, running: Collection[int]) -> None:
    """Takes the scheduler's group of a child behind others; nothing where there are no such groups.

    Desktop and server kernels of Linux schedule each session as one (``sched_autogroup``), and helm is started in a
    session of its own: without this its niceness counts among its own threads only. Needs a running event loop;
    ``running`` are the processes that have not ended, and that may still be spoken of.
    """
    if pid not in running:
        return
    try:
        Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS))
    except BlockingIOError:
        asyncio.get_running_loop().call_later(AGAIN_S, lower_group, pid, running)
    except OSError:
        pass
