"""Answers to notebook 13: language models."""

import math

import numpy as np

from helpers.lessons.exercises.grading import Exercise, answers, number
from helpers.lessons.language_models import counting


def counted(rank: int) -> tuple[int, int]:
    """(trained, all) weights of the 7 B model with LoRA on query and value."""
    model = next(one for one in counting.ARCHITECTURES if one.name == "7 B")
    return counting.count_lora(model, rank=rank)


# (weights, trained ones, gigabytes of a card) and what fits, at the limits of each kind too.
CARDS = (
    ((1e9, 1e6, 16), "full"),
    ((1e9, 1e6, 15.9), "lora"),
    ((1e9, 1e6, 2.016), "lora"),
    ((1e9, 1e6, 2.01), "qlora"),
    ((1e9, 1e8, 2.1), None),  # what LoRA trains is large here
    ((7e9, 4e6, 24), "lora"),
    ((7e9, 4e6, 8), "qlora"),
    ((7e9, 4e6, 4.3), None),
    ((70e9, 16e6, 48), "qlora"),
)


def drawn_texts() -> list[tuple[tuple, list[float]]]:
    """(log probabilities, bytes) as drawn, and (perplexity per token, bits per byte)."""
    rng, cases = np.random.default_rng(0), []
    for tokens, per_token in ((1, 1), (7, 3), (200, 4)):
        logs, size = np.log(rng.uniform(0.01, 0.9, tokens)), tokens * per_token
        wanted = [math.exp(-logs.mean()), -float(logs.sum()) / math.log(2) / size]
        cases.append(((logs, size), wanted))
    return cases


ANSWERS = {
    "13.1": Exercise(
        number(lambda: counted(16)[0]),
        hints=(
            "Each of the 32 layers has a query and a value, both 4,096 by 4,096.",
            "An update of an m by n matrix trains 16 (m + n) weights.",
        ),
        praise="Twice what rank 8 trains: the count is proportional to the rank.",
    ),
    "13.2": Exercise(
        number(lambda: 2 * 4 * counted(8)[1] / 1e9, within=0.02),
        hints=(
            "Two numbers of four bytes for each of the weights that are trained.",
            "counting.count_lora returns (trained, all).",
        ),
        praise="More than most cards hold, before a single weight or activation.",
    ),
    "13.3": Exercise(
        answers("fits", CARDS),
        hints=(
            "Full: 16 bytes for every weight. LoRA: 2 for every weight, 16 for each trained one.",
            "5 bits are 5 / 8 bytes. Ask in this order, and return as soon as one fits.",
        ),
        praise="The frozen base decides: what LoRA trains hardly shows.",
    ),
    "13.4": Exercise(
        answers("foresight", drawn_texts(), "Perplexity and bits are {wanted}, and yours {got}."),
        hints=(
            "Perplexity is e to the mean of the negative logarithms.",
            "Bits: the sum of the negative logarithms over log 2, shared out over the bytes.",
        ),
        praise="Only the second can be compared between models that cut text in other pieces.",
    ),
}
