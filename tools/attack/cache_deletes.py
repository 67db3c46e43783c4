"""The cache deleted while `advise --export` runs: it answers all the same, as the README says."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.attack import subjects

SIZE, SMALL = 20, 1
BETWEEN = (1.0, 6.0)  # seconds between two deletions
PATIENCE = 240.0  # seconds for the answer


def attack(seed: int, size: int, place: Path) -> list[str]:
    """Delete everything but the assets again and again while it runs; see the module."""
    rng, faults = random.Random(seed), []
    for strike in range(size):
        folder = subjects.pictures(place / f"pictures-{strike}", strike)
        command = [sys.executable, "-m", "helpers", "advise", str(folder), "--backbone", "pocket"]
        command += ["--image-size", "28"]
        command += ["--export", str(place / f"model-{strike}")]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            until, deletions = time.monotonic() + PATIENCE, 0
            while process.poll() is None and time.monotonic() < until:
                time.sleep(rng.uniform(*BETWEEN))
                deletions += _delete(place / "cache")
            process.kill()
            _, err = process.communicate()
        if process.returncode:
            told = " / ".join(err.strip().splitlines()[-3:])
            faults.append(f"{deletions} deletions: status {process.returncode}, said: {told}")
    return faults


def _delete(cache: Path) -> bool:
    for one in cache.iterdir():
        if one.name != "assets":
            shutil.rmtree(one, ignore_errors=True)
    return True
