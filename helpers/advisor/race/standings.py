"""Which approach leads a race, and how sure that is: paired on the examples that both judged.

The approaches start from what the records let expect of them together (`Prior.belief`), and what
was measured here corrects that by its own weight: of the approach itself, and of those that go
with it in the records.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.advisor.folds import Folds
from helpers.advisor.prior.accuracies import SURE, Prior, cheapest_near
from helpers.advisor.prior.posterior import LEVEL, Belief
from helpers.advisor.probe import mcnemar
from helpers.advisor.race.runs import right_of
from helpers.results.expected_regret import MARGIN
from helpers.results.learning_curves import RUN_NOISE
from helpers.results.statistics import wilson_interval


@dataclass(frozen=True)
class Arm:
    """What a race knows of one approach at one size.

    runs: fold → right (n_judged,). share: pool row → share of the runs that got it right.
    noise: deviation of the accuracy from one run to the next.
    """

    approach: str
    noise: float
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


def unmeasured(name: str) -> Arm:
    """An approach that had no turn: what is expected of it rests on the records alone."""
    return Arm(name, 0.0, {}, pd.Series(dtype=float))


def arms_of(rows: pd.DataFrame, folds: Folds, n_train: int, modality: str) -> dict[str, Arm]:
    """The approaches that have runs, which trained on n_train examples."""
    arms, noise = {}, RUN_NOISE[modality] / np.sqrt(n_train)
    for name, of_approach in rows.groupby("approach"):
        runs = {int(row.fold): right_of(row) for row in of_approach.itertuples()}
        arms[str(name)] = arm_of(str(name), runs, folds, noise)
    return arms


def arm_of(name: str, runs: Mapping[int, np.ndarray], folds: Folds, noise: float) -> Arm:
    """An approach with its runs, fold → right (n_judged,)."""
    parts = [pd.Series(right, folds.rows(fold)[1]) for fold, right in sorted(runs.items())]
    return Arm(name, noise, runs, pd.concat(parts).astype(float).groupby(level=0).mean())


@dataclass(frozen=True)
class Standing:
    """Where a race stands. shortfall: expected accuracy below the leader's, by approach.

    beats: chance that an approach lies above the leader; p_values: McNemar's, against the leader,
    on what both judged.
    """

    leader: str
    shortfall: pd.Series
    beats: Mapping[str, float]
    p_values: Mapping[str, float]
    belief: Belief | None = None

    def alive(self) -> list[str]:
        """Approaches that may yet turn out best, the likeliest first."""
        order = self.shortfall.sort_values(kind="stable").index
        return [n for n in order if n == self.leader or self.beats[n] >= SURE]

    def is_open(self, name: str) -> bool:
        """Whether an approach may yet be best, or does not differ significantly from the leader."""
        return name == self.leader or self.beats[name] >= SURE or self.p_values[name] >= SURE

    def rivals(self) -> list[str]:
        """The others that are open, the most telling first: who may yet be best, then the rest."""
        order = list(self.shortfall.sort_values(kind="stable").index)
        rest = [name for name in order if self.is_open(name) and name not in self.alive()]
        return self.alive()[1:] + rest

    def take(self, seconds: dict[str, float]) -> str:
        """The leader, or what is clearly cheaper and gives up next to nothing."""
        return cheapest_near(self.shortfall, seconds)


def standing(arms: Mapping[str, Arm], prior: Prior) -> Standing:
    """Compare every arm with the likeliest, by the records and all measurements together."""
    names = list(arms)
    belief = prior.belief(names)
    measured = [arm for arm in arms.values() if len(arm.share)]
    if measured:
        belief = belief.given([arm.approach for arm in measured], *measurement(measured))
    best = names[int(np.argmax(belief.mean))]
    beats = {name: 1.0 if name == best else belief.chance_above(name, best) for name in names}
    p_values = {name: paired_p(arm, arms[best]) for name, arm in arms.items()}
    shortfall = pd.Series(belief.mean.max() - belief.mean, index=names)
    return Standing(best, shortfall, beats, p_values, belief)


def undominated(take: str, arms: Mapping[str, Arm], seconds: Mapping[str, float]) -> str:
    """`take`, or what was measured to get as many right or more on the same examples for less.

    What the records let expect never overrides that.
    """
    own, better = arms[take].share, {}
    for name, arm in arms.items():
        both = own.index.intersection(arm.share.index)
        if len(both) and name != take and seconds[name] < seconds[take]:
            gain = float((arm.share[both] - own[both]).mean())
            better |= {name: gain} if gain >= 0 else {}
    return max(better, key=lambda name: (better[name], -seconds[name])) if better else take


def measurement(arms: Sequence[Arm]) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies (A,) of measured arms and the covariance (A, A) of their errors.

    Examples differ in how hard they are, so arms are paired on those that both judged: examples
    that the same arms judged make a block, how hard a block is stays open, and blocks weigh by
    their precision (generalised least squares). What differs from one training run to the next is
    added.
    """
    shares = pd.DataFrame({arm.approach: arm.share for arm in arms})
    example = _example_covariance(shares)
    size = len(arms)
    precision, weighed = np.zeros((size, size)), np.zeros(size)
    # Each block b has seen H_b x with errors of covariance V_b. Least squares adds the precisions
    # H_b' V_b⁻¹ H_b and the weighted means H_b' V_b⁻¹ y_b; the estimate is precision⁻¹ times the
    # latter. LEVEL² in every entry of V_b is the block's hardness, shared by all who judged it.
    for judged, block in shares.groupby([*shares.notna().to_numpy().T]):
        rows = np.flatnonzero(np.atleast_1d(judged))
        block_precision = np.linalg.inv(example[np.ix_(rows, rows)] / len(block) + LEVEL**2)
        precision[np.ix_(rows, rows)] += block_precision
        weighed[rows] += block_precision @ block.iloc[:, rows].mean().to_numpy()
    covariance = np.linalg.inv(precision)
    runs = np.array([arm.noise**2 / len(arm.runs) for arm in arms])
    return covariance @ weighed, covariance + np.diag(runs)


def _example_covariance(shares: pd.DataFrame) -> np.ndarray:
    """Covariance (A, A) over examples of being right; shares: NaN where an arm judged none.

    The variance of each gap is that on the examples which both judged. One example more on which
    two differ keeps it above 0 where all were judged alike.
    """
    variances = shares.var().fillna(0.0).to_numpy()
    covariance = np.diag(variances)
    for one, other in itertools.combinations(range(len(variances)), 2):
        gaps = (shares.iloc[:, one] - shares.iloc[:, other]).dropna()
        if len(gaps) > 1:  # Cov(x, y) = (Var x + Var y - Var(x - y)) / 2
            shared = (variances[one] + variances[other] - gaps.var()) / 2
            covariance[one, other] = covariance[other, one] = shared
    # Pairs that judged different examples need not make a covariance: the nearest one has the same
    # eigenvectors, without the negative eigenvalues.
    values, vectors = np.linalg.eigh(covariance)
    covariance = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return covariance + np.eye(len(covariance)) / (2 * max(1, len(shares)))


def turns(
    place: Standing, held: Mapping[str, set[int]], folds: int, at_once: int = 1
) -> Iterator[list[tuple[str, int]]]:
    """What to run next, (approach, fold) each, the most telling first: leader against rivals.

    They are judged on the lowest fold, 1 to `folds`, that one of them lacks, so that they can be
    paired; who has it is not run again. held: folds that an approach has. at_once: runs that go on
    together: as many rivals are raced as keep them busy.
    """
    rivals, width = place.rivals(), max(1, at_once - 1)
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


def chances(prior: Prior, names: list[str]) -> dict[str, float]:
    """Chance of each approach to lie within the margin of the best, from the records alone.

    Of what the records lack nothing is known: 1.
    """
    known = [name for name in names if name in prior.expected]
    return dict.fromkeys(names, 1.0) | prior.belief(known).chances_near_best(MARGIN)


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
