"""What a worker of a cluster does for a race; every function here runs in the worker's process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from helpers.advisor import model_folder
from helpers.advisor.data import OwnData
from helpers.advisor.race.runs import RaceFile, RaceRun, execute
from helpers.advisor.task import OwnTask, make_own_task, own_folder
from helpers.backbones import Backbone, load_backbone
from helpers.errors import UserError
from helpers.experiments.workers import limited_threads

# One run at a time in a process: seeds and thread numbers are the process's, and runs share them.
_turn = threading.Lock()
_held: dict[tuple[str, str, int], tuple[OwnTask, Backbone]] = {}

_ARRAYS = ("labels", "splits", "groups", "rows", "together")


def as_text(own: OwnTask) -> str:
    """What a worker needs of the data, as JSON; relative paths mean nothing in its folder."""
    data = own.data
    picture = data.modality == "image"

    def plain(items: Sequence[Any] | None) -> list[str] | None:
        return items and [str(Path(item).absolute()) if picture else item for item in items]

    arrays = {name: getattr(data, name) for name in _ARRAYS}
    return json.dumps(
        {
            "root": str(data.root.absolute()),
            "modality": data.modality,
            "items": plain(data.items),
            "listed": plain(data.listed) if picture else None,
            "classes": list(data.classes),
            "together_by": dict(data.together_by),
            "shape": [*own.task.train.inputs.shape[2:]] if picture else [None, 0],
            **{name: None if a is None else a.tolist() for name, a in arrays.items()},
        }
    )


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
) -> dict[str, Any]:
    """`execute` here, on as many threads as this worker has, for at most so many seconds.

    name, data: see `look_around`, and for UserError. Raises OutOfTime, too when nobody wants it any
    more.
    """
    deadline = time.monotonic() + seconds
    threads, wanted = _place()
    with _turn, limited_threads(threads):
        own, network = _seen(name, backbone, image_size, data)
        return execute(
            RaceRun(**job), RaceFile(own, backbone, image_size), network, deadline, wanted
        )


def model_files(name: str, run_id: str) -> dict[str, bytes]:
    """The files of a kept model, the recipe last: it makes a folder whole."""
    return model_folder.model_files(own_folder(name) / "models" / run_id)


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
