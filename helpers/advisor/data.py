"""What the advisor works on: somebody's labelled examples, and what a look at them found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = ("train", "validation", "test")
SEVERITIES = ("refused", "warning", "note", "passed")  # worst first
BALANCE = "class balance"  # the check that advises to compare by macro F1
_ALONE = {"groups": 0, "series": 0, "copies": 0, "sets": 0, "source": ""}
MOST_EXAMPLES = 20  # of a finding: enough to see a pattern, few enough to look at


@dataclass(frozen=True)
class Finding:
    """What one pre-flight check found, and what to do about it.

    check: a short fixed name, such as "duplicates across splits".
    severity: "refused" (no answer can be trusted), "warning", "note" or "passed".
    found: one sentence with the numbers.
    examples: files, or rows of a table, that show it; at most twenty.
    mend: one sentence, empty where nothing is to be done.
    figures: the numbers by name, where programs may ask for them.
    """

    check: str
    severity: str
    found: str
    examples: tuple[str, ...] = ()
    mend: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


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
    together: int64 (N,), equal where examples stay on one side of every split and fold; None is
        read as: each stands alone. together_by: how many "groups", "series" and "copies" that rests
        on, the "source" of the first two, and how many "sets" they make.
    drawn: the splits that were drawn here.
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
    together: np.ndarray | None = field(default=None, repr=False)
    together_by: Mapping[str, Any] = field(default_factory=lambda: dict(_ALONE), repr=False)
    drawn: tuple[str, ...] = ()
    columns: Mapping[str, Any] | None = field(default=None, repr=False)
    scale: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.together is None:
            object.__setattr__(self, "together", np.arange(len(self.labels)))

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
            together=self.together[rows],
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
        return f"{self.place(row)}: {start}"

    def place(self, row: int) -> str:
        """Return the file of an example below the root, or its place in a table."""
        if self.modality == "image":
            return self.name(row)
        return f"row {row + 1}" if self.where is None else self.where[row]

    def names(self, rows: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """Return the names of the first of these rows, as many as a finding shows."""
        return tuple(self.name(int(row)) for row in rows[:MOST_EXAMPLES])


def listing(names: Sequence[str], most: int = 5) -> str:
    """Return "a, b, c and 4 more"."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def lasting(seconds: float) -> str:
    """Return a predicted time with about two digits: "0.4 s", "12 min" or "3.5 hours"."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1g} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.{int(minutes < 600)}f} hours"


def counted(n: int, singular: str, plural: str = "") -> str:
    """Return "1 file" or "1,200 files"."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"
