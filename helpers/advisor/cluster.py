"""A race's runs on a Dask cluster whose workers see the same files."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tqdm import tqdm

from helpers.advisor.racing import Job, RaceFile, execute_remotely
from helpers.workers import dask_client


def remote_rows(
    jobs: Sequence[Job], race: RaceFile, address: str, seconds: float
) -> Iterator[dict[str, Any]]:
    """Yield rows as they come; what has not ended after `seconds` is cancelled.

    Raises UserError without Dask, a scheduler or workers; a run that fails is told on stderr.
    """
    from distributed import as_completed

    ends = time.monotonic() + seconds
    with dask_client(address) as (client, _):
        futures = [
            client.submit(
                execute_remotely, job, race.own.data, race.backbone, race.image_size, pure=False
            )
            for job in jobs
        ]
        try:
            for future in as_completed(futures, timeout=max(1.0, seconds)):
                if future.exception() is not None:
                    tqdm.write(f"failed: {future.exception()}", file=sys.stderr)
                else:
                    yield future.result()
                if time.monotonic() > ends:
                    break
        except TimeoutError:
            tqdm.write("time is up; what has not ended was cancelled", file=sys.stderr)
        finally:
            client.cancel(futures)
