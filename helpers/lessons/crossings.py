"""Where one approach overtakes another on learning curves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from helpers.results.statistics import between, paired_gain
from helpers.vocabulary import FEATURE_EXTRACTION, FULL_FINE_TUNING

PLACE = ("task", "backbone", "dial")


def overtakes(
    runs: pd.DataFrame, approach: str = FULL_FINE_TUNING, baseline: str = FEATURE_EXTRACTION
) -> pd.DataFrame:
    """Where `approach` overtakes `baseline` as examples grow, one row per task, backbone and dial.

    Columns: those of PLACE; `examples`, where the mean paired gain turns from below zero to above
    (straight over log n; the smallest size where it lies above from the start; NaN: never up to
    `largest`); `clear`, the smallest size at which its 95 % interval lies above zero (NaN: none);
    `smallest` and `largest` size measured.
    """
    gains = paired_gain(runs, approach, baseline)
    rows = []
    for place, own in gains.groupby(list(PLACE), observed=True):
        own = own.sort_values("n_train")
        clear = own[own["low"] > 0]["n_train"].min()
        sizes = own["n_train"]
        found = stays_above_zero(sizes.to_numpy(float), own["mean"].to_numpy(float))
        rows.append((*place, found, clear, int(sizes.min()), int(sizes.max())))
    return pd.DataFrame(rows, columns=[*PLACE, "examples", "clear", "smallest", "largest"])


def stays_above_zero(sizes: np.ndarray, values: np.ndarray) -> float:
    """Size from which values stay above zero, as far as measured; NaN: not at the largest.

    sizes: ascending. Between two of them it is read straight over log size.
    """
    below = np.flatnonzero(values <= 0)
    if not len(below):
        return float(sizes[0])
    last = int(below[-1])
    if last == len(sizes) - 1:
        return math.nan
    return between(sizes[last : last + 2], values[last : last + 2], 0.0)
