"""What each approach can be expected to reach on own data: measured here, or a gain over that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from helpers.advisor.prior.gains import Gains, Z, angle, share_at
from helpers.advisor.probe import Probing
from helpers.results.expected_regret import WITHIN
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION, counted

TOO_WIDE = 0.3  # an interval of accuracies that tells nothing: "not known" says as much


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

    def above(self, other: Expected) -> tuple[float, float]:
        """How far it lies above another, and the deviation of that, as both intervals have it."""
        widths = self.high - self.low, other.high - other.low
        return self.accuracy - other.accuracy, float(np.hypot(*widths)) / (2 * Z)


def expected_accuracies(probing: Probing, gains: Gains) -> dict[str, Expected]:
    """Expected accuracy of every approach that the records compare with what is measured here.

    That is the probe and the classical pipeline; gains are added to the probe, for pictures to the
    better of both. A weak probe stays the base whatever the other reaches: no recorded network was
    as blind to what tells classes apart.
    """
    probe, classical = probing.probe, probing.classical
    expected = {
        name: Expected(name, score.accuracy, score.low, score.high, 0, origin, True)
        for name, score, origin in (
            (FEATURE_EXTRACTION, probe, "probe on your data, out of fold"),
            (CLASSICAL, classical, "on your data, out of fold"),
        )
    }
    ahead = CLASSICAL in gains.over and classical.accuracy > probe.accuracy and not probing.cause
    start = angle((classical if ahead else probe).accuracy)
    # The probe's own noise comes on top of how far gains differ between data sets.
    noise = 1 / (4 * probe.n)
    count = counted(gains.families, "recorded data set")
    base = "the result without a network" if ahead else "your probe"
    better = "the better of the two" if CLASSICAL in gains.over else "the probe"
    origin = f"{base}, and the gain over {better} in {count}"
    for name, (gain, spread) in gains.of.items():
        width = np.sqrt(noise + spread**2)
        ends = [float(share_at(start + gain + side * width)) for side in (0, -Z, Z)]
        expected[name] = Expected(name, *ends, gains.runs[name], origin)
    return expected


def chance_right(gaps: Iterable[tuple[float, float]]) -> float:
    """Chance that nothing lies more than WITHIN above what is taken.

    gaps: how far each of the others lies above it, and the deviation of that, as if these were
    independent.
    """
    return float(np.prod([norm.cdf(WITHIN, gap, deviation) for gap, deviation in gaps]))


def within_budget(
    seconds: Mapping[str, float], minutes: float | None, names: Iterable[str]
) -> dict[str, float]:
    """Of these approaches those whose training fits the minutes, with its seconds; else all."""
    known = {name: seconds[name] for name in names}
    if minutes is None:
        return known
    return {name: taken for name, taken in known.items() if taken <= 60 * minutes} or known
