"""What published tables say near a point of the explorer, beside what was measured here.

A point reads the cases of its own word of distance; where there are none it reads the neighbouring
words, and says so.
"""

import functools
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from helpers.decision import Situation
from helpers.results.evidence import CLEAR, CLOSE, NONE
from helpers.results.published.cases import comparable_cases, near_situation, regret_points
from helpers.results.published.sums import standings
from helpers.results.statistics import mean_interval
from helpers.vocabulary import counted, phrase_of

LEAST_DATA_SETS = 3  # with fewer nothing is called clear


class Reach(StrEnum):
    """How near the published cases lie that an answer was read from."""

    SAME = "same"  # the same word of distance
    STEP = "step"  # a neighbouring word
    NOTHING = "nothing"


@dataclass(frozen=True)
class Elsewhere:
    """What is published near: `take` gives up least, `regret` points on average."""

    verdict: str = NONE
    take: str = ""
    reach: Reach = Reach.NOTHING
    regret: float = 0.0
    cases: int = 0
    data_sets: int = 0


@functools.cache
def compared_cases() -> pd.DataFrame:
    """Return the published cases whose scores have points, those with no stated size left out.

    The table is shared: don't change it.
    """
    cases = comparable_cases()
    return cases[cases["points"] & cases["n_train"].notna()]


def published_near(situation: Situation, cases: pd.DataFrame | None = None) -> Elsewhere:
    """Return what published tables say near a situation; limits and upkeep don't count.

    cases: as `compared_cases` gives them, and those when None.
    """
    cases = compared_cases() if cases is None else cases
    for steps, reach in enumerate((Reach.SAME, Reach.STEP)):
        found = near_situation(cases, situation, steps=steps)
        if len(found):
            return _judged(found, reach)
    return Elsewhere()


def _judged(cases: pd.DataFrame, reach: Reach) -> Elsewhere:
    """The approach that gives up least, of those that at least half of the data sets have."""
    table = standings(cases).sort_values("regret", kind="stable")
    by_set = regret_points(cases).groupby(cases["data_set"]).mean()
    best, *others = table.index[table["data_sets"] >= len(by_set) / 2]
    # Ahead of another is what gives up less on the data sets that have both.
    gaps = [(by_set[other] - by_set[best]).dropna() for other in others]
    ahead = [len(gap) >= LEAST_DATA_SETS and mean_interval(gap)[1] > 0 for gap in gaps]
    clear = bool(others) and all(ahead)
    verdict = CLEAR if clear else CLOSE
    return Elsewhere(verdict, best, reach, table["regret"][best], len(cases), len(by_set))


def published_words(told: Elsewhere) -> str:
    """Return the published answer in a sentence."""
    if told.reach is Reach.NOTHING:
        return "Nothing comparable is published near there."
    where = "near there" if told.reach is Reach.SAME else "at a neighbouring distance"
    rests_on = f"{counted(told.cases, 'case')}, {counted(told.data_sets, 'data set')}"
    return (
        f"Published {where}, the least is given up by {phrase_of(told.take)}, {told.regret:.1f} "
        f"points on average ({rests_on}; {told.verdict})."
    )
