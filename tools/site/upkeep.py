"""What a year of upkeep costs at a point of the explorer, and what pays at the reader's prices.

Training times are those recorded near the point; prices, people's minutes and what a point of
accuracy is worth are the reader's. The page's script reckons the same (`explorer.js`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from helpers.display.explorer.settings import Point
from helpers.display.svg_charts import short
from helpers.results.evidence import Candidate
from helpers.vocabulary import phrase_of

LEAST_MONEY = 0.001


@dataclass(frozen=True)
class Upkeep:
    """A year at the reader's prices: what pays, and each approach's computing in money.

    take: the approach whose points are worth most after its computing; empty where nothing was
    measured. people_hours: of releases, the same whichever approach it is.
    """

    take: str
    computing: dict[str, float]
    people_hours: float


def upkeep(point: Point, candidates: Sequence[Candidate]) -> Upkeep:
    """Reckon a year: each task is trained once and then so many times again."""
    trainings = point.tasks * (1 + point.retrainings)
    computing = {
        c.approach: trainings * float(f"{c.train_seconds:.4g}") / 3600 * point.hour_price
        for c in candidates
    }
    worth = {
        c.approach: point.point_worth * point.tasks * 100 * round(c.accuracy, 4)
        - computing[c.approach]
        for c in candidates
    }
    take = max(worth, key=worth.__getitem__) if worth else ""
    return Upkeep(take, computing, trainings * point.release_minutes / 60)


def upkeep_words(point: Point, told: Upkeep) -> str:
    """Return the year in a sentence."""
    if not told.take:
        return "No training time was recorded near here, so no bill is reckoned."
    spent, least = told.computing[told.take], min(told.computing, key=told.computing.__getitem__)
    tasks = "one task" if point.tasks == 1 else f"{point.tasks} tasks"
    cheapest = (
        "the least of all"
        if told.take == least
        else f"{phrase_of(least)}, the cheapest, {money(told.computing[least])}"
    )
    return (
        f"At your prices {phrase_of(told.take)} pays best: a year of {tasks} costs "
        f"{money(spent)} in computing ({cheapest}), and {told.people_hours:,.2f} hours of people's "
        "work whichever approach you take."
    )


def money(amount: float) -> str:
    """Return an amount with about three digits, or that it is next to nothing."""
    return short(amount) if amount >= LEAST_MONEY else f"under {LEAST_MONEY}"
