"""Answers to notebook 07: distance from the pretraining data."""

from helpers.experiments.domain_distance import load_distances
from helpers.lessons.exercises.grading import Exercise, choice, number, predicted, recorded
from helpers.results.statistics import pair
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION, FROM_SCRATCH


def farthest() -> str:
    """The task farthest from pocket at dial 0, as recorded."""
    table = load_distances()
    table = table[(table["backbone"] == "pocket") & (table["dial"] == 0)]
    return str(table.loc[table["distance"].idxmax(), "task"])


def lost_on_the_dial() -> dict[str, float]:
    """Points that approaches lose from dial 0 to its end, 200 examples, over common seeds."""
    lost = {}
    for name in (FEATURE_EXTRACTION, FROM_SCRATCH, CLASSICAL):
        near, far = (
            recorded("pocket", task="products_near", n_train=200, approach=name, dial=dial)
            for dial in (0.0, 1.0)
        )
        both = pair(near, far, ["seed"], ["test_accuracy"])
        lost[name] = 100 * float((both["test_accuracy"] - both["test_accuracy_theirs"]).mean())
    return lost


ANSWERS = {
    "07.1": Exercise(
        number(0.75, within=0.01),
        hints=("distance = F / (1 + F)", "Three over four."),
        praise="And 1/2 is a cloud as far off as the source is wide.",
    ),
    "07.2": Exercise(
        choice(farthest),
        hints=("Filter backbone and dial, then sort by `distance`.", "The last row's `task`."),
        praise="Which of the other two scores would have named another task?",
    ),
    "07.3": Exercise(
        number(0.25, within=0.01),
        hints=("How much of the way from 0.80 to 1 has it gone?", "0.05 of 0.20."),
        praise="An accuracy of 85 % can be a quarter of the way.",
    ),
    "07.4": Exercise(
        predicted(lost_on_the_dial, full=2.0, nothing=10.0, unit="points"),
        hints=(
            "Which of the three can tell one order of the pixels from another?",
            "Raw pixels in another order are as good as before; what then of a probe, and of "
            "convolutions that start from nothing?",
            "Filter the runs by task, n_train and approach, pivot seed by dial, subtract.",
        ),
        praise="What pretraining gave is what the dial takes away.",
        points=2,
    ),
}
