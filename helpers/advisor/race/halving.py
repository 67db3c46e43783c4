"""`--measure`: race the credible approaches on own data within some minutes, by successive halving.

Small sizes come first where the full one is too dear, and the better half goes on to more
examples. On the full size the own split is judged first, then the leader and its likeliest rival
by further folds of training and validation together, whoever these are by then: in races that
were simulated on the records (`tools/measure/simulate_races.py`) this was right more often than
judging everyone who may yet be best. Choices are made on validation. The test split is read once,
at the end, by the one that was chosen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from tqdm import tqdm

from helpers.advisor.answer import Answer, Looked
from helpers.advisor.race.runs import RaceFile, RaceRun, SkipKind, Skipped, execute
from helpers.advisor.race.schedule import Race
from helpers.advisor.race.standings import (
    Arm,
    Standing,
    chances,
    measured_row,
    standing,
    turns,
    unmeasured,
)
from helpers.advisor.race.verdict import Test, measured_answer, read_test
from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.vocabulary import FEATURE_EXTRACTION

MEASURE_MINUTES = 10.0  # where no limit is given
HOPE = 0.05  # an approach with less chance to be among the best, by the records, is not raced
# Of the time, at most, for every approach once. Who leads changes with the size (on texts of two
# classes LoRA is behind with 50 and ahead with 200), so the full size comes first where it can.
FIRST_ROUND = 0.6
LEAST_EXAMPLES, GROWTH = 50, 3
ROUNDS = 6  # how often every example is judged, at most


@dataclass(frozen=True)
class RaceResult:
    """What a race showed. left_out: approach → why it was not measured, or not to the end."""

    answer: Answer
    rows: pd.DataFrame = field(repr=False)
    measured: tuple[dict[str, Any], ...]
    test: Test | None
    job: RaceRun | None
    file: RaceFile
    left_out: Mapping[str, Skipped]
    seconds: float
    minutes: float

    def as_dict(self) -> dict[str, Any]:
        """The part of `advise --json` that is measured."""
        return {
            "measured": [dict(row) for row in self.measured],
            "test": None if self.test is None else self.test.as_dict(),
            "left_out": {name: why.text for name, why in self.left_out.items()},
            "race_seconds": round(self.seconds, 1),
            "race_minutes": self.minutes,
        }


def measure_own(
    looked: Looked,
    answer: Answer,
    backbone: Backbone,
    minutes: float,
    started: float | None = None,
    *,
    scheduler: str | None = None,
) -> RaceResult:
    """Race for some minutes, at most; what an earlier call has finished is not done again.

    started: `time.monotonic` from which the minutes count, such as when looking began.
    """
    started = time.monotonic() if started is None else started
    race = Race(looked, answer.prior, backbone, 60 * minutes, scheduler, started)
    with tqdm(
        total=round(race.seconds), leave=False, disable=None,
        bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} s",
    ) as bar:  # fmt: skip
        names = credible(race)
        n_train, names = climb(race, names, bar)
        judge_on(race, n_train, names, bar)
        return _finish(race, answer, n_train, minutes, bar)


def credible(race: Race) -> list[str]:
    """Approaches worth racing: those that the records give some hope, and the cheap anchors."""
    hope = chances(race.prior, list(race.looked.costs))
    kept = []
    for name, chance in hope.items():
        if chance >= HOPE or name == FEATURE_EXTRACTION:
            kept.append(name)
        else:
            told = f"the records give it a chance of {chance:.0%} to be near the best"
            race.left_out[name] = Skipped(SkipKind.HOPELESS, told)
    return kept


def climb(race: Race, names: list[str], bar: tqdm) -> tuple[int, list[str]]:
    """Successive halving over sizes, up to the full one; returns the last size and who is left."""
    n_train = start_size(race, names)
    while True:
        race.run(race.missing(names, n_train, 0), bar)
        if n_train >= race.n_full:
            return n_train, names
        arms = race.arms(n_train, names)
        if not arms:
            return n_train, names
        order = standing(arms, race.prior).shortfall.sort_values(kind="stable").index
        better = list(order[: max(2, math.ceil(len(order) / 2))])
        bigger = GROWTH * n_train
        bigger = bigger if 2 * bigger <= race.n_full else race.n_full  # no step for little more
        while len(better) > 2 and race.price(better, bigger, 0) > race.left:
            better.pop()
        if race.price(better, bigger, 0) > race.left:
            return n_train, [name for name in names if name in arms]
        for name in names:
            if name not in better:
                told = f"behind after {n_train:,} examples"
                race.left_out[name] = Skipped(SkipKind.BEHIND, told)
        n_train, names = bigger, better


def start_size(race: Race, names: Sequence[str]) -> int:
    """The full size, or the largest part of it at which every approach has its turn in time."""
    allowed = FIRST_ROUND * race.seconds
    n_train = race.n_full
    least = min(n_train, max(LEAST_EXAMPLES, 5 * len(race.looked.own.task.classes)))
    while n_train > least and race.price(names, n_train, 0) > allowed:
        n_train = max(least, n_train // 2)
    return n_train


def judge_on(race: Race, n_train: int, names: list[str], bar: tqdm) -> None:
    """Judge the leader and its likeliest rivals by further folds, until settled or time is up."""
    tried: set[RaceRun] = set()
    while True:
        arms = race.arms(n_train, names)
        if len(arms) < 2:
            return
        place = standing(arms, race.prior)
        jobs = _next_jobs(race, place, arms, tried, n_train)
        if not jobs:
            break
        tried.update(jobs)
        race.run(jobs, bar)
    for name in set(arms) - {place.leader, *place.rivals()}:
        runs = len(arms[name].runs)
        told = f"clearly behind after {runs} {'run' if runs == 1 else 'runs'}"
        race.left_out.setdefault(name, Skipped(SkipKind.BEHIND, told))


def _next_jobs(
    race: Race, place: Standing, arms: Mapping[str, Arm], tried: set[RaceRun], n_train: int
) -> list[RaceRun]:
    """The most telling runs that fit into the time; none that was tried and failed."""
    held = {name: set(arm.runs) for name, arm in arms.items()}
    for job in tried:
        held[job.approach].add(job.fold)
    for turn in turns(place, held, ROUNDS * race.folds.count, race.workers):
        jobs = [race.job(name, n_train, fold) for name, fold in turn]
        needed = sum(race.predicted(job.approach, n_train, job.fold) for job in jobs)
        if needed / race.workers <= race.left:
            return jobs
    return []


def _finish(race: Race, answer: Answer, n_train: int, minutes: float, bar: tqdm) -> RaceResult:
    """Choose on validation, train the chosen one on as much as fits, read the test once."""
    n_train = race.largest(n_train)
    arms = race.arms(n_train, list(race.looked.costs))
    if not arms:
        told = "; ".join(f"{name}: {why}" for name, why in race.left_out.items())
        raise UserError(f"nothing could be measured within {minutes:g} minutes ({told})")
    waiting = [n for n in race.waiting(n_train) if n not in arms]
    place = standing(arms | {name: unmeasured(name) for name in waiting}, race.prior)
    seconds = {name: race.predicted(name, race.n_full) for name in place.shortfall.index}
    take = place.take(seconds)
    job = _final_job(race, take, n_train, bar)
    test = None
    if job is not None:
        bar.set_description_str(f"{take}: the test split, once")
        test = read_test(race.file, job)
    spent = {name: _mean_seconds(race.rows, name, n_train) for name in arms}
    order = [n for n in place.shortfall.sort_values(kind="stable").index if n in arms]
    measured = tuple(measured_row(arms[n], place, spent[n], n_train) for n in order)
    made = measured_answer(race.looked, answer, arms, place, take, n_train, test, spent)
    gone = {n: why for n, why in race.left_out.items() if n != take}
    passed = time.monotonic() - race.started
    return RaceResult(made, race.rows, measured, test, job, race.file, gone, passed, minutes)


def _final_job(race: Race, take: str, n_train: int, bar: tqdm) -> RaceRun | None:
    """The chosen approach's run on the own split, trained on all examples where time allows."""
    for size in (race.n_full, n_train):
        job = race.job(take, size, 0)
        if race.done(job) and race.file.has_model(job):
            return job
        if race.predicted(take, size) <= race.left + race.reserve / 2:
            if race.done(job):  # the row is there and its model is not
                execute(job, race.file, race.backbone)
            else:
                race.run([job], bar)
            if race.file.has_model(job):
                return job
    return None


def _mean_seconds(rows: pd.DataFrame, name: str, n_train: int) -> float:
    own = rows[(rows["approach"] == name) & (rows["n_train"] == n_train)]
    return float(own["seconds"].mean())
