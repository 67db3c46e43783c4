"""Statistics over recorded runs: intervals, paired gains, Holm, regret, Pareto fronts.

Every interval is a 95 % confidence interval: of a mean over repeats by Student's t, of a share by
Wilson. It says where the true value lies, by what is seen. It is not what a repeat would show: that
scatters as well, so that it falls outside more often (for as large a repeat, an interval for it is
√2 times as wide).
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtr, stdtrit

from helpers.errors import UserError
from helpers.results.schema import COSTS, IDENTITY, check_columns
from helpers.vocabulary import counted

CONFIDENCE = 0.95
# What is given before an approach is chosen; image_size: pixels a side, for texts tokens.
SITUATION = ("task", "backbone", "n_train", "dial", "image_size")
FORGETTING = ("source_accuracy_before", "source_accuracy_after")


def summarise(
    runs: pd.DataFrame,
    by: Sequence[str] = (*SITUATION, "approach"),
    value: str = "test_accuracy",
) -> pd.DataFrame:
    """Return one row per group of runs that differ in their seed alone.

    Columns: those of `by`; `mean` of `value`; `low` and `high`, a 95 % interval for the mean over
    seeds by Student's t (mean ± t·s/√n, n−1 degrees of freedom, not clipped to 0–1; NaN where
    there is one run, since one run tells nothing of its spread); `runs`; the median of every cost
    column; the means of the accuracies on the source task.

    A seed draws the training subset, the new weights and the order of batches, so the interval
    covers these; validation and test examples are fixed, and their sampling error is not in it.

    Raises UserError for an unknown column, and where a group mixes runs that differ in more than
    their seed: such a mean would compare nothing. Filter first, or add the column to `by`.
    """
    by, costs = list(by), [name for name in COSTS if name != value]
    check_columns([*by, value])
    _refuse_mixtures(runs, by)
    groups = runs.groupby(by, sort=True, observed=True)
    kept = [name for name in FORGETTING if name not in by and name != value]
    parts = [
        interval_table(runs, by, value).set_index(by),
        groups[[name for name in costs if name not in by]].median(),
        groups[kept].mean(),
    ]
    return pd.concat(parts, axis=1).reset_index()


def t_half_width(error, freedom, level: float = CONFIDENCE):
    """Half width of a two-sided interval by Student's t: t·error, numbers or arrays (…).

    error: standard error of the mean. freedom: degrees of freedom. NaN where these are below 1.
    """
    return stdtrit(np.where(np.asarray(freedom) > 0, freedom, np.nan), 0.5 + level / 2) * error


def t_p_value(distance, error, freedom):
    """Two-sided p-value of a distance from what is tested, by Student's t: numbers or arrays (…).

    It is below 0.05 where the 95 % interval leaves out what is tested. NaN where that has no
    interval, and where distance and error are both 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(np.divide(distance, error))
    return 2 * stdtr(np.where(np.asarray(freedom) > 0, freedom, np.nan), -t)


def interval_table(
    rows: pd.DataFrame, by: Sequence[str], value: str, *, sort: bool = True
) -> pd.DataFrame:
    """Mean of `value` with its 95 % t interval, one row for each group of `by`.

    Columns: those of `by`, mean, low, high (NaN for a single value) and runs, how many there are.
    sort: False keeps groups in the order of their first rows.
    """
    groups = rows.groupby(list(by), sort=sort, observed=True)[value]
    table = groups.agg(mean="mean", deviation="std", runs="count").reset_index()
    half = t_half_width(table["deviation"] / np.sqrt(table["runs"]), table["runs"] - 1)
    table["low"], table["high"] = table["mean"] - half, table["mean"] + half
    return table[[*by, "mean", "low", "high", "runs"]]


def _refuse_mixtures(runs: pd.DataFrame, by: list[str]) -> None:
    others = [name for name in (*IDENTITY, "origin") if name not in by and name != "seed"]
    if runs.empty:
        return
    counts = runs.groupby(by, observed=True)[others].nunique()
    for name in others:
        mixed = counts.index[counts[name] > 1]
        if len(mixed):
            raise UserError(
                f"runs of one group differ in {name!r} (such as {mixed[0]}), and their mean would "
                f"compare nothing; filter the runs, or add {name!r} to by"
            )
    seeds = runs.groupby(by, observed=True)["seed"].agg(lambda seed: seed.duplicated().any())
    if seeds.any():
        raise UserError("the same run is there twice; filter the runs")


def regret(table: pd.DataFrame, by: Sequence[str] = SITUATION, value: str = "mean") -> pd.DataFrame:
    """Return the table with `best` (approach) and `regret` for every row.

    table: one row per situation (`by`) and `approach`, such as `summarise` returns. A row's regret
    is the highest `value` in its situation minus its own, so what choosing it gives up; look up the
    rows a rule picks to score the rule. The best mean is picked after the fact, so with few seeds
    it lies above what that approach would reach again, and regrets are a little too large.
    Raises UserError where a situation has an approach twice.
    """
    by = list(by)
    if table.duplicated([*by, "approach"]).any():
        raise UserError(f"an approach stands twice in one situation ({', '.join(by)}); summarise")
    # Ties go to the first name, so that equal tables give equal answers.
    ranked = table.sort_values([value, "approach"], ascending=[False, True])
    best = ranked.groupby(by, observed=True, sort=False).head(1).set_index(by)
    best = best[[value, "approach"]].set_axis(["_best_value", "best"], axis=1)
    joined = table.join(best, on=by)
    joined["regret"] = joined.pop("_best_value") - joined[value]
    return joined


def trains_by_gradient(runs: pd.DataFrame) -> pd.Series:
    """Tell of each run whether it takes optimizer steps: all but what a solver fits at once."""
    by_solver = runs["settings"].str.contains(r"(?:^|;)solver=lbfgs(?:;|$)", regex=True)
    probe = runs["approach"] == "feature_extraction"
    return ~((runs["approach"] == "classical") | (probe & by_solver))


def pareto(table: pd.DataFrame, cost: str = "train_seconds", value: str = "mean") -> pd.DataFrame:
    """Return the rows that no other row beats, cheapest first.

    A row is beaten when another costs no more and reaches at least its `value`, and is better in
    one of both. Rows that lack either number are left out. Equal rows all stay.
    """
    held = table.dropna(subset=[cost, value]).sort_values([cost, value], ascending=[True, False])
    before = held[value].cummax().shift(fill_value=-np.inf)
    front = held[held[value] > before]
    pairs = held.set_index([cost, value]).index  # rows equal to one of the front are on it too
    return held[pairs.isin(front.set_index([cost, value]).index)]


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """95 % confidence interval of a share, `right` of n (Wilson 1927, JASA 22:209).

    It stays within 0–1 and works near the ends. Of an accuracy it says what the classifier would
    reach on endlessly many such test examples; the luck of the training draw is not in it.
    """
    if not 0 <= right <= n or n < 1:
        raise UserError(f"{right} right of {n} is no share; give 0 to n of 1 or more")
    from scipy.stats import binomtest  # takes most of a second to load

    interval = binomtest(right, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def smallest_visible_gain(n: int, accuracy: float, *, power: float = 0.8) -> float:
    """Difference between two accuracies that n test examples show in `power` of all tries.

    For a two-sided test at 5 % of two independent shares near `accuracy`. Approaches judged on the
    same examples do somewhat better, by as much as they fail on the same ones.
    """
    if n < 1 or not 0 < accuracy < 1 or not 0 < power < 1:
        raise UserError("n must be 1 or more, and accuracy and power lie between 0 and 1")
    spread = math.sqrt(2 * accuracy * (1 - accuracy) / n)
    return float((ndtri(0.5 + CONFIDENCE / 2) + ndtri(power)) * spread)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P-values (N,) corrected for having looked N times (Holm 1979), in the order given.

    Where one is at most 0.05, the chance that any of those is a false alarm is at most 5 %,
    however the looks depend on each other. Raises UserError for what is no probability.
    """
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise UserError(f"p-values lie between 0 and 1; got {p.tolist()}")
    order = np.argsort(p, kind="stable")
    # The smallest of N is multiplied by N, the next by N − 1, ...; none may undercut a smaller one.
    rising = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, rising)
    return corrected


def mean_interval(values: Iterable[float]) -> tuple[float, float, float]:
    """(mean, low, high): a 95 % interval for the mean of repeats, by Student's t.

    low and high are NaN for a single value, which tells nothing of its spread.
    """
    series = pd.Series(list(values), dtype=float)
    if series.empty:
        raise UserError("an interval needs at least one value, and there is none")
    mean, half = series.mean(), t_half_width(series.sem(), series.count() - 1)
    return float(mean), float(mean - half), float(mean + half)


def pair(
    ours: pd.DataFrame, theirs: pd.DataFrame, on: Sequence[str], values: Sequence[str]
) -> pd.DataFrame:
    """Rows of `ours` that have a partner in `theirs`, and their partner's values beside them.

    on: what partners share, such as a situation and the seed. Returns the columns of `ours` and
    those of `values` once more, with "_theirs" behind their names. Rows without a partner are left
    out. Raises UserError where one side has the same twice, so that it is open which is meant.
    """
    on = list(on)
    if ours.duplicated(on).any() or theirs.duplicated(on).any():
        raise UserError(
            "a seed stands twice in one situation; filter the runs by sweep or settings"
        )
    return ours.merge(theirs[[*on, *values]], on=on, suffixes=("", "_theirs"))


def additive(values: pd.DataFrame, weights: pd.Series | None = None) -> tuple[pd.Series, pd.Series]:
    """Fit value = row + column by least squares, NaN left out; (row, column), columns mean 0.

    weights: of the columns, 1 where None. The fit goes back and forth until nothing moves.
    """
    known = values.notna().to_numpy()
    table = np.where(known, values.to_numpy(float), 0.0)
    weigh = known * (1.0 if weights is None else weights.to_numpy(float))
    column = np.zeros(table.shape[1])
    for _ in range(1 if known.all() else 500):
        row = (weigh * (table - column)).sum(1) / weigh.sum(1)
        # Centring keeps what the two share in the rows.
        moved = (known * (table - row[:, None])).sum(0) / known.sum(0)
        moved -= np.average(moved, weights=weights)
        if np.abs(moved - column).max() < 1e-12:
            break
        column = moved
    return pd.Series(row, values.index), pd.Series(column, values.columns)


def preferred_arms(runs: pd.DataFrame, by: Sequence[str], arm: str) -> pd.DataFrame:
    """The rows of the `arm` with the best validation accuracy in each situation `by`.

    Picked by the test accuracy that they are then judged by, arms would look better than they are.
    Means are on equal seeds (`additive`): an arm that ran on the easy ones alone is not preferred.
    """
    if runs.empty:
        return runs
    means = {
        place: additive(own.pivot_table("val_accuracy", arm, "seed", observed=True))[0]
        for place, own in runs.groupby(list(by), observed=True)
    }
    best = [(*place, max(own.sort_index().index, key=lambda name: (own[name].round(9), name)))
            for place, own in means.items()]  # fmt: skip
    return runs.merge(pd.DataFrame(best, columns=[*by, arm]), on=[*by, arm])


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
    sides = [runs[runs["approach"] == name] for name in (approach, baseline)]
    both = pair(*sides, [*by, "seed"], [value])
    both["gain"] = both[value] - both[f"{value}_theirs"]
    table = interval_table(both, by, "gain")
    table.insert(len(by), "approach", approach)
    return table


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
    """Size at which a line over log n that rises through two points (2,), (2,) is at `level`."""
    return float(np.exp(np.interp(level, means, np.log(sizes))))


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


def coverage(runs: pd.DataFrame) -> str:
    """One sentence on what a figure rests on: how many runs, tasks, sizes and seeds."""
    if runs.empty:
        return "Nothing of this has been recorded yet."
    sizes, seeds = runs["n_train"], runs.groupby(["task", "n_train", "approach"])["seed"].nunique()
    few, many = seeds.min(), seeds.max()
    each = f"{few}" if few == many else f"{few} to {many}"
    span = " to ".join(f"{size:,}" for size in sorted({sizes.min(), sizes.max()}))
    return (
        f"Read from {len(runs):,} recorded runs: {counted(runs['task'].nunique(), 'task')}, "
        f"{span} training examples, "
        f"{each} {'seed' if each == '1' else 'seeds'} for each."
    )
