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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from helpers.advisor.answer import FIRST_ROUND, Answer, Looked
from helpers.advisor.folds import Folds, folds_of
from helpers.advisor.prior import Expected
from helpers.advisor.race.cluster import LEAST_PATIENCE, PATIENCE, Cluster, Outcome
from helpers.advisor.race.runs import OutOfTime, RaceFile, RaceRun, SkipKind, Skipped, execute
from helpers.advisor.race.standings import (
    Arm,
    Test,
    arms_of,
    measured_answer,
    measured_row,
    read_test,
    standing,
    turns,
)
from helpers.approaches import get_approach
from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION

CHEAP = (FEATURE_EXTRACTION, CLASSICAL)  # a solver's fit on what is there already
OVERRUN = 1.5  # times what was predicted, before a run is given up
CHEAP_SHARE = 0.2  # of the time, at most, for judging these by every fold
ROUNDS = 6  # how often every example is judged, at most


@dataclass
class Race:
    """The state of a race: the clock, the runs that are there, and how fast this machine is.

    expected: what the records let expect of approaches, by name.
    scheduler: of a Dask cluster whose workers do the runs, each at the pace of its own machine.
    """

    looked: Looked
    expected: Mapping[str, Expected]
    backbone: Backbone
    seconds: float
    scheduler: str | None = None
    started: float = field(default_factory=time.monotonic)
    left_out: dict[str, Skipped] = field(default_factory=dict)
    grace: float = 0.0  # seconds beyond the race's own, for what is run whatever the minutes

    def __post_init__(self) -> None:
        looked = self.looked
        self.file = RaceFile(looked.own, looked.backbone, looked.image_size)
        self.folds: Folds = folds_of(looked.own, looked.seed)
        task = looked.own.task
        self.n_full, self.n_judged = len(task.train), len(task.validation)
        self.rows = self._load()
        dearest = max((cost.prepare + cost.judge for cost in looked.costs.values()), default=0)
        self.reserve = 2 + 1.3 * len(task.test) * dearest
        self.cluster = Cluster(self.scheduler, self.file) if self.scheduler else None
        if self.cluster:
            self.cluster.open(min(PATIENCE, max(LEAST_PATIENCE, self.left)))

    @property
    def left(self) -> float:
        """Seconds that may still be spent on runs."""
        return self.seconds + self.grace - self.reserve - (time.monotonic() - self.started)

    def _load(self) -> pd.DataFrame:
        """Finished runs on every training example; earlier versions raced on parts as well."""
        rows = self.file.load()
        return rows[rows["n_train"] == self.n_full]

    def job(self, name: str, fold: int, lr: float | None = None) -> RaceRun:
        """The run of an approach on all training examples, judged by a fold, at the better rate."""
        lr, epochs = self.rate(name) if lr is None else lr, self.looked.recipes[name].epochs
        return RaceRun(name, self.n_full, fold, lr, epochs, self.looked.seed)

    def rate(self, name: str) -> float:
        """The rate of the two that had the smaller loss, where both were tried.

        The loss decides, not the accuracy that approaches are compared by: the better of two
        accuracies on few examples flatters.
        """
        recipe = self.looked.recipes[name]
        rates = [recipe.lr, recipe.other]
        ids = [self.file.run_id(self.job(name, 0, lr)) for lr in rates]
        losses = self.rows.set_index("run_id")["loss"].reindex(ids)
        return rates[int(np.argmin(losses))] if losses.notna().all() else recipe.lr

    def predicted(self, name: str, *, anew: bool = False) -> float:
        """Seconds that a run will take, corrected by how this machine did so far.

        anew: with every frozen prefix to be computed, though some are in the cache.
        """
        missing = None if anew else self._lacking(name)
        return self._planned(name, missing) * self._pace(name)

    def _planned(self, name: str, missing: int | None) -> float:
        cost, recipe = self.looked.costs[name], self.looked.recipes[name]
        return cost.seconds(recipe, self.n_full, self.n_judged, missing)

    def _lacking(self, name: str) -> int:
        """Examples of a run whose frozen prefix is not in the cache; a first run leaves all there.

        Every fold trains on and judges by the same examples, cut otherwise.
        """
        probed = get_approach(name).reads_features
        made_by = FEATURE_EXTRACTION if probed else name
        if (probed and self.looked.all_features) or (self.rows["approach"] == made_by).any():
            return 0
        looked_at = self.looked.probing.probe.n if probed else 0
        return max(0, self.n_full + self.n_judged - looked_at)

    def _pace(self, name: str) -> float:
        """Measured over predicted seconds: of this approach, else of all, else 1."""
        known = self.rows[self.rows["approach"] == name]
        if known.empty and name not in CHEAP:
            # A solver's fit tells nothing of training steps, and they nothing of it.
            known = self.rows[~self.rows["approach"].isin(CHEAP)]
        if known.empty:
            return 1.0
        known = known.tail(10)
        spent = (known["seconds"] - known["prepare_seconds"]).clip(lower=0.0)
        planned = known["approach"].map(lambda other: max(1e-6, self._planned(other, 0)))
        return float(np.clip((spent / planned).median(), 0.2, 5.0))

    def done(self, job: RaceRun) -> bool:
        """Whether this run is in the file."""
        return bool((self.rows["run_id"] == self.file.run_id(job)).any())

    def missing(self, names: Sequence[str], fold: int, *, rates: bool = False) -> list[RaceRun]:
        """Runs of a round that are not in the file, the cheapest first. rates: both of each."""
        both = [
            (r.approach, lr) for r in map(self.looked.recipes.get, names) for lr in (r.lr, r.other)
        ]
        asked = [(name, lr) for name, lr in both if lr] if rates else [(n, None) for n in names]
        jobs = [self.job(name, fold, lr) for name, lr in asked]
        jobs = [job for job in jobs if not self.done(job)]
        return sorted(jobs, key=lambda job: self.predicted(job.approach))

    def price(self, names: Sequence[str], fold: int, *, rates: bool = False) -> float:
        """Predicted seconds of what a round lacks."""
        jobs = self.missing(names, fold, rates=rates)
        return sum(self.predicted(job.approach) for job in jobs) / self.workers

    @property
    def workers(self) -> int:
        """How many runs go on at once."""
        return self.cluster.count if self.cluster else 1

    def run(self, jobs: Sequence[RaceRun], bar: tqdm) -> None:
        """Do what fits into the time, and keep each run as it ends.

        Raises UserError when a cluster goes away; the rows so far are kept.
        """

        def allowed(job: RaceRun) -> float | Skipped:
            """Seconds after which a run is given up, or why it is not begun."""
            needed, left = self.predicted(job.approach), self.left
            if needed > left:
                return Skipped(SkipKind.NO_TIME, f"no time left: it takes {needed:.0f} s")
            bar.set_description_str(f"{job.approach}, fold {job.fold}")
            return min(max(left, OVERRUN * needed), left + self.reserve / 2)

        ask = self.cluster.rows if self.cluster else self._local
        with closing(ask(jobs, allowed)) as outcomes:
            for job, came in outcomes:
                if not isinstance(came, Skipped):
                    self.file.append(came)
                    self.rows = self._load()
                    bar.n = min(bar.total, round(time.monotonic() - self.started))
                    bar.refresh()
                    self.left_out.pop(job.approach, None)
                elif came.kind is SkipKind.NO_TIME:
                    self.left_out.setdefault(job.approach, came)
                else:
                    self.left_out[job.approach] = came

    def _local(
        self, jobs: Sequence[RaceRun], allowed: Callable[[RaceRun], float | Skipped]
    ) -> Iterator[tuple[RaceRun, Outcome]]:
        """Each job with its row, or with the reason why there is none, as `Cluster.rows` does."""
        for job in jobs:
            seconds = allowed(job)
            if isinstance(seconds, Skipped):
                yield job, seconds
                continue
            try:
                came = execute(job, self.file, self.backbone, time.monotonic() + seconds)
            except OutOfTime as error:
                came = Skipped(SkipKind.TOO_SLOW, str(error))
            except UserError as error:  # such as a loss that became NaN
                came = Skipped(SkipKind.FAILED, str(error))
            yield job, came

    def waiting(self) -> list[str]:
        """Approaches without a run, for want of time, of which the records tell something."""
        short, held = (SkipKind.NO_TIME, SkipKind.TOO_SLOW), self.arms()
        names = [name for name, why in self.left_out.items() if why.kind in short]
        return [name for name in names if name not in held and name in self.expected]

    def arms(self) -> dict[str, Arm]:
        """What is known of the approaches, with today's settings alone."""
        rows = self.rows[self.rows["approach"].isin(list(self.looked.costs))]
        asked = [self.job(row.approach, int(row.fold)) for row in rows.itertuples()]
        keep = rows["run_id"] == [self.file.run_id(job) for job in asked]
        return arms_of(rows[keep], self.folds)


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
        arms = race.arms()
        if len(arms) < 2:
            return
        held = {name: set(arm.runs) for name, arm in arms.items()}
        for job in tried:  # nothing that was tried and failed
            held[job.approach].add(job.fold)
        for turn in turns(standing(arms), held, ROUNDS * race.folds.count, race.workers):
            needed = sum(race.predicted(name) for name, _ in turn)
            if needed / race.workers <= race.left:
                break
        else:
            return
        jobs = [race.job(name, fold) for name, fold in turn]
        tried.update(jobs)
        race.run(jobs, bar)


def _finish(race: Race, answer: Answer, minutes: float, bar: tqdm) -> RaceResult:
    """Choose on validation among what was trained on every example; read the test once."""
    arms = race.arms()
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
