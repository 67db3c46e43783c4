"""Small multiples of learning curves, and where one approach overtakes another on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers.display.figures import figure
from helpers.display.plots import plot_curves
from helpers.results.statistics import between, paired_gain
from helpers.vocabulary import FEATURE_EXTRACTION, FULL_FINE_TUNING

PANELS = 6
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
        rows.append((*place, _upcrossing(own), clear, int(sizes.min()), int(sizes.max())))
    return pd.DataFrame(rows, columns=[*PLACE, "examples", "clear", "smallest", "largest"])


def _upcrossing(gains: pd.DataFrame) -> float:
    """Size from which the mean gain stays above zero, as far as measured; rows sorted by size."""
    sizes, means = gains["n_train"].to_numpy(float), gains["mean"].to_numpy(float)
    below = np.flatnonzero(means <= 0)
    if not len(below):
        return float(sizes[0])
    last = int(below[-1])
    if last == len(sizes) - 1:
        return math.nan
    return between(sizes[last : last + 2], means[last : last + 2], 0.0)


def small_multiples(
    table: pd.DataFrame,
    by: str = "task",
    *,
    title: str = "",
    marks: Sequence[float] | None = None,
    mark: str = "",
) -> Figure:
    """Draw one panel of learning curves for each value of `by`, with one legend.

    table: from `statistics.summarise`. marks: for each panel, in order, an x to mark with a dashed
    line (NaN: none), which `mark` names below the panel.
    """
    names = list(dict.fromkeys(table[by]))[:PANELS]
    columns = 1 if len(names) == 1 else 2 if len(names) <= 4 else 3
    rows = -(-len(names) // columns)
    height = min(5.0, 0.6 + 2.2 * rows)
    made, axes = figure(title, width=8, height=height, rows=rows, columns=columns, squeeze=False)
    for place, (ax, name) in enumerate(zip(axes.ravel(), names, strict=False)):
        plot_curves(table[table[by] == name], "n_train", log_x=True, ax=ax)
        at = math.nan if marks is None else marks[place]
        ax.set_title(str(name), loc="left", size="medium")
        ax.set(xlabel="", ylabel="test accuracy" if place % columns == 0 else "")
        low, high = ax.get_ylim()
        ax.set_ylim(max(0.0, low), min(1.0, high))  # a t interval may leave the scale
        if not math.isnan(at):
            ax.axvline(at, color="#333333", ls="--", lw=1)
            ax.set_xlabel(f"{mark} {at:,.0f}", size="small")
        if place != min(columns, len(names)) - 1:
            ax.get_legend().remove()
        sizes = sorted(set(table["n_train"]))
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes], size="small")
        ax.minorticks_off()
    for ax in axes.ravel()[len(names) :]:
        ax.set_visible(False)
    made.supxlabel("training examples (log scale)", size="medium")
    return made
