"""Run what a grid asks and the records lack: on this machine's cores, or on a Dask cluster.

`data/results/runs.csv` is written from here alone, one whole row per finished run, so a sweep can
be stopped in any way and started again. Learning rates are tuned first, with an equal number of
trials for every approach, at one size, on validation accuracy; the trials are recorded as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from helpers import records
from helpers.approaches import APPROACHES, get_approach
from helpers.backbones import BACKBONES
from helpers.errors import UserError
from helpers.experiments import RunConfig
from helpers.grids import COMPARED, SWEEPS, TUNING, Block, Sweep, get_sweep
from helpers.tasks import TASKS
from helpers.workers import Job, Run, measure, relative_cost, run_jobs


@dataclass
class Outcome:
    """What a call of `run_sweep` did: runs recorded, one line per failure, runs not reached."""

    done: int = 0
    failed: list[str] = field(default_factory=list)
    left: int = 0


@dataclass(frozen=True)
class Plan:
    """A sweep's runs by id: `ready` have their learning rate, `waiting` lack it (lr unset)."""

    ready: dict[str, RunConfig]
    waiting: dict[str, RunConfig]


def find_sweep(name: str) -> Sweep:
    """Return a declared sweep, or the one of a registered task, backbone or approach.

    Declared sweeps go first where both have the name. Raises UserError for an unknown name.
    """
    plain = name.removesuffix(TUNING)
    made = None if plain in SWEEPS else entry_sweep(plain)
    return get_sweep(name) if made is None else made


def entry_sweep(name: str) -> Sweep | None:
    """Return the sweep of one registry entry, by its name; None where no entry has it.

    The entry takes the place of its kind in the sweeps that compare approaches on equal terms
    (`grids.COMPARED`), so that its runs compare with theirs.
    """
    compared = [block for sweep in COMPARED for block in SWEEPS[sweep].blocks]
    if name in APPROACHES:
        blocks = [replace(block, approaches=(name,)) for block in compared]
    elif name in TASKS:
        blocks = [replace(block, tasks=_fair(block.backbone, [name])) for block in compared]
    elif name in BACKBONES:
        blocks = [
            replace(block, backbone=name, image_size=None, tasks=_fair(name, block.tasks))
            for block in compared
        ]
    else:
        return None
    if name not in APPROACHES:
        blocks = [replace(block, dials=(0.0,)) for block in blocks]
    about = f"{name} in the sweeps that compare approaches: {', '.join(COMPARED)}"
    return Sweep(name, about, tuple(block for block in dict.fromkeys(blocks) if block.tasks))


def _fair(backbone: str, tasks: Iterable[str]) -> tuple[str, ...]:
    """The tasks that a backbone can read and whose data its pretraining has not seen."""
    info = BACKBONES[backbone]
    return tuple(
        task
        for task in tasks
        if TASKS[task].modality == info.modality and task not in info.overlaps
    )


def identity(config: RunConfig) -> str:
    """Return the id that the configuration's record has."""
    return records.run_id(asdict(config.resolved()))


def cells(name: str, runs: pd.DataFrame | None = None) -> list[RunConfig]:
    """List a sweep's runs in the order they are run; "NAME/tuning" lists its trials.

    runs: the recorded runs, loaded when None; tuned learning rates come from them. Where a rate is
    not known yet, `lr` stays None. Raises UserError for an unknown name.
    """
    plan = make_plan(name, _scores(runs))
    return _ordered((plan.ready | plan.waiting).values())


def missing(name: str, runs: pd.DataFrame | None = None) -> list[RunConfig]:
    """List the sweep's runs that are not recorded, in the order they are run."""
    scores = _scores(runs)
    plan = make_plan(name, scores)
    open_runs = [config for run, config in plan.ready.items() if run not in scores]
    return _ordered([*open_runs, *plan.waiting.values()])


def recorded(name: str, runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the recorded rows of a sweep's runs, whichever sweep recorded them.

    One question has one row, so a run that two sweeps ask for bears the name of the first.
    """
    runs = records.load() if runs is None else runs
    plan = make_plan(name, _scores(runs))
    return runs[runs["run_id"].isin(list(plan.ready))].reset_index(drop=True)


def run_sweep(
    name: str,
    workers: int = 1,
    limit: int | None = None,
    scheduler: str | None = None,
    *,
    run: Run = measure,
    path: Path | None = None,
    threads: int | None = 1,
) -> Outcome:
    """Run and record what is missing, learning-rate trials first.

    workers: local processes. limit: at most so many runs. scheduler: address of a Dask scheduler
    that is there already, instead of local processes. run: what measures one configuration.
    path: the file of records. threads: of each worker; one keeps times comparable whatever the
    number of workers, None divides the cores among them.

    A run that fails is one line in the outcome and stops no other. Raises UserError for an unknown
    sweep, bad numbers, a place that can't be written to, or a scheduler that can't be reached.
    """
    for what, number in (("workers", workers), ("limit", limit), ("threads", threads)):
        if number is not None and number < 1:
            raise UserError(f"{what} must be 1 or more, not {number}")
    steps = _steps(name)
    path = records.runs_path() if path is None else path
    records.prepare(path)
    outcome, given_up, budget = Outcome(), set(), limit
    for step in steps:
        scores = _scores(records.load(path))
        plan = make_plan(step, scores, given_up)
        todo = _ordered(config for key, config in plan.ready.items() if key not in scores)
        jobs = [Job(step, config, identity(config)) for config in todo[:budget]]
        failures = run_jobs(jobs, run, path, workers, scheduler, threads)
        given_up |= set(failures)
        outcome.done += len(jobs) - len(failures)
        outcome.failed += failures.values()
        if len(jobs) < len(todo):  # cut off by the limit
            outcome.left = len(missing(name, records.load(path)))
            return outcome
        budget = budget if budget is None else budget - len(jobs)
    # Whatever still waits had its trials, and they all failed.
    waiting = [Job(name, config, key) for key, config in plan.waiting.items()]
    outcome.failed += [f"{job.sweep}: {job}: no learning rate worked" for job in waiting]
    return outcome


def sweep_command(
    name: str, workers: int = 1, scheduler: str | None = None, limit: int | None = None
) -> int:
    """Run a sweep from the command line; returns the number of failed runs, at most 100."""
    runs = records.load()
    for step in _steps(name):
        total, lacking = len(cells(step, runs)), len(missing(step, runs))
        print(f"{step}: {total} runs, {total - lacking} recorded, {lacking} to do", flush=True)
    outcome = run_sweep(name, workers, limit, scheduler)
    print(
        f"{outcome.done} recorded now, {len(outcome.failed)} failed, {outcome.left} left; "
        f"they are in {records.runs_path()}"
    )
    return min(len(outcome.failed), 100)


def make_plan(
    name: str, scores: Mapping[str, float], given_up: set[str] | frozenset[str] = frozenset()
) -> Plan:
    """Work out a sweep's runs from its grid and what is recorded.

    scores: validation accuracy of every recorded run, by id. given_up: ids of trials that failed
    and are not waited for.
    """
    sweep, trials = find_sweep(name), name.endswith(TUNING)
    plan = Plan({}, {})
    for block in sweep.blocks:
        for group, questions in _grouped(block):
            if trials:
                known = {} if block.rates else _trials(block, group)
                plan.ready.update(known)
            elif block.rates:
                plan.ready.update(_by_id(questions))
            else:
                rate = tuned_rate(block, group, questions, scores, given_up)
                chosen = _by_id([question | {"lr": rate} for question in questions])
                if rate is None:
                    plan.waiting.update({k: replace(c, lr=None) for k, c in chosen.items()})
                else:
                    plan.ready.update(chosen)
    return plan


def tuned_rate(
    block: Block,
    group: Mapping[str, Any],
    questions: list[dict[str, Any]],
    scores: Mapping[str, float],
    given_up: set[str] | frozenset[str] = frozenset(),
) -> float | None:
    """Return the learning rate of a group: the best of its trials on validation accuracy.

    Ties go to the lower rate. A rate under which runs of the group are recorded stays, so that a
    sweep which goes on later goes on with the same rate. None: trials are missing, or all failed.
    """
    trials = _trials(block, group)
    for config in trials.values():
        asked = _by_id([question | {"lr": config.lr} for question in questions])
        if any(key in scores and key not in trials for key in asked):
            return config.lr
    if not all(key in scores or key in given_up for key in trials):
        return None
    tried = [(scores[key], -config.lr) for key, config in trials.items() if key in scores]
    return -max(tried)[1] if tried else None


def _steps(name: str) -> list[str]:
    """The sweep, after its trials where learning rates are tuned; raises for an unknown name."""
    sweep = find_sweep(name)
    return [name + TUNING, name] if sweep.tuned and name == sweep.name else [name]


def _trials(block: Block, group: Mapping[str, Any]) -> dict[str, RunConfig]:
    """The learning-rate trials of a group, by id, in the order of the approach's list."""
    rates = get_approach(group["approach"]).learning_rates[TASKS[group["task"]].modality]
    return _by_id([block.trial(group, rate) for rate in rates])


def _by_id(questions: Iterable[Mapping[str, Any]]) -> dict[str, RunConfig]:
    configs = [RunConfig(**question).resolved() for question in questions]
    return {records.run_id(asdict(config)): config for config in configs}


def _grouped(block: Block) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """A block's groups, each with its questions: what one learning rate is tuned for."""
    questions = list(block.questions())
    return [
        (group, [question for question in questions if group.items() <= question.items()])
        for group in block.groups()
    ]


def _scores(runs: pd.DataFrame | None) -> dict[str, float]:
    """Validation accuracy of each recorded run, by id."""
    runs = records.load() if runs is None else runs
    return dict(zip(runs["run_id"], runs["val_accuracy"].astype(float), strict=True))


def _ordered(configs: Iterable[RunConfig]) -> list[RunConfig]:
    """Small sizes first; within a size a seed at a time, cheapest approach first.

    Wherever a sweep is stopped, smaller sizes are whole and the current one is balanced over tasks
    and approaches.
    """
    return sorted(
        configs,
        key=lambda c: (c.n_train, c.seed, relative_cost(c), c.approach, c.task, c.dial, c.lr or 0),
    )
