"""What a worker of a cluster does for a race; every function here runs in the worker's process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from helpers.advisor.data import OwnData
from helpers.advisor.model_folder import model_files
from helpers.advisor.race.runs import RaceFile, RaceRun, execute
from helpers.advisor.task import OwnTask, make_own_task
from helpers.backbones import Backbone, load_backbone
from helpers.errors import UserError
from helpers.experiments.workers import limited_threads

# One run at a time in a process: seeds and thread numbers are the process's, and runs share them.
_turn = threading.Lock()
_held: dict[tuple[str, str, int], tuple[OwnTask, Backbone]] = {}

_ARRAYS = ("labels", "splits", "groups", "rows", "together")
_SENT = ("root", "modality", "items", "listed", "classes", "together_by", *_ARRAYS)


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
    classes, root = tuple(held["classes"]), Path(held["root"])
    return OwnData(**held | {"classes": classes, "root": root}), shape


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
    deadline = time.monotonic() + seconds
    threads, wanted = _place()
    with _turn, limited_threads(threads):
        own, network = _seen(name, backbone, image_size, data)
        race, run = RaceFile(own, backbone, image_size), RaceRun(**job)
        row = execute(run, race, network, deadline, wanted)
        return row, model_files(race.model_folder(run)) if race.has_model(run) else {}


def _seen(name: str, backbone: str, image_size: int, data: str) -> tuple[OwnTask, Backbone]:
    """The data and the network as this process has them; those of the last race are kept."""
    key = (name, backbone, image_size)
    if key not in _held:
        found, shape = from_text(data)
        own = make_own_task(found, *shape)
        if own.name != name:
            raise UserError(
                f"it sees other files in {found.root} than the machine that asks; share that "
                "folder with it, at the same path"
            )
        network = load_backbone(backbone, size=image_size)
        _held.clear()
        _held[key] = own, network
    return _held[key]


def _place() -> tuple[int, Callable[[], bool]]:
    """How many threads this worker has, and whether the task at hand is still wanted."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state not in ("cancelled", "released", "forgotten")

    return worker.state.nthreads, wanted
