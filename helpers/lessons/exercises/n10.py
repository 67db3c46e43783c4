"""Answers to notebook 10: rules and their regret."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from helpers.lessons.exercises.grading import Exercise, answers, function
from helpers.lessons.exercises.scenarios import chosen
from helpers.lessons.rule_trial import OWN, evidence

ACCURACIES = ({"lora": 0.8, "adapter": 0.7, "full_fine_tuning": 0.75}, {"a": 0.25, "b": 0.5})


PICKS = [((one, pick), 100 * (max(one.values()) - one[pick])) for one in ACCURACIES for pick in one]
# A table in which the data set left out, or the many rows of another, would tell otherwise.
ROWS = [
    *[("a", "lora", 0.0), ("a", "adapter", 0.2), ("a", "classical", 0.5)],
    *9 * [("b", "lora", 0.1), ("b", "adapter", 0.02), ("b", "classical", 0.6)],
    *2 * [("c", "lora", 0.9), ("c", "adapter", 0.8), ("c", "classical", 0.0)],
]
PLANTED = pd.DataFrame(ROWS, columns=["data_set", "approach", "regret"])
LEFT_OUT = [((PLANTED, "a"), "classical"), ((PLANTED, "b"), "classical"), ((PLANTED, "c"), "lora")]


def own_rule(reader: Callable) -> bool | str:
    """Judge a rule by its mean regret on the recorded situations."""
    table = evidence()[OWN]
    wide = table.pivot(index="case", columns="approach", values="regret")
    wide = wide.apply(lambda row: row.fillna(row.max()), axis=1)
    facts = table.groupby("case")[["n_train", "distance"]].first().loc[wide.index]
    named = [reader(int(n), float(distance)) for n, distance in facts.to_numpy()]
    if unknown := [name for name in named if name not in wide.columns]:
        return f"It named {unknown[0]!r}; the approaches are {', '.join(wide.columns)}."
    mean = float(
        np.mean([wide.at[case, name] for case, name in zip(wide.index, named, strict=True)])
    )
    constants = wide.mean()
    if mean < constants.min() - 1e-9:
        return True
    best = constants.idxmin()
    return f"It gives up {100 * mean:.2f} points, always {best} {100 * constants.min():.2f}."


ANSWERS = {
    "10.1": Exercise(
        answers("regret", PICKS, "Of {0} the pick {1!r} gives up {wanted:g} points."),
        hints=(
            "The best accuracy of all, minus that of the pick.",
            "100 * (max(accuracies.values()) - accuracies[pick])",
        ),
        praise="The best is known only where everything was tried: hence the sweeps.",
    ),
    "10.2": Exercise(
        answers(
            "choose", LEFT_OUT, "Without the data set {1!r} of a planted table it is {wanted!r}."
        ),
        hints=(
            "Drop the rows of the data set left out before you average.",
            "Average within each data set first, then over data sets, for each approach.",
            'groupby(["approach", "data_set"])["regret"].mean().groupby("approach").mean()',
        ),
        praise="That is the constant of this notebook, and how every rule in it was scored.",
        points=2,
    ),
    "10.3": Exercise(
        function("my_rule", own_rule),
        hints=(
            "Start from the best constant and look where it gives up most.",
            "One threshold will do, of size or of distance: one approach below it, one above.",
            "Try every pair of approaches at every threshold, and keep the best.",
        ),
        praise="It was fitted to the data that judge it. Left out in turn, they are less kind.",
    ),
    "10.4": Exercise(
        chosen("fabric", "scrambled", "shops", "letters", "nightly"),
        hints=(
            "What has each base seen before, and what do the new pictures share with it?",
            "Freezing is right here only where the budget allows little else, however close the "
            "domain. Elsewhere look at what moves weights, and at doing without a network.",
            "scenarios.options(scenarios.get_scenario('fabric')) is the whole bill, best first.",
        ),
        praise="Now count: how many different approaches did five situations take?",
        points=5,
    ),
}
