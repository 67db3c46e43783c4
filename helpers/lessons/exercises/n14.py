"""Answers to notebook 14: your own data."""

from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from helpers.lessons.advisor_scores import FIRST, WITHIN, looked
from helpers.lessons.example_data import WRONG, true_classes
from helpers.lessons.exercises.grading import Exercise, answers, number
from helpers.vocabulary import ADAPTER, FEATURE_EXTRACTION, FULL_FINE_TUNING, LORA

SPARE = 0.005  # of accuracy: what a defended choice may lie below the leader
LEFT, LEAST = WRONG // 2, 490  # wrong labels that may stay, and pictures that must


def is_mended(advice: Any) -> bool | str:
    """Look at the pictures that an advice was given on."""
    if not hasattr(advice, "looked"):
        return "Hand in what `advise` returned for the mended folder."
    data, truth = advice.looked.own.data, true_classes()
    shown = np.array([np.asarray(Image.open(item)).tobytes() for item in data.items], dtype=object)
    sides = [set(shown[data.splits == name]) for name in ("train", "test")]
    if sides[0] & sides[1]:
        return "A test picture still repeats a training picture."
    if set(shown) - set(truth):
        return "A picture that shows nothing is still there."
    wrong = sum(truth[one] != data.classes[i] for one, i in zip(shown, data.labels, strict=True))
    if wrong > LEFT:
        return f"{wrong} pictures lie in another class's folder; at most {LEFT} are hard to see."
    return len(shown) >= LEAST or f"Only {len(shown)} pictures are left: more went than was wrong."


def drawn_races() -> list[tuple[tuple, str]]:
    """Drawn tables, in which leader and cheapest vary, and what to defend in each.

    Some that p-values can't tell from the leader lie too far below it, and are the cheapest.
    """
    names, cases = [LORA, ADAPTER, FULL_FINE_TUNING, FEATURE_EXTRACTION], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p, seconds = np.array([1.0, *rng.permutation([0.01, 0.05, 0.3])]), rng.permutation(4) + 1
        table = pd.DataFrame({"approach": rng.permutation(names), "p_value": p})
        table = table.assign(accuracy=[0.9, 0.88, 0.87, 0.8], seconds=seconds.astype(float))
        below = np.array([0.0, *rng.permutation([0.002, SPARE, 0.1])])
        table = table.assign(expected_below_best=below)
        near = table[(p >= 0.05) & (below <= SPARE)]
        cases.append(((table,), near.sort_values("seconds")["approach"].iloc[0]))
    return cases


ANSWERS = {
    "14.1": Exercise(
        is_mended,
        hints=(
            "What do the checks 'duplicates across splits' and 'blank pictures' list?",
            "Delete the copy in `test` and the blank picture. Open the label suspects, and move "
            "those that show another class: two do.",
        ),
        praise="What no check can see stays: a probe doubts only what it can tell apart.",
    ),
    "14.2": Exercise(
        number(lambda: int((looked()[FIRST] > WITHIN + 1e-9).sum())),
        hints=(
            "Which column of `advisor_scores.looked()` holds the points of the first answer?",
            "Count its rows above `advisor_scores.WITHIN`.",
        ),
        praise="A first answer can be wrong. A race on your own data tells more.",
    ),
    "14.3": Exercise(
        answers("defended", drawn_races(), "In this table {wanted} is what to defend:\n{0}\n"),
        hints=(
            "Keep rows with a p-value of 0.05 or more and `expected_below_best` at most 0.005.",
            "Of these the one with the fewest `seconds`; return its `approach`.",
        ),
        praise="'Not shown to be worse, near it, and cheaper' is a choice that you can defend.",
    ),
}
