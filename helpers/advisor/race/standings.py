"""Which approach leads a race, and which may yet be better: on the examples that both judged.

Measurements speak alone here. What the records let expect chose who has a turn; weighing it in, or
the covariances of everything, gave up no less in simulated races
(`tools/measure/simulate_races.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.advisor.folds import Folds
from helpers.advisor.probe import mcnemar
from helpers.advisor.race.runs import right_of
from helpers.results.expected_regret import cheapest_credible
from helpers.results.statistics import wilson_interval

SURE = 0.05  # a p-value below which two approaches differ


@dataclass(frozen=True)
class Arm:
    """What a race knows of one approach.

    runs: fold → right (n_judged,). share: pool row → share of the runs that got it right.
    """

    approach: str
    runs: Mapping[int, np.ndarray]
    share: pd.Series

    @property
    def accuracy(self) -> float:
        """Mean over the examples that were judged."""
        return float(self.share.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval, counting each judged example once."""
        return wilson_interval(round(float(self.share.sum())), len(self.share))

    def above(self, other: Arm) -> tuple[float, float]:
        """How far it lies above another, and the deviation of that, on what both judged."""
        apart = (self.share - other.share).dropna()
        n = len(apart)
        if n < 2:
            return self.accuracy - other.accuracy, 0.5
        # One example more on which they differ keeps it above 0 where all were judged alike.
        return float(apart.mean()), float(np.sqrt(apart.var() / n + 1 / (2 * n**2)))


def arms_of(rows: pd.DataFrame, folds: Folds) -> dict[str, Arm]:
    """The approaches that have runs, as rows of the race's file."""
    arms = {}
    for name, of_approach in rows.groupby("approach"):
        runs = {int(row.fold): right_of(row) for row in of_approach.itertuples()}
        arms[str(name)] = arm_of(str(name), runs, folds)
    return arms


def arm_of(name: str, runs: Mapping[int, np.ndarray], folds: Folds) -> Arm:
    """An approach with its runs, fold → right (n_judged,)."""
    parts = [pd.Series(right, folds.rows(fold)[1]) for fold, right in sorted(runs.items())]
    return Arm(name, runs, pd.concat(parts).astype(float).groupby(level=0).mean())


@dataclass(frozen=True)
class Standing:
    """Where a race stands. shortfall: accuracy below the leader's, by approach, the best first.

    p_values: McNemar's, against the leader, on what both judged. rivals: who does not differ
    significantly from the leader, the best first.
    """

    leader: str
    shortfall: pd.Series
    p_values: Mapping[str, float]
    rivals: list[str]

    def take(self, seconds: Mapping[str, float]) -> str:
        """The leader, or what is clearly cheaper and gives up next to nothing."""
        return cheapest_credible(self.shortfall, seconds)


def standing(arms: Mapping[str, Arm]) -> Standing:
    """Compare every approach with the one of the highest accuracy, on what both judged."""
    highest = max(arms.values(), key=lambda arm: arm.accuracy)
    gaps = pd.Series({name: arm.above(highest)[0] for name, arm in arms.items()})
    gaps = gaps.sort_values(ascending=False, kind="stable")
    leader = str(gaps.index[0])
    p_values = {name: paired_p(arm, arms[leader]) for name, arm in arms.items()}
    rivals = [str(name) for name in gaps.index[1:] if p_values[name] >= SURE]
    return Standing(leader, gaps.iloc[0] - gaps, p_values, rivals)


def turns(
    place: Standing, held: Mapping[str, set[int]], folds: int, at_once: int = 1
) -> Iterator[list[tuple[str, int]]]:
    """What to run next, (approach, fold) each, the most telling first: leader against rivals.

    They are judged on the lowest fold, 1 to `folds`, that one of them lacks, so that they can be
    paired; who has it is not run again. held: folds that an approach has. at_once: runs that go on
    together: as many rivals are raced as keep them busy.
    """
    rivals, width = place.rivals, max(1, at_once - 1)
    for start in range(len(rivals)):
        names = [place.leader, *rivals[start : start + width]]
        for fold in range(1, 1 + folds):
            lacking = [(name, fold) for name in names if fold not in held[name]]
            if lacking:
                yield lacking
                break


def paired_p(one: Arm, other: Arm) -> float:
    """McNemar's exact p-value over the first time that both judged an example."""
    pairs = [(one.runs[f], other.runs[f]) for f in sorted(set(one.runs) & set(other.runs))]
    if not pairs:
        return 1.0
    right, also = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return mcnemar(right, also)


def measured_row(arm: Arm, place: Standing, seconds: float, n_train: int) -> dict[str, Any]:
    """One approach of a race, as `advise --json` tells it."""
    low, high = arm.interval
    return {
        "approach": arm.approach,
        "accuracy": round(arm.accuracy, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "n_train": n_train,
        "runs": len(arm.runs),
        "judged": len(arm.share),
        "expected_below_best": round(float(place.shortfall[arm.approach]), 4),
        "p_value": float(f"{place.p_values[arm.approach]:.3g}"),
        "seconds": float(f"{seconds:.4g}"),
    }
