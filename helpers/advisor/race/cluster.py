"""A race's runs on a Dask cluster: one at a time on each worker, and each kept as it ends.

What a worker must see: this package at the same version; for pictures, the same files at the same
paths (texts travel with the runs); the backbone's weights, or a way to fetch them. Its cache
(`TRANSFER_CACHE`) may be its own: the models that are needed here come back. A worker that sees
other data is refused before anything is raced on it, with a sentence that names it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from helpers.advisor.race.cluster_session import KEPT, Crew, Outcome
from helpers.advisor.race.runs import RaceFile, RaceRun, Skipped
from helpers.errors import UserError
from helpers.experiments.workers import dask_client

# Seconds that workers have at the start to show that they see the data, which they decode for it.
PATIENCE, LEAST_PATIENCE = 300.0, 30.0
LOGGERS = ("distributed", "tornado", "asyncio")


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
            crew = self._crew(client)
            while not crew.idle() or (crew.asked and time.monotonic() < ends):
                if time.monotonic() > ends:
                    raise UserError(
                        f"no worker of {self.address} answers within {seconds:.0f} s; wait until "
                        "they have ended other work, or start more"
                    )
                crew.wait()
            self.count = len(crew.idle())
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
            crew = self._crew(client)
            try:
                while waiting or crew.flying:
                    for worker in crew.idle()[: len(waiting)]:
                        job = waiting.pop(0)
                        seconds = allowed(job)
                        if isinstance(seconds, Skipped):
                            yield job, seconds
                        else:
                            crew.start(job, worker, seconds)
                    if crew.flying or waiting:
                        crew.wait()
                    self.count = max(1, len(self.checked & crew.present))
                    waiting[:0] = crew.orphans()
                    yield from crew.ended()
                    if waiting and not crew.flying:
                        why = allowed(waiting[0])
                        if isinstance(why, Skipped):  # no worker, and the time is over
                            yield waiting.pop(0), why
            finally:
                crew.leave()

    def _crew(self, client: Any) -> Crew:
        return Crew(client, self.address, self.race, self.checked)


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
