"""Ctrl-C at moments from the very first on: status 130 and one line, whatever was going on.

Before Python listens, some hundredths of a second, the system ends a process that is interrupted;
a shell calls that 130 as well, and nobody is there to say a line. While Python loads what it brings
itself, before it reads a line of ours, it tells of its own frozen modules alone.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tools.attack import subjects

SIZE, SMALL = 30, 4
LATEST = 9.0  # seconds until the last one: loading, looking, and the race
PATIENCE = 30.0  # seconds in which it is to end
SAID = "stopped; what was finished is kept"


def attack(seed: int, size: int, place: Path) -> list[str]:
    """Interrupt `advise --measure` on new pictures each time; see the module."""
    rng, faults = random.Random(seed), []
    for strike in range(size):
        # Half of them in the first second, the first at once.
        delay = strike / size * 2 if strike < size / 2 else rng.uniform(1, LATEST)
        folder = subjects.pictures(place / f"pictures-{strike}", strike)
        status, out, err = interrupted(folder, delay)
        starting = delay < 0.5 and status in (-signal.SIGINT, 1)
        before_ours = starting and (not err or "<frozen" in err and "helpers" not in err)
        if not before_ours and (status, err.strip()) not in ((130, SAID), (0, "")):
            told = " / ".join(err.strip().splitlines()[-3:])
            faults.append(f"after {delay * 1e3:.0f} ms: status {status}, and said: {told}")
        if status and out:
            faults.append(f"after {delay * 1e3:.0f} ms: an answer though it was stopped")
    return faults


def interrupted(folder: Path, delay: float) -> tuple[int, str, str]:
    """Start the command, press Ctrl-C after so many seconds; returns (status, stdout, stderr)."""
    command = [sys.executable, "-m", "helpers", "advise", str(folder), "--backbone", "pocket"]
    command += ["--image-size", "28", "--measure", "--minutes", "0.5"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=_heed,
    ) as process:  # fmt: skip
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            err = f"nothing for {PATIENCE:g} s"
        return process.returncode, out, err


def _heed() -> None:
    """A shell that starts tests in the background has them ignore it, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
