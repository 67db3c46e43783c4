"""Comparing approaches over recorded runs: gains paired by seed, crossing points, what is there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.results.statistics import SITUATION, interval_half_width


def mean_interval(values: Iterable[float]) -> tuple[float, float, float]:
    """(mean, low, high): a 95 % interval for the mean of repeats, by Student's t.

    low and high are NaN for a single value, which tells nothing of its spread.
    """
    series = pd.Series(list(values), dtype=float)
    if series.empty:
        raise UserError("an interval needs at least one value, and there is none")
    half = interval_half_width(pd.Series([series.std()]), pd.Series([len(series)]))[0]
    return float(series.mean()), float(series.mean() - half), float(series.mean() + half)


def paired_gain(
    runs: pd.DataFrame,
    approach: str,
    baseline: str,
    *,
    by: Sequence[str] = SITUATION,
    value: str = "test_accuracy",
) -> pd.DataFrame:
    """How much `approach` lies above `baseline`, seed by seed: one row for each situation.

    Two runs of one seed saw the same training examples, so their difference is free of the luck
    of the draw that both share. Columns: those of `by`, `approach`, `mean`, `low`, `high` (95 %
    by Student's t) and `runs`, the seeds that both have. Situations that lack one are left out.
    Raises UserError where an approach has one seed twice in a situation.
    """
    keys = [*by, "seed"]
    sides = [runs[runs["approach"] == name][[*keys, value]] for name in (approach, baseline)]
    if any(side.duplicated(keys).any() for side in sides):
        raise UserError(
            "a seed stands twice in one situation; filter the runs by sweep or settings"
        )
    both = sides[0].merge(sides[1], on=keys, suffixes=("", "_base"))
    both["gain"] = both[value] - both[f"{value}_base"]
    groups = both.groupby(list(by), observed=True)["gain"]
    table = groups.agg(mean="mean", deviation="std", runs="count").reset_index()
    half = interval_half_width(table.pop("deviation"), table["runs"])
    table["low"], table["high"] = table["mean"] - half, table["mean"] + half
    table["approach"] = approach
    return table[[*by, "approach", "mean", "low", "high", "runs"]]


def examples_to_reach(table: pd.DataFrame, level: float) -> float:
    """Training examples at which a learning curve first reaches `level`; NaN: never, as measured.

    table: rows of one approach on one task with `n_train` and `mean`. Between two measured sizes
    the curve is taken as straight over log n. A curve that starts at or above the level gives
    its smallest size, so there the answer is "at most".
    """
    rows = table.sort_values("n_train")
    sizes, means = rows["n_train"].to_numpy(float), rows["mean"].to_numpy(float)
    above = np.flatnonzero(means >= level)
    if not len(above):
        return math.nan
    first = int(above[0])
    if first == 0:
        return float(sizes[0])
    return between(sizes[first - 1 : first + 1], means[first - 1 : first + 1], level)


def between(sizes: np.ndarray, means: np.ndarray, level: float) -> float:
    """Size at which a line over log n through two points (2,), (2,) reaches `level`."""
    share = (level - means[0]) / (means[1] - means[0])
    low, high = np.log(sizes)
    return float(np.exp(low + share * (high - low)))


def crossings(curves: pd.DataFrame, approach: str, targets: Sequence[str], n: int) -> pd.DataFrame:
    """Examples that `approach` needs to match each target trained on `n`, for each task.

    curves: from `statistics.summarise`, one backbone. Columns: task, target, `accuracy` (the
    target's mean at n), `examples` (NaN: not reached) and `largest`, the largest size measured.
    """
    rows = []
    for task, own in curves.groupby("task", sort=True):
        line = own[own["approach"] == approach]
        for target in targets:
            goal = own[(own["approach"] == target) & (own["n_train"] == n)]["mean"]
            if len(goal) and len(line):
                reached = examples_to_reach(line, float(goal.iloc[0]))
                largest = int(line["n_train"].max())
                rows.append((task, target, float(goal.iloc[0]), reached, largest))
    return pd.DataFrame(rows, columns=["task", "target", "accuracy", "examples", "largest"])


def coverage(runs: pd.DataFrame) -> str:
    """One sentence on what a figure rests on: how many runs, tasks, sizes and seeds."""
    if runs.empty:
        return "Nothing of this has been recorded yet."
    sizes, seeds = runs["n_train"], runs.groupby(["task", "n_train", "approach"])["seed"].nunique()
    few, many = seeds.min(), seeds.max()
    each = f"{few}" if few == many else f"{few} to {many}"
    tasks = runs["task"].nunique()
    span = " to ".join(f"{size:,}" for size in sorted({sizes.min(), sizes.max()}))
    return (
        f"Read from {len(runs):,} recorded runs: {tasks} {'task' if tasks == 1 else 'tasks'}, "
        f"{span} training examples, "
        f"{each} {'seed' if each == '1' else 'seeds'} for each."
    )
