"""What each approach can be expected to reach on own data: the probe here, plus recorded gains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from helpers.advisor.prior.gains import BASE, Gains, Z
from helpers.advisor.prior.posterior import Belief
from helpers.advisor.probe import ProbeScore, Probing
from helpers.results.expected_regret import MARGIN
from helpers.vocabulary import CLASSICAL

CHEAPER = 1.5  # a cheaper approach is preferred where it costs less by this factor
SURE = 0.05  # a smaller chance that another approach is better leaves an answer settled
UNKNOWN = 1.0  # deviation of the accuracy of what was never recorded
TOO_WIDE = 0.3  # an interval of accuracies that tells nothing: "not known" says as much
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
    def known(self) -> bool:
        """Whether the interval is narrow enough to tell anything."""
        return self.measured or self.high - self.low <= TOO_WIDE

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
        mean = [self.expected[n].accuracy if n in self.expected else lost for n in names]
        alone = np.array([0.0 if self._compared(n) else self._alone(n) for n in names])
        scale = np.diag(alone**2)
        rows = [row for row, n in enumerate(names) if self._compared(n) and n != BASE]
        columns = [self.gains.names.index(names[row]) for row in rows]
        # Gains are log-odds and beliefs accuracies: near p a step in log-odds is p (1 - p) steps of
        # accuracy, so the covariance is multiplied by the slopes of both (the delta method).
        slopes = np.array([_slope(mean[row]) for row in rows])
        between = self.gains.covariance[np.ix_(columns, columns)]
        scale[np.ix_(rows, rows)] = between * np.outer(slopes, slopes)
        return Belief.of(np.array(mean), scale, self.gains.freedom)

    def _compared(self, name: str) -> bool:
        return name in self.expected and self.gains.knows(name)

    def _alone(self, name: str) -> float:
        return self.expected[name].width if name in self.expected else UNKNOWN

    def chances_above(self, take: str, names: Sequence[str]) -> dict[str, float]:
        """Chance of each name to lie above `take` by more than what counts as equal, highest first.

        Those with less than SURE are left out. It is a cautious chance, from the widened spread:
        over the records, families held out, about half as many come true as it says.
        """
        chances = {name: chance_better(*self.difference(name, take)) for name in names}
        open_ones = [(name, chance) for name, chance in chances.items() if chance >= SURE]
        return dict(sorted(open_ones, key=lambda pair: -pair[1]))


def chance_better(mean: float, deviation: float) -> float:
    """Chance that a difference is more than what counts as equal; 0 where there is none."""
    return float(norm.sf(MARGIN, mean, deviation)) if deviation else 0.0


def expected_accuracies(probing: Probing, gains: Gains) -> dict[str, Expected]:
    """Expected accuracy of every approach that the records compare with feature extraction.

    The probe and the classical pipeline are what was measured here.
    """
    expected = {
        BASE: _measured(BASE, probing.probe, "probe on your data, out of fold"),
        CLASSICAL: _measured(CLASSICAL, probing.classical, "on your data, out of fold"),
    }
    base, n = _odds(probing.probe.accuracy), probing.probe.n
    # The log-odds of a share p of n examples vary by 1 / (n p (1 - p)): that is the probe's own
    # noise, which comes on top of how far gains differ between families.
    noise = 1 / max(1e-9, n * expit(base) * expit(-base))
    count = f"{gains.families} recorded {'family' if gains.families == 1 else 'families'} of tasks"
    for name in gains.names:
        if name in expected:
            continue
        gain, spread = gains.of(name)
        width = np.sqrt(noise + spread**2)
        ends = [float(expit(base + gain + side * width)) for side in (0, -Z, Z)]
        origin = f"your probe, and the gain over it in {count}"
        expected[name] = Expected(name, *ends, spread, gains.runs[name], origin)
    return expected


def _measured(name: str, score: ProbeScore, origin: str) -> Expected:
    odds = _odds(score.accuracy)
    spread = 1 / np.sqrt(max(1e-9, score.n * expit(odds) * expit(-odds)))
    return Expected(name, score.accuracy, score.low, score.high, float(spread), 0, origin, True)


def _odds(accuracy: float) -> float:
    return float(logit(np.clip(accuracy, 0.01, 0.99)))


def _slope(accuracy: float) -> float:
    return max(LEAST_SLOPE, accuracy * (1 - accuracy))


def cheapest_near(shortfall: pd.Series, seconds: dict[str, float], margin: float = MARGIN) -> str:
    """The approach to take: the least shortfall, or a clearly cheaper one within the margin.

    shortfall: expected accuracy given up, by approach. Cheaper is cheaper by CHEAPER: seconds
    that differ by less say more about the machine than about the approach.
    """
    best = str(shortfall.idxmin())
    near = shortfall[shortfall <= shortfall.min() + margin + 1e-9].index
    cheap = [name for name in near if seconds[name] * CHEAPER <= seconds[best]]
    return min(cheap, key=seconds.__getitem__) if cheap else best


def within_budget(
    seconds: Mapping[str, float], minutes: float | None, names: Iterable[str]
) -> dict[str, float]:
    """Of these approaches those whose training fits the minutes, with its seconds; else all."""
    known = {name: seconds[name] for name in names}
    if minutes is None:
        return known
    return {name: taken for name, taken in known.items() if taken <= 60 * minutes} or known


def most_telling(prior: Prior, take: str, seconds: Mapping[str, float]) -> str:
    """The approach whose training run would most likely change the answer, or "" where none would.

    seconds: of training, by approach. Let d be how far an approach lies above `take`, believed to
    be normal with mean m and deviation s. Once d is measured, the better of the two is taken, so
    the run is worth E[max(d, 0)] = s (φ(m/s) + (m/s) Φ(m/s)): the expected improvement of Bayesian
    optimisation (Mockus 1974). The approach that is worth most a second is named.
    """
    best, most = "", 0.0
    for name in seconds:
        if name == take or take not in prior.expected or not prior.expected[name].runs:
            continue
        mean, deviation = prior.difference(name, take)
        gap = mean / max(1e-6, deviation)
        worth = deviation * (norm.pdf(gap) + gap * norm.cdf(gap)) / seconds[name]
        if worth > most:
            best, most = name, worth
    return best
