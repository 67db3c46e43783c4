"""Copies: files that are equal, pictures that show and texts that say nearly the same.

Small grey pictures show the same where one is rescaled, brightened, marked, cropped or mirrored.
Candidates first: the lowest frequencies of a picture are one point, whitened over all pictures;
candidates are the points nearest to a picture, as it is and mirrored.

Then one is laid over the other, as a crop lies over the picture it was cut from, by Gauss-Newton
steps (Lucas and Kanade, 1981) for scale and shift. It counts where the details of both agree far
better than the details of other pictures of this data agree with either.

Measured with 200 changed copies of each kind added (mirrored; cropped by 1 to 5 % a side, also
off-centre and mirrored; halved, re-encoded, brightened, darkened, with a mark over it), the share
that is found: of fabrics 1.0 of each kind, of digits 0.89 and more. Of solar cells, which differ
little from their neighbours, mirrored ones 1.0, halved, re-encoded, brightened or darkened ones
0.85 to 1.0, cropped or marked ones 0.06 to 0.35. Pairs of originals that count as copies: none of
2,000 fabrics or 5,000 digits, 209 of 2,624 solar cells.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.fft import dct
from scipy.ndimage import convolve1d
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from helpers.advisor.checks.pictures import thumbnails
from helpers.advisor.data import Copies, OwnData
from helpers.advisor.task import Form, key_of, remembered
from helpers.storage.seals import digests
from helpers.tasks.splits import connected, joined, near_duplicate_groups, shuffled
from helpers.tasks.words import spaced, without_marks

SIDE = 32  # pixels of a thumbnail
_FROM_CENTRE = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2
_WHOLE = np.float32([1, 0, 1, 0])  # in view where laying begins, see `align`
_LOW, _HIGH = np.float32([0.86, -2, 0.86, -2]), np.float32([1.14, 2, 1.14, 2])
_STEP = np.float32([0.04, 0.6, 0.04, 0.6])  # the farthest that one step goes
_DAMPING = 1e-3
COARSE, FINE = 2, 3  # steps
_MARGIN = 2  # pixels at the edge that are not compared: resampling makes them up
_AS_IS = 0.03  # of the distance of near strangers: a copy that lies as the other does differs less
_LAID = 0.12  # of the distance of the nearest stranger: a copy laid over the other differs less
_STRANGER = 0.01  # pictures that may lie nearer than "the nearest stranger" in such data
_LEAST = 0.7  # agreement of the details that no copy falls below
_HOPEFUL = 5  # times the limit: what is farther apart when laid roughly is given up
_FREQUENCIES, _DIRECTIONS = 8, 24
_APART = 1.0  # distance of candidates on the unit sphere, at most
_KEPT = 6  # candidates of a picture, as it is and mirrored
_REFERENCE = 1_000  # pictures that stand for the rest
_ROWS, _PAIRS = 4096, 128  # pictures, and pairs, worked on at a time
_FORM = Form(
    read=lambda held: Copies(*(np.array(held[name], dtype=np.int64) for name in ("exact", "near"))),
    write=lambda found: {"exact": found.exact.tolist(), "near": found.near.tolist()},
)
FLAT = 2.0  # grey levels: below this deviation a picture shows nothing to compare
_WORDS = 4_000_000  # of all texts together: what their phrases may take of memory
_LINK = re.compile(r"https?://\S+")
_LETTERS = re.compile(r"[^\W\d_]+")


def alike(thumbnails: np.ndarray) -> np.ndarray:
    """Return the pairs that show the same, int64 (M, 2), a < b, from uint8 (N, 32, 32).

    Pictures of one grey have to be left out before: they show nothing to compare.
    """
    if len(thumbnails) < 2:
        return np.empty((0, 2), dtype=np.int64)
    pairs, mirrored = candidates(thumbnails)
    near, nearest = (found[pairs].min(axis=1) for found in _strangers(thumbnails))
    same = np.empty(len(pairs), dtype=bool)
    for start in range(0, len(pairs), _PAIRS):
        rows = slice(start, start + _PAIRS)
        one, other = (thumbnails[pairs[rows, side]].astype(np.float32) for side in (0, 1))
        one[mirrored[rows]] = one[mirrored[rows], :, ::-1]
        as_is = (_inner_details(one) * _inner_details(other)).sum(axis=1)
        same[rows] = 1 - as_is <= _AS_IS * near[rows]
        limit = np.minimum(_LAID * nearest[rows], 1 - _LEAST)
        left = np.flatnonzero(~same[rows])
        same[start + left] = _fits(one[left], other[left], limit[left])
    return np.unique(pairs[same], axis=0)


def candidates(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs to compare, int64 (M, 2), a < b, and whether one of each is to be mirrored."""
    n, found = len(thumbnails), []
    drawn = thumbnails[np.sort(shuffled(n, 0)[:_ROWS])]
    axes = PCA(max(1, min(_DIRECTIONS, len(drawn) // 10)), whiten=True)
    with np.errstate(invalid="ignore"):  # pictures that are all one vary in nothing
        axes.fit(_frequencies(drawn))
    nearest = NearestNeighbors(n_neighbors=min(n, 1 + _KEPT), algorithm="brute")
    for mirrored, pictures in enumerate((thumbnails, thumbnails[:, :, ::-1])):
        points = _unit(axes.transform(_frequencies(pictures)))
        if not mirrored:
            nearest.fit(points)
        apart, others = nearest.kneighbors(points)
        row, rank = np.nonzero(apart <= _APART)
        pairs = np.sort(np.stack([row, others[row, rank]], axis=1), axis=1)
        found.append(np.column_stack([pairs, np.full(len(pairs), mirrored)]))
    held = np.unique(np.concatenate(found), axis=0)
    held = held[held[:, 0] != held[:, 1]]
    return held[:, :2], held[:, 2] > 0


def _frequencies(thumbnails: np.ndarray) -> np.ndarray:
    """The 63 lowest frequencies of pictures, float32 (N, 63), of length 1."""
    lowest = dct(np.eye(SIDE), axis=0, norm="ortho")[:_FREQUENCIES].astype(np.float32)
    made = lowest @ thumbnails.astype(np.float32) @ lowest.T
    return _unit(made.reshape(len(made), -1)[:, 1:])


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def _fits(one: np.ndarray, other: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Whether the details are at most so far apart, bool (M,), once one is laid over the other."""
    fits, at = np.zeros(len(one), dtype=bool), np.tile(_WHOLE, (len(one), 1))
    at = align(blurred(one), blurred(other), at, COARSE)
    # Most candidates are strangers, and are far from fitting by now.
    hopeful = np.flatnonzero(1 - agreement(one, other, at) <= _HOPEFUL * limit)
    one, other = one[hopeful], other[hopeful]
    at = align(one, other, at[hopeful], FINE)
    fits[hopeful] = 1 - agreement(one, other, at) <= limit[hopeful]
    return fits


def _strangers(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the details of strangers are from those of each picture: near ones, the nearest (N,).

    Near ones are a fiftieth of the pictures drawn from the data. The distances 1 - r fall with
    their rank as a power; followed to the rank at which a hundredth of a stranger is left, that
    power says how near one may come. Where pictures are many variations of little (a stroke that
    is a 1), it says: very near.
    """
    n = len(thumbnails)
    drawn = np.sort(shuffled(n, 1)[:_REFERENCE])
    others = _inner_details(thumbnails[drawn])
    # Twenty may be copies of one picture: fewer than that say nothing about strangers.
    low = np.clip(20 / len(drawn), 0.02, 0.3)
    high = min(5 * low, 0.9)
    found = np.empty((2, n))
    for start in range(0, n, _ROWS):
        apart = 1 - _inner_details(thumbnails[start : start + _ROWS]) @ others.T
        near, far = np.quantile(apart, [low, high], axis=1).clip(1e-4)
        power = np.log(far / near) / np.log(high / low)
        found[0, start : start + _ROWS] = near
        found[1, start : start + _ROWS] = near * (_STRANGER / n / low) ** power
    return found[0], found[1]


def _inner_details(thumbnails: np.ndarray) -> np.ndarray:
    """float32 (N, 784): the details without the edge, centred and of length 1."""
    inner = details(thumbnails.astype(np.float32))[:, 2:-2, 2:-2].reshape(-1, 28**2)
    return _unit(inner - inner.mean(axis=1, keepdims=True))


def warps(scale: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return matrices that resample rows, float32 (M, 32, 32), and which rows were there (M, 32).

    scale: share of the side that stays in view, float32 (M,); shift: of its centre in pixels (M,).
    """
    place = _FROM_CENTRE * scale[:, None] + (SIDE - 1) / 2 + shift[:, None]
    there = (place > -0.3) & (place < SIDE - 0.7)
    place = place.clip(0, SIDE - 1.001)
    left = place.astype(np.int64)
    pair, row = np.indices(left.shape)
    made = np.zeros((len(scale), SIDE, SIDE), dtype=np.float32)
    made[pair, row, left] = 1 - (place - left)
    made[pair, row, left + 1] += place - left
    return made, there


def details(pictures: np.ndarray) -> np.ndarray:
    """Return what is neither noise nor shading, float32 (M, 32, 32): a band of frequencies."""
    return _LIGHT @ pictures @ _LIGHT.T - _WIDE @ pictures @ _WIDE.T


def blurred(pictures: np.ndarray) -> np.ndarray:
    """Pictures without their finest details, float32 (M, 32, 32), to be aligned roughly."""
    return _BLUR @ pictures @ _BLUR.T


def align(pictures: np.ndarray, others: np.ndarray, at: np.ndarray, steps: int) -> np.ndarray:
    """Find how `others` were cropped out of `pictures`, both float32 (M, 32, 32).

    at: float32 (M, 4), where to begin: the share of the height in view and how far below the
    middle its centre lies in pixels, then the same across. Returns the like, after Gauss-Newton
    steps of scale and shift, with the contrast as a fifth unknown.
    """
    for _ in range(steps):
        laid, shared = lay(pictures, at, margin=1)
        down, across = np.gradient(laid, axis=(1, 2))
        down, across = down / at[:, 0, None, None], across / at[:, 2, None, None]
        moves = (down * _FROM_CENTRE[:, None], down, across * _FROM_CENTRE, across)
        columns = np.stack([*moves, laid, others], axis=1).reshape(-1, 6, SIDE**2)
        columns = _centred(columns, shared.reshape(-1, 1, SIDE**2))
        products = columns @ columns.transpose(0, 2, 1)
        size = np.sqrt(np.einsum("mii->mi", products)[:, :5] + 1e-3)
        normal = products[:, :5, :5] / (size[:, :, None] * size[:, None, :])
        normal += _DAMPING * np.eye(5, dtype=np.float32)
        solved = np.linalg.solve(normal, (products[:, :5, 5] / size)[:, :, None])[:, :, 0] / size
        step = solved[:, :4] / np.maximum(solved[:, 4:], 0.3)
        at = (at + step.clip(-_STEP, _STEP)).clip(_LOW, _HIGH)
    return at


def lay(
    pictures: np.ndarray, at: np.ndarray, margin: int = _MARGIN
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures so cropped, float32 (M, 32, 32), and which pixels compare (M, 32, 32)."""
    rows, rows_there = warps(at[:, 0], at[:, 1])
    columns, columns_there = warps(at[:, 2], at[:, 3])
    inner = np.abs(_FROM_CENTRE) < SIDE / 2 - margin
    shared = (rows_there & inner)[:, :, None] & (columns_there & inner)[:, None, :]
    return rows @ pictures @ columns.transpose(0, 2, 1), shared


def agreement(pictures: np.ndarray, others: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The correlation (M,) of the details of pictures so cropped with those of the others."""
    laid, shared = lay(pictures, at)
    both = np.stack([details(laid), details(others)], axis=1).reshape(-1, 2, SIDE**2)
    both = _centred(both, shared.reshape(-1, 1, SIDE**2))
    products = both @ both.transpose(0, 2, 1)
    size = products[:, 0, 0] * products[:, 1, 1]
    return products[:, 0, 1] / np.sqrt(np.maximum(size, 1e-3))


def _centred(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Take the mean of what the mask keeps from it, along the last axis; the rest is 0."""
    mean = (values * mask).sum(axis=-1, keepdims=True) / np.maximum(mask.sum(-1, keepdims=True), 1)
    return (values - mean) * mask


def _blurring(*kernel: float) -> np.ndarray:
    """A matrix (32, 32) that blurs the rows of a picture; the edge is repeated."""
    return convolve1d(np.eye(SIDE, dtype=np.float32), kernel, axis=0, mode="nearest")


_LIGHT = _blurring(0.25, 0.5, 0.25)
_BLUR = _blurring(0.0625, 0.25, 0.375, 0.25, 0.0625)
_WIDE = _BLUR @ _BLUR


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

    if data.modality == "text":
        key = key_of(data.modality, 6, list(data.items))
    else:  # thumbnails are made of the decoded pictures: another size may show other copies
        key = key_of(data.modality, 6, side, channels, digests(data.items))
    return remembered("copies", key, _FORM, find)


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
