"""A race's runs on a Dask cluster: one at a time on each worker, and each kept as it ends.

What a worker must see: this package at the same version; for pictures, the same files at the same
paths (texts travel with the runs); the backbone's weights, or a way to fetch them. Its cache
(`TRANSFER_CACHE`) may be its own: the models that are needed here come back. A worker that sees
other data is refused before anything is raced on it, with a sentence that names it.
"""

from __future__ import annotations

import functools
import json
import logging
import threading
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from helpers.advisor.data import OwnData
from helpers.advisor.model_folder import keep_files, model_files
from helpers.advisor.race.runs import OutOfTime, RaceFile, RaceRun, SkipKind, Skipped, execute
from helpers.advisor.task import OwnTask, make_own_task
from helpers.backbones import Backbone, load_backbone
from helpers.errors import UserError
from helpers.experiments.workers import dask_client, limited_threads, one_line

# Seconds that workers have at the start to show that they see the data, which they decode for it.
PATIENCE, LEAST_PATIENCE = 300.0, 30.0
Outcome = dict[str, Any] | Skipped  # a row, or why there is none
TICK = 0.1  # seconds between looks at the cluster
ABSENCE = 30.0  # seconds without any worker after which a race ends: a nanny takes some to restart
ANSWER = 30.0  # seconds that the scheduler has to answer
DELIVERY = 60.0  # seconds that a row and its model may take to come here
OVERTIME = 5.0  # seconds beyond its limit after which a run is not waited for
STRIKES = 2  # how often a run's worker may die before it is given up
DIED = Skipped(SkipKind.DIED, f"its worker died {STRIKES} times (out of memory?)")
LATE = Skipped(SkipKind.TOO_SLOW, "it took longer than predicted and was cancelled")
KEPT = "what was finished is kept, and the same command goes on from there"


def check_cluster(address: str) -> None:
    """Raise UserError without Dask, a scheduler or workers, before anything else takes time."""
    with _connected(address):
        pass


@contextmanager
def _connected(address: str, consequence: str = "") -> Iterator[Any]:
    """A client while nothing is logged: what goes wrong is told in one sentence, and once.

    consequence: ends the sentence where there is nothing to connect to.
    """
    with ExitStack() as stack:
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable()
        try:
            client, _ = stack.enter_context(dask_client(address))
        except UserError as error:
            raise UserError(f"{error}{consequence}") from error
        yield client


class Cluster:
    """The workers behind a scheduler, as a race uses them: one run at a time on each.

    checked: addresses of workers that have shown that they see the data; others are asked, and join
    then. present: those that are there. count: how many runs go on at once. Methods raise UserError
    when the scheduler or all its workers go away.
    """

    def __init__(self, address: str, race: RaceFile) -> None:
        self.address, self.race = address, race
        self.about = (race.own.name, race.backbone, race.image_size)
        self.checked: set[str] = set()
        self.count = 1

    def open(self, seconds: float = PATIENCE) -> Cluster:
        """Wait until every worker has shown that it sees the data, at most so many seconds.

        Raises UserError where one sees other data or none, or where none answers.
        """
        ends = time.monotonic() + seconds
        with self._connection():
            while not self._idle() or (self.asked and time.monotonic() < ends):
                if time.monotonic() > ends:
                    raise UserError(
                        f"no worker of {self.address} answers within {seconds:.0f} s; wait until "
                        "they have ended other work, or start more"
                    )
                self._look()
        return self

    def rows(
        self, jobs: Sequence[RaceRun], allowed: Callable[[RaceRun], float | Skipped]
    ) -> Iterator[tuple[RaceRun, Outcome]]:
        """Yield each job with its row, or with the reason why there is none.

        allowed: asked before a job starts, for the seconds that it may take, or why it may not.
        """
        waiting = list(jobs)
        with self._connection(f"; {KEPT}"):
            while waiting or self.flying:
                for worker in self._idle()[: len(waiting)]:
                    job = waiting.pop(0)
                    seconds = allowed(job)
                    if isinstance(seconds, Skipped):
                        yield job, seconds
                        continue
                    asked = (asdict(job), *self.about, seconds)
                    future = self._submit(execute_remotely, *asked, data=self.data, on=worker)
                    self.flying[future] = job, worker, time.monotonic() + seconds + OVERTIME
                if self.flying or waiting:
                    self._look()
                yield from self._ended(waiting)
                if waiting and not self.flying:
                    why = allowed(waiting[0])
                    if isinstance(why, Skipped):  # no worker, and the time is over
                        yield waiting.pop(0), why

    @contextmanager
    def _connection(self, consequence: str = "") -> Iterator[None]:
        """Be connected; what goes on at its end is cancelled, which takes an epoch at most."""
        with _connected(self.address, consequence) as self.client:
            self.asked: dict[str, Any] = {}  # worker → future of its look around
            self.flying: dict[Any, tuple[RaceRun, str, float]] = {}  # to its job, worker and end
            self.strikes: Counter[RaceRun] = Counter()
            self.last_seen = time.monotonic()
            # Sent once, and again where its holder dies.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # that thousands of texts are large
                self.data = self.client.submit(str, as_text(self.race.own), pure=False)
            try:
                self._look()
                yield
            finally:
                self._cancel([*self.flying, *self.asked.values()])

    def _idle(self) -> list[str]:
        """Workers that see the data and have nothing of ours to do."""
        return sorted((self.checked & self.present) - {w for _, w, _ in self.flying.values()})

    def _ended(self, waiting: list[RaceRun]) -> Iterator[tuple[RaceRun, Outcome]]:
        """Yield what has ended or is given up; whose worker died for the first time waits again."""
        for future, (job, worker, ends) in list(self.flying.items()):
            done = future.done()
            if not done and worker in self.present and time.monotonic() <= ends:
                continue
            del self.flying[future]
            if done:
                yield job, self._outcome(future, job)
                continue
            self._cancel([future])
            if worker in self.present:
                yield job, LATE
                continue
            self.strikes[job] += 1
            if self.strikes[job] < STRIKES:
                waiting.insert(0, job)
            else:
                yield job, DIED

    def _look(self) -> None:
        """Wait a moment, then see which workers are there; new ones are asked what they see."""
        time.sleep(TICK)
        if self.client.status != "running":
            raise self._gone()
        try:
            there = self.client.sync(self.client.scheduler.ncores, callback_timeout=ANSWER)
        except (OSError, TimeoutError) as error:
            raise self._gone() from error
        self.present, now = set(there), time.monotonic()
        self.last_seen = now if self.present else self.last_seen
        if now - self.last_seen > ABSENCE:
            raise UserError(f"all workers of {self.address} are gone; {KEPT}")
        for worker in self.present - self.checked - set(self.asked):
            self.asked[worker] = self._submit(look_around, *self.about, data=self.data, on=worker)
        for worker, future in list(self.asked.items()):
            if worker not in self.present:
                del self.asked[worker]
            elif future.done():
                del self.asked[worker]
                error = self._error(future)
                if isinstance(error, UserError):
                    raise UserError(f"the worker at {worker} cannot take part: {error}")
                if error is not None:
                    raise UserError(
                        f"the worker at {worker} cannot take part ({one_line(error)}); install "
                        "this version of the package there"
                    )
                self.checked.add(worker)
        self.count = max(1, len(self.checked & self.present))

    def _outcome(self, future: Any, job: RaceRun) -> Outcome:
        error = self._error(future)
        if isinstance(error, OutOfTime):
            return Skipped(SkipKind.TOO_SLOW, str(error))
        if type(error).__name__ == "KilledWorker":  # one that comes back at the same address
            return DIED
        if error is not None:
            return Skipped(SkipKind.FAILED, one_line(error))
        try:
            row, files = future.result(timeout=DELIVERY)
        except TimeoutError:
            return Skipped(SkipKind.FAILED, "its worker went away before its result had come back")
        if row["run_id"] != self.race.run_id(job):
            told = "a worker answered another question than was asked; is its package older?"
            return Skipped(SkipKind.FAILED, told)
        if files and not self.race.has_model(job):  # the worker has a cache of its own
            keep_files(self.race.model_folder(job), files)
        return row

    def _error(self, future: Any) -> BaseException | None:
        try:
            return future.exception(timeout=ANSWER)
        except Exception as error:  # it is cancelled, because the connection is lost
            raise self._gone() from error

    def _submit(self, function: Callable, *mine: Any, on: str, data: Any = None) -> Any:
        """Call a function with `mine`, then `data` (a future), on a worker."""
        key, more = f"{function.__name__}-{uuid.uuid4().hex}", [] if data is None else [data]
        try:
            return self.client.submit(_sealed(function, mine), *more, key=key, workers=[on])
        except Exception as error:  # it may have closed since `_look`
            if self.client.status == "running":
                raise
            raise self._gone() from error

    def _cancel(self, futures: Sequence[Any]) -> None:
        if futures and self.client.status == "running":
            with suppress(Exception):  # it may close in between, and nothing goes on then
                self.client.cancel(list(futures))

    def _gone(self) -> UserError:
        return UserError(f"the Dask scheduler at {self.address} went away; {KEPT}")


def _sealed(function: Callable, mine: Sequence[Any]) -> Callable:
    """A call of plain values that only the worker looks up: a scheduler need not have torch."""
    module, name = function.__module__, function.__name__

    def call(*more: Any) -> Any:
        import importlib

        return getattr(importlib.import_module(module), name)(*mine, *more)

    return call


# What follows runs in the worker's process.

# One run at a time in a process: seeds and thread numbers are the process's, and runs share them.
_turn = threading.Lock()
_ARRAYS = ("labels", "splits", "rows", "together")
_TUPLES = ("classes", "scale")
_SENT = ("root", "modality", "items", "listed", "together_by", *_TUPLES, *_ARRAYS)


def as_text(own: OwnTask) -> str:
    """What a worker needs of the data, as JSON."""
    data, shape = replace(own.data, listed=None), [None, 0]
    if data.modality == "image":
        data, shape = own.data, own.task.train.inputs.shape[2:]
    sent = {name: getattr(data, name) for name in _SENT}
    return json.dumps(sent | {"shape": shape}, default=_plain)


def _plain(value: np.ndarray | Path) -> Any:
    """An array or a path as JSON; a relative path means nothing in a worker's folder."""
    return value.tolist() if isinstance(value, np.ndarray) else str(value.absolute())


def from_text(text: str) -> tuple[OwnData, list]:
    """The data that `as_text` wrote, and the (side, channels) to decode pictures to."""
    held = json.loads(text)
    shape = held.pop("shape")
    for name in _ARRAYS:
        held[name] = None if held[name] is None else np.array(held[name])
    if held["modality"] == "image":
        for name in ("items", "listed"):
            held[name] = held[name] and [Path(item) for item in held[name]]
    for name in _TUPLES:
        held[name] = None if held[name] is None else tuple(held[name])
    return OwnData(**held | {"root": Path(held["root"])}), shape


def look_around(name: str, backbone: str, image_size: int, data: str) -> None:
    """Raise UserError where this process cannot read the data or the weights, or reads others.

    name: of the task as the caller knows it. data: see `as_text`.
    """
    with _turn:
        _seen(name, backbone, image_size, data)


def execute_remotely(
    job: dict[str, Any], name: str, backbone: str, image_size: int, seconds: float, data: str
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """`execute` here, on as many threads as this worker has, for at most so many seconds.

    name, data: see `look_around`, and for UserError. Returns the row, and the files of the model
    where one is kept. Raises OutOfTime, too when nobody wants it any more.
    """
    from distributed import get_worker

    deadline, worker = time.monotonic() + seconds, get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state not in ("cancelled", "released", "forgotten")

    with _turn, limited_threads(worker.state.nthreads):
        own, network = _seen(name, backbone, image_size, data)
        race, run = RaceFile(own, backbone, image_size), RaceRun(**job)
        row = execute(run, race, network, deadline, wanted)
        return row, model_files(race.model_folder(run)) if race.has_model(run) else {}


@functools.lru_cache(maxsize=1)
def _seen(name: str, backbone: str, image_size: int, data: str) -> tuple[OwnTask, Backbone]:
    """The data and the network as this process has them; those of the last race are kept."""
    found, shape = from_text(data)
    own = make_own_task(found, *shape)
    if own.name != name:
        raise UserError(
            f"it sees other files in {found.root} than the machine that asks; share that folder "
            "with it, at the same path"
        )
    return own, load_backbone(backbone, size=image_size)
