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
class Standing:
    """How one approach stands over the cases that have it: see `published.sums.standings`."""

    approach: str
    cases: int
    data_sets: int
    first: float
    regret: float


@dataclass(frozen=True)
class Elsewhere:
    """What is published near: `take` gives up least. cases: their index in `compared_cases`."""

    verdict: str = NONE
    take: str = ""
    reach: Reach = Reach.NOTHING
    standings: tuple[Standing, ...] = ()
    cases: tuple[int, ...] = ()
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
    clear = bool(others) and all(_ahead(by_set, best, name) for name in others)
    return Elsewhere(
        CLEAR if clear else CLOSE,
        best,
        reach,
        tuple(Standing(**row) for row in table.reset_index().to_dict("records")),
        tuple(map(int, cases.index)),
        len(by_set),
    )


def _ahead(regrets: pd.DataFrame, best: str, other: str) -> bool:
    """Whether one approach gives up less than another on the data sets that have both."""
    gaps = (regrets[other] - regrets[best]).dropna()
    return len(gaps) >= LEAST_DATA_SETS and bool(mean_interval(gaps)[1] > 0)


def published_words(told: Elsewhere) -> str:
    """Return the published answer in a sentence."""
    if told.reach is Reach.NOTHING:
        return "Nothing comparable is published near there."
    best = next(one for one in told.standings if one.approach == told.take)
    where = "near there" if told.reach is Reach.SAME else "at a neighbouring distance"
    rests_on = f"{counted(len(told.cases), 'case')}, {counted(told.data_sets, 'data set')}"
    return (
        f"Published {where}, the least is given up by {phrase_of(told.take)}, {best.regret:.1f} "
        f"points on average ({rests_on}; {told.verdict})."
    )
