"""Answers to notebook 07: distance from the pretraining data."""

from helpers.lessons.distances import on_the_dial
from helpers.lessons.exercises.grading import Exercise, answers, number, predicted
from helpers.results.statistics import pair
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION, FROM_SCRATCH

# Second rows of five, beside 1 to 5, and how many of the 120 orders are as strong, either way.
ORDERS = {(1, 2, 3, 4, 5): 2, (50, 30, 20, 15, 10): 2, (1, 2, 3, 5, 4): 10, (2, 1, 4, 3, 5): 16}
LUCK = [(([1, 2, 3, 4, 5], list(row)), strong / 120) for row, strong in ORDERS.items()]


def lost_on_the_dial() -> dict[str, float]:
    """Points that approaches lose from dial 0 to its end, 200 examples, over common seeds."""
    own = on_the_dial()
    own = own[own["n_train"] == 200]
    lost = {}
    for name in (FEATURE_EXTRACTION, FROM_SCRATCH, CLASSICAL):
        near, far = (own[(own["approach"] == name) & (own["dial"] == dial)] for dial in (0.0, 1.0))
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
        answers("luck", LUCK, "Beside 1 to 5, {1} is as strong as {wanted:.1%} of all orders."),
        hints=(
            "itertools.permutations(y) gives all 120 orders; compare absolute correlations.",
            "Ranks first: scipy.stats.spearmanr(x, order).statistic does both.",
            "Allow for rounding: count those of at least the observed one minus 1e-9.",
        ),
        praise="So with five points only a perfect order is more than luck.",
        points=2,
    ),
    "07.3": Exercise(
        number(0.25, within=0.01),
        hints=("How much of the way from 0.80 to 1 has it gone?", "0.05 of 0.20."),
        praise="An accuracy of 85 % can be a quarter of the way.",
    ),
    "07.4": Exercise(
        predicted(lost_on_the_dial, full=1.0, nothing=4.0, unit="points"),
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
