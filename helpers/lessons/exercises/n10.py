"""Answers to notebook 10: rules and their regret."""

import functools
from collections.abc import Callable

import pandas as pd

from helpers.lessons.exercises.grading import Exercise, choice, function, number
from helpers.lessons.exercises.scenarios import chosen
from helpers.results import rival_rules
from helpers.results.learning_curves import measured_curves
from helpers.results.runs import load_runs


@functools.cache
def _scored() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The recorded situations, and what each rule picks there."""
    held = measured_curves(load_runs())
    table, _ = rival_rules.situations(held)
    return table, rival_rules.score(table, held)


def _mean_regret(rule: str) -> float:
    picks = _scored()[1]
    return float(picks[picks["rule"] == rule]["regret"].mean())


def gap() -> float:
    """Points between always LoRA and the measured answer."""
    return 100 * (_mean_regret("always lora") - _mean_regret("measured"))


def worst_task() -> str:
    """Where always tuning everything gave up most."""
    picks = _scored()[1]
    own = picks[picks["rule"] == "always full_fine_tuning"]
    return str(own.loc[own["regret"].idxmax(), "task"])


def own_rule(reader: Callable) -> bool | str:
    """Judge a rule by its mean regret on the recorded situations."""
    table, _ = _scored()
    known = set(table["approach"])
    regrets = table.set_index([*rival_rules.SITUATION, "approach"])["regret"]
    lost = []
    for case in rival_rules.cases(table):
        named = reader(case.n_train, case.distance)
        if named not in known:
            return f"It named {named!r}; the approaches are {', '.join(sorted(known))}."
        place = (case.task, case.backbone, case.n_train, case.dial, case.image_size, named)
        if place in regrets.index:  # some situations lack the dearest approaches
            lost.append(regrets[place])
    if not lost:
        return "What it names was run in none of the situations."
    mean, goal = sum(lost) / len(lost), _mean_regret("article")
    if mean < goal:
        return True
    return f"It gives up {100 * mean:.1f} points, the four-step rule {100 * goal:.1f}."


ANSWERS = {
    "10.1": Exercise(
        number(gap, within=0.05),
        hints=("Both stand in `scores`.", "Subtract the mean regrets and multiply by 100."),
        praise="One sentence of advice against a table of measurements, priced.",
    ),
    "10.2": Exercise(
        choice(worst_task),
        hints=("Look at the table of worst situations.", "It is in the column `task`."),
        praise="The most powerful approach has the deepest hole.",
    ),
    "10.3": Exercise(
        function("my_rule", own_rule),
        hints=(
            "Start from a constant: lambda examples, distance: 'lora'.",
            "Then look where it fails, in section 4, and treat that case on its own.",
        ),
        praise="It was scored on tasks that you have looked at; the measured answer was not.",
    ),
    "10.4": Exercise(
        chosen("fabric", "scrambled", "tickets", "letters", "nightly"),
        hints=(
            "What has each base seen before, and what do the new pictures or words share with it?",
            "Freezing needs a close domain. Where nothing is close, look at LoRA and at classical.",
            "scenarios.options(scenarios.get_scenario('fabric')) is the whole bill, best first.",
        ),
        praise="Now count: how many different approaches did five situations take?",
        points=5,
    ),
}
