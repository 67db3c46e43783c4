"""Answers to notebook 11: when the rule does not apply."""

import math

from helpers.lessons import flips
from helpers.lessons.exercises.grading import Exercise, choice, number, recorded
from helpers.vocabulary import FULL_FINE_TUNING, LORA


def digits_gain() -> float:
    """What continued pretraining adds to the probe on digits with 50 labels, as recorded."""
    rows = flips.load("unlabelled")
    rows = rows[(rows["task"] == "digits") & (rows["n_labelled"] == 50)]
    table = flips.paired(rows, ("continued", flips.PROBE), ("plain", flips.PROBE))
    return float(table["mean"].iloc[0])


def lora_tasks() -> int:
    """The fewest tasks at which copies are over 20 times a library of LoRA files on MiniLM."""
    sizes = recorded("minilm").groupby("approach")["stored_mb"].median()
    copy, file = sizes[FULL_FINE_TUNING], sizes[LORA]
    return next(n for n in range(1, 10_000) if n * copy > 20 * (copy + n * file))


ANSWERS = {
    "11.1": Exercise(
        number(math.log(31), within=0.005),
        hints=(
            "All similarities are equal, so every candidate is as likely as any other.",
            "16 pictures make 32 views, and a view has 31 others to choose from.",
        ),
        praise="That is the dotted line of guessing in section 2, for its batch.",
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
        number(lora_tasks),
        hints=(
            "Copies: tasks times full. Library: full once, and tasks times the LoRA file.",
            "Count up from 1 until the first is more than 20 times the second.",
        ),
        praise="Before that point the base is most of the library.",
    ),
    "11.4": Exercise(
        choice("unlabelled"),
        hints=("Look at the columns `first` and `then`.", "Two of the three change `then`."),
        praise="A flip of the order of work, not of the approach.",
    ),
}
