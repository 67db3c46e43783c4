"""What each approach can be expected to reach on own data: the probe here, plus recorded gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from helpers.advisor.prior.gains import BASE, Gains, Z
from helpers.advisor.prior.posterior import Belief
from helpers.advisor.probe import Probing, Score
from helpers.results.expected_regret import WEIGHTS
from helpers.vocabulary import CLASSICAL

CHEAPER = 1.5  # a cheaper approach is preferred where it costs less by this factor
SURE = 0.05  # a smaller chance that another approach is better leaves an answer settled
UNKNOWN = 1.0  # deviation of the accuracy of what was never recorded
LEAST_SLOPE = 0.02  # of accuracy over log-odds: near 0 and 1 gains are small, and never none


@dataclass(frozen=True)
class Expected:
    """An approach's expected accuracy here, 95 % interval, and what it rests on.

    spread: of the gain over the probe, in log-odds: how sure the expectation is before measuring.
    origin: what it rests on, in words. measured: the accuracy was measured on this data, by a race
        or out of fold; else it is the probe's with a recorded gain.
    """

    approach: str
    accuracy: float
    low: float
    high: float
    spread: float
    runs: int
    origin: str
    measured: bool = False

    @property
    def width(self) -> float:
        """The spread as a deviation of the accuracy."""
        return self.spread * _slope(self.accuracy)


@dataclass(frozen=True)
class Prior:
    """What is expected before anything is raced: of each approach, and of their differences."""

    expected: Mapping[str, Expected]
    gains: Gains

    def difference(self, one: str, other: str) -> tuple[float, float]:
        """(mean, deviation) of how far `one` lies above `other` in accuracy.

        Recorded gains are compared within families. Nothing is known of an unrecorded approach.
        """
        if one == other:
            return 0.0, 0.0
        if one not in self.expected or other not in self.expected:
            return 0.0, UNKNOWN
        first, second = self.expected[one], self.expected[other]
        mean = first.accuracy - second.accuracy
        if self.gains.knows(one) and self.gains.knows(other):
            _, spread = self.gains.difference(one, other)
            return mean, spread * _slope((first.accuracy + second.accuracy) / 2)
        return mean, float(np.hypot(first.width, second.width))

    def belief(self, names: Sequence[str]) -> Belief:
        """What is expected of several approaches together, before anything is raced.

        Their differences are as sure as recorded gains are within families; of an unrecorded
        approach, or one that was not compared with feature extraction, each stands for itself.
        """
        known = [one.accuracy for one in self.expected.values()]
        lost = float(np.mean(known)) if known else 0.5
        at = [self.expected[n].accuracy if n in self.expected else lost for n in names]
        own = np.array([0.0 if self._compared(n) else self._alone(n) for n in names])
        scale = np.diag(own**2)
        rows = [row for row, n in enumerate(names) if self._compared(n) and n != BASE]
        places = [self.gains.names.index(names[row]) for row in rows]
        slopes = np.array([_slope(at[row]) for row in rows])
        scale[np.ix_(rows, rows)] = self.gains.covariance[np.ix_(places, places)] * np.outer(
            slopes, slopes
        )
        return Belief.of(np.array(at), scale, self.gains.freedom)

    def _compared(self, name: str) -> bool:
        return name in self.expected and self.gains.knows(name)

    def _alone(self, name: str) -> float:
        return self.expected[name].width if name in self.expected else UNKNOWN

    def chances_above(self, take: str, names: Sequence[str]) -> dict[str, float]:
        """Chance of each name to lie above `take` by more than what counts as equal, highest first.

        Those with less than SURE are left out. It is a cautious chance, from the widened spread:
        over the records, families held out, about half as many come true as it says.
        """
        found = {}
        for name in names:
            mean, deviation = self.difference(name, take)
            chance = chance_better(mean, deviation)
            if chance >= SURE:
                found[name] = chance
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def chance_better(mean: float, deviation: float) -> float:
    """Chance that a difference is more than what counts as equal; 0 where there is none."""
    return float(norm.sf(WEIGHTS.margin, mean, deviation)) if deviation else 0.0


def expected_accuracies(probing: Probing, gains: Gains) -> dict[str, Expected]:
    """Expected accuracy of every approach that the records compare with feature extraction.

    The probe and the classical pipeline are what was measured here.
    """
    found = {
        BASE: _measured(BASE, probing.probe, "probe on your data, out of fold"),
        CLASSICAL: _measured(CLASSICAL, probing.classical, "on your data, out of fold"),
    }
    base, n = _odds(probing.probe.accuracy), probing.probe.n
    noise = 1 / max(1e-9, n * expit(base) * expit(-base))
    count = f"{gains.families} recorded {'family' if gains.families == 1 else 'families'} of tasks"
    for name in gains.names:
        if name in found:
            continue
        gain, spread = gains.of(name)
        width = np.sqrt(noise + spread**2)
        ends = [float(expit(base + gain + side * width)) for side in (0, -Z, Z)]
        told = f"your probe, and the gain over it in {count}"
        found[name] = Expected(name, *ends, spread, gains.runs[name], told)
    return found


def _measured(name: str, score: Score, origin: str) -> Expected:
    odds = _odds(score.accuracy)
    spread = 1 / np.sqrt(max(1e-9, score.n * expit(odds) * expit(-odds)))
    return Expected(name, score.accuracy, score.low, score.high, float(spread), 0, origin, True)


def _odds(accuracy: float) -> float:
    return float(logit(np.clip(accuracy, 0.01, 0.99)))


def _slope(accuracy: float) -> float:
    return max(LEAST_SLOPE, accuracy * (1 - accuracy))


def cheapest_near(
    shortfall: pd.Series, seconds: dict[str, float], margin: float = WEIGHTS.margin
) -> str:
    """The approach to take: the least shortfall, or a clearly cheaper one within the margin.

    shortfall: expected accuracy given up, by approach. Cheaper is cheaper by CHEAPER: seconds
    that differ by less say more about the machine than about the approach.
    """
    best = str(shortfall.idxmin())
    near = shortfall[shortfall <= shortfall.min() + margin + 1e-9].index
    cheap = [name for name in near if seconds[name] * CHEAPER <= seconds[best]]
    return min(cheap, key=seconds.__getitem__) if cheap else best
