"""A race's runs on a Dask cluster: one at a time on each worker, and each kept as it ends.

What a worker must see: this package at the same version; for pictures, the same files at the same
paths (texts travel with the runs); the backbone's weights, or a way to fetch them. Its cache
(`TRANSFER_CACHE`) may be its own: the models that are needed here come back. A worker that sees
other data is refused before anything is raced on it, with a sentence that names it.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import Any, NamedTuple

from helpers.advisor.model_folder import keep_files
from helpers.advisor.race.cluster_worker import as_text, execute_remotely, look_around
from helpers.advisor.race.runs import OutOfTime, RaceFile, RaceRun, SkipKind, Skipped
from helpers.errors import UserError
from helpers.experiments.workers import STRIKES, dask_client, one_line

# Seconds that workers have at the start to show that they see the data, which they decode for it.
PATIENCE, LEAST_PATIENCE = 300.0, 30.0
Outcome = dict[str, Any] | Skipped  # a row, or why there is none
TICK = 0.5  # seconds between looks at the cluster, where nothing ends
ABSENCE = 30.0  # seconds without any worker after which a race ends: a nanny takes some to restart
ANSWER = 30.0  # seconds that the scheduler has to answer
DELIVERY = 60.0  # seconds that a row and its model may take to come here
OVERTIME = 5.0  # seconds beyond its limit after which a run is not waited for
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


class _Flight(NamedTuple):
    job: RaceRun
    worker: str
    ends: float


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
                self._wait()
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
                    else:
                        self._start(job, worker, seconds)
                if self.flying or waiting:
                    self._wait()
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
            self.flying: dict[Any, _Flight] = {}
            self.strikes: Counter[RaceRun] = Counter()
            self.news = threading.Event()  # something has ended
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
        busy = {flight.worker for flight in self.flying.values()}
        return sorted((self.checked & self.present) - busy)

    def _start(self, job: RaceRun, worker: str, seconds: float) -> None:
        """Run a job on a worker, which gives it up after so many seconds."""
        future = self._submit(
            execute_remotely, asdict(job), *self.about, seconds, data=self.data, on=worker
        )
        self.flying[future] = _Flight(job, worker, time.monotonic() + seconds + OVERTIME)

    def _wait(self) -> None:
        """Wait a moment, or less where something ends; then look who is there."""
        self.news.wait(TICK)
        self.news.clear()
        self._look()

    def _ended(self, waiting: list[RaceRun]) -> Iterator[tuple[RaceRun, Outcome]]:
        """Yield what has ended or is given up; whose worker died for the first time waits again."""
        for future, (job, worker, ends) in list(self.flying.items()):
            if future.done():
                came = self._outcome(future, job)
            elif worker not in self.present:
                self.strikes[job] += 1
                came = DIED if self.strikes[job] >= STRIKES else None
            elif time.monotonic() > ends:
                came = LATE
            else:
                continue
            del self.flying[future]
            if not future.done():
                self._cancel([future])
            if came is None:
                waiting.insert(0, job)
                continue
            yield job, came

    def _look(self) -> None:
        """See which workers are there; new ones are asked what they see."""
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
            if worker not in self.present or future.done():
                del self.asked[worker]
                if worker in self.present:
                    self._check(worker, future)
        self.count = max(1, len(self.checked & self.present))

    def _check(self, worker: str, future: Any) -> None:
        error = self._error(future)
        if error is None:
            self.checked.add(worker)
        elif isinstance(error, UserError):
            raise UserError(f"the worker at {worker} cannot take part: {error}")
        else:
            raise UserError(
                f"the worker at {worker} cannot take part ({one_line(error)}); install this "
                "version of the package there"
            )

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
        try:
            future = self.client.submit(
                _sealed(function, mine),
                *([] if data is None else [data]),
                key=f"{function.__name__}-{uuid.uuid4().hex}",
                workers=[on],
            )
        except Exception as error:
            # It may have closed since `_look`.
            if self.client.status == "running":
                raise
            raise self._gone() from error
        future.add_done_callback(lambda _: self.news.set())
        return future

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
