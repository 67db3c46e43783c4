"""Kills of a sweep with two workers: nothing of it lives on, writes on, or is left on the disk."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from helpers.backbones import load_backbone
from helpers.experiments import grids, sweeps
from helpers.experiments.grids import Block, Sweep
from helpers.experiments.single_run import RunConfig, environment
from helpers.experiments.workers import Run
from helpers.results.schema import COLUMNS
from helpers.runtime import pick_device
from helpers.storage import upkeep
from helpers.training.feature_cache import extract_features
from tools.attack.subjects import forked

SIZE, SMALL = 100, 2
ALONE = 10.0  # seconds that the workers may outlive their sweep
LATEST = 6.0  # seconds until a kill: workers take some to start
PATIENCE = 120.0  # seconds for the first rows
MOST_LEFT = 1_000_000  # bytes that may be left of what was not finished
NAME = "attacked"


def attack(seed: int, size: int, place: Path) -> list[str]:
    """Start the sweep, kill its first process alone, and look; see the module."""
    rng, faults = random.Random(seed), []
    block = Block("pocket", ("digits",), sizes=(50,), approaches=("lora",), seeds=200,
                  rates=(0.003,))  # fmt: skip
    grids.SWEEPS[NAME] = Sweep(NAME, "an attack", (block,))
    run = partial(pretend, start=time.time_ns())
    for strike in range(size):
        path = place / f"runs-{strike}.csv"
        child = forked(partial(_sweep, path, run))
        if strike % 4 == 1:  # while its workers start
            time.sleep(rng.uniform(0.5, LATEST))
        elif not _has_rows(path):
            faults.append(f"kill {strike}: no row within {PATIENCE:g} s, so it tells nothing")
        else:
            time.sleep(rng.uniform(0, 1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        ended = _size(path)
        faults += [f"kill {strike}: {fault}" for fault in _look(child, path, ended)]
    del grids.SWEEPS[NAME]
    upkeep.tidy()  # as the next run does
    left = sum(map(upkeep.size_of, upkeep.partial_paths(place / "cache")))
    if left > MOST_LEFT:
        faults.append(f"{left:,} bytes are left of what was not finished")
    return faults


def _sweep(path: Path, run: Run) -> None:
    """In a session of its own, by which its processes are found, and without a bar."""
    os.setsid()
    with Path(os.devnull).open("w", encoding="utf-8") as quiet:
        os.dup2(quiet.fileno(), 2)
        sweeps.run_sweep(NAME, 2, path=path, run=run)


def _look(session: int, path: Path, ended: int) -> list[str]:
    """Wait until nothing of the session lives; say what does after ten seconds, and what wrote."""
    until = time.monotonic() + ALONE
    while (alive := members(session)) and time.monotonic() < until:
        time.sleep(0.1)
    faults = [f"{len(alive)} processes live on after {ALONE:g} s"] if alive else []
    for process in alive:
        process.kill()
    if _size(path) != ended:
        faults.append("a row was written after the sweep's end")
    return faults


def _has_rows(path: Path) -> bool:
    """Wait for rows: only then runs are in flight."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if path.exists() and path.read_bytes().count(b"\n") > 2:
            return True
        time.sleep(0.05)
    return False


def members(session: int) -> list[psutil.Process]:
    """Processes of a session that are no corpses."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def pretend(config: RunConfig, start: int) -> dict[str, Any]:
    """A row without a training; features of new pictures are computed and kept, as a run does."""
    config = config.resolved()
    rng = np.random.default_rng([start, config.seed])
    pictures = rng.integers(0, 256, (256, 28, 28, 1), dtype=np.uint8)
    extract_features(load_backbone("pocket", pretrained=False, seed=0), pictures)
    told = {"precision": "float32", "modality": "image", "origin": "full"}
    time.sleep(0.5)  # so that a kill comes in the middle
    row = dict.fromkeys((column.name for column in COLUMNS), 1)
    row |= asdict(config) | environment(pick_device("cpu")) | told
    return {name: value for name, value in row.items() if name != "run_id"}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
