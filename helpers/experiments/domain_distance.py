"""How far a task lies from what a backbone was pretrained on: three scores that need no tuning.

The scores of each task of the sweeps, measured on frozen features, are kept in
`data/results/distances.csv`: one line per backbone, task, dial and picture size; whole lines are
appended and never edited.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from helpers.backbones import load_backbone, reference_of
from helpers.errors import UserError
from helpers.experiments.single_run import RunConfig, task_for
from helpers.results.learning_curves import PLACE
from helpers.results.statistics import wilson_interval
from helpers.training.feature_cache import extract_features
from helpers.training.linear import linear_probe, one_blas_thread
from helpers.vocabulary import FEATURE_EXTRACTION

FOLDS = 5  # of the probe


@dataclass(frozen=True)
class Probe:
    """Cross-validated accuracy of logistic regression on frozen features, beside chance.

    low, high: 95 % Wilson interval over the n examples, each judged once out of fold.
    chance: accuracy of always naming the largest class.
    """

    accuracy: float
    low: float
    high: float
    chance: float
    n: int

    @property
    def above_chance(self) -> float:
        """0: no better than naming the largest class; 1: every example right."""
        return max(0.0, (self.accuracy - self.chance) / max(1e-9, 1 - self.chance))


@one_blas_thread
def probe(features: np.ndarray, labels: np.ndarray) -> Probe:
    """The article's test for "do the features transfer?": features (N,F), labels (N,).

    Raises UserError when a class has fewer examples than there are folds to hold it out in.
    """
    counts = np.bincount(labels)
    smallest = int(counts[counts > 0].min())
    if (counts > 0).sum() < 2:
        raise UserError("a probe needs two classes or more; the labels hold one")
    if smallest < 2:
        raise UserError("a probe needs two examples of each class; one class has a single example")
    splits = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=0)
    right = int((cross_val_predict(linear_probe(), features, labels, cv=splits) == labels).sum())
    low, high = wilson_interval(right, len(labels))
    return Probe(right / len(labels), low, high, float(counts.max() / len(labels)), len(labels))


def frechet_distance(source: np.ndarray, target: np.ndarray) -> float:
    """Fréchet distance of two feature clouds (N,F), (M,F), seen as Gaussians.

    |m₁ − m₂|² + tr(C₁ + C₂ − 2 (C₁C₂)^½), as in Heusel et al. 2017 (arXiv 1706.08500), over
    features scaled by the source's total standard deviation, so that backbones compare: 0 for
    equal clouds. Biased upwards where N or M is not far above F; compare equal sizes.
    """
    if source.shape[1] != target.shape[1]:
        raise UserError(f"features differ in width: {source.shape[1]} and {target.shape[1]}")
    scale = np.sqrt(source.var(0).sum()) + 1e-12
    first, second = source.astype(np.float64) / scale, target.astype(np.float64) / scale
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    # tr (C₁C₂)^½ = tr (C₁^½ C₂ C₁^½)^½, which is symmetric: few examples make C₁C₂ singular.
    spread, axes = np.linalg.eigh(covariances[0])
    half = (axes * np.sqrt(spread.clip(0))) @ axes.T
    roots = np.sqrt(np.linalg.eigvalsh(half @ covariances[1] @ half).clip(0))
    gap = first.mean(0) - second.mean(0)
    distance = gap @ gap + np.trace(covariances[0] + covariances[1]) - 2 * roots.sum()
    return float(max(0.0, distance))


def log_me(features: np.ndarray, labels: np.ndarray) -> float:
    """LogME: log evidence per example of a linear model on the features; higher transfers better.

    You et al. 2021 (arXiv 2102.11005): for each class a Bayesian linear regression of its
    one-hot column, whose two precisions are set by the fixed-point iteration of their
    algorithm 1, on the singular value decomposition of the features.
    """
    x = features.astype(np.float64)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    evidence = []
    for label in np.unique(labels):
        y = (labels == label).astype(np.float64)
        evidence.append(_log_evidence(u.T @ y, s**2, float(y @ y), *x.shape))
    return float(np.mean(evidence))


def _log_evidence(z: np.ndarray, s2: np.ndarray, y2: float, n: int, width: int) -> float:
    """Maximised log evidence per example; z = Uᵀy, s2 = squared singular values, y2 = yᵀy."""
    alpha = beta = 1.0
    for _ in range(100):
        gamma = float((beta * s2 / (alpha + beta * s2)).sum())
        weights2 = float((beta**2 * s2 * z**2 / (alpha + beta * s2) ** 2).sum())
        kept = alpha / (alpha + beta * s2)
        residual2 = float((kept**2 * z**2).sum()) + max(0.0, y2 - float(z @ z))
        new_alpha, new_beta = gamma / (weights2 + 1e-12), (n - gamma) / (residual2 + 1e-12)
        done = abs(new_alpha / new_beta - alpha / beta) <= 1e-4 * alpha / beta
        alpha, beta = new_alpha, new_beta
        if done:
            break
    logdet = float(np.log(alpha + beta * s2).sum()) + (width - len(s2)) * np.log(alpha)
    fit = beta * residual2 + alpha * weights2
    return (
        0.5 * (width * np.log(alpha) + n * np.log(beta) - logdet - fit - n * np.log(2 * np.pi)) / n
    )


EXAMPLES = 1_000
DIRECTIONS = 64  # of greatest joint spread, where features are wider than the examples support
HALVINGS = 4  # of the target's examples, whose mean tells how few examples inflate the distance


def as_distance(frechet: float) -> float:
    """Turn a Fréchet distance F into one from 0 (like the reference) to 1: F / (1 + F).

    F's unit is the spread of the reference's own features, so 1/2 is a cloud that lies as far off
    as the reference is wide. The unit makes backbones comparable; what the reference is does not
    where it is a stand-in. A probe's shortfall would mix in how hard a task is.
    """
    return frechet / (1 + frechet)


def cloud_distance(source: np.ndarray, target: np.ndarray) -> float:
    """Fréchet distance of features (N,F), (M,F), M ≥ 4, in at most DIRECTIONS directions.

    Covariances of wide features can't be told from so few examples: the directions kept are those
    of greatest spread of both clouds together, so that a gap between them stays in. The unit is
    then the source's spread within these directions.

    Few target examples make the distance too large by about c / M (Chong and Forsyth 2020, arXiv
    1911.07023). Halves of them have twice that excess: twice the distance of all less the mean
    distance of halves is free of it. 60 photos of clothing then lie as far off as 1,000 do.
    """
    if source.shape[1] > 2 * DIRECTIONS:
        both = np.concatenate([source, target]).astype(np.float64)
        *_, directions = np.linalg.svd(both - both.mean(0), full_matrices=False)
        source, target = (cloud @ directions[:DIRECTIONS].T for cloud in (source, target))
    rng = np.random.default_rng(0)
    halves = [
        frechet_distance(source, target[half])
        for _ in range(HALVINGS)
        for half in np.array_split(rng.permutation(len(target)), 2)
    ]
    return max(0.0, 2 * frechet_distance(source, target) - float(np.mean(halves)))


@functools.lru_cache(maxsize=2)
def reference_features(backbone: str, size: int, n: int) -> np.ndarray:
    """Frozen features (n,F) of test examples of what stands for the pretraining data.

    Raises UserError for a backbone whose entry names no such task.
    """
    reference = reference_of(backbone)
    if not reference:
        raise UserError(
            f"no task stands for what {backbone} was pretrained on; name one in its registry entry "
            "(source_task or stand_in)"
        )
    asked = RunConfig(reference, backbone, FEATURE_EXTRACTION, n, image_size=size)
    examples = task_for(asked).test.take(slice(n))
    return np.asarray(extract_features(load_backbone(backbone, size=size), examples.inputs))


def gains_by_distance(gains: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of each score with a gain, for each backbone and number of examples.

    gains: rows of `beside`. Signs are turned so that 1 says "the farther by this score, the larger
    the gain".
    Columns: backbone, n_train, places, frechet, above_chance, log_me (Spearman's rank correlation;
    NaN with fewer than four places). `distance` has the ranks of `frechet`.
    """
    rows = []
    for (backbone, n), own in gains.groupby(["backbone", "n_train"]):
        row = {"backbone": backbone, "n_train": int(n), "places": len(own)}
        for name, sign in SIGNS.items():
            both = own[[name, "mean"]].dropna()
            enough = len(both) >= 4 and both[name].nunique() > 1 and both["mean"].nunique() > 1
            ranks = both.rank()
            row[name] = sign * ranks[name].corr(ranks["mean"]) if enough else math.nan
        rows.append(row)
    return pd.DataFrame(rows, columns=["backbone", "n_train", "places", *SIGNS])


SIGNS = {"frechet": 1, "above_chance": -1, "log_me": -1}  # a larger score is farther, or nearer


def beside(distances: pd.DataFrame, gains: pd.DataFrame) -> pd.DataFrame:
    """Join gains with the scores of the place (columns of `PLACE`) that each was measured at.

    gains: rows of `statistics.paired_gain` (backbone, task, dial, image_size, n_train, mean).
    """
    places = [table.assign(dial=table["dial"].round(4)) for table in (gains, distances)]
    return places[0].merge(places[1], on=PLACE, suffixes=("", "_at"))
