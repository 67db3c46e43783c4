"""Own data as a task: decoded once, named by its content, found by the loop, caches and workers."""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from helpers.advisor.data import SPLITS, OwnData
from helpers.errors import UserError
from helpers.paths import cache_dir
from helpers.tasks import TASKS, Source, Split, Task, TaskInfo, register_task
from helpers.tasks.images import SkippedImage, array_memmap, image_memmap
from helpers.tasks.splits import SPLIT_SEED, stratified_order
from helpers.training.subset_features import Pool

LOOKED_AT = 64  # pictures whose headers tell size and colour
GREY = {"1", "L", "I", "F", "LA", "I;16", "I;16B", "I;16L"}


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

    side, channels: what pictures are decoded to (`shape_of`), None for texts.
    Raises UserError where a split, or a training class, is empty.
    """
    place, images, skipped = _readable(data, side, channels)
    parts, rows = {}, {}
    for name in SPLITS:
        own = np.flatnonzero((data.splits == name) & (place >= 0))
        if not len(own):
            raise UserError(f"{data.root}: there is no {name} example; give that split some")
        own = own[stratified_order(data.labels[own], SPLIT_SEED)]
        rows[name] = own
        if images is None:
            inputs = [str(data.items[row]) for row in own]
        else:
            inputs = _in_order(images, place[own], name)
        parts[name] = Split(inputs, data.labels[own])
    _check_classes(data, parts["train"])
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


@dataclass(frozen=True)
class Folds:
    """Ways to cut the pool (training, then validation examples) into parts to train and to judge.

    Fold 0 is the task's own split. Folds 1 to `count` judge each example of the pool once, the
    next `count` do so again with another draw. groups: (pool,), examples kept on one side, or None.
    """

    labels: np.ndarray = field(repr=False)
    n_train: int
    groups: np.ndarray | None = field(default=None, repr=False)
    seed: int = 0
    _cuts: dict[int, list] = field(default_factory=dict, init=False, repr=False, compare=False)
    _parts: dict[tuple[int, int], tuple] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def count(self) -> int:
        """Folds that judge everything once; the judged part is as large as the own validation."""
        share = len(self.labels) / max(1, len(self.labels) - self.n_train)
        return int(np.clip(round(share), 2, 10))

    def rows(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the pool to train on and to judge by, int64 each."""
        everything = np.arange(len(self.labels))
        if fold == 0:
            return everything[: self.n_train], everything[self.n_train :]
        number, place = divmod(fold - 1, self.count)
        if number not in self._cuts:
            kind = StratifiedKFold if self.groups is None else StratifiedGroupKFold
            draw = kind(self.count, shuffle=True, random_state=self.seed + number)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # a class smaller than the folds
                cuts = draw.split(self.labels, self.labels, self.groups)
                self._cuts[number] = list(cuts)
        return self._cuts[number][place]

    def part(self, fold: int, n_train: int) -> tuple[np.ndarray, np.ndarray]:
        """`rows`, with at most n_train to train on; a smaller part is contained in a larger one."""
        if (fold, n_train) not in self._parts:
            train, judged = self.rows(fold)
            if n_train < len(train):
                keep = stratified_order(self.labels[train], SPLIT_SEED)[:n_train]
                train = train[np.sort(keep)]
            self._parts[fold, n_train] = train, judged
        return self._parts[fold, n_train]

    def lacking(self, fold: int, n_train: int, had: Iterable[tuple[int, int]]) -> int:
        """How many examples of a part are in none of the parts that were `had`: (fold, n_train)."""
        new = np.zeros(len(self.labels), dtype=bool)
        new[np.concatenate(self.part(fold, n_train))] = True
        for other in had:
            new[np.concatenate(self.part(*other))] = False
        return int(new.sum())


def folds_of(own: OwnTask, seed: int = 0) -> Folds:
    """The folds of a task's pool."""
    task, groups = own.task, own.data.groups
    labels = np.concatenate([task.train.labels, task.validation.labels])
    return Folds(labels, len(task.train), None if groups is None else groups[own.pool], seed)


def part_of(task: Task, folds: Folds, fold: int, n_train: int, pool: Pool | None = None) -> Task:
    """A task to choose by: at most n_train examples to train on, and a fold to judge by.

    The test split is not in it; an example of the validation split stands there.
    pool: the task's training and validation examples (`OwnTask.examples`), made where None.
    """
    pool = pool or Pool(task.train, task.validation)
    train, validation = (pool.part(rows) for rows in folds.part(fold, n_train))
    return replace(task, train=train, validation=validation, test=validation.take(slice(1)))


def joined(first: Split, second: Split) -> Split:
    """Two splits as one, first then second; pictures are copied."""
    labels = np.concatenate([first.labels, second.labels])
    if isinstance(first.inputs, list):
        return Split([*first.inputs, *second.inputs], labels)
    return Split(np.concatenate([first.inputs, second.inputs]), labels)


def _readable(
    data: OwnData, side: int | None, channels: int
) -> tuple[np.ndarray, np.ndarray | None, tuple[tuple[str, str], ...]]:
    """Where each example lies among the decoded pictures (-1: unreadable), these, what is skipped.

    Everything that was listed is decoded, so that the checks and the task share one cache entry.
    """
    if side is None:
        return np.arange(len(data)), None, ()
    listed = data.items if data.listed is None else data.listed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is skipped is told among the findings
        array = image_memmap([Path(item) for item in listed], side, channels, progress=True)
    where = np.full(len(listed), -1, dtype=np.int64)
    where[array.kept] = np.arange(len(array.kept))
    rows = np.arange(len(data)) if data.rows is None else data.rows
    return where[rows], array.images, array.skipped


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


def shape_of(data: OwnData, image_size: int) -> tuple[int | None, int]:
    """(side, channels) to decode to: small pictures as they are, grey ones grey; None for texts.

    image_size: side in pixels that the backbone reads; smaller pictures are enlarged only when
    they are read, so that fifty thousand of them stay small in the cache.
    """
    if data.modality == "text":
        return None, 0
    places = np.unique(np.linspace(0, len(data) - 1, LOOKED_AT).astype(int))
    sides, grey = [], True
    for place in places:
        try:
            with Image.open(data.items[place]) as image:
                sides.append(min(image.size))
                grey &= image.mode in GREY
        except Exception:  # damaged ones are counted when all are read
            continue
    side = int(np.median(sides)) if sides else image_size
    return max(8, min(image_size, side)), 1 if sides and grey else 3


def _check_classes(data: OwnData, train: Split) -> None:
    counts = np.bincount(train.labels, minlength=len(data.classes))
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
