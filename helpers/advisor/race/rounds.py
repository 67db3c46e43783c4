"""`--measure`: race the credible approaches on own data within some minutes.

What is cheap (no network, the probe) is judged on every example, by every fold. The others follow
at two rates each, trained on every example, the likeliest by the records first; the rest is left
out for want of time. Nothing is raced on a part of the examples to choose by: over 19 recorded
pairs of sizes the better half at a quarter of the size gives up 0.11 points at the full one, and
the likelier half, which costs no run, 0.17.

Then the leader and its likeliest rival are judged by further folds of training and validation
together: in races that were simulated on the records (`tools/measure/simulate_races.py`) this was
right more often than judging everyone who may yet be best. Choices are made on validation. The test
split is read once, at the end, by the one that was chosen.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from helpers.advisor.answer import Answer, Looked
from helpers.advisor.race.runs import RaceFile, RaceRun, SkipKind, Skipped, execute
from helpers.advisor.race.schedule import CHEAP, OVERRUN, Race
from helpers.advisor.race.standings import (
    Arm,
    Standing,
    chances,
    measured_row,
    standing,
    turns,
    undominated,
    unmeasured,
)
from helpers.advisor.race.verdict import Test, measured_answer, read_test
from helpers.backbones import Backbone
from helpers.errors import UserError

MEASURE_MINUTES = 10.0  # where no limit is given
HOPE = 0.05  # an approach with less chance to be among the best, by the records, is not raced
CHEAP_SHARE = 0.2  # of the time, at most, for judging these by every fold
FIRST_ROUND = 0.6  # of the time that is left, at most, for every approach once
ROUNDS = 6  # how often every example is judged, at most


@dataclass(frozen=True)
class RaceResult:
    """What a race showed. left_out: approach → why it was not measured, or not to the end."""

    answer: Answer
    measured: tuple[dict[str, Any], ...]
    test: Test
    job: RaceRun
    file: RaceFile
    left_out: Mapping[str, Skipped]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The part of `advise --json` that is measured."""
        return {
            "measured": [dict(row) for row in self.measured],
            "test": self.test.as_dict(),
            "left_out": {name: why.text for name, why in self.left_out.items()},
            "race_seconds": round(self.seconds, 1),
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
        judge_cheap(race, bar)
        race_credible(race, credible(race), bar)
        judge_on(race, bar)
        return _finish(race, answer, minutes, bar)


def judge_cheap(race: Race, bar: tqdm) -> None:
    """Judge what is cheap on every example: by the own split, and by each fold once."""
    names = [name for name in CHEAP if name in race.looked.costs]
    # Without these nothing could be handed over: they have the minutes anew, however long it took
    # to look.
    race.grace = race.reserve + time.monotonic() - race.started
    race.run(race.missing(names, 0, rates=True), bar)
    race.grace = 0.0
    for fold in range(1, 1 + race.folds.count):
        if race.price(names, fold) > CHEAP_SHARE * race.left / race.folds.count:
            break
        race.run(race.missing(names, fold), bar)


def credible(race: Race) -> list[str]:
    """Approaches worth racing, the likeliest first: with some hope, and time for their last run."""
    kept, hope = [], chances(race.prior, list(race.looked.costs))
    for name, chance in sorted(hope.items(), key=lambda pair: -pair[1]):
        if name in CHEAP:
            continue
        needed = 0.0 if race.done(race.job(name, 0)) else OVERRUN * race.predicted(name)
        if chance < HOPE:
            told = f"the records give it a chance of {chance:.0%} to be near the best"
            race.left_out[name] = Skipped(SkipKind.HOPELESS, told)
        elif needed > race.left:
            told = f"no time left: training it on every example takes {needed:.0f} s"
            race.left_out[name] = Skipped(SkipKind.NO_TIME, told)
        else:
            kept.append(name)
    return kept


def race_credible(race: Race, names: Sequence[str], bar: tqdm) -> None:
    """Train each on every example, at both rates. names: the likeliest first."""
    raced, seconds = [], FIRST_ROUND * race.left
    for name in names:
        if raced and race.price([*raced, name], 0, rates=True) > seconds:
            needed = race.price([name], 0, rates=True)
            told = f"no time left: both its rates take {needed:.0f} s"
            race.left_out[name] = Skipped(SkipKind.NO_TIME, told)
        else:
            raced.append(name)
    race.run(race.missing(raced, 0, rates=True), bar)


def judge_on(race: Race, bar: tqdm) -> None:
    """Judge the leader and its likeliest rivals by further folds, until settled or time is up."""
    tried: set[RaceRun] = set()
    while True:
        arms = race.arms(list(race.looked.costs))
        if len(arms) < 2:
            return
        place = standing(arms, race.prior)
        jobs = _next_jobs(race, place, arms, tried)
        if not jobs:
            return
        tried.update(jobs)
        race.run(jobs, bar)


def _next_jobs(
    race: Race, place: Standing, arms: Mapping[str, Arm], tried: set[RaceRun]
) -> list[RaceRun]:
    """The most telling runs that fit into the time; none that was tried and failed."""
    held = {name: set(arm.runs) for name, arm in arms.items()}
    for job in tried:
        held[job.approach].add(job.fold)
    for turn in turns(place, held, ROUNDS * race.folds.count, race.workers):
        jobs = [race.job(name, fold) for name, fold in turn]
        needed = sum(race.predicted(job.approach) for job in jobs)
        if needed / race.workers <= race.left:
            return jobs
    return []


def _finish(race: Race, answer: Answer, minutes: float, bar: tqdm) -> RaceResult:
    """Choose on validation among what was trained on every example; read the test once."""
    arms = race.arms(list(race.looked.costs))
    if not arms:
        told = "; ".join(f"{name}: {why}" for name, why in race.left_out.items())
        raise UserError(f"nothing could be measured within {minutes:g} minutes ({told})")
    place = standing(arms, race.prior)
    seconds = {name: race.predicted(name, anew=True) for name in arms}
    take = undominated(place.take(seconds), arms, seconds)
    job = race.job(take, 0)
    if not (race.done(job) and race.file.has_model(job)):
        bar.set_description_str(f"{take}: every training example")
        row = execute(job, race.file, race.backbone)  # whatever the minutes
        if not race.done(job):
            race.keep(row, bar)
    bar.set_description_str(f"{take}: the test split, once")
    test = read_test(race.file, job)
    spent = race.rows.groupby("approach")["seconds"].mean()
    order = [str(n) for n in place.shortfall.sort_values(kind="stable").index]
    measured = tuple(measured_row(arms[n], place, spent[n], race.n_full) for n in order)
    waiting = {name: unmeasured(name) for name in race.waiting()}
    wide = standing(arms | waiting, race.prior) if waiting else place
    made = measured_answer(race.looked, answer, arms, wide, take, test, spent)
    gone = {n: why for n, why in race.left_out.items() if n not in arms}
    passed = time.monotonic() - race.started
    return RaceResult(made, measured, test, job, race.file, gone, passed)
