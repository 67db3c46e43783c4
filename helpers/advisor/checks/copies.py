"""Copies: files that are equal, and pictures or texts that say nearly the same.

Which pictures show the same, mirrored and cropped ones included,
`helpers.advisor.checks.near_duplicates` finds on small grey versions. Texts are compared by their
phrases.
"""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from helpers.advisor.checks.near_duplicates import alike
from helpers.advisor.checks.pictures import thumbnails
from helpers.advisor.data import Copies, OwnData
from helpers.paths import cache_dir
from helpers.storage.files import write_whole
from helpers.tasks.splits import connected, joined, near_duplicate_groups
from helpers.tasks.words import spaced

FLAT = 2.0  # grey levels: below this deviation a picture shows nothing to compare
_WORDS = 4_000_000  # of all texts together: what their phrases may take of memory
_LINK = re.compile(r"https?://\S+")
_LETTERS = re.compile(r"[^\W\d_]+")


def find_copies(
    data: OwnData, side: int | None = None, channels: int = 3, *, progress: bool = False
) -> Copies:
    """Number the sets of equal and of nearly equal examples; what was found once is kept on disk.

    side, channels: see `readable`.
    """
    if data.copies is not None:
        return data.copies
    file = cache_dir() / "advisor" / "copies" / f"{_stamp(data)}.npz"
    try:
        with np.load(file, allow_pickle=False) as held:
            return Copies(held["exact"], held["near"])
    except (OSError, ValueError, KeyError, EOFError):
        found = _text_copies(data.items) if data.modality == "text" else None
    if found is None:
        exact = equal_files(data.items)
        pairs = near_pairs(thumbnails(data, side, channels, progress=progress))
        found = Copies(exact, joined([exact, connected(len(data), pairs)]))
    held = io.BytesIO()
    np.savez_compressed(held, exact=found.exact, near=found.near)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, held.getvalue())
    return found


def _text_copies(texts: Sequence[str]) -> Copies:
    plain = [" ".join(text.lower().split()) for text in texts]
    exact = np.unique(np.array(plain, dtype=object), return_inverse=True)[1]
    said = _beginnings([" ".join(words_of(text)) for text in plain])
    return Copies(exact, joined([exact, near_duplicate_groups(said, words=str.split)]))


def words_of(text: str) -> list[str]:
    """The words of a text in any script, without links, case, figures and signs."""
    text = unicodedata.normalize("NFKC", _LINK.sub("", text).casefold())
    return _LETTERS.findall(spaced(text))


def _stamp(data: OwnData) -> str:
    """Names, sizes and times of files, or the texts."""
    stamp = hashlib.blake2b(b"copies 3 ", digest_size=12)
    for item in data.items:
        if data.modality == "image":
            status = item.stat()
            item = f"{item} {status.st_size} {status.st_mtime_ns}"
        stamp.update(item.encode("utf-8", "replace") + b"\0")
    return stamp.hexdigest()


def equal_files(files: Sequence[Path]) -> np.ndarray:
    """Number the sets of files that are equal byte for byte, int64 (N,).

    Only files whose size another one has are read.
    """
    sizes = np.array([file.stat().st_size for file in files], dtype=np.int64)
    _, codes, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    numbers: dict[object, int] = {}
    found = np.empty(len(files), dtype=np.int64)
    for row, file in enumerate(files):
        key = (int(sizes[row]), _digest(file)) if counts[codes[row]] > 1 else row
        found[row] = numbers.setdefault(key, len(numbers))
    return found


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


def _digest(file: Path) -> bytes:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=16)).digest()
