"""How a claim is tested: gains, shares, ratios, trends and first cases over recorded runs.

Every test works on situations (task, backbone, dial, picture size, examples) in which the compared
arms were run with the same seeds. Situations of one task on one backbone are alike, so they are
averaged first: intervals are over such families, and where there are fewer than three, over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.results.statistics import (
    CONFIDENCE,
    bootstrap_interval,
    mean_interval,
    pair,
    pooled_mean,
    t_half_width,
)

FAMILY = ["backbone", "task"]  # the dial's steps are one task seen from afar
SITUATION = [*FAMILY, "dial", "image_size", "n_train"]
LEAST_FAMILIES = LEAST_SEEDS = 3
RESAMPLES = 2_000
HOLDS, FAILS, UNTESTED, UNDECIDED = "holds", "fails", "not tested", "undecided"


@dataclass(frozen=True)
class Effect:
    """An effect with its 95 % interval, and what it rests on. `arms`: what was compared."""

    effect: float
    low: float
    high: float
    tasks: int
    runs: int
    note: str = ""


def judge(measured: Effect | None, margin: float = 0.0) -> str:
    """Return HOLDS above the margin, FAILS below it, UNDECIDED where the interval spans it.

    A first case that was not found fails only where nothing could have been missed, which is the
    same: its highest bound lies below the margin. UNTESTED where nothing was measured.
    """
    if measured is None or math.isnan(measured.effect):
        return UNTESTED
    if measured.low > margin:
        return HOLDS
    return FAILS if measured.high < margin else UNDECIDED


def arms_table(
    runs: pd.DataFrame, ours: Sequence[str], theirs: Sequence[str], value: str, arm: str
) -> pd.DataFrame:
    """One row per situation and seed: `ours` and `theirs`, the values of the two sides.

    A side of several arms is, in each situation, the one with the best mean validation accuracy,
    so that no side is picked by the test accuracy it is judged by. Situations without both sides
    are left out.
    """
    sides = []
    for names in (ours, theirs):
        rows = runs[runs[arm].isin(names)]
        means = rows.groupby([*SITUATION, arm], observed=True)["val_accuracy"].mean().reset_index()
        means = means.sort_values([*SITUATION, "val_accuracy", arm], kind="stable")
        best = means.drop_duplicates(SITUATION, keep="last")[[*SITUATION, arm]]
        sides.append(rows.merge(best, on=[*SITUATION, arm])[[*SITUATION, "seed", value]])
    both = pair(*sides, [*SITUATION, "seed"], [value])
    both = both.rename(columns={value: "ours", f"{value}_theirs": "theirs"})
    return both.dropna(subset=["ours", "theirs"])


def gain(runs: pd.DataFrame, query: dict[str, Any]) -> Effect | None:
    """Mean of ours − theirs, paired by situation and seed."""
    table = _arms(runs, query)
    return _mean(table.assign(effect=table["ours"] - table["theirs"]))


def ratio(runs: pd.DataFrame, query: dict[str, Any]) -> Effect | None:
    """Geometric mean of theirs / ours: how many times more the other side costs.

    tasks (in the query): of files for so many tasks, where theirs is a full copy for each and ours
    is one such copy, the base, besides a file for each.
    """
    table = _arms(runs, query)
    ours, theirs = table["ours"].clip(lower=1e-9), table["theirs"].clip(lower=1e-9)
    if "tasks" in query:
        ours = (theirs + query["tasks"] * ours) / query["tasks"]
    measured = _mean(table.assign(effect=np.log(theirs / ours)))
    if measured is None:
        return None
    ends = np.exp([measured.effect, measured.low, measured.high])
    return Effect(*map(float, ends), measured.tasks, measured.runs, measured.note)


def share(runs: pd.DataFrame, query: dict[str, Any]) -> Effect | None:
    """Share of the situations in which our mean is the higher one by `by` or more.

    The interval is a percentile bootstrap over families (2,000 resamples, seed 0).
    """
    table = _arms(runs, query)
    if table.empty:
        return None
    means = table.groupby(SITUATION, observed=True)[["ours", "theirs"]].mean()
    wins = (means["ours"] - means["theirs"] >= query.get("by", 0.0)).groupby(level=FAMILY)
    won, of = wins.sum().to_numpy(), wins.count().to_numpy()
    ends = bootstrap_interval(pooled_mean, won, of, draws=RESAMPLES)
    note = f"{won.sum()} of {of.sum()} situations"
    return Effect(won.sum() / of.sum(), *ends, *_rests_on(table), note)


def first_case(runs: pd.DataFrame, query: dict[str, Any]) -> Effect | None:
    """The situation with the clearest gain: what is claimed to happen must happen somewhere.

    Three seeds alone tell little of their spread, so it is pooled over the situations with as many
    examples. Looking through many situations finds a lucky one, so the interval is at 95 % for all
    of them together (Bonferroni).
    """
    table = _arms(runs, query)
    gains = table.assign(effect=table["ours"] - table["theirs"]).groupby(SITUATION, observed=True)
    cases = gains["effect"].agg(["mean", "var", "count"])
    cases = cases[cases["count"] >= LEAST_SEEDS]
    if cases.empty:
        return None
    freedom = cases["count"] - 1
    alike = (cases["var"] * freedom).groupby(level="n_train").transform("sum")
    free = freedom.groupby(level="n_train").transform("sum")
    level = 1 - (1 - CONFIDENCE) / len(cases)
    half = t_half_width(np.sqrt(alike / free / cases["count"]), free, level)
    low = cases["mean"] - half
    clear = int((low > query.get("margin", 0.0)).sum())
    best = low.idxmax()
    where = dict(zip(SITUATION, best, strict=True))
    note = f"clear in {clear} of {len(cases)} situations; clearest: {where['task']} on "
    note += f"{where['backbone']}, {where['n_train']:,} examples"
    found = (cases["mean"][best], low[best], cases["mean"][best] + half[best])
    return Effect(*map(float, found), *_rests_on(table), note)


def trend(runs: pd.DataFrame, query: dict[str, Any]) -> Effect | None:
    """How much ours − theirs grows from distance 0 to 1: least squares over tasks and dial steps.

    The interval is a percentile bootstrap over these (2,000 resamples, seed 0). None where they
    lie at fewer than three distances.
    """
    table = _arms(runs, query).merge(runs[[*SITUATION, "distance"]].drop_duplicates(), on=SITUATION)
    table["effect"] = table["ours"] - table["theirs"]
    points = table.groupby([*FAMILY, "dial"], observed=True)[["effect", "distance"]].mean()
    if points["distance"].nunique() < LEAST_FAMILIES:
        return None
    x, y = points["distance"].to_numpy(), points["effect"].to_numpy()
    ends = bootstrap_interval(_slope, x, y, draws=RESAMPLES)
    note = f"gain per unit of distance over {len(x)} tasks and dial steps"
    return Effect(float(_slope(x, y)), *ends, *_rests_on(table), note)


TESTS = {"gain": gain, "ratio": ratio, "share": share, "first case": first_case, "trend": trend}


def _arms(runs: pd.DataFrame, query: dict[str, Any]) -> pd.DataFrame:
    arm, value = query.get("arm", "approach"), query.get("value", "test_accuracy")
    for name in (arm, value):
        if name not in runs.columns:
            raise UserError(f"a claim's query names {name!r}, which is no column of the records")
    return arms_table(runs, query["ours"], query["theirs"], value, arm)


def _slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes (…) of least squares through points (…, N); NaN where all x are equal."""
    aside = x - x.mean(-1, keepdims=True)
    spread = np.where(np.ptp(x, axis=-1) > 0, (aside**2).sum(-1), np.nan)
    return (aside * y).sum(-1) / spread


def _mean(table: pd.DataFrame) -> Effect | None:
    """Mean effect over families and its t interval; over seeds where families are too few."""
    if table.empty:
        return None
    situations = table.groupby(SITUATION, observed=True)["effect"].mean()
    families = situations.groupby(level=FAMILY).mean()
    over_seeds = len(families) < LEAST_FAMILIES
    units = table.groupby("seed")["effect"].mean() if over_seeds else families
    mean, low, high = mean_interval(units)
    if len(units) == 1:  # nothing is known of its spread, so nothing is ruled out
        low, high = -math.inf, math.inf
    note = f"interval over {len(units)} {'seeds' if over_seeds else 'families of tasks'}"
    return Effect(mean, low, high, *_rests_on(table), note)


def _rests_on(table: pd.DataFrame) -> tuple[int, int]:
    """(tasks, counting the dial's steps; runs, two for each pair)."""
    return table[[*FAMILY, "dial"]].drop_duplicates().shape[0], 2 * len(table)
