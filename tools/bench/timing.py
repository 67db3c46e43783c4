"""Seconds of calls, and what repeats of them say: for the benches."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import t as student
from tqdm import tqdm


def seconds(function: Callable[[], object]) -> float:
    """Wall-clock seconds of a call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def compare(
    first: Callable[[], object], second: Callable[[], object], repeats: int
) -> tuple[float, float, float]:
    """(ratio, low, high) of first's seconds over second's, from interleaved repeats."""
    runs = tqdm(range(repeats), leave=False)
    return geometric([seconds(first) / seconds(second) for _ in runs])


def geometric(values: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high): the geometric mean and its 95 % t interval on logarithms."""
    logs = [math.log(value) for value in values]
    mean, count = statistics.mean(logs), len(logs)
    half = student.ppf(0.975, count - 1) * statistics.stdev(logs) / math.sqrt(count)
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """(median, 5th, 95th percentile)."""
    middle, low, high = np.percentile(values, (50, 5, 95))
    return float(middle), float(low), float(high)
