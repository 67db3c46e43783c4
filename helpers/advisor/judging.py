"""Which approach leads a race, and how sure that is: paired on the examples that both judged.

Each approach starts from what the records let expect of it (`helpers.advisor.expecting`), and what
was measured here corrects that by its own weight (a normal prior and likelihood).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.advisor.expecting import SURE, Prior, chance_better, cheapest_near
from helpers.advisor.gains import BASE
from helpers.advisor.own_task import Folds
from helpers.advisor.probing import mcnemar
from helpers.advisor.racing import right_of
from helpers.distance import wilson_interval
from helpers.pooling import WEIGHTS

# Deviation of an accuracy from one training run to the next, times the root of the number of
# training examples: what seeds show in the records, where approaches are compared seed by seed.
RUN_NOISE = {"image": 0.3, "text": 0.2}


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
    """The approaches that have runs on n_train examples."""
    made, noise = {}, RUN_NOISE[modality] / np.sqrt(n_train)
    for name, own in rows[rows["n_train"] == n_train].groupby("approach"):
        runs = {int(row.fold): right_of(row) for row in own.itertuples()}
        parts = [pd.Series(right, folds.rows(fold)[1]) for fold, right in sorted(runs.items())]
        whole = pd.concat(parts).astype(float)
        made[str(name)] = Arm(str(name), noise, runs, whole.groupby(level=0).mean())
    return made


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

    def alive(self) -> list[str]:
        """Approaches that may yet turn out best, the likeliest first."""
        order = self.shortfall.sort_values(kind="stable").index
        return [n for n in order if n == self.leader or self.beats[n] >= SURE]

    def take(self, seconds: dict[str, float]) -> str:
        """The leader, or what is clearly cheaper and gives up next to nothing."""
        return cheapest_near(self.shortfall, seconds)


def standing(arms: Mapping[str, Arm], prior: Prior) -> Standing:
    """Compare every arm with the one that has been judged most, and then with the leader."""
    first = max(arms.values(), key=lambda arm: (len(arm.runs), arm.accuracy)).approach
    scores = {name: difference(arm, arms[first], prior)[0] for name, arm in arms.items()}
    leader = max(scores, key=scores.__getitem__)
    shortfall, beats, p_values = {}, {}, {}
    for name, arm in arms.items():
        if name == leader:
            shortfall[name], beats[name], p_values[name] = 0.0, 1.0, 1.0
            continue
        mean, deviation = difference(arm, arms[leader], prior)
        shortfall[name] = -mean
        beats[name] = chance_better(mean, deviation)
        p_values[name] = paired_p(arm, arms[leader])
    lowest = min(shortfall.values())
    return Standing(leader, pd.Series(shortfall) - lowest, beats, p_values)


def difference(one: Arm, other: Arm, prior: Prior) -> tuple[float, float]:
    """(mean, deviation) of how far `one` lies above `other`, records and measurements together."""
    if one.approach == other.approach:
        return 0.0, 1e-9
    before, spread = prior.difference(one.approach, other.approach)
    common = one.share.index.intersection(other.share.index)
    if len(common) < 2:
        return before, spread
    gaps = (one.share[common] - other.share[common]).to_numpy()
    runs = min(len(one.runs), len(other.runs))
    # One more example on each side keeps the deviation above 0 where all were judged alike.
    sampled = (float((gaps**2).sum()) + 1) / (len(gaps) + 1) / len(gaps)
    noise = sampled + 2 * one.noise**2 / runs
    weight = spread**2 / (spread**2 + noise)
    mean = weight * float(gaps.mean()) + (1 - weight) * before
    return mean, float(np.sqrt(weight * noise))


def paired_p(one: Arm, other: Arm) -> float:
    """McNemar's exact p-value over the first time that both judged an example."""
    pairs = [(one.runs[f], other.runs[f]) for f in sorted(set(one.runs) & set(other.runs))]
    if not pairs:
        return 1.0
    right, also = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return mcnemar(right, also)


def chances(prior: Prior, names: list[str], draws: int = 2_000) -> dict[str, float]:
    """Chance of each approach to lie within the margin of the best, from the records alone."""
    rng = np.random.default_rng(0)
    known = [name for name in names if name in prior.expected]
    if not known:
        return dict.fromkeys(names, 1.0)
    centre = np.array([prior.expected[name].accuracy for name in known])
    # Around feature extraction: whatever else is true, the approaches are compared with it.
    size = range(len(known))
    apart = np.array([[prior.difference(known[i], known[j])[1] ** 2 for j in size] for i in size])
    to_base = np.array([prior.difference(name, BASE)[1] ** 2 for name in known])
    shared = (to_base[:, None] + to_base[None, :] - apart) / 2
    drawn = rng.multivariate_normal(centre, shared, draws, check_valid="ignore")
    near = drawn >= drawn.max(1, keepdims=True) - WEIGHTS.margin
    found = dict(zip(known, near.mean(0).tolist(), strict=True))
    return {name: found.get(name, 1.0) for name in names}


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
