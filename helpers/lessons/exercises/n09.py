"""Answers to notebook 09: maintenance over years."""

import tempfile
from collections.abc import Callable

from helpers.approaches import Fitted, get_approach
from helpers.backbones import clone, load_backbone
from helpers.lessons.adapter_library.library import Library
from helpers.lessons.exercises.grading import Exercise, answers, function, number
from helpers.vocabulary import FEATURE_EXTRACTION, FULL_FINE_TUNING, LORA


def names_to_train(reader: Callable) -> bool | str:
    """Try the reader's function on a small library whose base was replaced."""
    old, new = (load_backbone("pocket", pretrained=False, seed=seed) for seed in (0, 1))
    with tempfile.TemporaryDirectory() as folder:
        for base, name, task in (
            (old, LORA, "tiles"),
            (old, FULL_FINE_TUNING, "leaves"),
            (old, FEATURE_EXTRACTION, "apples"),
            (new, LORA, "coins"),
        ):
            approach = get_approach(name)
            model = approach.build(clone(base), 2, approach.options())
            Library(folder, base).add(Fitted(approach, model, None), task)
        given = reader(Library(folder, new))
    if not isinstance(given, list):
        return f"A list of names is wanted, and this is {type(given).__name__}."
    if "leaves" in given:
        return "The full copy holds all its weights; it goes on as it is."
    if "coins" in given:
        return "One of these was trained on the new base already."
    return given == ["apples", "tiles"] or f"Two tasks have to be trained again; you named {given}."


# ((confidence by week, limit), the week that is the second low one in a row)
WEEKS = (
    (([0.7, 0.4, 0.4, 0.3], 0.5), 2),
    (([0.7, 0.4, 0.7, 0.4, 0.4], 0.5), 4),
    (([0.4, 0.4], 0.5), 1),
    (([0.4, 0.7, 0.4, 0.7], 0.5), None),
    (([0.5, 0.5, 0.7], 0.5), None),  # at the limit is not below it
    (([0.4], 0.5), None),
)


ANSWERS = {
    "09.1": Exercise(
        number(next(t for t in range(1, 10**6) if t * 400 >= 100 * (400 + t * 2))),
        hints=(
            "T full copies take 400·T, the other shelf 400 + 2·T.",
            "Solve 400·T = 100 · (400 + 2·T).",
        ),
        praise="Of the two hundred that the files promise, half is there only now.",
    ),
    "09.2": Exercise(
        answers("retrain_after", WEEKS),
        hints=(
            "Two low weeks with a good one between them are no reason.",
            "Look for the first week that is below the limit together with the week before it.",
        ),
        praise="Waiting a week costs some accuracy, and saves most false alarms.",
    ),
    "09.3": Exercise(
        function("to_train", names_to_train),
        hints=(
            "`library.list()` has a column `problem`.",
            "Keep the rows whose problem is not empty, and make a list of their `task`.",
        ),
        praise="This is the work list of an upgrade.",
    ),
}
