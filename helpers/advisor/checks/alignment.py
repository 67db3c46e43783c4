"""Lay small grey pictures over each other, as a crop lies over the picture it was cut from.

A crop that is scaled back to the old size shows everything a little larger, and perhaps shifted.
Gauss-Newton steps (Lucas and Kanade, 1981) find that scale and shift for many pairs at once, first
on blurred pictures and then on the pictures themselves. Contrast and brightness are free.
"""

from __future__ import annotations

import numpy as np

SIDE = 32  # pixels of a thumbnail
_AT = np.arange(SIDE, dtype=np.float32)
_FROM_CENTRE = _AT - (SIDE - 1) / 2
_LOW, _HIGH = np.float32([0.86, -2, 0.86, -2]), np.float32([1.04, 2, 1.04, 2])
_STEP = np.float32([0.04, 0.6, 0.04, 0.6])  # the farthest that one step goes
_DAMPING = 1e-3
_COARSE, _FINE = 2, 3  # steps
_MARGIN = 2  # pixels at the edge that are not compared: resampling makes them up


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


def align_roughly(pictures: np.ndarray, others: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Find how `others` were cropped out of `pictures`, both float32 (M, 32, 32), when blurred.

    at: float32 (M, 4), where to begin: the share of the height in view and how far below the
    middle its centre lies in pixels, then the same across. Returns the like.
    """
    pictures, others = _BLUR @ pictures @ _BLUR.T, _BLUR @ others @ _BLUR.T
    for _ in range(_COARSE):
        at = _step(pictures, others, at)
    return at


def align_finely(pictures: np.ndarray, others: np.ndarray, at: np.ndarray) -> np.ndarray:
    """As `align_roughly`, on the pictures as they are, from what that found."""
    for _ in range(_FINE):
        at = _step(pictures, others, at)
    return at


def lay(pictures: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures so cropped, float32 (M, 32, 32), and which pixels compare (M, 32, 32)."""
    laid, shared = _laid(pictures, at)
    shared[:, :_MARGIN] = shared[:, -_MARGIN:] = False
    shared[:, :, :_MARGIN] = shared[:, :, -_MARGIN:] = False
    return laid, shared


def _laid(pictures: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, rows_there = warps(at[:, 0], at[:, 1])
    columns, columns_there = warps(at[:, 2], at[:, 3])
    shared = rows_there[:, :, None] & columns_there[:, None, :]
    return rows @ pictures @ columns.transpose(0, 2, 1), shared


def _step(pictures: np.ndarray, others: np.ndarray, at: np.ndarray) -> np.ndarray:
    """One Gauss-Newton step of scale and shift, (M, 4), with the contrast as a fifth unknown."""
    laid, shared = _laid(pictures, at)
    shared[:, [0, -1]] = shared[:, :, [0, -1]] = False
    down, across = np.gradient(laid, axis=(1, 2))
    down, across = down / at[:, 0, None, None], across / at[:, 2, None, None]
    columns = np.empty((len(at), 6, SIDE, SIDE), dtype=np.float32)
    columns[:, 0], columns[:, 1] = down * _FROM_CENTRE[:, None], down
    columns[:, 2], columns[:, 3] = across * _FROM_CENTRE, across
    columns[:, 4], columns[:, 5] = laid, others
    columns = _centred(columns.reshape(-1, 6, SIDE**2), shared.reshape(-1, 1, SIDE**2))
    products = columns @ columns.transpose(0, 2, 1)
    size = np.sqrt(np.einsum("mii->mi", products)[:, :5] + 1e-3)
    normal = products[:, :5, :5] / (size[:, :, None] * size[:, None, :])
    normal += _DAMPING * np.eye(5, dtype=np.float32)
    solved = np.linalg.solve(normal, (products[:, :5, 5] / size)[:, :, None])[:, :, 0] / size
    step = solved[:, :4] / np.maximum(solved[:, 4:], 0.3)
    return (at + step.clip(-_STEP, _STEP)).clip(_LOW, _HIGH)


def agreement(one: np.ndarray, other: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """The correlation (M,) of pictures (M, 32, 32) over the pixels (M, 32, 32) they share."""
    mask = shared.reshape(-1, SIDE**2)
    one = _centred(one.reshape(-1, SIDE**2), mask)
    other = _centred(other.reshape(-1, SIDE**2), mask)
    product = np.einsum("mp,mp->m", one, other)
    size = np.einsum("mp,mp->m", one, one) * np.einsum("mp,mp->m", other, other)
    return product / np.sqrt(np.maximum(size, 1e-3))


def _centred(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Take the mean of what the mask keeps from it, along the last axis; the rest is 0."""
    mean = (values * mask).sum(axis=-1, keepdims=True) / np.maximum(mask.sum(-1, keepdims=True), 1)
    return (values - mean) * mask


def _blurring(kernel: tuple[float, ...]) -> np.ndarray:
    """A matrix (32, 32) that blurs the rows of a picture; the edge is repeated."""
    made = np.zeros((SIDE, SIDE), dtype=np.float32)
    for offset, weight in enumerate(kernel, -(len(kernel) // 2)):
        np.add.at(made, (range(SIDE), (np.arange(SIDE) + offset).clip(0, SIDE - 1)), weight)
    return made


_LIGHT = _blurring((0.25, 0.5, 0.25))
_BLUR = _blurring((0.0625, 0.25, 0.375, 0.25, 0.0625))
_WIDE = _BLUR @ _BLUR
