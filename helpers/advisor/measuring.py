"""`--measure`: race the credible approaches on own data within some minutes, by successive halving.

Small sizes come first where the full one is too dear, and the better half goes on to more
examples. On the full size the own split is judged first, then fold after fold of training and
validation together; an approach that can hardly be best any more is left out. Choices are made on
validation. The test split is read once, at the end, by the one that was chosen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from helpers.advisor.answering import Answer, Looked
from helpers.advisor.cluster import remote_rows
from helpers.advisor.expecting import Expected
from helpers.advisor.judging import Arm, arms_of, chances, measured_row, standing, unmeasured
from helpers.advisor.own_task import Folds, folds_of
from helpers.advisor.racing import Job, OutOfTime, RaceFile, execute
from helpers.advisor.verdicts import Test, measured_answer, read_test
from helpers.backbones import Backbone
from helpers.errors import UserError

MEASURE_MINUTES = 10.0  # where no limit is given
HOPE = 0.05  # an approach with less chance to be among the best, by the records, is not raced
FIRST_ROUND = 0.45  # of the time, at most, for every approach once
LEAST_EXAMPLES, GROWTH, OVERRUN = 50, 3, 1.5
NO_TIME = "no time left"
ROUNDS = 2  # how often every example is judged, at most


@dataclass(frozen=True)
class RaceResult:
    """What a race showed. left_out: approach → why it was not measured, or not to the end."""

    answer: Answer
    rows: pd.DataFrame = field(repr=False)
    measured: tuple[dict[str, Any], ...]
    test: Test | None
    job: Job | None
    file: RaceFile
    left_out: Mapping[str, str]
    seconds: float
    minutes: float

    def as_dict(self) -> dict[str, Any]:
        """The part of `advise --json` that is measured."""
        return {
            "measured": [dict(row) for row in self.measured],
            "test": None if self.test is None else self.test.as_dict(),
            "left_out": dict(self.left_out),
            "race_seconds": round(self.seconds, 1),
            "race_minutes": self.minutes,
        }


@dataclass
class Race:
    """The state of a race: the clock, the runs that are there, and how fast this machine is."""

    looked: Looked
    prior: Mapping[str, Expected]
    backbone: Backbone
    seconds: float
    scheduler: str | None = None
    started: float = field(default_factory=time.monotonic)
    left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        looked = self.looked
        self.file = RaceFile(looked.own, looked.backbone, looked.image_size)
        self.folds: Folds = folds_of(looked.own, looked.seed)
        self.rows = self.file.load()
        task = looked.own.task
        self.n_full, self.modality = len(task.train), task.modality
        self.n_judged = len(task.validation)
        self.reserve = 2 + 1.3 * len(task.test) * max(
            (cost.prepare + cost.judge for cost in looked.costs.values()), default=0
        )

    @property
    def left(self) -> float:
        """Seconds that may still be spent on runs."""
        return self.seconds - self.reserve - (time.monotonic() - self.started)

    def job(self, name: str, n_train: int, fold: int) -> Job:
        """The run of an approach on so many examples, judged by a fold."""
        recipe = self.looked.recipes[name].at(self.modality, n_train)
        return Job(name, n_train, fold, recipe.lr, recipe.epochs, self.looked.seed)

    def predicted(self, name: str, n_train: int) -> float:
        """Seconds that a run will take, corrected by how this machine did so far."""
        recipe = self.looked.recipes[name].at(self.modality, n_train)
        plain = self.looked.costs[name].seconds(recipe, n_train, self.n_judged)
        return plain * self._pace(name)

    def _pace(self, name: str) -> float:
        """Measured over predicted seconds: of this approach, else of all, else 1."""
        if self.rows.empty:
            return 1.0
        known = self.rows[self.rows["approach"] == name]
        known = self.rows if known.empty else known
        ratios = []
        for row in known.tail(10).itertuples():
            recipe = self.looked.recipes[row.approach].at(self.modality, row.n_train)
            cost = self.looked.costs[row.approach]
            ratios.append(row.seconds / cost.seconds(recipe, row.n_train, self.n_judged))
        return float(np.clip(np.median(ratios), 0.2, 5.0))

    def done(self, job: Job) -> bool:
        """Whether this run is in the file."""
        return bool((self.rows["run_id"] == self.file.run_id(job)).any())

    def missing(self, names: Sequence[str], n_train: int, fold: int) -> list[Job]:
        """Runs of a round that are not in the file, the cheapest first."""
        jobs = [self.job(name, n_train, fold) for name in names]
        jobs = [job for job in jobs if not self.done(job)]
        return sorted(jobs, key=lambda job: self.predicted(job.approach, n_train))

    def price(self, names: Sequence[str], n_train: int, fold: int) -> float:
        """Predicted seconds of what a round lacks."""
        jobs = self.missing(names, n_train, fold)
        return sum(self.predicted(job.approach, n_train) for job in jobs) / self.workers

    @property
    def workers(self) -> int:
        """How many runs go on at once; a cluster has at least two."""
        return 2 if self.scheduler else 1

    def run(self, jobs: Sequence[Job], bar: tqdm) -> None:
        """Do what fits into the time, and keep each run as it ends."""
        for row in self._rows(jobs, bar):
            self.file.append(row)
            self.rows = self.file.load()
            bar.n = min(bar.total, round(time.monotonic() - self.started))
            bar.refresh()

    def _rows(self, jobs: Sequence[Job], bar: tqdm) -> Iterator[dict[str, Any]]:
        if self.scheduler:
            yield from remote_rows(jobs, self.file, self.scheduler, self.left)
            return
        for job in jobs:
            needed = self.predicted(job.approach, job.n_train)
            if needed > self.left:
                self.left_out.setdefault(job.approach, f"{NO_TIME}: it takes {needed:.0f} s")
                continue
            bar.set_description_str(f"{job.approach}, {job.n_train:,} examples, fold {job.fold}")
            deadline = time.monotonic() + max(self.left, OVERRUN * needed)
            deadline = min(deadline, time.monotonic() + self.left + self.reserve / 2)
            try:
                yield execute(job, self.file, self.backbone, deadline)
                self.left_out.pop(job.approach, None)
            except OutOfTime as error:
                self.left_out[job.approach] = f"it took longer than predicted and was {error}"
            except UserError as error:  # such as a loss that became NaN
                self.left_out[job.approach] = str(error)

    def largest(self, n_train: int) -> int:
        """The largest size that two approaches were measured at, in this call or an earlier one."""
        names = list(self.looked.costs)
        sizes = sorted({int(n) for n in self.rows["n_train"]} - {n_train}, reverse=True)
        bigger = [n for n in sizes if n > n_train and len(self.arms(n, names)) > 1]
        return bigger[0] if bigger else n_train

    def waiting(self, n_train: int) -> list[str]:
        """Approaches that never had a turn, for want of time: the records alone speak of them."""
        held = set(self.rows["approach"])
        short = [name for name, why in self.left_out.items() if why.startswith(NO_TIME)]
        return [name for name in short if name not in held and name in self.prior]

    def arms(self, n_train: int, names: Sequence[str]) -> dict[str, Arm]:
        """What is known of these approaches at a size, with today's settings alone."""
        rows = self.rows[self.rows["approach"].isin(list(names))]
        keep = [self.file.run_id(self._asked(row)) == row.run_id for row in rows.itertuples()]
        return arms_of(rows[np.array(keep, dtype=bool)], self.folds, n_train)

    def _asked(self, row: Any) -> Job:
        return self.job(row.approach, int(row.n_train), int(row.fold))


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
    race = Race(looked, answer.expected, backbone, 60 * minutes, scheduler, started)
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
        if chance >= HOPE or name == "feature_extraction":
            kept.append(name)
        else:
            race.left_out[name] = (
                f"the records give it a chance of {chance:.0%} to be near the best"
            )
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
                race.left_out[name] = f"behind after {n_train:,} examples"
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
    """Judge by further folds, dropping who can hardly be best, until settled or time is up."""
    for fold in range(1, 1 + ROUNDS * race.folds.count):
        arms = race.arms(n_train, names)
        if len(arms) < 2:
            return
        place = standing(arms, race.prior)
        alive = place.alive()
        for name in set(arms) - set(alive):
            race.left_out.setdefault(name, f"clearly behind after {len(arms[name].runs)} folds")
        while len(alive) > 2 and race.price(alive, n_train, fold) > race.left / 2:
            gone = alive.pop()
            race.left_out.setdefault(gone, "behind, and time is short")
        if len(alive) < 2 or race.price(alive, n_train, fold) > race.left:
            return
        names = alive
        race.run(race.missing(names, n_train, fold), bar)


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


def _final_job(race: Race, take: str, n_train: int, bar: tqdm) -> Job | None:
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


def seconds_words(seconds: float) -> str:
    """Return "45 s" or "3 min"."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
