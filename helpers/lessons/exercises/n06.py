"""Answers to notebook 06: how many examples fine-tuning needs."""

import math

import numpy as np

from helpers.lessons.exercises.grading import Exercise, answers, number
from helpers.results.statistics import stays_above_zero

# (sizes, accuracies of the frozen network, accuracies of the tuned one)
CURVES = (
    ([50, 200, 800], [0.60, 0.66, 0.70], [0.50, 0.64, 0.76]),
    ([100, 200, 400], [0.70, 0.72, 0.73], [0.65, 0.75, 0.80]),
    ([50, 200, 1000], [0.50, 0.60, 0.70], [0.55, 0.66, 0.71]),
    ([50, 200, 1000], [0.70, 0.80, 0.85], [0.60, 0.75, 0.84]),
    ([100, 1000, 10000], [0.50, 0.60, 0.70], [0.52, 0.58, 0.74]),  # ahead, behind, ahead again
    ([50, 100, 200], [0.60, 0.62, 0.66], [0.55, 0.64, 0.65]),  # ahead, and then no more
)
# ((draws by size,), the size from which the gain is clear)
DRAWS = (
    (({50: [0.01, -0.02, 0.03], 200: [0.04, 0.05, 0.06]},), 200),
    (({50: [0.10, 0.11, 0.12], 200: [0.01, 0.02, -0.03]},), 50),
    (({50: [0.20, -0.05, 0.10], 200: [0.30, 0.01, 0.02], 800: [0.05, 0.05, 0.06]},), 800),
    (({50: [0.02, -0.02, 0.05], 200: [-0.04, -0.05, -0.06]},), None),
    (({800: [0.05, 0.06, 0.05], 200: [0.04, 0.04, 0.05], 50: [0.02, -0.02, 0.01]},), 200),
)


def crossing(sizes: list, frozen: list, tuned: list) -> float | None:
    """The size from which the tuned network stays ahead."""
    found = stays_above_zero(np.array(sizes, float), np.subtract(tuned, frozen))
    return None if math.isnan(found) else found


ANSWERS = {
    "06.1": Exercise(
        number(100 * 10**0.5, within=0.02),
        hints=("Half-way up is half-way along log n.", "It is the geometric mean of both sizes."),
        praise="On a log axis each step to the right costs as many times more as the last.",
    ),
    "06.2": Exercise(
        answers("crossing", [(curve, crossing(*curve)) for curve in CURVES], within=0.02),
        hints=(
            "Look at tuned minus frozen: after which size is it never at or below zero again?",
            "Between that size and the next, the gain is a straight line over log n.",
            "share = -gain[i] / (gain[i + 1] - gain[i]); log n lies that share of the way on.",
        ),
        praise="Three sizes are enough to see on which side of your data the crossing lies.",
        points=2,
    ),
    "06.3": Exercise(
        answers("clear_from", DRAWS),
        hints=(
            "Go through the sizes in ascending order.",
            "_, low, _ = mean_interval(gains[size]); is low above zero?",
        ),
        praise="A mean crosses zero by luck alone about half the time when nothing is gained.",
    ),
}
