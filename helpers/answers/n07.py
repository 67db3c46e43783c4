"""Answers to notebook 07: distance from the pretraining data."""

from helpers.answers import Answer, choice, number
from helpers.errors import UserError


def farthest() -> str:
    """The task farthest from pocket at dial 0, as recorded."""
    from helpers import measured_distances  # slow, and only wanted when asked

    table = measured_distances.load()
    table = table[(table["backbone"] == "pocket") & (table["dial"] == 0)]
    if table.empty:
        raise UserError("no distances have been recorded here")
    return str(table.loc[table["distance"].idxmax(), "task"])


ANSWERS = {
    "07.1": Answer(
        number(0.75, within=0.01),
        hints=("distance = F / (1 + F)", "Three over four."),
        praise="And 1/2 is a cloud as far off as the source is wide.",
    ),
    "07.2": Answer(
        choice(farthest),
        hints=("Filter backbone and dial, then sort by `distance`.", "The last row's `task`."),
        praise="Which of the other two scores would have named another task?",
    ),
    "07.3": Answer(
        number(0.25, within=0.01),
        hints=("How much of the way from 0.80 to 1 has it gone?", "0.05 of 0.20."),
        praise="An accuracy of 85 % can be a quarter of the way.",
    ),
}
