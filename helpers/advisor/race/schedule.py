"""The state of a race on own data: the clock, what is finished, and how fast this machine is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from helpers.advisor.answer import Looked
from helpers.advisor.folds import Folds, folds_of
from helpers.advisor.prior.accuracies import Prior
from helpers.advisor.race.cluster import LEAST_PATIENCE, PATIENCE, Cluster
from helpers.advisor.race.runs import OutOfTime, RaceFile, RaceRun, SkipKind, Skipped, execute
from helpers.advisor.race.standings import Arm, arms_of
from helpers.approaches import get_approach
from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION

CHEAP = (FEATURE_EXTRACTION, CLASSICAL)  # a solver's fit on what is there already
OVERRUN = 1.5  # times what was predicted, before a run is given up


@dataclass
class Race:
    """The state of a race: the clock, the runs that are there, and how fast this machine is.

    scheduler: of a Dask cluster whose workers do the runs, each at the pace of its own machine.
    """

    looked: Looked
    prior: Prior
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
        self.rows = self.file.load()
        self.came: list[str] = []  # the runs that this call did, by id
        task = looked.own.task
        self.n_full, self.modality = len(task.train), task.modality
        self.n_judged = len(task.validation)
        self.reserve = 2 + 1.3 * len(task.test) * max(
            (cost.prepare + cost.judge for cost in looked.costs.values()), default=0
        )
        self.cluster = None
        if self.scheduler:
            self.cluster = Cluster(self.scheduler, self.file)
            self.cluster.open(min(PATIENCE, max(LEAST_PATIENCE, self.left)))

    @property
    def left(self) -> float:
        """Seconds that may still be spent on runs."""
        return self.seconds + self.grace - self.reserve - (time.monotonic() - self.started)

    def job(self, name: str, n_train: int, fold: int, lr: float | None = None) -> RaceRun:
        """The run of an approach on so many examples, judged by a fold, at the better rate."""
        recipe = self.looked.recipes[name].at(self.modality, n_train)
        lr = self.rate(name) if lr is None else lr
        return RaceRun(name, n_train, fold, lr, recipe.epochs, self.looked.seed)

    def rate(self, name: str) -> float:
        """The rate of the two that had the smaller loss where both were tried on the most examples.

        The loss decides, not the accuracy that approaches are compared by: the better of two
        accuracies on few examples flatters.
        """
        recipe = self.looked.recipes[name]
        rows = self.rows[(self.rows["approach"] == name) & (self.rows["fold"] == 0)]
        for n_train in sorted({int(n) for n in rows["n_train"]}, reverse=True):
            jobs = [self.job(name, n_train, 0, lr) for lr in (recipe.lr, recipe.other)]
            ids = [self.file.run_id(job) for job in jobs]
            found = rows.set_index("run_id")["loss"].reindex(ids)
            if found.notna().all():
                return jobs[int(np.argmin(found.to_numpy()))].lr
        return recipe.lr

    def predicted(self, name: str, n_train: int, fold: int | None = None) -> float:
        """Seconds that a run will take, corrected by how this machine did so far.

        fold: frozen prefixes that earlier folds have left in the cache cost nothing; None: all do.
        """
        recipe = self.looked.recipes[name].at(self.modality, n_train)
        missing = None if fold is None else self._lacking(name, n_train, fold)
        plain = self.looked.costs[name].seconds(recipe, n_train, self.n_judged, missing)
        return plain * self._pace(name)

    def _lacking(self, name: str, n_train: int, fold: int) -> int:
        """Examples of a run whose frozen prefix no finished run has left in the cache."""
        probed = get_approach(name).reads_features
        if probed and self.looked.all_features:
            return 0  # the look has made them
        own = self.rows[self.rows["approach"] == (FEATURE_EXTRACTION if probed else name)]
        had = zip(own["fold"].astype(int), own["n_train"].astype(int), strict=True)
        lacking = self.folds.lacking(fold, n_train, had)
        looked_at = self.looked.probing.probe.n if probed else 0
        return max(0, lacking - looked_at)

    def _pace(self, name: str) -> float:
        """Measured over predicted seconds: of this approach, else of all, else 1.

        Workers may be other machines than did earlier runs: theirs count, where there are some.
        """
        rows = self.rows
        if self.cluster and self.came:
            rows = rows[rows["run_id"].isin(self.came)]
        if rows.empty:
            return 1.0
        known = rows[rows["approach"] == name]
        # A solver's fit tells nothing of training steps, and they nothing of it.
        steps = rows[~rows["approach"].isin(CHEAP)]
        known = known if len(known) or name in CHEAP else steps
        if known.empty:
            return 1.0
        ratios = []
        for row in known.tail(10).itertuples():
            recipe = self.looked.recipes[row.approach].at(self.modality, row.n_train)
            cost = self.looked.costs[row.approach]
            spent = max(0.0, row.seconds - row.prepare_seconds)
            planned = cost.seconds(recipe, row.n_train, self.n_judged, missing=0)
            ratios.append(spent / max(1e-6, planned))
        return float(np.clip(np.median(ratios), 0.2, 5.0))

    def done(self, job: RaceRun) -> bool:
        """Whether this run is in the file."""
        return bool((self.rows["run_id"] == self.file.run_id(job)).any())

    def missing(
        self, names: Sequence[str], n_train: int, fold: int, *, rates: bool = False
    ) -> list[RaceRun]:
        """Runs of a round that are not in the file, the cheapest first. rates: both of each."""
        jobs = [self.job(name, n_train, fold) for name in names]
        if rates:
            both = [(name, self.looked.recipes[name]) for name in names]
            jobs = [self.job(name, n_train, fold, r.lr) for name, r in both]
            jobs += [self.job(name, n_train, fold, r.other) for name, r in both if r.other]
        jobs = [job for job in jobs if not self.done(job)]
        return sorted(jobs, key=lambda job: self.predicted(job.approach, n_train, fold))

    def last(self, name: str) -> float:
        """Predicted seconds of the run that is handed over, on every training example."""
        return OVERRUN * self.predicted(name, self.n_full, 0)

    def price(self, names: Sequence[str], n_train: int, fold: int, *, rates: bool = False) -> float:
        """Predicted seconds of what a round lacks."""
        jobs = self.missing(names, n_train, fold, rates=rates)
        return sum(self.predicted(job.approach, n_train, fold) for job in jobs) / self.workers

    @property
    def workers(self) -> int:
        """How many runs go on at once."""
        return self.cluster.count if self.cluster else 1

    def run(self, jobs: Sequence[RaceRun], bar: tqdm) -> None:
        """Do what fits into the time, and keep each run as it ends.

        Raises UserError when a cluster goes away; the rows so far are kept.
        """
        with closing(self._remote(jobs, bar) if self.cluster else self._local(jobs, bar)) as rows:
            for row in rows:
                self.keep(row, bar)

    def keep(self, row: dict[str, Any], bar: tqdm) -> None:
        """Keep a finished run."""
        self.file.append(row)
        self.came.append(row["run_id"])
        self.rows = self.file.load()
        bar.n = min(bar.total, round(time.monotonic() - self.started))
        bar.refresh()

    def _local(self, jobs: Sequence[RaceRun], bar: tqdm) -> Iterator[dict[str, Any]]:
        for job in jobs:
            allowed = self._allowed(job, bar)
            if isinstance(allowed, Skipped):
                self.left_out.setdefault(job.approach, allowed)
                continue
            try:
                yield execute(job, self.file, self.backbone, time.monotonic() + allowed)
                self.left_out.pop(job.approach, None)
            except OutOfTime as error:
                told = f"it took longer than predicted and was {error}"
                self.left_out[job.approach] = Skipped(SkipKind.TOO_SLOW, told)
            except UserError as error:  # such as a loss that became NaN
                self.left_out[job.approach] = Skipped(SkipKind.FAILED, str(error))

    def _remote(self, jobs: Sequence[RaceRun], bar: tqdm) -> Iterator[dict[str, Any]]:
        with closing(self.cluster.rows(jobs, lambda job: self._allowed(job, bar))) as outcomes:
            for job, came in outcomes:
                if not isinstance(came, Skipped):
                    yield came
                    self.left_out.pop(job.approach, None)
                elif came.kind is SkipKind.NO_TIME:
                    self.left_out.setdefault(job.approach, came)
                else:
                    self.left_out[job.approach] = came

    def _allowed(self, job: RaceRun, bar: tqdm) -> float | Skipped:
        """Seconds after which a run is given up, or why it is not begun."""
        needed, left = self.predicted(job.approach, job.n_train, job.fold), self.left
        if needed > left:
            return Skipped(SkipKind.NO_TIME, f"no time left: it takes {needed:.0f} s")
        bar.set_description_str(f"{job.approach}, {job.n_train:,} examples, fold {job.fold}")
        return min(max(left, OVERRUN * needed), left + self.reserve / 2)

    def waiting(self) -> list[str]:
        """Approaches without a run, for want of time: the records alone speak of them."""
        short = (SkipKind.NO_TIME, SkipKind.TOO_SLOW)
        names = [name for name, why in self.left_out.items() if why.kind in short]
        held = self.arms(self.n_full, names)
        return [name for name in names if name not in held and name in self.prior.expected]

    def arms(self, n_train: int, names: Sequence[str]) -> dict[str, Arm]:
        """What is known of these approaches at a size, with today's settings alone."""
        rows = self.rows[self.rows["approach"].isin(list(names))]
        keep = [self.file.run_id(self._asked(row)) == row.run_id for row in rows.itertuples()]
        return arms_of(rows[np.array(keep, dtype=bool)], self.folds, n_train, self.modality)

    def _asked(self, row: Any) -> RaceRun:
        return self.job(row.approach, int(row.n_train), int(row.fold))
