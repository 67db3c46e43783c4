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
        # Each part is normal, so conditioning on y = Hx + e is the Kalman update. With S = HCH' + N
        # the covariance of what is measured: x gains CH'S⁻¹ (y - Hm), and C loses CH'S⁻¹ HC.
        across = self.covariances[:, rows]  # HC, (K, R, A)
        measured = across[:, :, rows] + noise  # S, (K, R, R)
        gaps = seen - self.means[:, rows]
        gain = np.linalg.solve(measured, across).transpose(0, 2, 1)
        # Bayes' rule among the parts: each weighs by its density at the gaps. Its logarithm is, but
        # for a constant, minus half of the Mahalanobis distance and of the log-determinant of S.
        distance = (gaps * np.linalg.solve(measured, gaps[:, :, None])[:, :, 0]).sum(1)
        fits = -(distance + np.linalg.slogdet(measured)[1]) / 2
        likely = self.weights * np.exp(fits - fits.max())  # the largest is 1: nothing overflows
        means = self.means + (gain @ gaps[:, :, None])[:, :, 0]
        covariances = self.covariances - gain @ across
        return Belief(likely / likely.sum(), means, covariances)

    def chance_above(self, one: int, other: int, margin: float) -> float:
        """Chance that accuracy `one` lies more than `margin` above accuracy `other`."""
        # In each part the difference is normal: Var(x - y) = Var x + Var y - 2 Cov(x, y).
        gaps = self.means[:, one] - self.means[:, other]
        pair = self.covariances[:, [one, other]][:, :, [one, other]]
        spreads = np.sqrt(np.maximum(1e-12, pair[:, 0, 0] + pair[:, 1, 1] - 2 * pair[:, 0, 1]))
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
    # A t variable with f degrees of freedom is a normal one times sqrt(f / u), u chi-squared with
    # f. The distribution of u is cut into PARTS of equal chance, and each stands at its median.
    return freedom / chi2.ppf((np.arange(PARTS) + 0.5) / PARTS, freedom)
