"""Exercise answers, judged with a hint and never with an exception."""

import contextlib
import importlib
import io
from typing import Any

from helpers.lessons.exercises.grading import Exercise, Score
from helpers.vocabulary import wrapped

_tries: dict[str, int] = {}


def check(exercise: str, answer: Any) -> None:
    """Print whether `answer` solves an exercise such as "03.2"; each wrong try shows more of it."""
    verdict = judge(exercise, answer, _tries.get(exercise, 0))
    if answer is not ... and not verdict.right:
        _tries[exercise] = _tries.get(exercise, 0) + 1
    print(wrapped(verdict.message))


def grade(exercise: str, answer: Any, points: float = 1.0) -> float:
    """Return the points that an answer earns, for an autograder; it raises where there are none.

    Raises AssertionError with the hint. What the judging warns of is kept from the screen: nbgrader
    takes a word on stderr for a failure.
    """
    with contextlib.redirect_stderr(io.StringIO()):
        verdict = judge(exercise, answer)
    if verdict.credit <= 0:
        raise AssertionError(verdict.message)
    return round(points * verdict.credit, 2)


def judge(exercise: str, answer: Any, tries: int = 0) -> Score:
    """Return the verdict on an answer after `tries` wrong ones. It never raises."""
    known = find(exercise)
    if known is None:
        return Score(0.0, f"There is no exercise {exercise}: look at its number again.")
    hint = known.hints[min(tries, len(known.hints) - 1)]
    if answer is ...:
        return Score(0.0, f"Exercise {exercise}: not answered yet. Hint: {hint}")
    try:
        result = known.rule(answer)
    except Exception as error:  # a reader's answer can be anything, and a check must not stop them
        result = f"This answer cannot be judged ({type(error).__name__}: {error})."
    if isinstance(result, Score) and not result.right:
        said = f"Exercise {exercise}: {result.credit:.0%} of the credit."
        return Score(result.credit, _joined(said, result.message, f"Hint: {hint}"))
    if isinstance(result, str):
        return Score(0.0, f"Exercise {exercise}: not yet. {result} Hint: {hint}")
    if not result:
        return Score(0.0, f"Exercise {exercise}: not yet. Hint: {hint}")
    said = result.message if isinstance(result, Score) else ""
    return Score(1.0, _joined(f"Exercise {exercise}: right.", said, known.praise))


def _joined(*parts: str) -> str:
    """Join sentences in one line, or in lines where one of them has lines of its own."""
    gap = "\n" if any("\n" in part for part in parts) else " "
    return gap.join(part.strip("\n") for part in parts if part)


def find(exercise: str) -> Exercise | None:
    """Return how an exercise is judged, or None where there is no such exercise."""
    name = f"helpers.lessons.exercises.n{str(exercise).partition('.')[0]}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
    return module.ANSWERS.get(exercise)
