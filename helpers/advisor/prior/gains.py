"""What the records say of gains over feature extraction, and how far one more task may lie off.

A gain is a difference in log-odds to feature extraction on the same task, size and seeds, so that
a task near 0.5 and one near 0.95 can speak of the same gain. Families of tasks are few, so how
much they differ is known badly too: each approach's spread is drawn towards that of all, and the
interval is a t interval. Differences between approaches are taken within families: where
everything that moves the whole network fails on a family, it fails there together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import t as student

from helpers.results.learning_curves import Measured
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION

BASE = FEATURE_EXTRACTION
FAMILY = ["family", "backbone"]  # who has one say: tasks of the same data on the same backbone
MEASURED = CLASSICAL  # on own data, like the probe: the records need not be asked
# How many families the spread of all approaches together counts for, in the spread of one. Chosen
# where the records, each family foreseen from the others, are likeliest (2 to 5 do about as well).
SHARED = 3.0
LONE_SPREAD = 0.5  # log-odds, where a single family speaks
LEAST_SPREAD = 0.05  # log-odds; families that agree by luck do not make a certainty
Z = float(student.ppf(0.975, np.inf))


@dataclass(frozen=True)
class Gains:
    """Expected gains (A,) of approaches `names` in one more family of tasks, in log-odds.

    They follow a t distribution around `mean` with the squared scale `covariance` (A, A) and
    `freedom` degrees of freedom. families: of tasks. runs: recorded runs by approach.
    """

    names: tuple[str, ...]
    mean: np.ndarray = field(repr=False)
    covariance: np.ndarray = field(repr=False)
    families: int
    runs: Mapping[str, int]
    freedom: float = np.inf

    def of(self, name: str) -> tuple[float, float]:
        """(gain, spread) of an approach over feature extraction."""
        return self.difference(name, BASE)

    def knows(self, name: str) -> bool:
        """Whether anything is known of an approach; feature extraction gains 0 over itself."""
        return name == BASE or name in self.names

    def difference(self, one: str, other: str) -> tuple[float, float]:
        """(mean, spread) of how far `one` lies above `other`, log-odds.

        1.96 spreads are the half width of a 95 % t interval: wider than the scale.
        """
        # A difference is a contrast c of the gains, +1 and -1 (the base itself gains 0), with mean
        # c'm and squared scale c'Cc: what moves both approaches alike cancels.
        contrast = np.zeros(len(self.names))
        for name, sign in ((one, 1.0), (other, -1.0)):
            if name != BASE:
                contrast[self.names.index(name)] += sign
        scale = float(np.sqrt(max(0.0, contrast @ self.covariance @ contrast)))
        return float(contrast @ self.mean), scale * float(student.ppf(0.975, self.freedom)) / Z


NOTHING = Gains((), np.zeros(0), np.zeros((0, 0)), 0, {})


def recorded_gains(modality: str, measured: Measured) -> Gains:
    """Gains of every approach that the records compare with feature extraction, in a modality.

    Each family on each backbone has one say, however many sizes and dial steps it was measured on.
    """
    columns = ["approach", "gain", *FAMILY, "runs"]
    cells = pd.DataFrame(_cells(modality, measured), columns=columns)
    if cells.empty:
        return NOTHING
    table = cells.groupby([*FAMILY, "approach"])["gain"].mean().unstack()
    table = table.fillna(table.mean())
    mean, covariance, freedom = _pooled(table.to_numpy())
    families = table.index.get_level_values("family").nunique()
    runs = cells.groupby("approach")["runs"].sum().astype(int).to_dict()
    return Gains(tuple(table.columns), mean, covariance, families, runs, freedom)


def _cells(modality: str, measured: Measured) -> Iterator[tuple]:
    for curve in measured.curves:
        if curve.modality != modality:
            continue
        for table in curve.accuracy.values():
            if BASE not in table:
                continue
            for name in table.columns.difference([BASE, MEASURED]):
                both = table[[BASE, name]].dropna()  # the seeds that both ran on
                if len(both):
                    means = logit(both.mean().clip(0.01, 0.99))
                    gain = means[name] - means[BASE]
                    yield name, gain, curve.family, curve.backbone, len(both)


def _pooled(gains: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """(mean (A,), squared scale (A, A), freedom) of one more family, from gains (families, A)."""
    mean, number = gains.mean(axis=0), len(gains)
    if number < 2:
        # A single family shows no spread: it is assumed, with a correlation of one half.
        half_correlated = (np.eye(len(mean)) + np.ones((len(mean),) * 2)) / 2
        return mean, LONE_SPREAD**2 * half_correlated, np.inf
    gaps = gains - mean
    # The covariance between families; n - 1 since the mean comes from the same ones.
    covariance = gaps.T @ gaps / (number - 1)
    # It has n - 1 degrees of freedom and is drawn towards one that is the same for all approaches,
    # which counts for SHARED more: the mean under an inverse Wishart prior around that one.
    freedom = SHARED + number - 1
    covariance = (SHARED * _exchangeable(covariance) + (number - 1) * covariance) / freedom
    covariance[np.diag_indices_from(covariance)] += LEAST_SPREAD**2
    # One more family lies off by its own deviation, and by that of the mean: C + C / n.
    return mean, covariance * (1 + 1 / number), freedom


def _exchangeable(covariance: np.ndarray) -> np.ndarray:
    """The same mean variance and mean covariance for all approaches."""
    size = len(covariance)
    variance = np.trace(covariance) / size
    shared = (covariance.sum() - np.trace(covariance)) / max(1, size * (size - 1))
    return np.full((size, size), shared) + (variance - shared) * np.eye(size)
