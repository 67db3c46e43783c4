"""Answers to notebook 05: training from scratch, priced."""

from helpers.lessons.exercises.grading import Exercise, answers, number

# ((pretraining, what each task saves), the task after which it has paid)
BILLS = (
    ((100.0, [60.0, 60.0, 60.0]), 2),
    ((100.0, [50.0, 50.0]), 2),
    ((100.0, [90.0, -50.0, 30.0, 40.0]), 4),
    ((100.0, [10.0, 20.0]), None),
    ((100.0, [-5.0, 200.0, -300.0]), 2),
    ((30.0, []), None),
    ((100.0, [500.0]), 1),
)

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
        answers("pays_after", BILLS),
        hints=(
            "Add up what is saved, task by task, and stop where the sum is large enough.",
            "A task may cost more than it saves, so an average won't do.",
            "Loop over enumerate(saved, start=1), and return the place where total >= pretraining.",
        ),
        praise="Weights that you download make `pretraining` zero, and the first task pays.",
        points=2,
    ),
}
