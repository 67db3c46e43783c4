"""The speed of sweeps as a ratio: runs per hour of two workers against one, for
tools/bench/bench.py.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from helpers.experiments.single_run import RunConfig
from helpers.experiments.sweeps import identity
from helpers.experiments.workers import Job, measure, run_jobs
from tools.bench.timing import compare

SEEDS = range(100, 104)  # no grid asks for these, and nothing of them is kept
APPROACHES = ("full_fine_tuning", "lora")


def sweep_seconds(workers: int) -> float:
    """Seconds for 8 small runs on so many workers of one thread each, rows recorded."""
    configs = [
        RunConfig("products_near", "pocket", approach, 200, seed=seed).resolved()
        for approach in APPROACHES
        for seed in SEEDS
    ]
    jobs = [Job("bench", config, identity(config)) for config in configs]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        failures = run_jobs(jobs, measure, Path(folder) / "runs.csv", workers, None)
        if failures:
            raise RuntimeError(next(iter(failures.values())))
        return time.perf_counter() - started


def two_workers() -> tuple[float, float, float, str]:
    """Runs per hour of a sweep with two workers of one thread each, over those of one."""
    sweep_seconds(2)  # the workers' start is not a run's
    what = "8 small runs of a sweep: seconds with one worker / with two, one thread each"
    return *compare(lambda: sweep_seconds(1), lambda: sweep_seconds(2), 3), what
