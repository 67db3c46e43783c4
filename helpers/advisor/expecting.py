"""What each approach can be expected to reach on own data: the probe here, plus recorded gains.

A gain is a difference in log-odds to feature extraction on the same task, size and seeds, so that
a task near 0.5 and one near 0.95 can speak of the same gain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from helpers.advisor.probing import Probing, Score
from helpers.curves import LEAST_SEEDS, Measured
from helpers.decision import Situation
from helpers.pooling import WEIGHTS

BASE = "feature_extraction"
LEAST_SPREAD = 0.1  # log-odds; two families that agree by luck do not make a certainty
LONE_SPREAD = 0.5  # log-odds, where a single family speaks
CHEAPER = 1.5  # a cheaper approach is preferred where it costs less by this factor
Z = 1.96


@dataclass(frozen=True)
class Expected:
    """An approach's expected accuracy here, 95 % interval, and what it rests on.

    spread: of the recorded gains, in log-odds: how sure the expectation is before measuring.
    """

    approach: str
    accuracy: float
    low: float
    high: float
    spread: float
    runs: int
    origin: str


def expected_accuracies(
    situation: Situation, held: Measured, backbone: str, probing: Probing
) -> dict[str, Expected]:
    """Expected accuracy of every approach that the records compare with feature extraction.

    The probe and the classical pipeline are what was measured here. Situations weigh as they do in
    `helpers.pooling`: by distance, size and backbone, one say for each family.
    """
    found = {
        BASE: _measured(BASE, probing.probe, "probe on your data, out of fold"),
        "classical": _measured("classical", probing.classical, "on your data, out of fold"),
    }
    base, n = _odds(probing.probe.accuracy), probing.probe.n
    noise = 1 / max(1e-9, n * expit(base) * expit(-base))
    for name, rows in _gains(situation, held, backbone).groupby("approach"):
        if name in found:
            continue
        gain, spread, families = _pooled(rows)
        width = np.sqrt(noise + spread**2)
        ends = [float(expit(base + gain + side * width)) for side in (0, -Z, Z)]
        count = f"{families} recorded {'family' if families == 1 else 'families'} of tasks"
        told = f"your probe, and the gain over it in {count}"
        found[name] = Expected(name, *ends, float(spread), int(rows["runs"].sum()), told)
    return found


def _measured(name: str, score: Score, origin: str) -> Expected:
    odds = _odds(score.accuracy)
    spread = 1 / np.sqrt(max(1e-9, score.n * expit(odds) * expit(-odds)))
    return Expected(name, score.accuracy, score.low, score.high, float(spread), 0, origin)


def _odds(accuracy: float) -> float:
    return float(logit(np.clip(accuracy, 0.01, 0.99)))


def _gains(situation: Situation, held: Measured, backbone: str) -> pd.DataFrame:
    """One row per recorded situation and approach: gain, weight, family, runs."""
    rows = list(_cells(situation, held, backbone))
    return pd.DataFrame(rows, columns=["approach", "gain", "weight", "family", "runs"])


def _cells(situation: Situation, held: Measured, backbone: str) -> Iterator[tuple]:
    for curve in held.curves:
        if curve.modality != situation.modality:
            continue
        near = 0.5 ** (abs(curve.distance - situation.distance) / WEIGHTS.distance)
        near *= 1.0 if curve.backbone == backbone else WEIGHTS.other_backbone
        for size, table in curve.accuracy.items():
            if BASE not in table:
                continue
            steps = abs(np.log(size / situation.examples)) / np.log(WEIGHTS.size_factor)
            for name in table.columns.drop(BASE):
                both = table[[BASE, name]].dropna()
                if len(both) >= LEAST_SEEDS:
                    means = logit(both.mean().clip(0.01, 0.99))
                    gain = means[name] - means[BASE]
                    family = f"{curve.family} {curve.backbone}"
                    yield name, gain, near * 0.5**steps, family, len(both)


def _pooled(rows: pd.DataFrame) -> tuple[float, float, int]:
    """(mean gain, spread of one more family, families): each family has its strongest weight."""
    values, weights = [], []
    for _, own in rows.groupby("family"):
        values.append(np.average(own["gain"], weights=own["weight"]))
        weights.append(own["weight"].max())
    mean = np.average(values, weights=weights)
    families = len({name.split()[0] for name in rows["family"]})
    if len(values) < 2:
        return float(mean), LONE_SPREAD, families
    spread = np.sqrt(np.average((np.array(values) - mean) ** 2, weights=weights))
    share = np.sum(weights) ** 2 / np.sum(np.square(weights))  # so many equal weights
    grown = spread * np.sqrt(1 + 1 / share) * np.sqrt(share / max(share - 1, 0.5))
    return float(mean), max(LEAST_SPREAD, float(grown)), families


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
