"""What the advisor works on: somebody's labelled examples, and what a look at them found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = ("train", "validation", "test")
SEVERITIES = ("refused", "warning", "note", "passed")  # worst first
_LARGEST_SERIES = 0.2  # of all pictures in one series: more is how a camera names everything
_COVERED = 0.8  # of the pictures stand in a series of two or more
_PER_CLASS = 5  # series that each class needs, so that whole series can be held out
_DENSE = 20  # how many times as far as its length a series may count
MOST_EXAMPLES = 20  # of a finding: enough to see a pattern, few enough to look at


@dataclass(frozen=True)
class Finding:
    """What one pre-flight check found, and what to do about it.

    check: a short fixed name, such as "duplicates across splits".
    severity: "refused" (no answer can be trusted), "warning", "note" or "passed".
    found: one sentence with the numbers.
    examples: files, or rows of a table, that show it; at most twenty.
    mend: one sentence, empty where nothing is to be done.
    """

    check: str
    severity: str
    found: str
    examples: tuple[str, ...] = ()
    mend: str = ""


@dataclass(frozen=True)
class Copies:
    """Which examples are copies of each other: N numbers, equal within a set.

    exact: int64 (N,), files or texts that are equal. near: int64 (N,), those that show or say
    nearly the same too.
    """

    exact: np.ndarray
    near: np.ndarray


@dataclass(frozen=True)
class OwnData:
    """Labelled examples of one classification task, as found on disk; nothing is decoded yet.

    root: the folder or table they came from.
    modality: "image" or "text".
    items: N picture files, or N texts.
    labels: int64 (N,), indices into `classes`.
    splits: str (N,), one of SPLITS each, or "" throughout where the data brings no split.
    groups: str (N,) that says which examples belong together (one product, one patient), or None.
    findings: what reading alone showed: files skipped, rows without a label, and so on.
    where: N places in a table ("line 17"), or files that hold a text each; None where files name
        themselves.
    listed: every picture file that was listed, those that cannot be read too, or None: `items`.
        The cache of decoded pictures is keyed by this list.
    rows: int64 (N,), which of `listed` the items are, or None: all of them.
    copies: the sets of copies, or None where nobody has looked for them.
    columns: which column of a table was taken as "text" or "image", "label", "group" and "split"
        (None where none was), and the "ignored" ones; None: no table.
    scale: the values that are brought to 0 and 255 in pictures of more than 8 bits, one scale for
        all of them; None: there are none.
    """

    root: Path
    modality: str
    items: Sequence[Path] | Sequence[str] = field(repr=False)
    labels: np.ndarray = field(repr=False)
    classes: tuple[str, ...]
    splits: np.ndarray = field(repr=False)
    groups: np.ndarray | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = field(default=(), repr=False)
    where: Sequence[str] | None = field(default=None, repr=False)
    listed: Sequence[Path] | None = field(default=None, repr=False)
    rows: np.ndarray | None = field(default=None, repr=False)
    copies: Copies | None = field(default=None, repr=False)
    columns: Mapping[str, Any] | None = field(default=None, repr=False)
    scale: tuple[float, float] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_splits(self) -> bool:
        """Whether the data says itself what is for training and what for testing."""
        return bool((self.splits != "").any())

    def take(self, rows: np.ndarray) -> OwnData:
        """Return some of the examples, with the classes as they are. rows: int64 (M,)."""
        copies = self.copies
        before = np.arange(len(self)) if self.rows is None else self.rows
        return replace(
            self,
            items=[self.items[row] for row in rows],
            labels=self.labels[rows],
            splits=self.splits[rows],
            groups=None if self.groups is None else self.groups[rows],
            where=None if self.where is None else [self.where[row] for row in rows],
            listed=self.items if self.listed is None else self.listed,
            rows=before[rows],
            copies=copies and Copies(copies.exact[rows], copies.near[rows]),
        )

    def found(self, *findings: Finding) -> OwnData:
        """Return the same examples with further findings."""
        return replace(self, findings=(*self.findings, *findings))

    def name(self, row: int) -> str:
        """Return what a reader finds one example by: its file below the root, or its line."""
        if self.modality == "image":
            base = self.root if self.root.is_dir() else self.root.parent
            file = Path(self.items[row])
            if file.is_relative_to(base):
                return file.relative_to(base).as_posix()
            return f"{self.where[row]}: {file}" if self.where else str(file)
        words = " ".join(str(self.items[row]).split())
        start = words if len(words) <= 60 else words[:59] + "…"
        place = f"row {row + 1}" if self.where is None else self.where[row]
        return f"{place}: {start}"

    def names(self, rows: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """Return the names of the first of these rows, as many as a finding shows."""
        return tuple(self.name(int(row)) for row in rows[:MOST_EXAMPLES])


def find_series(data: OwnData) -> np.ndarray | None:
    """Name the series of each picture by its file name without its last number, str (N,).

    None where names tell no series: most stand alone, one holds a large share, a class has fewer
    than five, or the numbers do not count up.
    """
    if data.modality != "image" or len(data) < 2:
        return None
    named = [_name(data, row) for row in range(len(data))]
    keys = np.array([key for key, _ in named])
    numbers = np.array([number for _, number in named], dtype=np.float64)
    _, codes, counts = np.unique(keys, return_inverse=True, return_counts=True)
    covered = counts[counts > 1].sum()
    if counts.max() > _LARGEST_SERIES * len(data) or covered < _COVERED * len(data):
        return None
    pairs = np.unique(np.stack([data.labels, codes], axis=1), axis=0)
    if np.bincount(pairs[:, 0], minlength=len(data.classes)).min() < _PER_CLASS:
        return None
    order = np.lexsort((numbers, codes))
    starts = np.cumsum(counts) - counts
    ends = starts + counts - 1
    span = numbers[order[ends]] - numbers[order[starts]]
    dense = span <= _DENSE * counts
    return keys if dense.mean() > _COVERED else None


def _name(data: OwnData, row: int) -> tuple[str, float]:
    """The name without its last number, and the number; folders of class and split left out."""
    *folders, last = data.name(row).split("/")
    stem = last.rpartition(".")[0] or last
    counting = re.match(r"(.*?)(\d{1,9})(\D*)$", stem)
    if not counting:
        return data.name(row), 0.0
    left_out = {data.classes[data.labels[row]].lower(), *SPLITS, str(data.splits[row])}
    above = [folder for folder in folders if folder.lower() not in left_out]
    return "/".join([*above, counting[1]]), float(counting[2])


def listing(names: Sequence[str], most: int = 5) -> str:
    """Return "a, b, c and 4 more"."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def counted(n: int, singular: str, plural: str = "") -> str:
    """Return "1 file" or "1,200 files"."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"
