"""Answers to notebook 08: what each approach costs."""

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.lessons.exercises.grading import Exercise, answers, number
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


def drawn_fronts() -> list[tuple[tuple, set]]:
    """Drawn tables, some with equal rows, and the names on their fronts."""
    rng, cases = np.random.default_rng(0), []
    for size in (1, 2, 6, 6, 12, 12):
        names = [f"approach {i}" for i in range(size)]
        table = pd.DataFrame({"approach": names, "cost": rng.integers(1, 8, size)})
        table["accuracy"] = rng.integers(1, 8, size) / 10
        cases.append(((table,), set(pareto(table, "cost", "accuracy")["approach"])))
    return cases


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
        answers("front", drawn_fronts(), "{wanted} is wanted, and yours says {got}, of:\n{0}\n"),
        hints=(
            "Compare each row with all others; two loops will do.",
            "A row is beaten by one with cost <= and accuracy >= of which one is strict; equal "
            "rows do not beat each other.",
        ),
        praise="Sorted by cost it needs one pass: keep what beats everything before it.",
    ),
}
