"""The interval that a test split allows for one accuracy, and the processor seconds of a run."""

import pandas as pd

from helpers.results.statistics import wilson_interval


def binomial_interval(accuracy: float, n: int) -> tuple[float, float]:
    """`wilson_interval` of an accuracy seen on n test examples.

    It is a confidence interval for the accuracy of this trained model; what another n test examples
    would show scatters √2 times as wide. The luck of the training draw and of the start, which only
    more seeds show, is not in it.
    """
    return wilson_interval(round(accuracy * n), n)


def with_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `seconds`: of the processor, for preparation and training."""
    return table.assign(seconds=table["train_cpu_seconds"])
