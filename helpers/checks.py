"""Exercise answers, judged with a hint and never with an exception."""

import importlib
from dataclasses import dataclass
from typing import Any

from helpers.answers import Answer

_tries: dict[str, int] = {}


@dataclass(frozen=True)
class Verdict:
    """What `check` has to say about an answer."""

    right: bool
    message: str


def check(exercise: str, answer: Any) -> None:
    """Print whether `answer` solves an exercise such as "03.2"; each wrong try shows more of it."""
    verdict = judge(exercise, answer, _tries.get(exercise, 0))
    if answer is not ... and not verdict.right:
        _tries[exercise] = _tries.get(exercise, 0) + 1
    print(verdict.message)


def judge(exercise: str, answer: Any, tries: int = 0) -> Verdict:
    """Return the verdict on an answer after `tries` wrong ones. It never raises."""
    known = find(exercise)
    if known is None:
        return Verdict(False, f"There is no exercise {exercise}: look at its number again.")
    hint = known.hints[min(tries, len(known.hints) - 1)]
    if answer is ...:
        return Verdict(False, f"Exercise {exercise}: not answered yet. Hint: {hint}")
    try:
        result = known.rule(answer)
    except Exception as error:  # a reader's answer can be anything, and a check must not stop them
        result = f"This answer cannot be judged ({type(error).__name__}: {error})."
    if isinstance(result, str):
        return Verdict(False, f"Exercise {exercise}: not yet. {result} Hint: {hint}")
    if not result:
        return Verdict(False, f"Exercise {exercise}: not yet. Hint: {hint}")
    return Verdict(True, f"Exercise {exercise}: right. {known.praise}".rstrip())


def find(exercise: str) -> Answer | None:
    """Return how an exercise is judged, or None where there is no such exercise."""
    name = f"helpers.answers.n{str(exercise).partition('.')[0]}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
    return module.ANSWERS.get(exercise)
