"""Process 1 of a node: gives it mounts of its own, then only reaps. Started by ``spaces.open_spaces``; a script.

With this process everything inside ends: the kernel kills the other processes of its namespace, and the mounts and
the network go with the last of them. Nothing is left to be undone by a program that may have been killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

SYSCTLS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
SYSCTLS_OF_KEYS = ("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")


def main() -> None:
    """Set the node up, say so on stdout, and wait for ever."""
    folder, host_name = Path(sys.argv[1]), sys.argv[2]
    socket.sethostname(host_name)
    # kubelet passes mounts on to pods and back; nothing of it reaches the machine, because the namespace began private.
    mount("--make-rshared", "/")
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    mount("--bind", str(folder / "kubelet"), "/var/lib/kubelet")
    mount("--bind", str(folder / "cni"), "/var/lib/cni")
    mount("--bind", str(folder / "var-log"), "/var/log")
    hide_sysctls(folder / "sysctls")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    signal.signal(signal.SIGCHLD, lambda *_: reap())
    print("ready", flush=True)
    while True:
        signal.pause()


def reap() -> None:
    """Take the exit status of every child that ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def hide_sysctls(folder: Path) -> None:
    """Cover the settings of the whole kernel that kubelet writes, e.g. to reboot on a panic, with files."""
    for name in SYSCTLS + SYSCTLS_OF_KEYS:
        real = Path("/proc/sys") / name
        if not real.exists():
            continue
        cover = folder / name.replace("/", ".")
        cover.write_bytes(real.read_bytes())
        mount("--bind", str(cover), str(real))


def mount(*arguments: str) -> None:
    """Mount, or end with mount's own words."""
    done = subprocess.run(["mount", *arguments], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


if __name__ == "__main__":
    main()
