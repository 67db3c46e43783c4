"""Exercises of notebook 00, judged from the recorded runs."""

from helpers.lessons.exercises.grading import Exercise, number, recorded
from helpers.lessons.race import with_seconds
from helpers.results.statistics import regret, summarise


def _curves():
    """Means over the seeds that all raced on, of pocket with 200 examples, one row per approach."""
    runs = recorded(backbone="pocket", n_train=200)
    return with_seconds(summarise(runs[runs["seed"] < 3]))


def slowdown() -> float:
    """Seconds of full fine-tuning over those of feature extraction, on products_near."""
    curves = _curves()
    rows = curves[curves["task"] == "products_near"].set_index("approach")["seconds"]
    return rows["full_fine_tuning"] / rows["feature_extraction"]


def always_frozen() -> float:
    """Mean regret of always choosing feature extraction, in percentage points."""
    scored = regret(_curves())
    return 100 * scored.loc[scored["approach"] == "feature_extraction", "regret"].mean()


ANSWERS = {
    "00.1": Exercise(
        number(1.96**2 * 0.85 * 0.15 / 0.01**2, within=0.02),
        hints=(
            "Set the half width to 0.01 and solve for n.",
            "n = 1.96² · p · (1 − p) / 0.01², with p = 0.85.",
        ),
        praise="A test set of a few hundred pictures can't tell apart what lies a point apart.",
    ),
    "00.2": Exercise(
        number(slowdown, within=0.05),
        hints=(
            "Filter curves by race, n_train and approach, then divide two values of seconds.",
            'curves[(curves.race == "pocket on products near, 28 px") & (curves.n_train == 200)]',
        ),
        praise="Now look up what those seconds bought: the column mean of the same two rows.",
    ),
    "00.3": Exercise(
        number(always_frozen, within=0.05),
        hints=(
            "Call regret(curves) of helpers.results; keep pocket, n_train 200 and that approach.",
            "Average the column regret over the tasks, times 100 for points.",
        ),
        praise="That average is the price of a habit. Other habits have one too: try each.",
    ),
}
