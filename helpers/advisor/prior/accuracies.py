"""What each approach can be expected to reach on own data: the probe here, plus recorded gains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from helpers.advisor.prior.gains import BASE, Gains, Z
from helpers.advisor.prior.posterior import LEVEL, Belief
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

    runs: recorded, or of a race. origin: what it rests on, in words. measured: the accuracy was
    measured on this data, by a race or out of fold; else it is the probe's with a recorded gain.
    """

    approach: str
    accuracy: float
    low: float
    high: float
    runs: int
    origin: str
    measured: bool = False

    @property
    def known(self) -> bool:
        """Whether the interval is narrow enough to tell anything."""
        return self.measured or self.high - self.low <= TOO_WIDE


@dataclass(frozen=True)
class Prior:
    """What is expected before anything is raced: of each approach, and of their differences."""

    expected: Mapping[str, Expected]
    gains: Gains

    def belief(self, names: Sequence[str]) -> Belief:
        """What is expected of several approaches together, before anything is raced.

        Their differences are as sure as recorded gains are within families. What was not compared
        with feature extraction stands for itself, and nothing is known of what was not recorded.
        """
        told = [self.expected.get(name) for name in names]
        known = [one.accuracy for one in self.expected.values()] or [0.5]
        mean = np.array([np.mean(known) if one is None else one.accuracy for one in told])
        alone = [UNKNOWN if one is None else (one.high - one.low) / (2 * Z) for one in told]
        compared = {name for name in (BASE, *self.gains.names) if name in self.expected}
        scale = np.diag([0.0 if n in compared else s**2 for n, s in zip(names, alone, strict=True)])
        rows = [row for row, name in enumerate(names) if name in compared and name != BASE]
        columns = [self.gains.names.index(names[row]) for row in rows]
        # Gains are log-odds and beliefs accuracies: near p a step in log-odds is p (1 - p) steps of
        # accuracy, so the covariance is multiplied by the slopes of both (the delta method).
        slopes = np.maximum(LEAST_SLOPE, mean * (1 - mean))[rows]
        between = self.gains.covariance[np.ix_(columns, columns)]
        scale[np.ix_(rows, rows)] = between * np.outer(slopes, slopes)
        return Belief(tuple(names), mean, scale + LEVEL**2)


def expected_accuracies(probing: Probing, gains: Gains) -> dict[str, Expected]:
    """Expected accuracy of every approach that the records compare with feature extraction.

    The probe and the classical pipeline are what was measured here.
    """
    expected = {
        BASE: _measured(BASE, probing.probe, "probe on your data, out of fold"),
        CLASSICAL: _measured(CLASSICAL, probing.classical, "on your data, out of fold"),
    }
    share, n = np.clip(probing.probe.accuracy, 0.01, 0.99), probing.probe.n
    # The log-odds of a share p of n examples vary by 1 / (n p (1 - p)): that is the probe's own
    # noise, which comes on top of how far gains differ between families.
    noise = 1 / max(1e-9, n * share * (1 - share))
    count = f"{gains.families} recorded {'family' if gains.families == 1 else 'families'} of tasks"
    origin = f"your probe, and the gain over it in {count}"
    for name in gains.names:
        gain, spread = gains.of(name)
        width = np.sqrt(noise + spread**2)
        ends = [float(expit(logit(share) + gain + side * width)) for side in (0, -Z, Z)]
        expected[name] = Expected(name, *ends, gains.runs[name], origin)
    return expected


def _measured(name: str, score: ProbeScore, origin: str) -> Expected:
    return Expected(name, score.accuracy, score.low, score.high, 0, origin, True)


def cheapest_near(shortfall: pd.Series, seconds: Mapping[str, float]) -> str:
    """The approach to take: the least shortfall, or a clearly cheaper one within the margin.

    shortfall: expected accuracy given up, by approach. Cheaper is cheaper by CHEAPER: seconds
    that differ by less say more about the machine than about the approach.
    """
    best = str(shortfall.idxmin())
    near = shortfall[shortfall <= shortfall.min() + MARGIN + 1e-9].index
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
    belief, worth = prior.belief(list(seconds)), {}
    for name in seconds:
        if name != take and not prior.expected[name].measured:
            mean, deviation = belief.difference(name, take)
            gap = mean / deviation
            worth[name] = deviation * (norm.pdf(gap) + gap * norm.cdf(gap)) / seconds[name]
    best = max(worth, key=worth.__getitem__, default="")
    return best if worth.get(best) else ""
