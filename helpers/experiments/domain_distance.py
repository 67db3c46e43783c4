"""How far a task lies from what a backbone was pretrained on: three scores that need no tuning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import sqrtm
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from helpers.errors import UserError
from helpers.training.linear import linear_probe, one_blas_thread


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
def probe(features: np.ndarray, labels: np.ndarray, *, folds: int = 5, seed: int = 0) -> Probe:
    """The article's test for "do the features transfer?": features (N,F), labels (N,).

    Raises UserError when a class has fewer examples than there are folds to hold it out in.
    """
    counts = np.bincount(labels)
    smallest = int(counts[counts > 0].min())
    if (counts > 0).sum() < 2:
        raise UserError("a probe needs two classes or more; the labels hold one")
    if smallest < 2:
        raise UserError("a probe needs two examples of each class; one class has a single example")
    folds = min(folds, smallest)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    right = int((cross_val_predict(linear_probe(), features, labels, cv=splits) == labels).sum())
    low, high = wilson_interval(right, len(labels))
    return Probe(right / len(labels), low, high, float(counts.max() / len(labels)), len(labels))


def wilson_interval(right: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927): it stays within 0–1 and works near the ends."""
    if not 0 <= right <= n or n < 1:
        raise UserError(f"{right} right of {n} is no share")
    share, spread = right / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * np.sqrt(share * (1 - share) / n + spread / (4 * n))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


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
    root = np.real(sqrtm(covariances[0] @ covariances[1]))
    gap = first.mean(0) - second.mean(0)
    distance = gap @ gap + np.trace(covariances[0] + covariances[1] - 2 * root)
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
