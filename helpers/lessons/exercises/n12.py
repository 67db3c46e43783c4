"""Answers to notebook 12: the worked comparison on product photos."""

import pandas as pd

from helpers.errors import UserError
from helpers.lessons.exercises.grading import Exercise, answers, number
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


# (minutes, points) and what to choose, with budgets that bind and one that is too small.
BUDGETS = {
    (10, 0): "slow", (10, 1): "slow", (10, 2): "middle", (10, 20): "quick", (5, 0): "middle",
    (3, 0): "middle", (5, 9): "quick", (1, 0): "quick", (0.1, 5): None,
}  # fmt: skip


def budgets() -> list[tuple[tuple, str | None]]:
    """Each of BUDGETS with a table, in either order of its rows."""
    rows = [("slow", 9.0, 0.80), ("middle", 3.0, 0.785), ("quick", 0.5, 0.70)]
    tables = [pd.DataFrame(own, columns=["approach", "minutes", "accuracy"])
              for own in (rows, rows[::-1])]  # fmt: skip
    return [((own, *asked), wanted) for asked, wanted in BUDGETS.items() for own in tables]


ANSWERS = {
    "12.1": Exercise(
        number(1.96 * (0.60 * 0.40 / 372) ** 0.5, within=0.02),
        hints=("Put p = 0.60 and n = 372 into the formula.", "The root of 0.24 / 372, times 1.96."),
        praise="Two approaches on the same photos can differ by less, hence paired draws.",
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
        answers(
            "choose", budgets(), "With {1} minutes and {2} points choose {wanted!r}, not {got!r}."
        ),
        hints=(
            "First keep what fits into the minutes; the best of *these* sets the mark.",
            "Then keep what reaches the mark minus points / 100, and take the fewest minutes.",
        ),
        praise="That is the whole of `trade_offs.ship`.",
    ),
}
