"""Answers to notebook 12: the worked comparison on product photos."""

from collections.abc import Callable

import pandas as pd

from helpers.lessons.exercises.grading import Exercise, function, number, recorded
from helpers.results.statistics import paired_gain
from helpers.vocabulary import FULL_FINE_TUNING, LORA


def lora_gain() -> float:
    """Points that LoRA gains on full fine-tuning, 200 clothing photos at 64 px, by seed."""
    runs = recorded("lite0", task="clothing", n_train=200)
    return 100 * float(paired_gain(runs, LORA, FULL_FINE_TUNING)["mean"].iloc[0])


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
        number(lora_gain, within=0.02),
        hints=(
            "gains = paired_gain(small, 'lora', 'full_fine_tuning')",
            "The row with n_train of 200, its `mean`, times 100.",
        ),
        praise="The story's three approaches leave this one out.",
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
