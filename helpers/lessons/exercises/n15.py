"""Answers to notebook 15: questions, mistakes, the checklist."""

from collections.abc import Callable

import numpy as np

from helpers.lessons.crossings import recorded
from helpers.lessons.exercises.grading import Exercise, choice, function, number
from helpers.lessons.pitfalls import one_seed, smallest_visible_gain


def keeps_copies_together(reader: Callable) -> bool | str:
    """Try the reader's split on groups of several sizes and in several orders."""
    for seed in range(5):
        source = np.random.default_rng(seed).permutation(np.repeat(np.arange(50), 4))
        held = np.asarray(reader(source, seed))
        if held.shape != source.shape or held.dtype != bool:
            return "The result should be a bool array with one value for each row."
        if set(source[held]) & set(source[~held]):
            return f"With seed {seed}, copies of one picture lie on both sides."
        if not 0.1 <= held.mean() <= 0.3:
            return f"With seed {seed}, {held.mean():.0%} of the rows are held out, not a fifth."
    firsts = [reader(np.arange(50), seed) for seed in (0, 1)]
    if np.array_equal(*firsts):
        return "Two seeds give the same split: draw with the seed."
    return True


ANSWERS = {
    "15.1": Exercise(
        number(next(n for n in range(100, 100_000, 100) if smallest_visible_gain(n, 0.9) <= 0.02)),
        hints=(
            "Try a few sizes: the visible difference falls with the root of n.",
            "next(n for n in range(100, 100_000, 100) if …smallest_visible_gain(n, 0.9) <= 0.02)",
        ),
        praise="Few test sets are that large: hence all the differences that did not last.",
    ),
    "15.2": Exercise(
        function("hold_out", keeps_copies_together),
        hints=(
            "Draw pictures, not rows: np.unique(source).",
            "np.isin(source, rng.permutation(np.unique(source))[: len(np.unique(source)) // 5])",
        ),
        praise="The same line keeps patients, products and days together.",
    ),
    "15.3": Exercise(
        choice("c"),
        hints=(
            "Which mistakes of section 2 are in the sentence?",
            "Two of them: chosen on the test set, and a single seed.",
        ),
        praise="Until then the three points may be the optimism of mistake 1.",
    ),
    "15.4": Exercise(
        number(lambda: 100 * one_seed(recorded())["regret"].max(), within=0.01),
        hints=("The column `regret` of `crowned`, its maximum.", "In points: times 100."),
        praise="One seed is enough most of the time, and you can't know when.",
    ),
}
