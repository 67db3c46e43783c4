"""What checks are given, worked out once and only where one asks for it, and how one is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from helpers.advisor.checks.copies import find_copies
from helpers.advisor.checks.pictures import THUMBNAIL, read_headers, thumbnails
from helpers.advisor.data import Copies, Finding, OwnData


@dataclass
class Context:
    """The data and what can be seen of it.

    features: float32 (N, F) of a frozen backbone in the order of the data, or None.
    side, channels: the backbone's input, None and 3 where none is chosen yet. decoded: side and
        channels that pictures are decoded at (`picture_shape`).
    cut, letters: see `cut_off` and `letters_a_piece`; None: not known.
    """

    data: OwnData
    features: np.ndarray | None = None
    side: int | None = None
    channels: int = 3
    decoded: tuple[int | None, int] = (THUMBNAIL, 1)
    cut: np.ndarray | None = None
    letters: np.ndarray | None = None

    @property
    def splits(self) -> np.ndarray | None:
        """The split of each example, or None where there are none."""
        return self.data.splits if self.data.has_splits else None

    @property
    def test(self) -> np.ndarray | None:
        """Rows of the test, or None where there is none."""
        rows = np.flatnonzero(self.data.splits == "test")
        return rows if len(rows) else None

    @cached_property
    def thumbnails(self) -> np.ndarray:
        """Small grey pictures, uint8 (N, 32, 32)."""
        return thumbnails(self.data, *self.decoded)

    @cached_property
    def copies(self) -> Copies:
        """The sets of copies."""
        return find_copies(self.data, *self.decoded)

    @cached_property
    def headers(self) -> pd.DataFrame:
        """What the headers of pictures say, see `read_headers`."""
        return read_headers(self.data)


@dataclass(frozen=True)
class Check:
    """One entry of the registry.

    run: returns what it found, nothing where all is well, None where the data gives it nothing to
        look at.
    passed: the sentence for "all is well". needs: the field of the context without which there is
        nothing to look at.
    """

    name: str
    run: Callable[[Context], Iterable[Finding] | None]
    passed: str
    modalities: tuple[str, ...] = ("image", "text")
    needs: str = "data"

    def fits(self, context: Context) -> bool:
        """Whether the data and what is known of it give it something to look at."""
        known = getattr(context, self.needs) is not None
        return known and context.data.modality in self.modalities
