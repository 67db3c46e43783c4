"""Answers to notebook 05: training from scratch, priced."""

from helpers.lessons.exercises.grading import Exercise, choice, number, recorded
from helpers.results.statistics import paired_gain
from helpers.vocabulary import FROM_SCRATCH, FULL_FINE_TUNING


def best_task_for_scratch() -> str:
    """The task where scratch gains most on full fine-tuning at 200 examples, from the records."""
    table = paired_gain(recorded("pocket", n_train=200), FROM_SCRATCH, FULL_FINE_TUNING)
    return str(table.loc[table["mean"].idxmax(), "task"])


ANSWERS = {
    "05.1": Exercise(
        number(60),
        hints=(
            "Each epoch shows each example once.",
            "Twenty epochs of three passes, against one pass.",
        ),
        praise="And the probe's one pass is shared by every further head.",
    ),
    "05.2": Exercise(
        number(1600, within=0.01),
        hints=(
            "Solve the formula of the standard error for n.",
            "n = p(1 − p) / error²",
        ),
        praise="Few teams have that many to spare, hence seeds and intervals.",
    ),
    "05.3": Exercise(
        choice(best_task_for_scratch),
        hints=(
            "`paired_gain(runs, 'from_scratch', 'full_fine_tuning')` has a row for each task.",
            "Load with `n_train=200`, then take the row whose `mean` is largest.",
        ),
        praise="Where pretraining fits the task least, scratch loses least, or wins.",
    ),
}
