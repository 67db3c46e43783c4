"""Copies: files that are equal, pictures that show and texts that say nearly the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.advisor.checks.near_duplicates import alike
from helpers.advisor.checks.pictures import thumbnails
from helpers.advisor.data import Copies, OwnData
from helpers.advisor.task import Form, key_of, remembered
from helpers.storage.seals import digests
from helpers.tasks.splits import connected, joined, near_duplicate_groups
from helpers.tasks.words import spaced, without_marks

_KEPT = Form(
    read=lambda held: Copies(*(np.array(held[name], dtype=np.int64) for name in ("exact", "near"))),
    write=lambda found: {"exact": found.exact.tolist(), "near": found.near.tolist()},
)
FLAT = 2.0  # grey levels: below this deviation a picture shows nothing to compare
_WORDS = 4_000_000  # of all texts together: what their phrases may take of memory
_LINK = re.compile(r"https?://\S+")
_LETTERS = re.compile(r"[^\W\d_]+")


def find_copies(data: OwnData, side: int | None, channels: int) -> Copies:
    """Number the sets of equal and of nearly equal examples; what was found once is kept on disk.

    side, channels: see `readable`.
    """
    if data.copies is not None:
        return data.copies

    def find() -> Copies:
        if data.modality == "text":
            return _text_copies(data.items)
        exact = equal_files(data.items)
        pairs = near_pairs(thumbnails(data, side, channels))
        return Copies(exact, joined([exact, connected(len(data), pairs)]))

    content = digests(data.items) if data.modality == "image" else list(data.items)
    return remembered("copies", key_of(data.modality, 6, content), _KEPT, find)


def _text_copies(texts: Sequence[str]) -> Copies:
    plain = [" ".join(text.lower().split()) for text in texts]
    exact = pd.factorize(np.array(plain, dtype=object))[0]
    said = _beginnings([" ".join(words_of(text)) for text in plain])
    return Copies(exact, joined([exact, near_duplicate_groups(said, words=str.split)]))


def words_of(text: str) -> list[str]:
    """The words of a text in any script, without links, case, figures and signs."""
    text = unicodedata.normalize("NFKC", _LINK.sub("", text).casefold())
    return _LETTERS.findall(spaced(without_marks(text)))


def equal_files(files: Sequence[Path]) -> np.ndarray:
    """Number the sets of files that are equal byte for byte, int64 (N,)."""
    return pd.factorize(np.array(digests(files), dtype=object))[0]


def near_pairs(thumbnails: np.ndarray) -> np.ndarray:
    """Return the pairs of pictures that show the same, int64 (M, 2), from uint8 (N, 32, 32)."""
    seen = np.flatnonzero([thumbnail.std() >= FLAT for thumbnail in thumbnails])
    return seen[alike(thumbnails[seen])]


def _beginnings(texts: Sequence[str]) -> list[str]:
    """Cut the longest texts so that all of them together keep to so many words."""
    lengths = np.array([text.count(" ") + 1 for text in texts])
    most = int(lengths.max(initial=1))
    while most > 20 and np.minimum(lengths, most).sum() > _WORDS:
        most = max(20, most * 4 // 5)
    return [" ".join(text.split(" ", most)[:most]) for text in texts]
