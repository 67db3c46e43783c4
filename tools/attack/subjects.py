"""What attacks work on: small pictures of two classes, and models of our own trained on them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.advisor.checks.copies import find_copies
from helpers.advisor.checks.pictures import readable
from helpers.advisor.race.runs import RaceFile, RaceRun, execute
from helpers.advisor.read.any_format import read_data
from helpers.advisor.splits import draw_splits
from helpers.advisor.task import OwnTask, make_own_task
from helpers.experiments.processes import end_with

SIDE = 28
PER_CLASS = 40


def pictures(folder: Path, seed: int, classes: tuple[str, str] = ("dark", "light")) -> Path:
    """Class folders of noise that one class has brighter; returns the folder."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(PER_CLASS):
            noise = rng.integers(0, 150, (SIDE, SIDE)) + 60 * label
            Image.fromarray(noise.astype("uint8")).save(folder / name / f"{number:03}.png")
    return folder


def own_task(folder: Path) -> OwnTask:
    """Such pictures as a task, as `advise` makes one of them."""
    data = readable(read_data(folder), SIDE, 1)
    data = draw_splits(data, find_copies(data, SIDE, 1), 0)
    return make_own_task(data, SIDE, 1)


def trained(own: OwnTask, approach: str, seed: int) -> Path:
    """The folder of the cache that keeps a model trained on a task."""
    race = RaceFile(own, "pocket", SIDE)
    job = RaceRun(approach, len(own.task.train), 0, 1e-3, 1, seed)
    race.append(execute(job, race))
    return race.model_folder(job)


def forked(work: Callable[[], object]) -> int:
    """Start some work in a copy of this process, which ends with it; returns its id."""
    parent, child = os.getpid(), os.fork()
    if child:
        return child
    try:
        end_with(parent)
        work()
    finally:
        os._exit(1)
