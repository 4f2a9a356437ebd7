"""Makes docs/up.svg from a real run of ``sparkrig up`` on a fresh embedded cluster. ``make recording``.

The run goes through a pseudo-terminal, so that the picture shows what a person sees. Every piece of output keeps its
time. The charts are the stand-ins of tests/charts: the recording needs no network.
"""

from __future__ import annotations

import argparse
import codecs
import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from terminal_svg import Output, svg

ROOT: Final = Path(__file__).parents[1]
COLUMNS: Final = 104
ROWS: Final = 40
LONGEST_S: Final = 45.0
COMMAND: Final = "sparkrig up --on sim:lab --stand-ins tests/charts -f examples/lab.yaml --yes"


def record(command: Sequence[str], environment: dict[str, str]) -> list[Output]:
    """Runs the command on a terminal of its own and returns its output with times; fails where the command fails."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    start = time.monotonic()
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, env=environment, cwd=ROOT, start_new_session=True
    )
    os.close(follower)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    outputs: list[Output] = []
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:  # the last process that had the terminal open has ended
            data = b""
        if not data:
            break
        outputs.append(Output(time.monotonic() - start, decoder.decode(data)))
    os.close(leader)
    if code := process.wait():
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{''.join(o.text for o in outputs)}")
    return outputs


def main(arguments: Sequence[str] | None = None) -> int:
    """Records the run and writes the picture."""
    parser = argparse.ArgumentParser(description="Records a real run of sparkrig up as an animated SVG.")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "up.svg")
    options = parser.parse_args(arguments)
    program = str(Path(sys.executable).parent / "sparkrig")
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "SPARKRIG_STATE_DIR": state, "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        words = COMMAND.split()
        try:
            outputs = record([program, *words[1:]], environment)
        finally:
            delete = [program, "cluster", "delete", "--on", "sim:lab"]
            subprocess.run(delete, env=environment, check=True, capture_output=True)
    prompt = Output(0.0, f"$ {COMMAND}\r\n")
    took = outputs[-1].at
    if took > LONGEST_S:
        raise SystemExit(f"the run took {took:.0f} s, more than {LONGEST_S:.0f}: record on a machine that is less busy")
    title = f"A real run of sparkrig up on an embedded cluster, recorded in {took:.0f} seconds"
    options.to.write_text(svg([prompt, *outputs], columns=COLUMNS, rows=ROWS, title=title), encoding="utf-8")
    print(f"{options.to}: {took:.1f} s, {options.to.stat().st_size // 1024} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
