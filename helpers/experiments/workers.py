"""Jobs on processes: each run measured in a worker, recorded whole, and none lost to another."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from tqdm import tqdm

from helpers.approaches import get_approach
from helpers.backbones import relative_cost_of
from helpers.errors import UserError
from helpers.experiments import single_run
from helpers.experiments.processes import deaf_children, end_if_orphaned, end_with
from helpers.experiments.single_run import RunConfig
from helpers.experiments.timing import limited_threads
from helpers.results import runs
from helpers.training.loop import TrainingDiverged

Run = Callable[[RunConfig], dict[str, Any]]
THREADS = 1  # of each worker, which keeps times comparable whatever the number of workers
FIXED_EXAMPLES = 500  # what evaluating costs, in training examples


@dataclass(frozen=True)
class Job:
    """One run to measure and to record under a sweep's name."""

    sweep: str
    config: RunConfig
    run_id: str

    def __str__(self) -> str:
        config = self.config
        parts = [config.task, config.backbone, config.approach, f"n={config.n_train}"]
        parts += [f"dial={config.dial:.2f}"] if config.dial else []
        parts += [f"seed={config.seed}"]
        parts += [f"lr={config.lr:g}"] if config.lr else []
        parts += [config.settings] if config.settings else []
        return " ".join(parts)


@dataclass(frozen=True)
class Result:
    """What came of a job: its row where the caller is to record it, an error where it failed."""

    job: Job
    row: dict[str, Any] | None = None
    error: str = ""
    diverged: bool = False  # the loss did: another try would end alike


def measure(config: RunConfig) -> dict[str, Any]:
    """Measure one run. Raises UserError where only a sample of the task's data is at hand."""
    if single_run.task_for(config.resolved()).origin != "full":
        raise UserError(
            f"only the sample of {config.task!r} is here, and sweeps record the full data; get it "
            "with `python -m helpers fetch` or set TRANSFER_DATA"
        )
    return single_run.run(config)


def relative_cost(config: RunConfig) -> float:
    """Return a rough, unitless cost of a run, for order and time left; it decides nothing."""
    scale = get_approach(config.approach).relative_cost * relative_cost_of(config.backbone)
    return scale * (config.n_train + FIXED_EXAMPLES)


def run_jobs(
    jobs: Sequence[Job], run: Run, path: Path, workers: int, scheduler: str | None
) -> dict[str, str]:
    """Run the jobs and record each as it ends; returns one line per failed job, by run id.

    On local processes each worker appends its own rows. On a cluster, whose machines need not
    share a disk, rows come back and are appended here. Runs that were under way when a worker died
    are tried again one at a time, and only one that kills its worker alone is given up.
    """
    failures: dict[str, str] = {}
    todo, suspects = list(jobs), []
    with _pool(scheduler, workers) as pool, _progress(jobs) as bar:
        while todo:
            batch, ended, under_way = suspects[:1] or todo, set(), []
            try:
                for result in pool.map(batch, run, path):
                    ended.add(result.job.run_id)
                    error = result.error or _record(result.row, path)
                    if result.diverged:
                        runs.append_diverged(result.job.run_id, result.job.sweep, path)
                    if error:
                        failures[result.job.run_id] = _fail(result.job, error)
                    _advance(bar, result.job, len(failures))
            except pool.deaths:
                ended |= set(runs.load_runs(path, schema=None)["run_id"])
                under_way = [job for job in batch if job.run_id not in ended][: pool.size]
                if suspects:
                    for job in under_way:
                        error = "its worker died 2 times (out of memory?)"
                        failures[job.run_id] = _fail(job, error)
            suspects = suspects[1:] if suspects else under_way
            todo = [job for job in todo if job.run_id not in ended | failures.keys()]
    return failures


def work(job: Job, run: Run, path: Path | None) -> Result:
    """Measure one job in this process and append its row, or return it where `path` is None."""
    try:
        with limited_threads(THREADS):
            row = run(job.config) | {"sweep": job.sweep}
        if runs.run_id(row) != job.run_id:
            raise UserError("the row answers another question than was asked; is the code older?")
        if path is None:
            return Result(job, row)
        end_if_orphaned()
        runs.append(row, path)
        return Result(job)
    except Exception as error:  # whatever one run meets must not stop the others
        return Result(job, None, one_line(error), isinstance(error, TrainingDiverged))


@dataclass(frozen=True)
class _Pool:
    """Where jobs run: joblib's settings, how many at once, and what a dead worker raises."""

    size: int
    records_itself: bool
    deaths: tuple[type[BaseException], ...]

    def map(self, jobs: Sequence[Job], run: Run, path: Path) -> Iterator[Result]:
        """Yield results as they come. One job a batch: they are long and unlike each other."""
        parallel = joblib.Parallel(n_jobs=self.size, batch_size=1, return_as="generator_unordered")
        target = path if self.records_itself else None
        with deaf_children():
            return parallel(joblib.delayed(work)(job, run, target) for job in jobs)


@contextmanager
def _pool(scheduler: str | None, workers: int) -> Iterator[_Pool]:
    if scheduler is not None:
        with dask_client(scheduler) as (client, died):
            size = sum(client.nthreads().values())
            with joblib.parallel_config(backend="dask", client=client):
                yield _Pool(size, False, (died,))
        return
    settings = {"inner_max_num_threads": THREADS, "initializer": end_with}
    with joblib.parallel_config(backend="loky", initargs=(os.getpid(),), **settings):
        yield _Pool(workers, True, (BrokenProcessPool,))


@contextmanager
def dask_client(address: str) -> Iterator[tuple[Any, type[BaseException]]]:
    """Connect to a Dask scheduler. Raises UserError without Dask, a scheduler or workers."""
    try:
        from distributed import Client, KilledWorker, Security
        from distributed.core import connect
    except ModuleNotFoundError as error:
        raise UserError(
            "a scheduler needs Dask; install it with `pip install 'freeze-tune-adapt[distributed]'`"
        ) from error

    async def knock() -> None:
        arguments = Security().get_connection_args("client")
        await (await connect(address, timeout=10, **arguments)).close()

    try:
        # A Client that finds no scheduler is left to the garbage collector, which may close it
        # while another one starts, and then both wait for ever (`LoopRunner`'s lock). So none is
        # made. A notebook's thread has a loop already, hence one of its own.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, knock()).result()
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(
            f"no Dask scheduler answers at {address!r}; start one with `dask scheduler`"
        ) from error
    with client:
        if not client.nthreads():
            raise UserError(
                f"the scheduler at {address!r} has no workers; start some with "
                f"`dask worker {address} --nthreads 1`"
            )
        yield client, KilledWorker


def _record(row: dict[str, Any] | None, path: Path) -> str:
    """Append a row that came back, if any; returns the error in one line."""
    try:
        if row is not None:
            runs.append(row, path)
    except UserError as error:
        return one_line(error)
    return ""


def one_line(error: BaseException) -> str:
    """What went wrong, on one line; its kind as well where it is no sentence for people."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"[:300]


def _fail(job: Job, error: str) -> str:
    line = f"{job.sweep}: {job}: {error}"
    tqdm.write(f"failed: {line}", file=sys.stderr)
    return line


def _progress(jobs: Sequence[Job]) -> tqdm:
    """A bar over the jobs' costs and not their number, so that the time left is not a lie."""
    bar = tqdm(
        total=sum(relative_cost(job.config) for job in jobs),
        desc=jobs[0].sweep if jobs else "",
        disable=not jobs,
        bar_format="{desc} {percentage:3.0f}%|{bar}| [{elapsed} passed, {remaining} left]",
    )
    bar.runs, bar.out_of = 0, len(jobs)
    return bar


def _advance(bar: tqdm, job: Job, failed: int) -> None:
    bar.runs += 1
    told = f"{job.sweep}: {bar.runs} of {bar.out_of} runs, {failed} failed"
    bar.set_description_str(told, refresh=False)
    bar.update(relative_cost(job.config))
