"""What is believed of several accuracies at once, and how measurements correct it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import norm

from helpers.results.expected_regret import MARGIN

LEVEL = 1.0  # deviation of what moves every accuracy together: nothing is known of it
DRAWS = 2_000  # for a chance that hangs on all approaches together


@dataclass(frozen=True)
class Belief:
    """A normal distribution over the accuracies of the approaches `names`.

    mean: (A,). covariance: (A, A), in which what moves all of them together is free.
    """

    names: tuple[str, ...]
    mean: np.ndarray = field(repr=False)
    covariance: np.ndarray = field(repr=False)

    def given(self, names: Sequence[str], seen: np.ndarray, noise: np.ndarray) -> Belief:
        """The belief after the accuracies of R approaches were measured, with a noise of (R, R)."""
        # With S = HCH' + N the covariance of what is measured, x gains CH'S⁻¹ (y - Hm), and C loses
        # CH'S⁻¹ HC (Kalman's update).
        rows = [self.names.index(name) for name in names]
        across = self.covariance[rows]
        gain = np.linalg.solve(across[:, rows] + noise, across).T
        mean = self.mean + gain @ (seen - self.mean[rows])
        return replace(self, mean=mean, covariance=self.covariance - gain @ across)

    def difference(self, one: str, other: str) -> tuple[float, float]:
        """(mean, deviation) of how far `one` lies above `other`."""
        a, b = self.names.index(one), self.names.index(other)
        variance = self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b]
        return float(self.mean[a] - self.mean[b]), float(np.sqrt(max(1e-12, variance)))

    def chance_above(self, one: str, other: str) -> float:
        """Chance that `one` lies above `other` by more than what counts as equal."""
        return 0.0 if one == other else float(norm.sf(MARGIN, *self.difference(one, other)))

    def chances_near_best(self, within: float) -> dict[str, float]:
        """Chance of each approach that none lies more than `within` above it."""
        rng = np.random.default_rng(0)
        drawn = rng.multivariate_normal(self.mean, self.covariance, DRAWS, check_valid="ignore")
        near = drawn >= drawn.max(1, keepdims=True) - within
        return dict(zip(self.names, near.mean(0).tolist(), strict=True))
