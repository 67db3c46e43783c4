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
from dataclasses import asdict, dataclass, field
from typing import Any

from helpers.advisor.model_folder import keep_files
from helpers.advisor.race.cluster_worker import as_text, execute_remotely, look_around, model_files
from helpers.advisor.race.runs import OutOfTime, RaceFile, RaceRun, SkipKind, Skipped
from helpers.errors import UserError
from helpers.experiments.workers import STRIKES, dask_client

# Seconds that workers have at the start to show that they see the data, which they decode for it.
PATIENCE, LEAST_PATIENCE = 300.0, 30.0
LOGGERS = ("distributed", "tornado", "asyncio")
Outcome = dict[str, Any] | Skipped  # a row, or why there is none
TICK = 0.5  # seconds between looks at the cluster, where nothing ends
ABSENCE = 30.0  # seconds without any worker after which a race ends: a nanny takes some to restart
ANSWER = 30.0  # seconds that the scheduler has to answer
DELIVERY = 60.0  # seconds that a model may take to come here
OVERTIME = 5.0  # seconds beyond its limit after which a run is not waited for
DIED = Skipped(SkipKind.DIED, f"its worker died {STRIKES} times (out of memory?)")
LATE = Skipped(SkipKind.TOO_SLOW, "it took longer than predicted and was cancelled")
KEPT = "what was finished is kept, and the same command goes on from there"


def check_cluster(address: str) -> None:
    """Raise UserError without Dask, a scheduler or workers, before anything else takes time."""
    with _connected(address):
        pass


@dataclass
class Cluster:
    """The workers behind a scheduler, as a race uses them.

    checked: addresses of workers that have shown that they see the data. count: how many there
    were when last looked, and so how many runs go on at once.
    """

    address: str
    race: RaceFile
    checked: set[str] = field(default_factory=set)
    count: int = 1

    def open(self, seconds: float = PATIENCE) -> Cluster:
        """Wait until every worker has shown that it sees the data, at most so many seconds.

        Raises UserError where one sees other data or none, or where none answers.
        """
        ends = time.monotonic() + seconds
        with _connected(self.address) as client:
            connection = _Connection(client, self)
            while not connection.idle() or (connection.asked and time.monotonic() < ends):
                if time.monotonic() > ends:
                    raise UserError(
                        f"no worker of {self.address} answers within {seconds:.0f} s; wait until "
                        "they have ended other work, or start more"
                    )
                connection.wait()
            self.count = len(connection.idle())
        return self

    def rows(
        self, jobs: Sequence[RaceRun], allowed: Callable[[RaceRun], float | Skipped]
    ) -> Iterator[tuple[RaceRun, Outcome]]:
        """Yield each job with its row, or with the reason why there is none.

        allowed: asked before a job starts, for the seconds that it may take, or why it may not.
        Raises UserError when the scheduler or all its workers go away.
        """
        waiting = list(jobs)
        with _connected(self.address, f"; {KEPT}") as client:
            connection = _Connection(client, self)
            try:
                while waiting or connection.flying:
                    for worker in connection.idle()[: len(waiting)]:
                        job = waiting.pop(0)
                        seconds = allowed(job)
                        if isinstance(seconds, Skipped):
                            yield job, seconds
                        else:
                            connection.start(job, worker, seconds)
                    if connection.flying or waiting:
                        connection.wait()
                    self.count = max(1, len(self.checked & connection.present))
                    waiting[:0] = connection.orphans()
                    yield from connection.ended()
                    if waiting and not connection.flying:
                        why = allowed(waiting[0])
                        if isinstance(why, Skipped):  # no worker, and the time is over
                            yield waiting.pop(0), why
            finally:
                connection.leave()


@contextmanager
def _connected(address: str, consequence: str = "") -> Iterator[Any]:
    """A client that logs nothing: what goes wrong is told in one sentence, and once.

    consequence: ends the sentence where there is nothing to connect to.
    """
    with suppress(ImportError):
        import distributed  # noqa: F401  # its import sets its loggers up
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in LOGGERS]
    loud = [logging.getLogger(name) for name in names]
    loud = [logger for logger in loud if not logger.disabled]
    try:
        for logger in loud:
            logger.disabled = True
        with ExitStack() as stack:
            try:
                client, _ = stack.enter_context(dask_client(address))
            except UserError as error:
                raise UserError(f"{error}{consequence}") from error
            yield client
    finally:
        for logger in loud:
            logger.disabled = False


@dataclass
class _Flight:
    job: RaceRun
    worker: str
    ends: float
    why: Skipped = LATE


class _Connection:
    """One connection to a scheduler; one job at a time on each worker that sees the data.

    checked: addresses of workers that have shown that they do; others are asked, and join then.
    present: those that are there. Methods raise UserError when the scheduler or all workers go.
    """

    def __init__(self, client: Any, cluster: Cluster) -> None:
        self.client, self.address = client, cluster.address
        self.race, self.checked = cluster.race, cluster.checked
        self.about = (self.race.own.name, self.race.backbone, self.race.image_size)
        self.asked: dict[str, Any] = {}  # worker → future of its look around
        self.flying: dict[Any, _Flight] = {}
        self.strikes: Counter[RaceRun] = Counter()
        self.news = threading.Event()  # something has ended
        self.last_seen = time.monotonic()
        # Sent once, and again where its holder dies.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that thousands of texts are large
            self.data = client.submit(str, as_text(self.race.own), pure=False)
        self.present = self._present()

    def idle(self) -> list[str]:
        """Workers that see the data and have nothing of ours to do."""
        busy = {flight.worker for flight in self.flying.values()}
        return sorted((self.checked & self.present) - busy)

    def start(self, job: RaceRun, worker: str, seconds: float) -> None:
        """Run a job on a worker, which gives it up after so many seconds."""
        future = self._submit(
            execute_remotely, asdict(job), *self.about, seconds, data=self.data, on=worker
        )
        self.flying[future] = _Flight(job, worker, time.monotonic() + seconds + OVERTIME)

    def wait(self) -> None:
        """Wait a moment, or less where something ends; then look who is there."""
        self.news.wait(TICK)
        self.news.clear()
        self.present = self._present()

    def ended(self) -> Iterator[tuple[RaceRun, Outcome]]:
        """Yield what has ended, and give up what takes too long."""
        for future, flight in list(self.flying.items()):
            if future.done():
                del self.flying[future]
                came = self._outcome(future, flight.job)
                yield flight.job, came
                if not isinstance(came, Skipped):
                    self._fetch_model(flight)
            elif time.monotonic() > flight.ends:
                del self.flying[future]
                self._cancel([future])
                yield flight.job, flight.why

    def orphans(self) -> list[RaceRun]:
        """Jobs to run again: their worker died under them, for the first time."""
        again = []
        for future, flight in list(self.flying.items()):
            if flight.worker in self.present or future.done():
                continue
            self.strikes[flight.job] += 1
            if self.strikes[flight.job] < STRIKES:
                del self.flying[future]
                self._cancel([future])
                again.append(flight.job)
            else:
                flight.ends, flight.why = 0.0, DIED
        return again

    def leave(self) -> None:
        """Cancel what goes on; a worker notices after an epoch at most."""
        self._cancel([*self.flying, *self.asked.values()])

    def _present(self) -> set[str]:
        """Addresses of the workers that are there; new ones are asked what they see."""
        if self.client.status != "running":
            raise self._gone()
        try:
            there = self.client.sync(self.client.scheduler.ncores, callback_timeout=ANSWER)
        except (OSError, TimeoutError) as error:
            raise self._gone() from error
        present, now = set(there), time.monotonic()
        self.last_seen = now if present else self.last_seen
        if now - self.last_seen > ABSENCE:
            raise UserError(f"all workers of {self.address} are gone; {KEPT}")
        for worker in present - self.checked - set(self.asked):
            self.asked[worker] = self._submit(look_around, *self.about, data=self.data, on=worker)
        for worker, future in list(self.asked.items()):
            if worker not in present or future.done():
                del self.asked[worker]
                if worker in present:
                    self._check(worker, future)
        return present

    def _check(self, worker: str, future: Any) -> None:
        error = self._error(future)
        if error is None:
            self.checked.add(worker)
        elif isinstance(error, UserError):
            raise UserError(f"the worker at {worker} cannot take part: {error}")
        else:
            raise UserError(
                f"the worker at {worker} cannot take part ({_plain(error)}); install this version "
                "of the package there"
            )

    def _outcome(self, future: Any, job: RaceRun) -> Outcome:
        error = self._error(future)
        if isinstance(error, OutOfTime):
            return Skipped(SkipKind.TOO_SLOW, str(error))
        if type(error).__name__ == "KilledWorker":  # one that comes back at the same address
            return DIED
        if error is not None:
            told = str(error) if isinstance(error, UserError) else _plain(error)
            return Skipped(SkipKind.FAILED, told)
        row = future.result()
        if row["run_id"] != self.race.run_id(job):
            told = "a worker answered another question than was asked; is its package older?"
            return Skipped(SkipKind.FAILED, told)
        return row

    def _error(self, future: Any) -> BaseException | None:
        try:
            return future.exception(timeout=ANSWER)
        except Exception as error:  # it is cancelled, because the connection is lost
            raise self._gone() from error

    def _fetch_model(self, flight: _Flight) -> None:
        """Bring a model here that the worker has kept in a cache of its own."""
        if flight.job.fold or self.race.has_model(flight.job):
            return
        about = (self.race.own.name, self.race.run_id(flight.job))
        future = self._submit(model_files, *about, on=flight.worker)
        try:
            files = future.result(timeout=DELIVERY)
        except Exception:  # whatever it is: a model that is missing is trained again here
            self._cancel([future])
            return
        keep_files(self.race.model_folder(flight.job), files)

    def _submit(self, function: Callable, *mine: Any, data: Any = None, on: str = "") -> Any:
        """Call a function with `mine`, then `data` (a future), on one worker or on any."""
        try:
            future = self.client.submit(
                _sealed(function, mine),
                *([] if data is None else [data]),
                key=f"{function.__name__}-{uuid.uuid4().hex}",
                workers=[on] if on else None,
            )
        except Exception as error:
            # It may have closed since `_present` looked.
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


def _plain(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]
