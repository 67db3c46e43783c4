"""Measure the advisor at scale, for data/results/bench.csv: seconds and memory of an answer.

advise_5000_seconds   5,000 JPEG photos of 10 classes, the first answer at both sizes: seconds / 150
advise_5000_again     the second answer, from the cache: seconds / 10
advise_5000_memory    peak resident MB of the first answer / 2,500
advise_50000_memory   50,000 small pictures of 10 classes: peak resident MB / 4,000
"""

from __future__ import annotations

import functools
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

CLASSES = 10
LIMITS = {"seconds": 150.0, "again": 10.0, "memory": 2_500.0, "many": 4_000.0}
Figure = tuple[float, float, float, str]


def photos(folder: Path, n: int, width: int, height: int, kind: str) -> None:
    """Write n pictures of 10 classes: noise around a colour of the class, so that none is alike."""
    rng = np.random.default_rng(0)
    colours = rng.integers(60, 200, (CLASSES, 3))
    for i in tqdm(range(n), desc="drawing", leave=False, disable=None):
        label = i % CLASSES
        small = rng.normal(colours[label], 40, (max(4, height // 10), max(4, width // 10), 3))
        image = Image.fromarray(small.clip(0, 255).astype(np.uint8)).resize((width, height))
        place = folder / f"class {label}"
        place.mkdir(exist_ok=True)
        image.save(place / f"{i:05}.{kind}")


def ask(folder: Path, cache: Path) -> tuple[float, float]:
    """(seconds, peak resident MB) of one answer in a process of its own."""
    command = [sys.executable, "-m", "tools.bench.bench_advisor", str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"TRANSFER_CACHE": str(cache)}
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, peak = map(float, done.stdout.split()[-2:])
    return seconds, peak


@functools.cache
def first_and_second() -> tuple[tuple[float, float], tuple[float, float]]:
    """The first answer on 5,000 photos and the second; weights are there before the clock runs."""
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name) / "photos", Path(name) / "cache"
        warm = Path(name) / "warm"
        folder.mkdir(), warm.mkdir()
        photos(warm, 100, 128, 96, "jpg")
        ask(warm, cache)
        photos(folder, 5_000, 640, 480, "jpg")
        return ask(folder, cache), ask(folder, cache)


def _over(value: float, limit: float, what: str) -> Figure:
    return value / limit, math.nan, math.nan, f"{what} ({value:.0f}) / {limit:,.0f}"


def advise_5000_seconds() -> Figure:
    """Seconds of the first answer."""
    (seconds, _), _ = first_and_second()
    return _over(seconds, LIMITS["seconds"], "seconds of the first answer on 5,000 JPEG photos")


def advise_5000_again() -> Figure:
    """Seconds of the second answer."""
    _, (seconds, _) = first_and_second()
    return _over(seconds, LIMITS["again"], "seconds of the second answer on 5,000 JPEG photos")


def advise_5000_memory() -> Figure:
    """Peak resident memory of the first answer."""
    (_, peak), _ = first_and_second()
    return _over(peak, LIMITS["memory"], "peak resident MB of an answer on 5,000 JPEG photos")


def advise_50000_memory() -> Figure:
    """Peak resident memory on fifty thousand small pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "small"
        folder.mkdir()
        photos(folder, 50_000, 32, 32, "png")
        _, peak = ask(folder, Path(name) / "cache")
    return _over(peak, LIMITS["many"], "peak resident MB of an answer on 50,000 small pictures")


def main() -> None:
    """The process of its own: one answer, then seconds and peak memory on the last line."""
    import time

    from helpers.advisor.pipeline import Request, advise
    from tools.bench.peak_memory import peak_resident_mb

    started = time.perf_counter()
    advise(Request(Path(sys.argv[1])))
    print(time.perf_counter() - started, peak_resident_mb())


if __name__ == "__main__":
    main()
