"""Answers to notebook 12: the worked comparison on product photos."""

from collections.abc import Callable

import pandas as pd

from helpers.errors import UserError
from helpers.lessons.exercises.grading import Exercise, function, number
from helpers.lessons.product_photos import recorded
from helpers.vocabulary import FEATURE_EXTRACTION


def pixels_gain() -> float:
    """Points that the frozen network gains from the smallest to the largest pictures, by seed."""
    runs = recorded()
    frozen = runs[(runs["n_train"] == 200) & (runs["approach"] == FEATURE_EXTRACTION)]
    if frozen["image_size"].nunique() < 2:
        raise UserError("these runs have not been recorded at two sizes")
    wide = frozen.pivot(index="seed", columns="image_size", values="test_accuracy")
    sides = wide.columns
    return 100 * float((wide[sides.max()] - wide[sides.min()]).mean())


def chooses(reader: Callable) -> bool | str:
    """Try the reader's choice on a table, with budgets that bind and one that is too small."""
    table = pd.DataFrame(
        {"approach": ["slow", "middle", "quick"], "minutes": [9.0, 3.0, 0.5],
         "accuracy": [0.80, 0.785, 0.70]}
    )  # fmt: skip
    cases = {
        (10, 0): "slow",
        (10, 1): "slow",
        (10, 2): "middle",
        (10, 20): "quick",
        (5, 0): "middle",
        (3, 0): "middle",
        (5, 9): "quick",
        (1, 0): "quick",
        (0.1, 5): None,
    }
    for (minutes, points), wanted in cases.items():
        for rows in (table, table.iloc[::-1]):
            found = reader(rows.copy(), minutes, points)
            if found != wanted:
                asked = f"With {minutes} minutes and {points} points"
                return f"{asked} it should be {wanted!r}, not {found!r}."
    return True


ANSWERS = {
    "12.1": Exercise(
        number(1.96 * (0.60 * 0.40 / 372) ** 0.5, within=0.02),
        hints=("Put p = 0.60 and n = 372 into the formula.", "The root of 0.24 / 372, times 1.96."),
        praise="Two approaches on the same photos differ by less than that, hence paired draws.",
    ),
    "12.2": Exercise(
        number(pixels_gain, within=0.02),
        hints=(
            "Keep feature_extraction with n_train of 200; pivot: seeds down, image_size across.",
            "Last column minus first, rows without a gap, their mean, times 100.",
        ),
        praise="Means over unlike seeds would have mixed other photos into it.",
    ),
    "12.3": Exercise(
        function("choose", chooses),
        hints=(
            "First keep what fits into the minutes; the best of *these* sets the mark.",
            "Then keep what reaches the mark minus points / 100, and take the fewest minutes.",
        ),
        praise="That is the whole of `trade_offs.ship`.",
    ),
}
