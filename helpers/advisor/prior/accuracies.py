"""What each approach can be expected to reach on own data: measured here, or a gain over that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.advisor.prior.gains import Gains, Z, angle, share_at
from helpers.advisor.prior.posterior import LEVEL, Belief
from helpers.advisor.probe import Probing
from helpers.results.expected_regret import MARGIN
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION, counted

CHEAPER = 1.5  # a cheaper approach is preferred where it costs less by this factor
SURE = 0.05  # a smaller chance that another approach is better leaves an answer settled
UNKNOWN = 1.0  # deviation of the accuracy of what was never recorded
TOO_WIDE = 0.3  # an interval of accuracies that tells nothing: "not known" says as much
LEAST_SLOPE = 0.28  # of accuracy over angle: near 0 and 1 gains are small, and never none


@dataclass(frozen=True)
class Expected:
    """An approach's expected accuracy here, 95 % interval, and what it rests on.

    runs: recorded, or of a race. origin: what it rests on, in words. measured: the accuracy was
    measured on this data, by a race or out of fold; else it is the better of those with a gain.
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
    """What is expected before anything is raced: of each approach, and of their differences.

    base: what the gains were added to, see `base_of`.
    """

    expected: Mapping[str, Expected]
    gains: Gains
    base: str = FEATURE_EXTRACTION

    def belief(self, names: Sequence[str]) -> Belief:
        """What is expected of several approaches together, before anything is raced.

        Their differences are as sure as recorded gains are within data sets. What was not compared
        with what is measured stands for itself, and nothing is known of what was not recorded.
        """
        told = [self.expected.get(name) for name in names]
        known = [one.accuracy for one in self.expected.values()] or [0.5]
        mean = np.array([np.mean(known) if one is None else one.accuracy for one in told])
        alone = [UNKNOWN if one is None else (one.high - one.low) / (2 * Z) for one in told]
        own = [0.0 if name == self.base else s**2 for name, s in zip(names, alone, strict=True)]
        scale = np.diag(own)
        rows = [r for r, n in enumerate(names) if n in self.gains.names and n in self.expected]
        columns = [self.gains.names.index(names[row]) for row in rows]
        # Gains are angles and beliefs accuracies: near p a step of the angle is 2 √(p (1 - p)) of
        # accuracy, so the covariance is multiplied by the slopes of both (the delta method).
        slopes = np.maximum(LEAST_SLOPE, 2 * np.sqrt(mean * (1 - mean)))[rows]
        between = self.gains.covariance[np.ix_(columns, columns)]
        scale[np.ix_(rows, rows)] = between * np.outer(slopes, slopes)
        return Belief(tuple(names), mean, scale + LEVEL**2)


def base_of(probing: Probing, gains: Gains) -> str:
    """What recorded gains are added to: the probe, or for pictures the better classical pipeline.

    A weak probe stays the base whatever the other reaches: no recorded network was as blind to what
    tells classes apart.
    """
    ahead = CLASSICAL in gains.over and probing.classical.accuracy > probing.probe.accuracy
    return CLASSICAL if ahead and not probing.cause else FEATURE_EXTRACTION


def expected_accuracies(probing: Probing, gains: Gains) -> dict[str, Expected]:
    """Expected accuracy of every approach that the records compare with what is measured here.

    That is the probe and the classical pipeline; gains are added to one of them (`base_of`).
    """
    probe, classical = probing.probe, probing.classical
    expected = {
        name: Expected(name, score.accuracy, score.low, score.high, 0, origin, True)
        for name, score, origin in (
            (FEATURE_EXTRACTION, probe, "probe on your data, out of fold"),
            (CLASSICAL, classical, "on your data, out of fold"),
        )
    }
    ahead = base_of(probing, gains) == CLASSICAL
    start = angle((classical if ahead else probe).accuracy)
    # The probe's own noise comes on top of how far gains differ between data sets.
    noise = 1 / (4 * probe.n)
    count = counted(gains.families, "recorded data set")
    base = "the result without a network" if ahead else "your probe"
    better = "the better of the two" if CLASSICAL in gains.over else "the probe"
    origin = f"{base}, and the gain over {better} in {count}"
    for name in gains.names:
        gain, spread = gains.of(name)
        width = np.sqrt(noise + spread**2)
        ends = [float(share_at(start + gain + side * width)) for side in (0, -Z, Z)]
        expected[name] = Expected(name, *ends, gains.runs[name], origin)
    return expected


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
