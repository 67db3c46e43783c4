"""Copies: files that are equal, and pictures or texts that say nearly the same.

Pictures are compared in two steps. A perceptual hash (Zauner, 2010: the signs of the lowest
frequencies of a 32 x 32 grey picture) gives candidates through bands of its bits, so that the
search grows with the number of pictures and not with its square. A hash alone calls most solar
cells, and most digits, alike; so a candidate counts as a copy only when the grey pictures correlate
far better than either does with the rest of this data set.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.fft import dctn
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from helpers.advisor.data import Copies, OwnData
from helpers.advisor.looking import thumbnails
from helpers.durable import write_whole
from helpers.paths import cache_dir
from helpers.tasks.splits import near_duplicate_groups, shuffled

MOST_BITS = 8  # of 64 may differ between a picture and its copy
FLAT = 2.0  # grey levels: below this deviation a picture shows nothing to compare
_BANDS = 6
_LARGE = 2_000  # pictures that share a band: more are compared with their neighbours in order only
_NEIGHBOURS = 32
_CHUNK = 1_000_000  # pairs in memory at a time
_CLOSER = 0.06  # a copy is at most this share as far away as the nearest twentieth of the others
_LEAST, _SURE = 0.9, 0.9995  # correlations that are never, and always, a copy
_REFERENCE = 1_000  # pictures that stand for the rest
_WORDS = 4_000_000  # of all texts together: what their phrases may take of memory


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
        found = Copies(exact, joined([exact, _sets(len(data), pairs)]))
    held = io.BytesIO()
    np.savez_compressed(held, exact=found.exact, near=found.near)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, held.getvalue())
    return found


def _text_copies(texts: Sequence[str]) -> Copies:
    plain = [" ".join(text.lower().split()) for text in texts]
    exact = np.unique(np.array(plain, dtype=object), return_inverse=True)[1]
    return Copies(exact, joined([exact, near_duplicate_groups(_beginnings(plain))]))


def _stamp(data: OwnData) -> str:
    """Names, sizes and times of files, or the texts."""
    stamp = hashlib.blake2b(b"copies 1 ", digest_size=12)
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


def perceptual_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Return the signs of the lowest frequencies, bool (N, 64), of uint8 (N, 32, 32).

    As `imagehash.phash`: the 8 x 8 lowest of a discrete cosine transform, against their median.
    """
    bits = np.empty((len(thumbnails), 64), dtype=bool)
    for start in range(0, len(thumbnails), 1024):
        chunk = thumbnails[start : start + 1024].astype(np.float32)
        low = dctn(chunk, axes=(1, 2))[:, :8, :8].reshape(len(chunk), 64)
        bits[start : start + 1024] = low > np.median(low, axis=1, keepdims=True)
    return bits


def near_pairs(thumbnails: np.ndarray) -> np.ndarray:
    """Return the pairs of pictures that show the same, int64 (M, 2), from uint8 (N, 32, 32)."""
    n = len(thumbnails)
    flat = np.array([thumb.std() < FLAT for thumb in thumbnails])
    seen = np.flatnonzero(~flat)
    if len(seen) < 2:
        return np.empty((0, 2), dtype=np.int64)
    bits = perceptual_hashes(thumbnails)
    reference = np.sort(seen[shuffled(len(seen), 0)[:_REFERENCE]])
    others = _unit(thumbnails[reference])
    coarse = _unit(thumbnails.reshape(n, 8, 4, 8, 4).mean(axis=(2, 4), dtype=np.float32))
    roughly = _usual(coarse, np.arange(n), coarse[reference])
    usual = np.full(n, np.nan)
    kept = []
    for pairs in candidates(bits[seen]):
        pairs = seen[pairs]
        # On 8 x 8 pixels, a sixteenth of the work, with twice the room: leaves out nearly all.
        rough = np.einsum("np,np->n", coarse[pairs[:, 0]], coarse[pairs[:, 1]])
        pairs = pairs[_close_enough(rough, roughly[pairs], 2 * _CLOSER)]
        closeness = _correlation(thumbnails, *pairs.T)
        met = np.unique(pairs)
        missing = met[np.isnan(usual[met])]
        usual[missing] = _usual(thumbnails, missing, others)
        kept.append(pairs[_close_enough(closeness, usual[pairs], _CLOSER)])
    return np.unique(np.concatenate(kept), axis=0) if kept else np.empty((0, 2), dtype=np.int64)


def _close_enough(correlation: np.ndarray, usual: np.ndarray, share: float) -> np.ndarray:
    """Whether pairs (M,) are much closer than is usual for either of them, (M, 2)."""
    near = 1 - correlation <= share * (1 - usual.max(axis=1))
    return (near & (correlation > _LEAST)) | (correlation >= _SURE)


def candidates(bits: np.ndarray) -> Iterator[np.ndarray]:
    """Yield pairs, int64 (M, 2), whose hashes, bool (N, 64), differ in at most MOST_BITS bits.

    Pairs that agree in one of six bands of bits are compared. Where very many share a band (a
    background that all have), each is compared with its next ones in the order of the whole hash.
    """
    packed = np.packbits(bits, axis=1)
    whole = packed.copy().view(">u8")[:, 0]
    count = np.array([bin(value).count("1") for value in range(256)], dtype=np.uint8)
    waiting: list[np.ndarray] = []
    held = 0
    for band in np.array_split(np.arange(64), _BANDS):
        keys = bits[:, band] @ (1 << np.arange(len(band)))
        order = np.lexsort((whole, keys))
        starts = np.flatnonzero(np.r_[True, np.diff(keys[order]) != 0])
        for members in np.split(order, starts[1:]):
            if len(members) > 1:
                waiting.append(_pairs_of(members))
                held += len(waiting[-1])
            if held > _CHUNK:
                yield _close(np.concatenate(waiting), packed, count)
                waiting, held = [], 0
    if waiting:
        yield _close(np.concatenate(waiting), packed, count)


def _pairs_of(members: np.ndarray) -> np.ndarray:
    if len(members) <= _LARGE:
        left, right = np.triu_indices(len(members), 1)
    else:
        at = np.arange(len(members))
        left = np.repeat(at, _NEIGHBOURS)
        right = (at[:, None] + np.arange(1, _NEIGHBOURS + 1)).ravel()
        left, right = left[right < len(members)], right[right < len(members)]
    return np.stack([members[left], members[right]], axis=1)


def _close(pairs: np.ndarray, packed: np.ndarray, count: np.ndarray) -> np.ndarray:
    differing = count[packed[pairs[:, 0]] ^ packed[pairs[:, 1]]].sum(axis=1)
    return np.unique(np.sort(pairs[differing <= MOST_BITS], axis=1), axis=0)


def _unit(thumbnails: np.ndarray) -> np.ndarray:
    """float32 (N, P): centred and of length 1, so that a product is a correlation."""
    values = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    values /= np.sqrt(np.maximum(np.einsum("np,np->n", values, values), 1e-6))[:, None]
    return values


def _correlation(thumbnails: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    found = np.empty(len(left), dtype=np.float32)
    for start in range(0, len(left), 8192):
        rows = slice(start, start + 8192)
        one, other = _unit(thumbnails[left[rows]]), _unit(thumbnails[right[rows]])
        found[rows] = np.einsum("np,np->n", one, other)
    return found


def _usual(thumbnails: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The correlation that a twentieth of the other pictures reach, for each row."""
    found = np.empty(len(rows))
    for start in range(0, len(rows), 4096):
        part = rows[start : start + 4096]
        found[start : start + 4096] = np.quantile(_unit(thumbnails[part]) @ others.T, 0.95, axis=1)
    return found


def _sets(n: int, pairs: np.ndarray) -> np.ndarray:
    """Number the sets that pairs (M, 2) of n examples connect, int64 (n,)."""
    graph = coo_matrix((np.ones(len(pairs), dtype=np.int8), pairs.T), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def joined(numberings: Sequence[np.ndarray]) -> np.ndarray:
    """The finest numbering (N,) that keeps together what any of these (N,) keeps together."""
    n = len(numberings[0])
    ends, width = [], n
    for numbers in numberings:
        codes = np.unique(numbers, return_inverse=True)[1]
        ends.append(np.stack([np.arange(n), codes + width], axis=1))
        width += int(codes.max(initial=-1)) + 1
    return _sets(width, np.concatenate(ends))[:n]


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
