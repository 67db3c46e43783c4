"""Own data as a task: decoded once, named by its content, found by the loop, caches and workers."""

from __future__ import annotations

import functools
import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from helpers.advisor.data import SPLITS, OwnData
from helpers.errors import UserError
from helpers.paths import cache_dir
from helpers.storage.files import write_whole
from helpers.tasks import TASKS, Source, Split, Task, TaskInfo, register_task
from helpers.tasks.images import SkippedImage, array_memmap, image_memmap
from helpers.tasks.splits import SPLIT_SEED, stratified_order
from helpers.training.subset_features import Pool

Result = TypeVar("Result")


@dataclass(frozen=True)
class OwnTask:
    """Own data, decoded and split.

    name: "own-" and a hash of inputs, labels, splits and classes: the same data has the same name
        wherever its files lie. rows: for each split the rows of `data` that it holds, in order.
    skipped: the pictures that could not be read.
    """

    data: OwnData
    task: Task
    name: str
    rows: dict[str, np.ndarray] = field(repr=False)
    skipped: tuple[SkippedImage, ...] = ()

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
    Raises UserError where a split, or a training class, is empty.
    """
    positions, images, skipped = _decoded(data, side, channels)
    rows = {name: np.flatnonzero((data.splits == name) & (positions >= 0)) for name in SPLITS}
    _check_rows(data, rows)
    parts = {}
    for name in SPLITS:
        rows[name] = rows[name][stratified_order(data.labels[rows[name]], SPLIT_SEED)]
        if images is None:
            inputs = [str(data.items[row]) for row in rows[name]]
        else:
            inputs = _in_order(images, positions[rows[name]], name)
        parts[name] = Split(inputs, data.labels[rows[name]])
    name = f"own-{_content(data, parts)}"
    facts = {
        "name": name,
        "modality": data.modality,
        "classes": data.classes,
        "licence": "your own",
        "provenance": str(data.root),
    }
    if name not in TASKS:
        register_task(_info(facts, Source(**parts), side, channels))
    return OwnTask(data, Task(**facts, origin="full", **parts), name, rows, skipped)


def joined(first: Split, second: Split) -> Split:
    """Two splits as one, first then second; pictures are copied."""
    labels = np.concatenate([first.labels, second.labels])
    if isinstance(first.inputs, list):
        return Split([*first.inputs, *second.inputs], labels)
    return Split(np.concatenate([first.inputs, second.inputs]), labels)


def _decoded(
    data: OwnData, side: int | None, channels: int
) -> tuple[np.ndarray, np.ndarray | None, tuple[tuple[str, str], ...]]:
    """Position of each example among the decoded pictures (-1: unreadable), these, the skipped.

    Everything that was listed is decoded, so that the checks and the task share one cache entry.
    """
    if side is None:
        return np.arange(len(data)), None, ()
    listed = data.items if data.listed is None else data.listed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is skipped is told among the findings
        array = image_memmap([Path(item) for item in listed], side, channels, progress=True)
    positions = np.full(len(listed), -1, dtype=np.int64)
    positions[array.kept] = np.arange(len(array.kept))
    rows = np.arange(len(data)) if data.rows is None else data.rows
    return positions[rows], array.images, array.skipped


@dataclass(frozen=True)
class _Reordered:
    """Rows of an array in another order, read a slice at a time."""

    images: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.images.shape[1:])

    def __getitem__(self, part: slice) -> np.ndarray:
        return np.asarray(self.images)[self.rows[part]]


def _in_order(images: np.ndarray, rows: np.ndarray, name: str) -> np.ndarray:
    """A memory map of its own for a split: an index into the whole would copy it into memory."""
    key = [Path(images.filename).stem, name, hashlib.sha256(rows.tobytes()).hexdigest()]
    return array_memmap(lambda: _Reordered(images, rows), images.shape[1], key)


def _check_rows(data: OwnData, rows: dict[str, np.ndarray]) -> None:
    for name in SPLITS:
        if not len(rows[name]):
            raise UserError(f"{data.root}: there is no {name} example; give that split some")
    counts = np.bincount(data.labels[rows["train"]], minlength=len(data.classes))
    if (counts == 0).any():
        gone = data.classes[int(np.argmin(counts))]
        raise UserError(
            f"{data.root}: class {gone!r} has no training example that can be read; add some or "
            "leave the class out"
        )


def _content(data: OwnData, parts: dict[str, Split]) -> str:
    """Hash of what a network is shown, read in pieces so that memory stays bounded."""
    digest = hashlib.blake2b(repr(data.classes).encode("utf-8"), digest_size=6)
    for name, split in parts.items():
        digest.update(name.encode() + split.labels.tobytes())
        if isinstance(split.inputs, list):
            digest.update("\0".join(split.inputs).encode("utf-8", "replace"))
            continue
        digest.update(repr(split.inputs.shape).encode())
        for start in range(0, len(split), 256):
            digest.update(np.ascontiguousarray(split.inputs[start : start + 256]).data)
    return digest.hexdigest()


def _info(facts: dict, source: Source, side: int | None, channels: int) -> TaskInfo:
    return TaskInfo(
        **facts,
        title=f"Which of {len(facts['classes'])} classes is it?",
        citation="",
        split="as the data says, or drawn here",
        loader=lambda _size: source,
        image_size=side,
        channels=channels,
    )


def own_folder(name: str) -> Path:
    """The folder in the cache of what was worked out for one data set; made if needed."""
    folder = cache_dir() / "advisor" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def remembered(
    name: str,
    key: str,
    make: Callable[[], Result],
    *,
    read: Callable[[Any], Result],
    write: Callable[[Result], Any],
) -> Result:
    """What `make` returns for a data set; worked out once and then kept as JSON in its folder.

    name: of the task. key: name of the file without its ending, with everything in it that the
        result depends on beside the data.
    read: makes a result of what JSON holds; where it raises ValueError, TypeError or KeyError (a
        file of an older version), the result is made anew.
    write: gives the JSON of a result, or None for one that is to be asked for again.
    """
    file = own_folder(name) / f"{key}.json"
    try:
        return read(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        result = make()
    content = write(result)
    if content is not None:
        text = json.dumps(content, indent=1, ensure_ascii=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text.encode("utf-8"))
    return result
