"""Own data as a task: decoded once, named by its content, found by the loop, caches and workers."""

from __future__ import annotations

import functools
import hashlib
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from helpers.advisor.data import SPLITS, OwnData, counted, listing
from helpers.errors import UserError
from helpers.paths import cache_dir
from helpers.runtime import release_pages
from helpers.storage.files import write_kept
from helpers.storage.seals import Damaged, sealed, unsealed
from helpers.tasks import TASKS, Source, Split, Task, TaskInfo, register_task
from helpers.tasks.images import ImageArray, array_memmap, image_memmap
from helpers.tasks.splits import SPLIT_SEED, stratified_order
from helpers.training.subset_features import Gathered, Pool

Result = TypeVar("Result")


@dataclass(frozen=True)
class OwnTask:
    """Own data, decoded and split.

    name: "own-" and a hash of inputs, labels, splits and classes: the same data has the same name
        wherever its files lie. rows: for each split the rows of `data` that it holds, in order.
    """

    data: OwnData
    task: Task
    name: str
    rows: dict[str, np.ndarray] = field(repr=False)

    @property
    def pool(self) -> np.ndarray:
        """Rows that may be learned and chosen from: training, then validation."""
        return np.concatenate([self.rows["train"], self.rows["validation"]])

    @functools.cached_property
    def examples(self) -> Pool:
        """These examples; parts that are cut from it share what frozen stages return."""
        return Pool(self.task.train, self.task.validation)


def make_own_task(data: OwnData, side: int | None, channels: int = 3) -> OwnTask:
    """Decode the examples of data that has splits, and register them as a task.

    side, channels: what pictures are decoded to (`picture_shape`), None for texts.
    Raises UserError where a split, or a training class, is empty, or a picture cannot be read.
    """
    rows = {name: np.flatnonzero(data.splits == name) for name in SPLITS}
    _check_rows(data, rows)
    for name in SPLITS:
        rows[name] = rows[name][stratified_order(data.labels[rows[name]], SPLIT_SEED)]
    if side is None:
        inputs = {name: [str(data.items[row]) for row in rows[name]] for name in SPLITS}
    else:
        inputs = _pictures(data, rows, side, channels)
    parts = {name: Split(inputs[name], data.labels[rows[name]]) for name in SPLITS}
    name = f"own-{_content(data, parts, rows)}"
    facts = {
        "name": name,
        "modality": data.modality,
        "classes": data.classes,
        "licence": "your own",
        "provenance": str(data.root),
    }
    if name not in TASKS:
        register_task(TaskInfo(**facts, loader=lambda _size: Source(**parts), image_size=side))
    return OwnTask(data, Task(**facts, origin="full", **parts), name, rows)


def decoded(data: OwnData, side: int, channels: int) -> ImageArray:
    """The pictures of everything that was listed, decoded once, those apart that can't be read."""
    files = data.items if data.listed is None else data.listed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what cannot be read becomes a finding
        return image_memmap(files, side, channels, progress=True, one_scale=True)


def _pictures(
    data: OwnData, rows: dict[str, np.ndarray], side: int, channels: int
) -> dict[str, np.ndarray]:
    """The decoded pictures of each split, uint8 (n, side, side, channels), as memory maps.

    Each split has a memory map of its own: an index into the whole would copy it into memory.
    """
    array = decoded(data, side, channels)
    wanted = np.arange(len(data)) if data.rows is None else data.rows
    lost = np.setdiff1d(wanted, array.kept)
    if len(lost):
        gone = [data.name(int(row)) for row in np.searchsorted(wanted, lost)]
        raise UserError(
            f"{data.root}: {counted(len(gone), 'picture')} can no longer be read "
            f"({listing(gone)}); leave them out and ask again"
        )
    positions = np.searchsorted(array.kept, wanted)
    pictures = {}
    for name in SPLITS:
        place = positions[rows[name]]
        chosen = Gathered((array.images,), np.zeros_like(place), place)
        digest = hashlib.sha256(place.tobytes()).hexdigest()
        key = [Path(array.images.filename).stem, name, digest]
        pictures[name] = array_memmap(lambda chosen=chosen: chosen, side, key)
        release_pages(array.images)
    return pictures


def _check_rows(data: OwnData, rows: dict[str, np.ndarray]) -> None:
    for name in SPLITS:
        if not len(rows[name]):
            raise UserError(f"{data.root}: there is no {name} example; give that split some")
    counts = np.bincount(data.labels[rows["train"]], minlength=len(data.classes))
    if (counts == 0).any():
        empty = [repr(data.classes[c]) for c in np.flatnonzero(counts == 0)]
        raise UserError(
            f"{data.root}: no training example of {counted(len(empty), 'class', 'classes')} can be "
            f"read ({listing(empty)}); add some, or leave out what has none"
        )


def _content(data: OwnData, parts: dict[str, Split], rows: dict[str, np.ndarray]) -> str:
    """Hash of what a network is shown, read in pieces so that memory stays bounded.

    What stays together is in it: the folds that judge a model rest on it.
    """
    digest = hashlib.blake2b(repr(data.classes).encode("utf-8"), digest_size=6)
    for name, split in parts.items():
        digest.update(name.encode() + split.labels.tobytes())
        if data.together_by["sets"]:
            digest.update(data.together[rows[name]].tobytes())
        if isinstance(split.inputs, list):
            digest.update("\0".join(split.inputs).encode("utf-8", "replace"))
            continue
        digest.update(repr(split.inputs.shape).encode())
        for start in range(0, len(split), 256):
            digest.update(np.ascontiguousarray(split.inputs[start : start + 256]).data)
            release_pages(split.inputs)
    return digest.hexdigest()


def own_folder(name: str) -> Path:
    """The folder in the cache of what was worked out for one data set; made if needed."""
    folder = cache_dir() / "advisor" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Form(NamedTuple):
    """How the result of a stage is kept as JSON.

    read: makes a result of what JSON holds; ValueError, TypeError or KeyError where that is of an
        older version. write: gives what JSON is to hold, or None for a result that is to be worked
        out again the next time.
    """

    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


def key_of(stage: str, *known: object) -> str:
    """What the result of a stage depends on, as the name of its file; lists are read in pieces."""
    digest = hashlib.blake2b(digest_size=12)
    for part in known:
        for one in part if isinstance(part, list | tuple) else (part,):
            digest.update(repr(one).encode() + b"\0")
    return f"{stage}-{digest.hexdigest()}"


def remembered(name: str, key: str, form: Form, make: Callable[[], Result]) -> Result:
    """What `make` returns for a data set: worked out once, then read from its folder of the cache.

    name: of the task. key: see `key_of`; the file's name without its ending.
    """
    file = own_folder(name) / f"{key}.json"
    try:
        return form.read(unsealed(file.read_bytes()))
    except Damaged as error:
        print(f"{file} is damaged ({error}) and is worked out again", file=sys.stderr)
    except (OSError, ValueError, TypeError, KeyError):
        pass  # there is none, or it is of an older version
    result = make()
    if (content := form.write(result)) is not None:
        write_kept(file, sealed(content))
    return result
