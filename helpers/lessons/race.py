"""One live race: single runs as a table, with the interval their test split allows; in words."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from helpers.errors import UserError
from helpers.results.statistics import wilson_interval
from helpers.vocabulary import looks


def binomial_interval(accuracy: float, n: int) -> tuple[float, float]:
    """`wilson_interval` of an accuracy seen on n test examples.

    It is a confidence interval for the accuracy of this trained model; what another n test examples
    would show scatters √2 times as wide. The luck of the training draw and of the start, which only
    more seeds show, is not in it.
    """
    return wilson_interval(round(accuracy * n), n)


def race_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Runs of `single_run.run` as a table for `plot_race`, best accuracy first.

    Adds `mean` (the test accuracy), `low` and `high` (`binomial_interval`) and `seconds`
    (`with_seconds`). Raises UserError where an approach stands twice.
    """
    table = with_seconds(pd.DataFrame(list(rows)))
    if table["approach"].duplicated().any():
        raise UserError("an approach stands twice in this race; use records.summarise for seeds")
    pairs = [
        binomial_interval(accuracy, n)
        for accuracy, n in zip(table["test_accuracy"], table["n_test"], strict=True)
    ]
    table["mean"] = table["test_accuracy"]
    table[["low", "high"]] = pd.DataFrame(pairs, index=table.index)
    return table.sort_values(["mean", "seconds"], ascending=[False, True], ignore_index=True)


def with_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `seconds`: preparation (frozen features, a first probe) and training."""
    return table.assign(seconds=table["prepare_seconds"] + table["train_seconds"])


def contenders(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that are not clearly behind the best one, cheapest in seconds first.

    Clearly behind: the row's interval ends below the best row's. That is a rough look: all are
    judged on the same examples, so where bars overlap a paired comparison (`paired_gain` over
    seeds) may still tell them apart. A single run per seed has no interval (NaN), and then only
    the best itself is left.
    """
    best = table.loc[table["mean"].idxmax()]
    near = (table["high"] >= best["low"]) | (table.index == best.name)
    return table[near].sort_values("seconds")


def race_in_words(table: pd.DataFrame) -> str:
    """Say in Markdown who won, who came too close to call, and which of these is cheapest."""
    if table.empty:
        return "No run of this race has been recorded yet."
    # In italics, since the name of one approach has a comma in it.
    labels = {name: f"*{look.label}*" for name, look in looks(table["approach"]).items()}
    best, near = table.loc[table["mean"].idxmax()], contenders(table)
    first = f"First came {labels[best.approach]} with {best['mean']:.3f}"
    if pd.isna(best["low"]):
        return f"{first}. That is a single run without an interval: the order can't be called."
    said = [f"{first} (95 % interval {best['low']:.3f} to {best['high']:.3f})."]
    others = [labels[name] for name in near["approach"] if name != best.approach]
    if not others:
        return f"{said[0]} No other approach comes within its interval."
    cheap = near.iloc[0]
    said.append(f"Too close to it to call: {', '.join(others)}.")
    if cheap.approach == best.approach:
        said.append(f"Of these the winner is also the cheapest: {_seconds(best)}.")
    else:
        said.append(
            f"The cheapest of these is {labels[cheap.approach]} with {cheap['mean']:.3f}: "
            f"{_seconds(cheap)}, where the winner took {_seconds(best)}."
        )
    return " ".join(said)


def _seconds(row: pd.Series) -> str:
    return f"{row['seconds']:,.0f} s" if row["seconds"] >= 10 else f"{row['seconds']:.2g} s"
