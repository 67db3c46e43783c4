"""What is believed of several accuracies at once, and how measurements correct it.

A multivariate t distribution is kept as a mixture of normal ones whose covariances differ by a
factor. Where measurements lie far from what the records let expect, the wide ones gain weight: a
task that is unlike the recorded ones is believed sooner than a normal prior would let it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import chi2, norm

PARTS = 16  # normal distributions that stand for a t distribution
LEVEL = 1.0  # deviation of what moves every accuracy together: nothing is known of it


@dataclass(frozen=True)
class Belief:
    """A mixture of normal distributions over the accuracies of approaches.

    weights: (K,), sum 1. means: (K, A). covariances: (K, A, A).
    """

    weights: np.ndarray = field(repr=False)
    means: np.ndarray = field(repr=False)
    covariances: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, mean: np.ndarray, scale: np.ndarray, freedom: float) -> Belief:
        """A t distribution around mean (A,) with scale (A, A); a normal one where freedom is inf.

        What moves all accuracies together is added: it is not known, whatever the scale says.
        """
        factors = _factors(freedom)
        shared = LEVEL**2 * np.ones_like(scale)
        return cls(
            np.full(len(factors), 1 / len(factors)),
            np.tile(mean, (len(factors), 1)),
            factors[:, None, None] * scale + shared,
        )

    @property
    def mean(self) -> np.ndarray:
        """Expected accuracies (A,)."""
        return self.weights @ self.means

    def given(self, rows: np.ndarray, seen: np.ndarray, noise: np.ndarray) -> Belief:
        """The belief after the accuracies of `rows` were measured, with a noise of (R, R)."""
        across = self.covariances[:, rows]  # (K, R, A)
        told = across[:, :, rows] + noise
        gaps = seen - self.means[:, rows]
        gain = np.linalg.solve(told, across).transpose(0, 2, 1)
        # Log-likelihood of the gaps under each part, but for a constant.
        far = (gaps * np.linalg.solve(told, gaps[:, :, None])[:, :, 0]).sum(1)
        fits = -(far + np.linalg.slogdet(told)[1]) / 2
        likely = self.weights * np.exp(fits - fits.max())
        means = self.means + (gain @ gaps[:, :, None])[:, :, 0]
        covariances = self.covariances - gain @ across
        return Belief(likely / likely.sum(), means, covariances)

    def chance_above(self, one: int, other: int, margin: float) -> float:
        """Chance that accuracy `one` lies more than `margin` above accuracy `other`."""
        gaps = self.means[:, one] - self.means[:, other]
        cut = self.covariances[:, [one, other]][:, :, [one, other]]
        spreads = np.sqrt(np.maximum(1e-12, cut[:, 0, 0] + cut[:, 1, 1] - 2 * cut[:, 0, 1]))
        return float(self.weights @ norm.sf(margin, gaps, spreads))

    def draws(self, count: int, seed: int = 0) -> np.ndarray:
        """Accuracies (about `count`, A) drawn from it."""
        rng = np.random.default_rng(seed)
        parts = rng.multinomial(count, self.weights)
        drawn = [
            rng.multivariate_normal(mean, covariance, number, check_valid="ignore")
            for mean, covariance, number in zip(self.means, self.covariances, parts, strict=True)
        ]
        return np.concatenate(drawn)


def _factors(freedom: float) -> np.ndarray:
    """Factors (K,) on a covariance, equally likely, that make a t distribution of normal ones."""
    if np.isinf(freedom):
        return np.ones(1)
    return freedom / chi2.ppf((np.arange(PARTS) + 0.5) / PARTS, freedom)
