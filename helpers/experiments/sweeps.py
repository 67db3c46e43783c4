"""Run what a grid asks and the records lack: on this machine's cores, or on a Dask cluster.

`data/results/runs.csv` is written from here alone, one whole row per finished run, so a sweep can
be stopped in any way and started again. Learning rates are tuned first, with an equal number of
trials for every approach, at one size, on validation accuracy; the trials are recorded as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.approaches import get_approach
from helpers.errors import UserError
from helpers.experiments.entry_sweeps import find_sweep
from helpers.experiments.grids import CLOSED, TUNING, Block
from helpers.experiments.single_run import RunConfig
from helpers.experiments.workers import Job, Run, measure, relative_cost, run_jobs
from helpers.paths import results_dir
from helpers.results import runs as records
from helpers.storage.upkeep import tidy
from helpers.tasks import TASKS


@dataclass
class Outcome:
    """What a call of `run_sweep` did: runs recorded, one line per failure, runs not reached."""

    done: int = 0
    failed: list[str] = field(default_factory=list)
    left: int = 0


@dataclass(frozen=True)
class SweepPlan:
    """A sweep's runs by id: `ready` have their learning rate, `waiting` lack it (lr unset)."""

    ready: dict[str, RunConfig]
    waiting: dict[str, RunConfig]


def identity(config: RunConfig) -> str:
    """Return the id that the configuration's record has."""
    return records.run_id(asdict(config.resolved()))


def cells(name: str, runs: pd.DataFrame | None = None) -> list[RunConfig]:
    """List a sweep's runs in the order they are run; "NAME/tuning" lists its trials.

    runs: the recorded runs, loaded when None; tuned learning rates come from them. Where a rate is
    not known yet, `lr` stays None. Raises UserError for an unknown name.
    """
    plan = make_plan(name, scores_of(runs), records.diverged())
    return _ordered((plan.ready | plan.waiting).values())


def missing(
    name: str, runs: pd.DataFrame | None = None, path: Path | None = None
) -> list[RunConfig]:
    """List the sweep's runs that are not recorded, in the order they are run.

    A run that diverged has its answer. path: the file of runs beside which these are noted.
    """
    scores, diverged = scores_of(runs), records.diverged(path)
    plan = make_plan(name, scores, diverged)
    open_runs = [config for run, config in plan.ready.items() if run not in {*scores, *diverged}]
    return _ordered([*open_runs, *plan.waiting.values()])


def recorded_runs(name: str, runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the recorded rows of a sweep's runs, whichever sweep recorded them.

    One question has one row, so a run that two sweeps ask for bears the name of the first. The
    runs of a closed sweep, which has no grid any more, are listed in `first_round.csv`.
    """
    runs = records.load_runs(schema=None) if runs is None else runs
    if name.removesuffix(TUNING) in CLOSED:
        listed = pd.read_csv(results_dir() / "first_round.csv", dtype=str, encoding="utf-8")
        wanted = listed.loc[listed["sweep"] == name, "run_id"]
    else:
        wanted = pd.Series(
            list(make_plan(name, scores_of(runs), records.diverged()).ready), dtype=str
        )
    return runs[runs["run_id"].isin(wanted)].reset_index(drop=True)


def run_sweep(
    name: str,
    workers: int = 1,
    limit: int | None = None,
    scheduler: str | None = None,
    *,
    run: Run = measure,
    path: Path | None = None,
) -> Outcome:
    """Run and record what is missing, learning-rate trials first.

    workers: local processes. limit: at most so many runs. scheduler: address of a Dask scheduler
    that is there already, instead of local processes. run: what measures one configuration.
    path: the file of records.

    A run that fails is one line in the outcome and stops no other. Raises UserError for an unknown
    or closed sweep, bad numbers, a place that can't be written to, or a scheduler that can't be
    reached.
    """
    for what, number in (("workers", workers), ("limit", limit)):
        if number is not None and number < 1:
            raise UserError(f"{what} must be 1 or more, not {number}")
    steps = steps_of(name)
    path = records.runs_path() if path is None else path
    records.prepare(path)
    tidy()
    outcome, failed, budget = Outcome(), set(), limit
    for step in steps:
        # What is recorded may ask for more: a further learning rate, the seeds of a close race.
        while jobs := _open_jobs(step, path, failed):
            now = jobs if budget is None else jobs[:budget]
            failures = run_jobs(now, run, path, workers, scheduler)
            failed |= set(failures)
            outcome.done += len(now) - len(failures)
            outcome.failed += failures.values()
            if len(now) < len(jobs):  # cut off by the limit
                outcome.left = len(missing(name, records.load_runs(path, schema=None), path))
                return outcome
            budget = budget if budget is None else budget - len(now)
    # Whatever still waits lacks a trial that failed, or had all of them diverge.
    plan = make_plan(name, scores_of(records.load_runs(path, schema=None)), records.diverged(path))
    waiting = [Job(name, config, key) for key, config in plan.waiting.items()]
    outcome.failed += [f"{job.sweep}: {job}: no learning rate worked" for job in waiting]
    return outcome


def _open_jobs(step: str, path: Path, failed: set[str]) -> list[Job]:
    """What a step asks for now that is neither recorded nor has failed, in the order of running."""
    scores = scores_of(records.load_runs(path, schema=None))
    gone = {*scores, *failed, *(diverged := records.diverged(path))}
    todo = [c for key, c in make_plan(step, scores, diverged).ready.items() if key not in gone]
    return [Job(step, config, identity(config)) for config in _ordered(todo)]


def sweep_command(
    name: str, workers: int = 1, scheduler: str | None = None, limit: int | None = None
) -> int:
    """Run a sweep from the command line; returns the number of failed runs, at most 100."""
    steps, runs = steps_of(name), records.load_runs(schema=None)
    for step in steps:
        total, lacking = len(cells(step, runs)), len(missing(step, runs))
        print(f"{step}: {total} runs, {total - lacking} recorded, {lacking} to do", flush=True)
    outcome = run_sweep(name, workers, limit, scheduler)
    print(
        f"{outcome.done} recorded now, {len(outcome.failed)} failed, {outcome.left} left; "
        f"they are in {records.runs_path()}, and figures read them after "
        "python -m tools.measure.admit_rows"
    )
    return min(len(outcome.failed), 100)


def steps_of(name: str) -> list[str]:
    """The sweep, after its trials where learning rates are tuned; raises for an unknown name."""
    sweep = find_sweep(name)
    return [name + TUNING, name] if sweep.tuned and name == sweep.name else [name]


def make_plan(
    name: str, scores: Mapping[str, RunScore], diverged: frozenset[str] = frozenset()
) -> SweepPlan:
    """Work out a sweep's runs from its grid and what is recorded.

    scores: of every recorded run, by id. diverged: ids of trials that failed and are not waited
    for.
    """
    sweep, trials = find_sweep(name), name.endswith(TUNING)
    plan = SweepPlan({}, {})
    for block in sweep.blocks:
        if trials:
            for part in [] if block.rates else tunings(block):
                plan.ready.update(search(part, scores, diverged).trials)
        elif block.rates:
            for group in _groups(block):
                plan.ready.update(_by_id(block.questions_of(group)))
        else:
            _plan_tuned(block, plan, scores, diverged)
    return plan


def _plan_tuned(
    block: Block,
    plan: SweepPlan,
    scores: Mapping[str, RunScore],
    diverged: frozenset[str],
) -> None:
    """Add a block's runs to the plan, each with the rate of its tuning."""
    chosen: list[RunConfig] = []
    for part in tunings(block):
        rate = search(part, scores, diverged).chosen
        runs = _by_id([question | {"lr": rate} for question in part.questions])
        if rate is None:
            sure = {key: config for key, config in runs.items() if _is_sure(block, config)}
            plan.waiting.update({k: replace(c, lr=None) for k, c in sure.items()})
        else:
            chosen += runs.values()
    plan.ready.update({identity(config): config for config in raced(block, chosen, scores)})


@dataclass(frozen=True)
class RunScore:
    """What is read from a recorded run to plan others."""

    val_accuracy: float
    val_loss: float  # NaN where it was not recorded
    test_accuracy: float
    n_test: int


@dataclass(frozen=True)
class Tuning:
    """Runs of a block that share one learning rate, and the size that it is tried at."""

    block: Block
    group: dict[str, Any]
    size: int
    questions: list[dict[str, Any]]

    def trial(self, rate: float) -> RunConfig:
        """The run that tries a rate."""
        side = self.block.tuning_side or self.group["image_size"]
        asked = {"n_train": self.size, "seed": 0, "lr": rate, "image_size": side}
        return RunConfig(**self.group | asked).resolved()


@dataclass(frozen=True)
class Search:
    """A search for a learning rate: its trials by id, the rate when it has ended, and whether
    that rate lies at the edge of what was tried."""

    trials: dict[str, RunConfig]
    chosen: float | None
    at_edge: bool = False


def tunings(block: Block) -> list[Tuning]:
    """A block's runs by the learning rate that they share."""
    parts = []
    for group in _groups(block):
        questions = block.questions_of(group)
        sizes = [block.tuning_for(group["task"], question["n_train"]) for question in questions]
        for size in sorted(set(sizes)):
            own = [q for q, at in zip(questions, sizes, strict=True) if at == size]
            parts.append(Tuning(block, group, size, own))
    return parts


MOST_TRIALS = 6  # learning rates that any approach may have tried


def search(
    part: Tuning,
    scores: Mapping[str, RunScore],
    diverged: frozenset[str] = frozenset(),
) -> Search:
    """The trials asked for so far, and the best rate once no further one is.

    It starts from three rates and goes one step up or down their ladder as long as the best lies
    at that edge, to `MOST_TRIALS` at most. The best has the highest validation accuracy, then the
    lowest loss; among equals in both the middle one of the first three stays.
    """
    approach = get_approach(part.group["approach"])
    rates = list(approach.trials[TASKS[part.group["task"]].modality])
    middle = rates[len(rates) // 2]
    while True:
        trials = {identity(config): config for config in map(part.trial, rates)}
        if not all(key in scores or key in diverged for key in trials):
            return Search(trials, None)
        tried = {c.lr: scores[key] for key, c in trials.items() if key in scores}
        if not tried:
            return Search(trials, None)
        best = max(tried, key=lambda rate: _rank(tried[rate], rate, middle))
        low, high = min(rates), max(rates)
        if low < best < high or len(rates) >= MOST_TRIALS:
            return Search(trials, best, best in (low, high))
        rates.append(next_rate(best, approach.trials_per_decade, 1 if best == high else -1))


def next_rate(rate: float, per_decade: int, step: int) -> float:
    """The neighbour of a rate on the ladder 1, 3, 10, 30, ... (or 1, 10, ... with one a decade)."""
    rung = round(math.log10(rate) * per_decade) + step
    return float(f"{10 ** (rung / per_decade):.0e}")


def _rank(score: RunScore, rate: float, middle: float) -> tuple[float, float, float, float]:
    """Accuracy, loss, nearness to the first guess, a low rate: what counts, in this order.

    LP-FT's rates that do not improve on its probe tie in accuracy and loss alike; such a tie says
    nothing about the rate and must not send the search along its ladder.
    """
    return score.val_accuracy, -score.val_loss, -abs(math.log(rate / middle)), -rate


def raced(
    block: Block, configs: Iterable[RunConfig], scores: Mapping[str, RunScore]
) -> list[RunConfig]:
    """Those of a block's runs that are asked for now: seed 0, then the others as the block says.

    Seeds that not every approach gets run for those whose first seed came within two standard
    errors of the best one's, once all of a situation have run theirs.
    """
    situations: dict[tuple, list[RunConfig]] = {}
    for config in configs:
        key = (config.task, config.dial, config.image_size, config.n_train)
        situations.setdefault(key, []).append(config)
    return [
        config
        for several in situations.values()
        for near in [_near_the_best(block, several, scores)]
        for config in several
        if _is_sure(block, config) or (config.approach, config.settings) in near
    ]


def _is_sure(block: Block, config: RunConfig) -> bool:
    """Whether a run is asked for however the first seeds come out."""
    return config.seed == 0 or (config.approach in block.always and config.seed < block.seeds)


def _near_the_best(
    block: Block, several: list[RunConfig], scores: Mapping[str, RunScore]
) -> set[tuple[str, str]]:
    """Approaches within two standard errors of the best on seed 0; none while one is missing."""
    first = {(c.approach, c.settings): scores.get(identity(c)) for c in several if c.seed == 0}
    if len(first) < len(block.approaches) * len(block.settings) or None in first.values():
        return set()
    best = max(score.test_accuracy for score in first.values())

    def error(score: RunScore) -> float:
        p = score.test_accuracy
        return math.sqrt((best * (1 - best) + p * (1 - p)) / score.n_test)

    return {arm for arm, s in first.items() if best - s.test_accuracy <= 2 * error(s)}


def _by_id(questions: Iterable[Mapping[str, Any]]) -> dict[str, RunConfig]:
    configs = [RunConfig(**question).resolved() for question in questions]
    return {records.run_id(asdict(config)): config for config in configs}


def _groups(block: Block) -> list[dict[str, Any]]:
    """A block's groups with the settings that the recipe asks for."""
    return [group | {"settings": recipe_settings(group, block.augment)} for group in block.groups()]


def recipe_settings(group: Mapping[str, Any], augment: str) -> str:
    """The settings that the recipe asks of an approach, those of the block before them."""
    approach = get_approach(group["approach"])
    wanted = approach.protocol_settings.get(TASKS[group["task"]].modality, "").split(";")
    wanted += [f"augment={augment}"] if augment and approach.augmentable else []
    given = [item for item in group["settings"].split(";") if item]
    keys = {item.partition("=")[0] for item in given}
    return ";".join(given + [w for w in wanted if w and w.partition("=")[0] not in keys])


def scores_of(runs: pd.DataFrame | None) -> dict[str, RunScore]:
    """What planning reads of each recorded run, by id."""
    runs = records.load_runs(schema=None) if runs is None else runs
    columns = ["val_accuracy", "val_loss", "test_accuracy", "n_test"]
    rows = runs[columns].itertuples(index=False, name=None)
    return {key: RunScore(*row) for key, row in zip(runs["run_id"], rows, strict=True)}


def _ordered(configs: Iterable[RunConfig]) -> list[RunConfig]:
    """Small sizes first; within a size a seed at a time, cheapest approach first.

    Wherever a sweep is stopped, smaller sizes are whole and the current one is balanced over tasks
    and approaches.
    """
    return sorted(
        configs,
        key=lambda c: (c.n_train, c.seed, relative_cost(c), c.approach, c.task, c.dial, c.lr or 0),
    )
