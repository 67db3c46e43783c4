"""Answers to notebook 11: when the rule does not apply."""

import math

import numpy as np

from helpers.lessons import flips
from helpers.lessons.exercises.grading import Exercise, answers, number


def digits_gain() -> float:
    """What continued pretraining adds to the probe on digits with 50 labels, as recorded."""
    rows = flips.load("unlabelled")
    rows = rows[(rows["task"] == "digits") & (rows["n_labelled"] == 50)]
    table = flips.paired(rows, ("continued", flips.PROBE), ("plain", flips.PROBE))
    return float(table["mean"].iloc[0])


def embeddings() -> list[tuple[tuple, list[int]]]:
    """Embeddings of which some were turned, scaled or moved, and which of them have changed."""
    before = np.random.default_rng(0).normal(size=(6, 40))
    today = before + 0.01
    today[0] *= 1e-3  # shorter, and of the same direction
    today[2] = before[2] + before[3]  # turned, and longer
    today[4] = -before[4]
    return [((before, today, 0.9), [2, 4]), ((before, before, 0.9), [])]


ANSWERS = {
    "11.1": Exercise(
        number(math.log(31), within=0.005),
        hints=(
            "All similarities are equal, so every candidate is as likely as any other.",
            "16 pictures make 32 views, and a view has 31 others to choose from.",
        ),
        praise="So a loss near that says that nothing was learned.",
    ),
    "11.2": Exercise(
        number(digits_gain, within=0.02),
        hints=(
            "Keep task digits and n_labelled 50, then pair (continued, probe) with (plain, probe).",
            'flips.paired(rows, ("continued", flips.PROBE), ("plain", flips.PROBE))["mean"]',
        ),
        praise="Now compare with what ten times the labels would have cost you.",
    ),
    "11.3": Exercise(
        answers("changed", embeddings(), "It says {got}, where {wanted} have changed."),
        hints=(
            "Divide each row by its length; then the cosine is the sum of products, row by row.",
            "np.flatnonzero(cosine < least) gives the positions.",
        ),
        praise="A dozen pictures asked again every day tell what the provider doesn't.",
    ),
}
