"""What the advisor works on: somebody's labelled examples, and what a look at them found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

SPLITS = ("train", "validation", "test")
SEVERITIES = ("refused", "warning", "note", "passed")  # worst first


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
class OwnData:
    """Labelled examples of one classification task, as found on disk; nothing is decoded yet.

    root: the folder or table they came from.
    modality: "image" or "text".
    items: N picture files, or N texts.
    labels: int64 (N,), indices into `classes`.
    splits: str (N,), one of SPLITS each, or "" throughout where the data brings no split.
    groups: str (N,) that says which examples belong together (one product, one patient), or None.
    findings: what reading alone showed: files skipped, rows without a label, and so on.
    """

    root: Path
    modality: str
    items: Sequence[Path] | Sequence[str] = field(repr=False)
    labels: np.ndarray = field(repr=False)
    classes: tuple[str, ...]
    splits: np.ndarray = field(repr=False)
    groups: np.ndarray | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_splits(self) -> bool:
        """Whether the data says itself what is for training and what for testing."""
        return bool((self.splits != "").any())

    def take(self, rows: np.ndarray) -> OwnData:
        """Return some of the examples, with the classes as they are. rows: int64 (M,)."""
        return replace(
            self,
            items=[self.items[row] for row in rows],
            labels=self.labels[rows],
            splits=self.splits[rows],
            groups=None if self.groups is None else self.groups[rows],
        )
