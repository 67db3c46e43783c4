"""What the records say of gains over what is measured here, and how far one more task may lie off.

A gain is a difference in log-odds to the probe, of pictures to the better of probe and model
without a network, on the same task, size and seeds, so that a task near 0.5 and one near 0.95 can
speak of the same gain. Gains over the probe alone expected too little of pictures where it is worse
than raw pixels (digits of 28 pixels): held-out ones gave up 2.3 points in the mean by them, and 0.8
by these; texts 1.7 either way. Families of tasks are
few, so how much they differ is known badly too: each approach's spread is drawn towards that of
all, and is as wide as a t interval. Differences between approaches are taken within families: where
everything that moves the whole network fails on a family, it fails there together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import norm
from scipy.stats import t as student

from helpers.results.learning_curves import Measured
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION

MEASURED = [FEATURE_EXTRACTION, CLASSICAL]  # on own data: the records need not be asked
# Whose better one gains are over. Where words are counted better than a network reads them, the
# network does not know the language or what matters in it, and tuning it on few texts is no mend.
OVER = {"image": MEASURED, "text": [FEATURE_EXTRACTION]}
FAMILY = ["family", "backbone"]  # who has one say: tasks of the same data on the same backbone
# How many families the spread of all approaches together counts for, in the spread of one. Chosen
# where the records, each family foreseen from the others, are likeliest (2 to 5 do about as well).
SHARED = 3.0
LONE_SPREAD = 0.5  # log-odds, where a single family speaks
LEAST_SPREAD = 0.05  # log-odds; families that agree by luck do not make a certainty
Z = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Gains:
    """Expected gains (A,) of approaches `names` in one more family of tasks, in log-odds.

    covariance: (A, A), such that Z deviations are a 95 % interval. families: of tasks. runs:
    recorded runs by approach. over: what is measured, whose better one they are gains over.
    """

    names: tuple[str, ...]
    mean: np.ndarray = field(repr=False)
    covariance: np.ndarray = field(repr=False)
    families: int
    runs: Mapping[str, int]
    over: Sequence[str] = (FEATURE_EXTRACTION,)

    def of(self, name: str) -> tuple[float, float]:
        """(gain, spread) of an approach over what is measured."""
        row = self.names.index(name)
        return float(self.mean[row]), float(np.sqrt(self.covariance[row, row]))


NOTHING = Gains((), np.zeros(0), np.zeros((0, 0)), 0, {})


def recorded_gains(modality: str, measured: Measured) -> Gains:
    """Gains of every approach that the records compare with what is measured, in a modality.

    Each family on each backbone has one say, however many sizes and dial steps it was measured on.
    """
    key = ("gains", modality)
    if key not in measured.worked_out:
        measured.worked_out[key] = _gains(modality, measured)
    return measured.worked_out[key]


def _gains(modality: str, measured: Measured) -> Gains:
    columns = ["approach", "gain", *FAMILY, "runs"]
    cells = pd.DataFrame(_cells(modality, measured), columns=columns)
    if cells.empty:
        return NOTHING
    table = cells.groupby([*FAMILY, "approach"])["gain"].mean().unstack()
    table = table.fillna(table.mean())
    families = table.index.get_level_values("family").nunique()
    runs = cells.groupby("approach")["runs"].sum().astype(int).to_dict()
    gains = table.to_numpy()
    spread = _spread(gains)
    return Gains(tuple(table.columns), gains.mean(axis=0), spread, families, runs, OVER[modality])


def _cells(modality: str, measured: Measured) -> Iterator[tuple]:
    for curve in measured.curves:
        if curve.modality != modality:
            continue
        for table in curve.accuracy.values():
            held = table.columns.intersection(OVER[modality])
            for name in table.columns.difference(MEASURED) if len(held) else ():
                both = table[[name, *held]].dropna()  # the seeds that all ran on
                if len(both):
                    means = logit(both.mean().clip(0.01, 0.99))
                    gain = means[name] - means[held].max()
                    yield name, gain, curve.family, curve.backbone, len(both)


def _spread(gains: np.ndarray) -> np.ndarray:
    """Covariance (A, A) of the gains of one more family, from those of some (families, A)."""
    number, size = gains.shape
    if number < 2:
        # A single family shows no spread: it is assumed, with a correlation of one half.
        return LONE_SPREAD**2 * (np.eye(size) + 1) / 2
    covariance = np.cov(gains.T).reshape(size, size)
    # It has n - 1 degrees of freedom and is drawn towards one with the same mean variance and mean
    # covariance for all approaches, which counts for SHARED more: the mean under an inverse Wishart
    # prior around that one.
    variance = np.trace(covariance) / size
    shared = (covariance.sum() - size * variance) / max(1, size * (size - 1))
    alike = np.full((size, size), shared) + (variance - shared) * np.eye(size)
    freedom = SHARED + number - 1
    covariance = (SHARED * alike + (number - 1) * covariance) / freedom
    covariance += LEAST_SPREAD**2 * np.eye(size)
    # One more family lies off by its own deviation, and by that of the mean: C + C / n.
    return covariance * (1 + 1 / number) * (student.ppf(0.975, freedom) / Z) ** 2
