"""`--measure`: race the credible approaches on own data within some minutes.

What is cheap (no network, the probe) is judged on every example, by every fold. The others follow
at two rates each, trained on every example, those expected to be best first; the rest is left
out for want of time. Nothing is raced on a part of the examples to choose by: over 25 recorded
situations, their data sets held out, the half of which most is expected gives up 0.14 points.

Then the leader and the next best are judged by further folds of training and validation together;
`tools/measure/simulate_races.py` says what that is worth. Choices are made on validation. The test
split is read once, at the end, by the one that was chosen.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tqdm import tqdm

from helpers.advisor.answer import FIRST_ROUND, Answer, Looked
from helpers.advisor.race.runs import RaceFile, RaceRun, SkipKind, Skipped
from helpers.advisor.race.schedule import CHEAP, OVERRUN, Race
from helpers.advisor.race.standings import (
    Arm,
    Standing,
    measured_row,
    standing,
    turns,
)
from helpers.advisor.race.verdict import Test, measured_answer, read_test
from helpers.backbones import Backbone
from helpers.errors import UserError

CHEAP_SHARE = 0.2  # of the time, at most, for judging these by every fold
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
            "test": asdict(self.test),
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
    race = Race(looked, answer.expected, backbone, 60 * minutes, scheduler, started)
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
    """Approaches worth racing: with some hope, and time for their last run.

    What the records lack comes first, since nothing is known of it, then who is expected to get
    most right. There is no hope where all of an interval lies below the best that is expected.
    """
    known = race.expected
    best = max((one.accuracy for one in known.values()), default=0.0)
    hope = {name: known[name].accuracy if name in known else 2.0 for name in race.looked.costs}
    kept = []
    for name in sorted(hope.keys() - set(CHEAP), key=lambda name: (-hope[name], name)):
        needed = 0.0 if race.done(race.job(name, 0)) else OVERRUN * race.predicted(name)
        if name in known and known[name].high < best:
            told = f"the records expect {known[name].high:.3f} at most, and of another {best:.3f}"
            race.left_out[name] = Skipped(SkipKind.HOPELESS, told)
        elif needed > race.left:
            told = f"no time left: training it on every example takes {needed:.0f} s"
            race.left_out[name] = Skipped(SkipKind.NO_TIME, told)
        else:
            kept.append(name)
    return kept


def race_credible(race: Race, names: Sequence[str], bar: tqdm) -> None:
    """Train each on every example, at both rates. names: the most promising first."""
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
    """Judge the leader and its rivals by further folds, until settled or time is up."""
    tried: set[RaceRun] = set()
    while True:
        arms = race.arms(list(race.looked.costs))
        if len(arms) < 2:
            return
        place = standing(arms)
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
    place = standing(arms)
    seconds = {name: race.predicted(name, anew=True) for name in arms}
    take = place.take(seconds)
    job = race.job(take, 0)
    bar.set_description_str(f"{take}: the test split, once")
    test = read_test(race.file, job)  # trains it on every example where nothing did, at any cost
    spent = race.rows.groupby("approach")["seconds"].mean()
    measured = tuple(
        measured_row(arms[name], place, spent[name], race.n_full) for name in place.shortfall.index
    )
    waiting = [race.expected[name] for name in race.waiting()]
    made = measured_answer(answer, arms, waiting, take, test, spent)
    gone = {n: why for n, why in race.left_out.items() if n not in arms}
    passed = time.monotonic() - race.started
    return RaceResult(made, measured, test, job, race.file, gone, passed)
