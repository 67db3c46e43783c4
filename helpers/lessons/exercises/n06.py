"""Answers to notebook 06: how many examples fine-tuning needs."""

from helpers.lessons.exercises.grading import Exercise, choice, number, recorded
from helpers.results.statistics import summarise


def means(task: str, n_train: int) -> dict[str, float]:
    """Approach → mean test accuracy on pocket, dial 0, from the records of the sweep."""
    runs = recorded("pocket", task=task, n_train=n_train)
    return summarise(runs).set_index("approach")["mean"].to_dict()


def gain() -> float:
    """Full fine-tuning over frozen features on 200 digits."""
    found = means("digits", 200)
    return found["full_fine_tuning"] - found["feature_extraction"]


def leader() -> str:
    """The best mean on 50 pictures of fabric."""
    found = means("textile", 50)
    return max(found, key=found.__getitem__)


ANSWERS = {
    "06.1": Exercise(
        number(gain, within=0.02),
        hints=(
            "Filter by backbone, task, dial and n_train, then look at the column `mean`.",
            "Subtract the mean of feature_extraction from that of full_fine_tuning.",
        ),
        praise="And that at a size where many guides would not let you fine-tune at all.",
    ),
    "06.2": Exercise(
        choice(leader),
        hints=("Sort the four filters' rows by `mean`.", "Give the name in the column `approach`."),
        praise="Now look at its band: by how much could luck have put it there?",
    ),
    "06.3": Exercise(
        number(100 * 10**0.5, within=0.02),
        hints=("Half-way up is half-way along log n.", "It is the geometric mean of both sizes."),
        praise="On a log axis each step to the right costs as many times more as the last.",
    ),
}
