"""Parts of one set of examples, cut again and again, that share what frozen stages return.

A race cuts the same photos into folds and sizes. Each example goes through a frozen prefix once:
what a part needs and the feature cache lacks is computed when that part is asked for, and kept as
an entry of its own; so a small part of a large set costs a small part. What is held is found by the
content of each example, whoever computed it, such as the features of a whole split.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from helpers.backbones import Backbone
from helpers.runtime import Stopwatch, release_pages
from helpers.tasks import Split
from helpers.training import feature_cache
from helpers.training.examples import Arrays
from helpers.training.feature_cache import Prefix

CHUNK = 1_024  # examples of an entry: what is in memory at once, and lost when a run is stopped
BLOCK = 256  # pictures read at a time


class Pool:
    """Examples of several splits, one after another; nothing of them is copied.

    labels: int64 (N,). seconds: spent on prefixes of its examples so far, looking them up included.
    """

    def __init__(self, *splits: Split) -> None:
        self.splits = splits
        self.labels = np.concatenate([split.labels for split in splits])
        self.seconds = 0.0
        self._starts = np.cumsum([0, *map(len, splits)])
        self._marks: dict[tuple[str, int], np.ndarray] = {}

    def part(self, rows: np.ndarray) -> Part:
        """Some of the examples, rows int64 (n,), as a split."""
        return Part(self, rows)

    def gathered(self, rows: np.ndarray) -> Gathered:
        """Pictures of these rows as one array, read when something asks for some of them."""
        which = np.searchsorted(self._starts, rows, side="right") - 1
        arrays = tuple(np.asarray(split.inputs) for split in self.splits)
        return Gathered(arrays, which, rows - self._starts[which])

    def take(self, rows: np.ndarray) -> np.ndarray | list[str]:
        """Inputs of these rows: texts, or uint8 (n,H,W,C), a view where rows follow each other."""
        if isinstance(self.splits[0].inputs, list):
            texts = [text for split in self.splits for text in split.inputs]
            return [texts[row] for row in rows]
        pictures = self.gathered(rows)
        which, place = pictures.which, pictures.place
        if len(rows) and which[0] == which[-1] and (np.diff(rows) == 1).all():
            return self.splits[which[0]].inputs[place[0] : place[-1] + 1]
        taken = np.empty(pictures.shape, dtype=pictures.dtype)
        for some in _pieces(np.arange(len(rows)), BLOCK):
            taken[some] = pictures[some]
            self.release()
        return taken

    def release(self) -> None:
        """Let go of the pages that were read of its pictures."""
        for split in self.splits:
            release_pages(split.inputs)

    def marks(self, backbone: Backbone, rows: np.ndarray) -> np.ndarray:
        """Marks of these rows, S32 (n,), as a backbone reads them; each is worked out once."""
        key = (backbone.name, backbone.recipe.size)
        known = self._marks.setdefault(key, np.zeros(len(self.labels), dtype="S32"))
        new = rows[known[rows] == b""]
        # A tokenizer remembers whole lists of texts; pictures are read in pieces.
        size = len(new) if backbone.modality == "text" else BLOCK
        for some in _pieces(new, size):
            known[some] = feature_cache.marks(backbone.encode(self.take(some)))
        return known[rows]


class Part(Split):
    """Some examples of a pool; their inputs are read when something asks for them."""

    def __init__(self, pool: Pool, rows: np.ndarray) -> None:
        # Past the guard of a frozen dataclass.
        vars(self).update(pool=pool, rows=rows, labels=pool.labels[rows])

    @functools.cached_property
    def inputs(self) -> np.ndarray | list[str]:
        """As in `Split`."""
        return self.pool.take(self.rows)

    def take(self, rows: np.ndarray | slice) -> Part:
        """Return some of the examples."""
        return Part(self.pool, self.rows[rows])


@dataclass(frozen=True)
class Gathered:
    """Rows of several arrays as one array, read from the disk when a batch asks for them.

    which, place: int64 (N,): the array that a row lies in, and where in it.
    Where texts were padded to different lengths, shorter ones are filled up with zeros.
    """

    arrays: Arrays
    which: np.ndarray
    place: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        shapes = [array.shape[1:] for array in self.arrays]
        return (len(self), *map(max, *shapes, shapes[0]))

    @property
    def ndim(self) -> int:
        """As of an array."""
        return self.arrays[0].ndim

    @property
    def dtype(self) -> np.dtype:
        """As of an array."""
        return self.arrays[0].dtype

    def __len__(self) -> int:
        return len(self.which)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        which, place = self.which[rows], self.place[rows]
        found = np.zeros((len(which), *self.shape[1:]), dtype=self.dtype)
        for number in np.unique(which):
            own, array = which == number, self.arrays[number]
            box = tuple(slice(length) for length in array.shape[1:])
            found[(own, *box)] = array[place[own]]
        return found


def prefix(
    backbone: Backbone,
    split: Split,
    stop: int,
    *,
    augment: str = "",
    view: int = 0,
    device: str = "auto",
) -> Prefix:
    """`feature_cache.frozen_prefix` of a split's inputs; of a part, only what no other part has had
    computed.

    A part's seconds are those of this call: about none where everything was there. Augmented
    views are drawn for a whole array, so that parts do not share them.
    """
    if augment or not isinstance(split, Part):
        return feature_cache.frozen_prefix(
            backbone, split.inputs, stop, augment=augment, view=view, device=device
        )
    watch = Stopwatch()
    arrays = _shared(backbone, split, stop, device)
    seconds = watch.seconds
    split.pool.seconds += seconds
    return Prefix(arrays, seconds, watch.cpu_seconds)


def _shared(backbone: Backbone, part: Part, stop: int, device: str) -> Arrays:
    """Arrays of a part's prefix, the missing rows computed and kept."""
    wanted = part.pool.marks(backbone, part.rows)
    entries = feature_cache.held(backbone, stop, wanted)
    places = _places([marks for marks, _ in entries])
    unknown = {mark: row for mark, row in zip(wanted, part.rows, strict=True) if mark not in places}
    for some in _pieces(np.array(list(unknown.values()), dtype=np.int64), CHUNK):
        made = feature_cache.frozen_prefix(backbone, part.pool.take(some), stop, device=device)
        entries.append((part.pool.marks(backbone, some), made.arrays))
    places = _places([marks for marks, _ in entries])
    which, place = np.array([places[mark] for mark in wanted], dtype=np.int64).reshape(-1, 2).T
    parts = zip(*(arrays for _, arrays in entries), strict=True)
    gathered = [Gathered(arrays, which, place) for arrays in parts]
    # Features and masks are small, and batches are drawn by them.
    return tuple(one[:] if one.ndim <= 2 else one for one in gathered)


def _places(held: list[np.ndarray]) -> dict[bytes, tuple[int, int]]:
    """Mark → (entry, row in it), the first where several have it."""
    found: dict[bytes, tuple[int, int]] = {}
    for number, marks in enumerate(held):
        for row, mark in enumerate(marks):
            found.setdefault(mark, (number, row))
    return found


def _pieces(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Rows in pieces of at most `size`; none of no rows."""
    return [rows[start : start + size] for start in range(0, len(rows), max(1, size))]
