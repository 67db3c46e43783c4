"""Where a race stands, and what it says: on the examples that both judged, and on the test split.

Measurements speak alone here. What the records let expect chose who has a turn; weighing it in, or
the covariances of everything, gave up no less in simulated races
(`tools/measure/simulate_races.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from helpers.advisor.answer import Answer
from helpers.advisor.export import load_model
from helpers.advisor.folds import Folds, share_right
from helpers.advisor.prior import Expected, chance_right
from helpers.advisor.probe import mcnemar
from helpers.advisor.race.runs import RaceFile, RaceRun, right_of
from helpers.advisor.task import Form, remembered
from helpers.advisor.verdicts import verdict_of
from helpers.results.expected_regret import MARGIN, cheapest_credible
from helpers.results.statistics import wilson_interval
from helpers.vocabulary import phrase_of

SURE = 0.05  # a p-value below which two approaches differ


@dataclass(frozen=True)
class Arm:
    """What a race knows of one approach.

    runs: fold → pool row → whether it was got right. share: pool row → share of the runs that
    judged it which got it right.
    """

    approach: str
    runs: Mapping[int, pd.Series]
    share: pd.Series

    @property
    def accuracy(self) -> float:
        """Mean over the examples that were judged."""
        return float(self.share.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval, counting each judged example once."""
        return wilson_interval(round(float(self.share.sum())), len(self.share))

    def above(self, other: Arm) -> tuple[float, float]:
        """How far it lies above another, and the deviation of that, on what both judged."""
        apart = (self.share - other.share).dropna()
        n = len(apart)
        if n < 2:
            return self.accuracy - other.accuracy, 0.5
        # One example more on which they differ keeps it above 0 where all were judged alike.
        return float(apart.mean()), float(np.sqrt(apart.var() / n + 1 / (2 * n**2)))


def arms_of(rows: pd.DataFrame, folds: Folds) -> dict[str, Arm]:
    """The approaches that have runs, as rows of the race's file."""
    runs = {
        str(name): {int(row.fold): right_of(row) for row in own.itertuples()}
        for name, own in rows.groupby("approach")
    }
    return {name: arm_of(name, own, folds) for name, own in runs.items()}


def arm_of(name: str, runs: Mapping[int, np.ndarray], folds: Folds) -> Arm:
    """An approach with its runs, fold → right (n_judged,)."""
    by_row = {fold: pd.Series(right, folds.rows(fold)[1]) for fold, right in sorted(runs.items())}
    share = pd.concat(by_row.values()).astype(float).groupby(level=0).mean()
    return Arm(name, by_row, share)


@dataclass(frozen=True)
class Standing:
    """Where a race stands. shortfall: accuracy below the leader's, by approach, the best first.

    p_values: McNemar's, against the leader, on what both judged. rivals: who does not differ
    significantly from the leader, the best first.
    """

    leader: str
    shortfall: pd.Series
    p_values: Mapping[str, float]
    rivals: list[str]

    def take(self, seconds: Mapping[str, float]) -> str:
        """The leader, or what is clearly cheaper and gives up next to nothing."""
        return cheapest_credible(self.shortfall, seconds)


def standing(arms: Mapping[str, Arm]) -> Standing:
    """Compare every approach with the one of the highest accuracy, on what both judged."""
    highest = max(arms.values(), key=lambda arm: arm.accuracy)
    gaps = pd.Series({name: arm.above(highest)[0] for name, arm in arms.items()})
    gaps = gaps.sort_values(ascending=False, kind="stable")
    leader = str(gaps.index[0])
    p_values = {name: paired_p(arm, arms[leader]) for name, arm in arms.items()}
    rivals = [str(name) for name in gaps.index[1:] if p_values[name] >= SURE]
    return Standing(leader, gaps.iloc[0] - gaps, p_values, rivals)


def turns(
    place: Standing, held: Mapping[str, set[int]], folds: int, at_once: int = 1
) -> Iterator[list[tuple[str, int]]]:
    """What to run next, (approach, fold) each, the most telling first: leader against rivals.

    They are judged on the lowest fold, 1 to `folds`, that one of them lacks, so that they can be
    paired; who has it is not run again. held: folds that an approach has. at_once: runs that go on
    together: as many rivals are raced as keep them busy.
    """
    rivals, width = place.rivals, max(1, at_once - 1)
    for start in range(len(rivals)):
        names = [place.leader, *rivals[start : start + width]]
        for fold in range(1, 1 + folds):
            lacking = [(name, fold) for name in names if fold not in held[name]]
            if lacking:
                yield lacking
                break


def paired_p(one: Arm, other: Arm) -> float:
    """McNemar's exact p-value over the first time that both judged an example.

    Later judgements of the same example are left out: they mostly repeat the first, and pairs that
    are counted again make luck look significant.
    """
    folds = sorted(set(one.runs) & set(other.runs))
    if not folds:
        return 1.0
    sides = (pd.concat([arm.runs[fold] for fold in folds]) for arm in (one, other))
    right, also = (side[~side.index.duplicated()].to_numpy() for side in sides)
    return mcnemar(right, also)


def measured_row(arm: Arm, place: Standing, seconds: float, n_train: int) -> dict[str, Any]:
    """One approach of a race, as `advise --json` tells it."""
    shares = zip(("accuracy", "low", "high"), (arm.accuracy, *arm.interval), strict=True)
    return {
        "approach": arm.approach,
        **{name: round(share, 4) for name, share in shares},
        "n_train": n_train,
        "runs": len(arm.runs),
        "judged": len(arm.share),
        "expected_below_best": round(float(place.shortfall[arm.approach]), 4),
        "p_value": float(f"{place.p_values[arm.approach]:.3g}"),
        "seconds": float(f"{seconds:.4g}"),
    }


@dataclass(frozen=True)
class Test:
    """Accuracy on the test split, read once: 95 % Wilson interval, and what it was trained on."""

    approach: str
    accuracy: float
    low: float
    high: float
    n: int
    n_train: int
    run_id: str

    __test__ = False  # for pytest: this is no test


def read_test(race: RaceFile, job: RaceRun) -> Test:
    """Predict the test split with a trained model; what was read once is not read again."""
    split, run_id = race.own.task.test, race.run_id(job)

    def tested() -> Test:
        predicted = race.use_model(job, lambda folder: load_model(folder).predict(split.inputs))
        share = share_right(predicted == split.labels)
        return Test(job.approach, **share, n_train=job.n_train, run_id=run_id)

    form = Form(read=lambda facts: Test(**facts), write=asdict)
    return remembered(race.own.name, f"models/{run_id}/test", form, tested)


def measured_answer(
    before: Answer,
    arms: Mapping[str, Arm],
    waiting: Sequence[Expected],
    take: str,
    test: Test,
    spent: Mapping[str, float],
) -> Answer:
    """The answer with what was measured in it, first.

    waiting: what had no turn for want of time. spent: seconds of a run, by approach.
    """
    place = standing(arms)
    still_open, next_measurement = _open_words(arms, waiting, place, take)
    arm, own = arms[take], _measured(arms[take], test.n_train)
    gaps = [other.above(arm) for name, other in arms.items() if name != take]
    chance = chance_right([*gaps, *(one.above(own) for one in waiting)])
    runs = "1 run" if len(arm.runs) == 1 else f"{len(arm.runs)} runs"
    told = [
        f"Measured on your data: {phrase_of(take)} gets {arm.accuracy:.3f} of "
        f"{len(arm.share):,} held-out examples right ({own.low:.3f} to {own.high:.3f}; {runs}, "
        f"{spent[take]:.0f} s each).",
        still_open,
        f"On the test split, read once at the end, {phrase_of(take)} trained on all "
        f"{test.n_train:,} training examples gets {test.accuracy:.3f} ({test.low:.3f} to "
        f"{test.high:.3f}, n = {test.n:,}).",
    ]
    overtaken = {*before.headline} - {*before.about_probe}  # what the look expected
    return replace(
        before,
        approach=take,
        verdict=verdict_of(chance),
        chance=chance,
        expected={name: _measured(one, test.n_train) for name, one in arms.items()},
        reasons=(*told, *(one for one in before.reasons if one not in overtaken)),
        headline=(*told, *before.about_probe),
        next_measurement=next_measurement,
    )


def _open_words(
    arms: Mapping[str, Arm], waiting: Sequence[Expected], place: Standing, take: str
) -> tuple[str, str]:
    """Who may yet be better, the best first, and what would tell: a sentence for each.

    That is rivals, and who waits and whose interval allows it.
    """
    best = arms[place.leader].accuracy
    reach = {name: best - place.shortfall[name] for name in (place.leader, *place.rivals)}
    reach |= {one.approach: one.accuracy for one in waiting if one.high > best + MARGIN}
    names = [name for name in sorted(reach, key=lambda name: -reach[name]) if name != take]
    if not names:
        return "No other approach that was raced can be expected to do better.", ""
    how = {name: f"{arms[name].accuracy:.3f}" if name in arms else "not measured" for name in names}
    told = ", ".join(f"{phrase_of(name)} ({how[name]})" for name in names)
    why = "the best of them, and none that is clearly cheaper comes as near"
    if take != place.leader:
        why = f"the cheapest of those within {100 * MARGIN:.1f} points of the best"
    first, said = names[0], f"Not settled against {told}; {phrase_of(take)} is {why}."
    if first not in arms:
        return said, f"Give the race more minutes: {phrase_of(first)} had no turn for want of time."
    p_value = place.p_values[first if first != place.leader else take]
    return said, (
        f"More labelled examples to judge by: {phrase_of(first)} against {phrase_of(take)} is open "
        f"(McNemar p = {p_value:.2g}), and a longer race on the same examples adds little once "
        "each has been judged."
    )


def _measured(arm: Arm, n_train: int) -> Expected:
    low, high = arm.interval
    told = f"measured here on {len(arm.share):,} held-out examples, {n_train:,} to train on"
    return Expected(arm.approach, arm.accuracy, low, high, len(arm.runs), told, True)
