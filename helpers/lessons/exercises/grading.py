"""What `check` knows of the exercises: one module `nNN` per notebook, with a dict `ANSWERS`.

helpers/lessons/exercises/n03.py:

    ANSWERS = {
        "03.1": Exercise(number(4.2, within=0.05), hints=("Count stages.", "Not the head.")),
        "03.2": Exercise(choice("b"), hints=("Look at the dashes.",), praise="It never moved."),
        "03.3": Exercise(my_rule, hints=("Return a list of names.",)),
    }

A rule takes the answer and returns True, False, a sentence that says what is off or, where part of
an answer can be right, a `Score`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Score:
    """How much of an answer is right: `credit` from 0 to 1, and a sentence that says why."""

    credit: float
    message: str

    @property
    def right(self) -> bool:
        """Whether all of it is."""
        return self.credit >= 1


Rule = Callable[[Any], bool | str | Score]


@dataclass(frozen=True)
class Exercise:
    """How one exercise is judged.

    hints: from gentle to plain. praise: what a right answer shows. points: what a right answer is
    worth in a class.
    """

    rule: Rule
    hints: tuple[str, ...]
    praise: str = ""
    points: int = 1


def number(value: float | Callable[[], float], *, within: float = 0.0) -> Rule:
    """Accept a number that is `within` (a fraction of the value) of it; 0.0 wants it exact.

    value: the number, or a function that works it out when asked, such as from the records.
    """

    def rule(answer: Any) -> bool | str:
        if isinstance(answer, bool) or not hasattr(answer, "__float__"):
            return f"A number is wanted, and this is {type(answer).__name__}."
        wanted = value() if callable(value) else value
        return abs(float(answer) - wanted) <= within * abs(wanted) + 1e-9

    return rule


def points(value: Callable[[], float], *, within: float) -> Rule:
    """Accept a number of points as `number` does; of its hundredth, a fraction, say so."""
    told = "That is a fraction of one; points are wanted, a hundred times as many."
    return _number_but(value, lambda: value() / 100, told, within)


def signed(value: Callable[[], float], *, within: float) -> Rule:
    """Accept a change as `number` does; where only the sign is wrong, say so."""
    told = "The size is right, the sign is not: afterwards minus before, so a fall is < 0."
    return _number_but(value, lambda: -value(), told, within)


def _number_but(
    value: Callable[[], float], mistaken: Callable[[], float], told: str, within: float
) -> Rule:
    """Accept a number as `number` does; of one that comes of a common mistake, say what is told."""
    right, common = number(value, within=within), number(mistaken, within=within)

    def rule(answer: Any) -> bool | str:
        verdict = right(answer)
        return told if verdict is False and common(answer) is True else verdict

    return rule


def choice(value: str | Callable[[], str]) -> Rule:
    """Accept a word or a letter, whatever its case and the space around it."""

    def rule(answer: Any) -> bool | str:
        if not isinstance(answer, str):
            return f"A word in quotes is wanted, and this is {type(answer).__name__}."
        wanted = value() if callable(value) else value
        return answer.strip().casefold() == wanted.casefold()

    return rule


def function(name: str, tried: Callable[[Callable[..., Any]], bool | str]) -> Rule:
    """Accept a function that passes `tried`, which calls it. name: of the reader's function."""

    def rule(answer: Any) -> bool | str:
        if not callable(answer):
            return f"A function is wanted: answer = {name}, without brackets."
        return tried(answer)

    return rule


def answers(
    name: str, cases: Iterable[tuple[tuple, Any]], says: str = "", *, within: float = 0.0
) -> Rule:
    """Accept a function that returns what is wanted in each case: (arguments, what is wanted).

    Floats need only be near, or `within` a fraction of what is wanted. Where a list is wanted, any
    sequence will do. says: of a missed case, in place of the call, as for `str.format`.
    """

    def tried(reader: Callable[..., Any]) -> bool | str:
        for given, wanted in cases:
            got = reader(*copy.deepcopy(given))
            if not _same(got, wanted, within):
                if says:
                    return says.format(*given, wanted=wanted, got=got)
                shown = ", ".join(f"{v:g}" if isinstance(v, float) else repr(v) for v in given)
                return f"{name}({shown}) is {wanted!r}, and yours says {got!r}."
        return True

    return function(name, tried)


def _same(got: Any, wanted: Any, within: float) -> bool:
    if isinstance(wanted, list):
        alike = hasattr(got, "__len__") and len(got) == len(wanted)
        return alike and all(_same(*one, within) for one in zip(got, wanted, strict=True))
    if isinstance(wanted, float) and got is not None:
        return not isinstance(got, bool) and abs(got - wanted) < 1e-6 + within * abs(wanted)
    return not isinstance(got, bool) and got == wanted


def predicted(
    values: Callable[[], Mapping[str, float]], *, full: float, nothing: float, unit: str
) -> Rule:
    """Score a dict of guesses by how far they lie off on average, and say what it was.

    values: works out the truth by name. Up to `full` (in `unit`) off is right, from `nothing` on
    there is no credit, and in between it falls along a line.
    """

    def rule(answer: Any) -> str | Score:
        truth = dict(values())
        if lacking := not_filled(answer, truth):
            return lacking
        misses = [abs(float(answer[name]) - wanted) for name, wanted in truth.items()]
        miss = sum(misses) / len(misses)
        credit = min(1.0, max(0.0, (nothing - miss) / (nothing - full)))
        said = [
            f"  {name}: {wanted:.1f} {unit}, and you said {float(answer[name]):.1f}."
            for name, wanted in truth.items()
        ]
        return Score(credit if math.isfinite(miss) else 0.0, "\n".join(["", *said]))

    return rule


def not_filled(answer: Any, names: Collection[str]) -> str:
    """What an answer lacks that should be a dict with these names; empty where it lacks nothing."""
    if not isinstance(answer, Mapping) or set(answer) != set(names):
        return f"A dict with the keys {', '.join(names)} is wanted."
    still_open = [name for name in names if answer[name] is ...]
    return f"Still to fill in: {', '.join(still_open)}." if still_open else ""


def recorded(**wanted: Any) -> pd.DataFrame:
    """Recorded runs that compare approaches, with `wanted` (column=value), at dial 0.

    Raises UserError where there are none.
    """
    from helpers.results import comparable, load_runs  # slow, and only wanted when asked

    runs = comparable(load_runs(**({"dial": 0.0} | wanted)))
    if runs.empty:
        raise UserError("these runs have not been recorded here")
    return runs
