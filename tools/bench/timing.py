"""Seconds of calls, and what repeats of them say: for the benches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

from helpers.results.statistics import mean_interval


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
    mean, low, high = np.exp(mean_interval(np.log(values)))
    return float(mean), float(low), float(high)


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """(median, 5th, 95th percentile)."""
    middle, low, high = np.percentile(values, (50, 5, 95))
    return float(middle), float(low), float(high)
