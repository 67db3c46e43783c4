"""File names that count: the frames of one recording, the slices of one patient."""

from __future__ import annotations

import re

import numpy as np

from helpers.advisor.data import SPLITS, OwnData

_LARGEST = 0.2  # of all pictures in one series: more is how a camera names everything
_COVERED = 0.8  # of the pictures stand in a series of two or more
_PER_CLASS = 5  # series that each class needs, so that whole series can be held out
_DENSE = 20  # how many times as far as its length a series may count


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
    if counts.max() > _LARGEST * len(data) or counts[counts > 1].sum() < _COVERED * len(data):
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
    found = re.match(r"(.*?)(\d{1,9})(\D*)$", stem)
    if not found:
        return data.name(row), 0.0
    left_out = {data.classes[data.labels[row]].lower(), *SPLITS, str(data.splits[row])}
    above = [folder for folder in folders if folder.lower() not in left_out]
    return "/".join([*above, found[1]]), float(found[2])
