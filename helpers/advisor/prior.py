"""What the records let expect of each approach: a gain over what is measured here, and its spread.

A gain is a difference to the probe, of pictures to the better of probe and model without a network,
on the same task, size and seeds. It is taken between angles, arcsin √share: a measured share is as
noisy at every angle, and the same gain is less accuracy near 1. Gains over the probe alone expected
too little of pictures where it is worse than raw pixels (digits of 28 pixels).

Gains grow with the examples a class, at a rate that is taken within curves, and each data set has
one say. Data sets are few, so how much they differ is known badly too: each approach's spread is
drawn towards that of all, and is as wide as a t interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from helpers.advisor.data import counted
from helpers.advisor.probe import Probing
from helpers.results.expected_regret import WITHIN
from helpers.results.learning_curves import Measured
from helpers.tasks import TASKS
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION

MEASURED = [FEATURE_EXTRACTION, CLASSICAL]  # on own data: the records need not be asked
# Whose better one gains are over. Where words are counted better than a network reads them, the
# network does not know the language or what matters in it, and tuning it on few texts is no mend.
OVER = {"image": MEASURED, "text": [FEATURE_EXTRACTION]}
# How many data sets the spread of all approaches together counts for, in the spread of one. Chosen
# where the records, each data set foreseen from the others, are likeliest.
SHARED = 3.0
LONE_SPREAD = 0.1  # of the angle, where a single data set speaks
LEAST_SPREAD = 0.01  # of the angle; data sets that agree by luck do not make a certainty
UNREGISTERED = 2  # classes of a recorded task that nothing is known of
Z = float(norm.ppf(0.975))
TOO_WIDE = 0.3  # an interval of accuracies that tells nothing: "not known" says as much


@dataclass(frozen=True)
class Gains:
    """Expected gain of each approach on one more data set, in angles.

    of: approach → (gain, spread), such that Z spreads are a 95 % interval. families: data sets, and
    runs: recorded runs, by approach. over: what is measured, whose better one they are gains over.
    """

    of: Mapping[str, tuple[float, float]]
    families: Mapping[str, int]
    runs: Mapping[str, int]
    over: Sequence[str] = (FEATURE_EXTRACTION,)


NOTHING = Gains({}, {}, {})


def angle(share: np.ndarray | float) -> np.ndarray | float:
    """The angle of a share of right answers; the measured angle of n examples varies by 1 / 4n."""
    return np.arcsin(np.sqrt(share))


def share_at(angles: np.ndarray | float) -> np.ndarray | float:
    """The share of right answers at an angle."""
    return np.sin(np.clip(angles, 0, np.pi / 2)) ** 2


def classes_of(task: str) -> int:
    """How many classes a recorded task has."""
    return len(TASKS[task].classes) if task in TASKS else UNREGISTERED


def recorded_gains(modality: str, measured: Measured, per_class: float) -> Gains:
    """Gains of every approach that the records compare with what is measured, in a modality.

    per_class: examples a class to train on. Beyond what is recorded its ends stand in.
    """
    key = ("gains", modality)
    if key not in measured.worked_out:
        measured.worked_out[key] = _cells(modality, measured)
    cells, over = measured.worked_out[key]
    if cells.empty:
        return NOTHING
    cells = cells.copy()
    both = ["gain", "size"]
    own = cells[both] - cells.groupby(["curve", "approach"])[both].transform("mean")
    products = pd.DataFrame({"gain": own["gain"] * own["size"], "size": own["size"] ** 2})
    sums = products.groupby(cells["approach"]).sum()
    rate = (sums["gain"] / sums["size"]).where(sums["size"] > 0, 0.0)
    further = np.clip(np.log(per_class), cells["size"].min(), cells["size"].max()) - cells["size"]
    cells["gain"] += cells["approach"].map(rate) * further
    table = cells.groupby(["family", "approach"])["gain"].mean().unstack()
    runs = cells.groupby("approach")["runs"].sum().astype(int).to_dict()
    pairs = zip(table.mean(), _spread(table), strict=True)
    of = dict(zip(table.columns, pairs, strict=True))
    return Gains(of, table.count().to_dict(), runs, over)


def _cells(modality: str, measured: Measured) -> tuple[pd.DataFrame, list[str]]:
    """Gains by approach, curve and size, and what they are over: the same in every cell.

    A cell that lacks one of these is left out, for a gain over the probe alone is another quantity.
    """
    tables = [
        (curve, n, table)
        for curve in measured.curves
        if curve.modality == modality and not curve.dial
        for n, table in curve.accuracy.items()
    ]
    over = [name for name in OVER[modality] if any(name in table for *_, table in tables)]
    rows = []
    for curve, n, table in tables if over else ():
        for name in table.columns.difference(MEASURED) if {*over} <= {*table.columns} else ():
            both = table[[name, *over]].dropna()  # the seeds that all ran on
            if len(both):
                means = angle(both.mean())
                gain, size = means[name] - means[over].max(), np.log(n / classes_of(curve.task))
                rows.append((name, gain, size, curve.name, curve.family, len(both)))
    columns = ["approach", "gain", "size", "curve", "family", "runs"]
    return pd.DataFrame(rows, columns=columns), over


def _spread(gains: pd.DataFrame) -> pd.Series:
    """Deviation of the gains on one more data set, (A,), from those on some (data sets, A).

    Each approach has the data sets that it was run on; the others are missing in its column.
    """
    number, own = gains.count(), gains.var()
    seen = own[number > 1]
    if seen.empty:  # a single data set shows no spread
        return pd.Series(LONE_SPREAD, gains.columns)
    # A variance of n - 1 degrees of freedom, drawn towards the geometric mean of all approaches'.
    shared = np.exp(np.log(seen + LEAST_SPREAD**2).mean())
    freedom = SHARED + number - 1
    drawn = (SHARED * shared + (number - 1) * own.fillna(0.0)) / freedom + LEAST_SPREAD**2
    # One more data set lies off by its own deviation, and by that of the mean: V + V / n.
    spread = np.sqrt(drawn * (1 + 1 / number)) * student.ppf(0.975, freedom) / Z
    return spread.where(number > 1, np.maximum(spread, LONE_SPREAD))


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
    base = "the result without a network" if ahead else "your probe"
    better = "the better of probe and no network" if CLASSICAL in gains.over else "the probe"
    for name, (gain, spread) in gains.of.items():
        count = counted(gains.families[name], "recorded data set")
        origin = f"{base}, and the gain over {better} in {count}"
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
