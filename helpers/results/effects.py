"""How a claim is tested: gains, shares, ratios, trends and first cases over recorded runs.

Every test works on situations (task, backbone, dial, picture size, examples) in which the compared
arms were run with the same seeds. What repeats is the data set: seeds, sizes, steps of the dial and
networks on one are averaged first (in each network, then over networks), and intervals are over
data sets. From fewer than three there is no interval, so nothing is decided.

A first case is the exception. That something happens somewhere is a claim about one situation, so
its own seeds decide, corrected for all situations looked at; it has no interval over data sets.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from helpers.errors import UserError
from helpers.results import statistics
from helpers.tasks import family

SITUATION = ["task", "backbone", "dial", "image_size", "n_train"]
NETWORK = ["data_set", "backbone"]
LEAST_DATA_SETS = 3
LEAST_SEEDS = 2  # of a first case
HOLDS, FAILS, UNDECIDED, UNTESTED = "holds", "fails", "undecided", "not tested"
CAN_HAPPEN = "can happen"  # what a first case shows, which is less than that it holds


@dataclass(frozen=True)
class Effect:
    """An effect, and what it rests on.

    low, high: its 95 % interval over data sets, NaN where there is none. p: two-sided, of the
    margin; NaN where nothing can be decided. data_sets: families of tasks. tasks: networks and
    steps of the dial counted apart. somewhere: whether it is the largest of all situations, a first
    case.
    """

    effect: float
    low: float
    high: float
    p: float
    margin: float
    data_sets: int
    tasks: int
    runs: int
    note: str = ""
    somewhere: bool = False


def judge(measured: Effect | None, p: float | None = None) -> str:
    """Return HOLDS clearly above the margin, FAILS clearly below it, UNDECIDED between.

    CAN_HAPPEN in place of HOLDS for a first case, UNTESTED where there is no run. p: in place of
    the effect's own, such as a corrected one.
    """
    if measured is None:
        return UNTESTED
    p = measured.p if p is None else p
    if math.isnan(measured.effect) or not p <= 1 - statistics.CONFIDENCE:
        return UNDECIDED
    if measured.effect <= measured.margin:
        return FAILS
    return CAN_HAPPEN if measured.somewhere else HOLDS


def gain(runs: pd.DataFrame, query: dict[str, Any]) -> Effect | None:
    """Mean of ours − theirs, paired by situation and seed."""
    table = _arms(runs, query)
    values = _by_data_set(table, table["ours"] - table["theirs"])
    return _mean(values, query.get("margin", 0.0), table)


def ratio(runs: pd.DataFrame, query: dict[str, Any]) -> Effect | None:
    """Geometric mean of theirs / ours: how many times more the other side costs.

    tasks (in the query): of files for so many tasks, where theirs is a full copy for each and ours
    is one such copy, the base, besides a file for each.
    """
    table, margin = _arms(runs, query), query.get("margin", 1.0)
    ours, theirs = table["ours"].clip(lower=1e-9), table["theirs"].clip(lower=1e-9)
    if "tasks" in query:
        ours = (theirs + query["tasks"] * ours) / query["tasks"]
    logs = _mean(_by_data_set(table, np.log(theirs / ours)), math.log(margin), table)
    if logs is None:
        return None
    ends = {name: math.exp(getattr(logs, name)) for name in ("effect", "low", "high")}
    return replace(logs, margin=margin, **ends)


def share(runs: pd.DataFrame, query: dict[str, Any]) -> Effect | None:
    """Share of a data set's situations in which our mean is as high or higher; the mean of these.

    Data sets that are all alike show no spread, which tells nothing where shares end at 0 and 1:
    the interval is Wilson's then, each data set being one try.
    """
    table, margin = _arms(runs, query), query.get("margin", 0.0)
    means = table.groupby(["data_set", *SITUATION], observed=True)[["ours", "theirs"]].mean()
    won = (means["ours"] - means["theirs"] >= 0).astype(float)
    table = table.join(won.rename("won"), on=["data_set", *SITUATION])
    shares = _by_data_set(table, table["won"])
    found = _mean(shares, margin, table, f"in {won.sum():.0f} of {len(won)} situations")
    if found is None or found.data_sets < LEAST_DATA_SETS:
        return found
    if np.ptp(shares) > 1e-12:
        return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))
    low, high = statistics.wilson_interval(round(shares.sum()), len(shares))
    z = (found.effect - margin) / math.sqrt(margin * (1 - margin) / len(shares) or 1e-12)
    return replace(found, low=low, high=high, p=float(2 * ndtr(-abs(z))))


def first_case(runs: pd.DataFrame, query: dict[str, Any]) -> Effect | None:
    """The situation with the largest clear gain: what is claimed to happen must happen somewhere.

    A few seeds tell little of their spread, so it is pooled over the situations with as many
    examples. Looking through many situations finds a lucky one, so p-values are corrected for all
    of them (Holm). It fails only where every situation of three data sets or more is clearly below.
    """
    table, margin = _arms(runs, query), query.get("margin", 0.0)
    if table.empty:
        return None
    gains = (table["ours"] - table["theirs"]).groupby([table[name] for name in SITUATION])
    cases = gains.agg(["mean", "var", "count"])
    cases = cases[cases["count"] >= LEAST_SEEDS]
    if cases.empty:
        note = "no situation was repeated"
        return Effect(math.nan, math.nan, math.nan, math.nan, margin, *_rests_on(table), note)
    freedom = cases["count"] - 1
    alike = (cases["var"] * freedom).groupby(level="n_train").transform("sum")
    free = freedom.groupby(level="n_train").transform("sum")
    p = statistics.t_p_value(cases["mean"] - margin, np.sqrt(alike / free / cases["count"]), free)
    cases["p"] = statistics.holm(np.nan_to_num(p, nan=1.0))
    clear = cases[(cases["p"] <= 1 - statistics.CONFIDENCE) & (cases["mean"] > margin)]
    best = (clear if len(clear) else cases)["mean"].idxmax()
    p = cases["p"][best] if len(clear) else cases["p"].max()
    rests_on = _rests_on(table)
    if not len(clear) and rests_on[0] < LEAST_DATA_SETS:
        p = math.nan
    where = dict(zip(SITUATION, best, strict=True))
    note = (
        f"clear by its seeds in {len(clear)} of {len(cases)} situations, Holm over all; largest: "
    )
    note += f"{where['task']} on {where['backbone']}, {where['n_train']:,} examples"
    mean = float(cases["mean"][best])
    return Effect(mean, math.nan, math.nan, float(p), margin, *rests_on, note, somewhere=True)


def trend(runs: pd.DataFrame, query: dict[str, Any]) -> Effect | None:
    """How much ours − theirs grows from distance 0 to 1: least squares over data sets.

    A data set lies at the mean distance of its situations. Nothing is decided from fewer than three
    distances.
    """
    places = runs[[*SITUATION, "distance"]].drop_duplicates()
    table = _arms(runs, query).merge(places.dropna(), on=SITUATION)
    if table.empty:
        return None
    margin = query.get("margin", 0.0)
    x = _by_data_set(table, table["distance"])
    y = _by_data_set(table, table["ours"] - table["theirs"])
    slope = low = high = p = math.nan
    if x.nunique() >= LEAST_DATA_SETS:
        from scipy.stats import linregress  # takes most of a second to load

        line, freedom = linregress(x, y), len(x) - 2
        slope, half = float(line.slope), float(statistics.t_half_width(line.stderr, freedom))
        low, high = slope - half, slope + half
        p = float(statistics.t_p_value(slope - margin, line.stderr, freedom))
    return Effect(slope, low, high, p, margin, *_rests_on(table), "gain per unit of distance")


TESTS = {"gain": gain, "ratio": ratio, "share": share, "first case": first_case, "trend": trend}


def _arms(runs: pd.DataFrame, query: dict[str, Any]) -> pd.DataFrame:
    """One row per situation and seed: `ours` and `theirs`, the values of both sides; data_set.

    A side of several arms is, in each situation, the one of `preferred_arms`. Situations without
    both sides are left out, pictures at fewer pixels than these sides were also compared at, and,
    with the query's `examples = "most"`, all but the most examples of each data set.
    """
    arm, value = query.get("arm", "approach"), query.get("value", "test_accuracy")
    for name in (arm, value):
        if name not in runs.columns:
            raise UserError(f"a claim's query names {name!r}, which is no column of the records")
    sides = []
    for names in (query["ours"], query["theirs"]):
        rows = statistics.preferred_arms(runs[runs[arm].isin(names)], SITUATION, arm)
        rows["counted"] = ~rows["repeat"] if "repeat" in rows else True
        sides.append(rows[[*SITUATION, "seed", value, "counted"]])
    both = statistics.pair(*sides, [*SITUATION, "seed"], [value, "counted"])
    both = both.rename(columns={value: "ours", f"{value}_theirs": "theirs"})
    both = both.dropna(subset=["ours", "theirs"])
    both.insert(0, "data_set", both["task"].map(family))
    if query.get("examples") == "most":
        both = _largest(both, ["data_set"], "n_train")
    return _largest(both, ["task", *NETWORK, "dial", "n_train"], "image_size")


def _largest(table: pd.DataFrame, by: list[str], name: str) -> pd.DataFrame:
    return table[table[name] == table.groupby(by, observed=True)[name].transform("max")]


def _by_data_set(table: pd.DataFrame, values: pd.Series) -> pd.Series:
    """Mean of a table's values for each data set: over seeds, situations, then networks."""
    means = values.groupby([table[name] for name in ["data_set", *SITUATION]]).mean()
    return means.groupby(level=NETWORK).mean().groupby(level="data_set").mean()


def _mean(values: pd.Series, margin: float, table: pd.DataFrame, note: str = "") -> Effect | None:
    """Mean over data sets and its t interval; None where there is none."""
    if values.empty:
        return None
    mean, low, high = statistics.mean_interval(values)
    p = float(statistics.t_p_value(mean - margin, values.sem(), len(values) - 1))
    if len(values) < LEAST_DATA_SETS:
        low = high = p = math.nan
    return Effect(mean, low, high, p, margin, *_rests_on(table), note)


def _rests_on(table: pd.DataFrame) -> tuple[int, int, int]:
    """(data sets; tasks, networks and the dial's steps apart; runs)."""
    tasks = table[["backbone", "task", "dial"]].drop_duplicates().shape[0]
    runs = int(table["counted"].sum() + table["counted_theirs"].sum())
    return table["data_set"].nunique(), tasks, runs
