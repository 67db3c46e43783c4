"""Answers to notebook 08: what each approach costs."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.lessons.exercises.grading import Exercise, function, number
from helpers.lessons.trade_offs import cost_ratios, recorded, typical
from helpers.results.statistics import pareto
from helpers.vocabulary import FULL_FINE_TUNING, LORA


def lora_over_full() -> float:
    """LoRA over full fine-tuning in processor seconds: pocket, 200 examples, from the records."""
    runs = recorded()
    runs = runs[(runs["backbone"] == "pocket") & (runs["n_train"] == 200)]
    ratios = cost_ratios(runs, LORA, FULL_FINE_TUNING)["ratio"]
    if ratios.empty:
        raise UserError("these runs have not been recorded here")
    return typical(ratios)


def finds_fronts(reader: Callable) -> bool | str:
    """Try the reader's front on drawn tables, some with equal rows."""
    rng = np.random.default_rng(0)
    for size in (1, 2, 6, 6, 12, 12):
        table = pd.DataFrame({
            "approach": [f"approach {i}" for i in range(size)],
            "cost": rng.integers(1, 8, size),
            "accuracy": rng.integers(1, 8, size) / 10,
        })  # fmt: skip
        found = reader(table.copy())
        if not isinstance(found, set | frozenset):
            return f"A set of names is wanted, and this is {type(found).__name__}."
        wanted = set(pareto(table, "cost", "accuracy")["approach"])
        if set(found) != wanted:
            extra, lacking = sorted(found - wanted), sorted(wanted - found)
            return f"On a drawn table of {size} rows: too many {extra}, missing {lacking}."
    return True


ANSWERS = {
    "08.1": Exercise(
        number(4),
        hints=(
            "After E epochs full fine-tuning has cost 3 E forward passes, the probe one.",
            "The smallest whole E with 3 E of 10 or more.",
        ),
        praise="Validation and overhead move it; section 2 has it in recorded seconds.",
    ),
    "08.2": Exercise(
        number(lora_over_full, within=0.02),
        hints=(
            "Keep the rows of `runs` with backbone pocket and n_train 200.",
            "trade_offs.typical(trade_offs.cost_ratios(own, 'lora', 'full_fine_tuning')['ratio'])",
        ),
        praise="It trains a small share of the weights, and that tells little about its time.",
    ),
    "08.3": Exercise(
        function("front", finds_fronts),
        hints=(
            "Compare each row with all others; two loops will do.",
            "A row is beaten by one with cost <= and accuracy >= of which one is strict; equal "
            "rows do not beat each other.",
        ),
        praise="Sorted by cost it needs one pass: keep what beats everything before it.",
    ),
}
