"""Sums over published cases: what moving the network gains, and what a choice gives up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from helpers.results.published.cases import APPROACHES, regret_points
from helpers.vocabulary import FEATURE_EXTRACTION, FULL_FINE_TUNING

By = str | Callable[[pd.DataFrame], pd.Series]


def full_minus_linear(
    cases: pd.DataFrame, by: By = "source", tuned: str = FULL_FINE_TUNING
) -> pd.DataFrame:
    """Return what full fine-tuning, or another, gains over a linear model on frozen features.

    A source may put a small network on the frozen features in place of a linear model.

    by: a column of the cases, or a function from them to a group for each. Only cases that have
    both and whose scores are in hundredths count. Columns: cases, data_sets, mean and median (in
    points), linear_first (share of cases in which the frozen network scores higher).
    """
    both = cases[cases["points"]].dropna(subset=[FEATURE_EXTRACTION, tuned])
    gains = both[tuned] - both[FEATURE_EXTRACTION]
    key = by(both) if callable(by) else by
    table = both.assign(gain=gains, lost=gains < 0).groupby(key, observed=True)
    return table.agg(
        cases=("gain", "size"),
        data_sets=("data_set", "nunique"),
        mean=("gain", "mean"),
        median=("gain", "median"),
        linear_first=("lost", "mean"),
    )


def standings(cases: pd.DataFrame) -> pd.DataFrame:
    """Return how each approach stands over the cases that have it, so each over cases of its own.

    Index: approach, those that no case in points has left out. Columns: cases, data_sets, first
    (share of these cases in which it scores highest), regret (mean points below the highest).
    """
    long = regret_points(cases).melt(var_name="approach", value_name="regret", ignore_index=False)
    long = long.dropna().join(cases["data_set"])
    table = long.assign(first=long["regret"] == 0).groupby("approach")
    made = table.agg(
        cases=("regret", "size"),
        data_sets=("data_set", "nunique"),
        first=("first", "mean"),
        regret=("regret", "mean"),
    )
    return made.loc[[name for name in APPROACHES if name in made.index]]


def average_scores(cases: pd.DataFrame, by: str = "domain") -> pd.DataFrame:
    """Return the mean score of each approach by a column, over the group's cases that have it."""
    table = cases[cases["points"]].groupby(by)[list(APPROACHES)].mean()
    return table.dropna(axis=1, how="all")


def size_bands(edges: Sequence[float]) -> Callable[[pd.DataFrame], pd.Series]:
    """Return a function for `by`: training examples from one edge up to below the next."""
    ends = [0, *edges, float("inf")]
    named = [f"under {ends[1]:,}"]
    named += [f"{low:,} to {high:,}" for low, high in zip(edges, edges[1:], strict=False)]
    named += [f"{ends[-2]:,} and more"]
    return lambda cases: pd.cut(cases["n_train"], ends, right=False, labels=named)
