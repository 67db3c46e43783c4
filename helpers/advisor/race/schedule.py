"""The state of a race on own data: the clock, what is finished, and how fast this machine is."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from helpers.advisor.answer import Looked
from helpers.advisor.folds import Folds, folds_of
from helpers.advisor.prior import Expected
from helpers.advisor.race.cluster import LEAST_PATIENCE, PATIENCE, Cluster, Outcome
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
        jobs = [self.job(name, fold) for name in names]
        if rates:
            both = [(name, self.looked.recipes[name]) for name in names]
            jobs = [self.job(name, fold, lr) for name, r in both for lr in (r.lr, r.other) if lr]
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
        allowed = functools.partial(self._allowed, bar=bar)
        ask = self.cluster.rows if self.cluster else self._local
        with closing(ask(jobs, allowed)) as outcomes:
            for job, came in outcomes:
                if not isinstance(came, Skipped):
                    self.keep(came, bar)
                    self.left_out.pop(job.approach, None)
                elif came.kind is SkipKind.NO_TIME:
                    self.left_out.setdefault(job.approach, came)
                else:
                    self.left_out[job.approach] = came

    def keep(self, row: dict[str, Any], bar: tqdm) -> None:
        """Keep a finished run."""
        self.file.append(row)
        self.rows = self._load()
        bar.n = min(bar.total, round(time.monotonic() - self.started))
        bar.refresh()

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
                row = execute(job, self.file, self.backbone, time.monotonic() + seconds)
            except OutOfTime as error:
                yield job, Skipped(SkipKind.TOO_SLOW, str(error))
            except UserError as error:  # such as a loss that became NaN
                yield job, Skipped(SkipKind.FAILED, str(error))
            else:
                yield job, row

    def _allowed(self, job: RaceRun, bar: tqdm) -> float | Skipped:
        """Seconds after which a run is given up, or why it is not begun."""
        needed, left = self.predicted(job.approach), self.left
        if needed > left:
            return Skipped(SkipKind.NO_TIME, f"no time left: it takes {needed:.0f} s")
        bar.set_description_str(f"{job.approach}, fold {job.fold}")
        return min(max(left, OVERRUN * needed), left + self.reserve / 2)

    def waiting(self) -> list[str]:
        """Approaches without a run, for want of time, of which the records tell something."""
        short = (SkipKind.NO_TIME, SkipKind.TOO_SLOW)
        names = [name for name, why in self.left_out.items() if why.kind in short]
        held = self.arms(names)
        return [name for name in names if name not in held and name in self.expected]

    def arms(self, names: Sequence[str]) -> dict[str, Arm]:
        """What is known of these approaches, with today's settings alone."""
        rows = self.rows[self.rows["approach"].isin(list(names))]
        asked = [self.job(row.approach, int(row.fold)) for row in rows.itertuples()]
        keep = rows["run_id"] == [self.file.run_id(job) for job in asked]
        return arms_of(rows[keep], self.folds)
