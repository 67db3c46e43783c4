"""What an approach can be expected to give up: the mean over everything measured of one modality.

Size, distance and network have no say. In the trial (`tools/measure/score_rules.py`) nothing that
lets them speak chose better on data sets that it had not seen.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from helpers.results.learning_curves import WHOLE, Measured, whole_situations
from helpers.results.statistics import additive

MARGIN = 0.005  # approaches expected this near the best count as equal
CHEAPER = 1.5  # an approach is clearly cheaper where it costs less by this factor
LEAST_FAMILIES = 2  # data sets that an approach was measured on, to be told of any other
WITHIN = 0.015  # of accuracy below the best: still right


def expected_regret(
    modality: str, held: Measured, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Expected regret and relative cost of each approach, a row each, best first.

    regret: the mean, over measured situations of the modality, of what the approach gives up
    against the best of `names` there. cost: processor seconds, relative to the geometric mean of
    `names`. Each data set has one say, however many sizes, networks and dial steps it was measured
    on; if there are situations that have all of WHOLE, only these are read. families: how many data
    sets there are. names: the approaches that are compared, None for every one that is recorded.
    Empty where no situation compares any.
    """
    key = (modality, None if names is None else tuple(sorted(names)))
    if key not in held.worked_out:
        table = held.situations
        table = table[table["modality"] == modality]
        if names is not None:
            table = table[table["approach"].isin(names)]
        whole = whole_situations(table, WHOLE if names is None else WHOLE.intersection(names))
        held.worked_out[key] = mean_regret(table if whole.empty else whole)
    return held.worked_out[key]


def mean_regret(table: pd.DataFrame) -> pd.DataFrame:
    """The same, of rows such as `Measured.situations` has.

    An approach that was not run in a situation is taken to differ from the others there as it does
    elsewhere: the fit of approach + situation by least squares. One that was run on fewer than
    LEAST_FAMILIES of several data sets is left out.
    """
    tried_on = table.groupby("approach", observed=True)["family"].nunique()
    least = min(LEAST_FAMILIES, table["family"].nunique())
    table = table[table["approach"].map(tried_on) >= least]
    wide = table.pivot(index="approach", columns=["family", "case"], values=["mean", "seconds"])
    means = wide["mean"] if len(table) else pd.DataFrame()
    means = means.loc[:, means.notna().sum() > 1].dropna(how="all")
    if len(means) < 2:
        return pd.DataFrame(columns=["regret", "cost", "families"])
    data_sets = means.columns.get_level_values("family").to_series(index=means.columns)
    weights = 1 / data_sets.map(data_sets.value_counts())
    approach, situation = additive(means, weights)
    filled = means.where(means.notna(), pd.DataFrame(np.add.outer(approach.to_numpy(),
                         situation.to_numpy()), means.index, means.columns))  # fmt: skip
    regrets = filled.max() - filled
    made = pd.DataFrame({"regret": regrets @ (weights / weights.sum()), "cost": np.nan})
    known = wide["seconds"].reindex_like(means)
    if known.notna().equals(means.notna()):  # published tables hardly ever state them
        costs = additive(np.log(known), weights)[0]
        made["cost"] = np.exp(costs - costs.mean())
    made["families"] = data_sets.nunique()
    return made.sort_values(["regret", "cost"]).rename_axis(None)


def cheapest_credible(
    shortfall: pd.Series, cost: Mapping[str, float], margin: float = MARGIN
) -> str:
    """The approach to take: the least shortfall, or a clearly cheaper one within the margin.

    shortfall: expected accuracy given up, by approach. cost: seconds, or a multiple of them.
    Cheaper is cheaper by CHEAPER: less says more about the machine than about the approach.
    """
    best = str(shortfall.idxmin())
    near = shortfall[shortfall <= shortfall.min() + margin + 1e-9]
    cheap = [name for name in near.index if cost[name] * CHEAPER <= cost[best]]
    return min(cheap, key=cost.__getitem__) if cheap else best


def recommended(table: pd.DataFrame) -> str:
    """The approach to take by a table of `expected_regret` that has rows."""
    return cheapest_credible(table["regret"], table["cost"])
