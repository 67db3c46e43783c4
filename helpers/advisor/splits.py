"""Train, validation and test where the data brings none: stratified, copies on one side.

File names that count (the frames of one recording, the slices of one patient) stay together too.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from helpers.advisor.data import MOST_EXAMPLES, SPLITS, Copies, Finding, OwnData, counted, listing
from helpers.errors import UserError
from helpers.tasks.splits import grouped_parts, joined

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.15
_LARGEST = 0.2  # of the data: a larger set of near copies is how this data looks, not copies
_LARGEST_SERIES = 0.2  # of all pictures in one series: more is how a camera names everything
_COVERED = 0.8  # of the pictures stand in a series of two or more
_PER_CLASS = 5  # series that each class needs, so that whole series can be held out
_DENSE = 20  # how many times as far as its length a series may count


def draw_splits(data: OwnData, copies: Copies, seed: int = 0) -> OwnData:
    """Return the data with a split for every example, and with its copies.

    Splits that the data brings are used. A test split that is missing is cut off the training
    examples (a fifth), and then a validation split (15 % of what is left). Cuts are stratified,
    and examples of one group, of one series of file names, and copies of one example, stay on one
    side.

    data: without pictures that cannot be read. Raises UserError where examples are too few.
    """
    _check_classes(data)
    data = replace(data, copies=copies)
    splits = data.splits.copy()
    if not data.has_splits:
        splits[:] = "train"
    if all((splits == split).any() for split in ("validation", "test")):
        return data
    together, findings = _together(data)
    drawn = []
    for split, share in (("test", TEST_SHARE), ("validation", VALIDATION_SHARE)):
        if not (splits == split).any():
            rows = np.flatnonzero(splits == "train")
            splits[_cut(data.labels[rows], together[rows], rows, share, seed)] = split
            drawn.append(split)
    if not all((splits == split).any() for split in ("train", *drawn)):
        raise UserError(
            f"{data.root}: {len(data)} examples are too few, or too many of one group or class, to "
            "be split into train, validation and test; add examples or finer groups"
        )
    counts = ", ".join(f"{(splits == split).sum():,} {split}" for split in dict.fromkeys(splits))
    finding = Finding(
        "splits",
        "note",
        f"{' and '.join(drawn).capitalize()} {'were' if len(drawn) > 1 else 'was'} drawn from the "
        f"training examples, stratified, groups and copies on one side (seed {seed}): {counts}.",
    )
    return replace(data, splits=splits).found(finding, *findings)


def _check_classes(data: OwnData) -> None:
    """Refuse data of which a single class can be read."""
    labels = np.unique(data.labels if not data.has_splits else data.labels[data.splits == "train"])
    if len(labels) < 2:
        raise UserError(
            f"{data.root}: examples of {len(labels)} class can be read; two or more are needed"
        )


def _together(data: OwnData) -> tuple[np.ndarray, list[Finding]]:
    """Number what has to stay on one side, int64 (N,): groups, series, and copies."""
    findings = []
    links = [_small_enough(data.copies)]
    if data.groups is not None:
        links.append(np.unique(data.groups, return_inverse=True)[1])
    else:
        series = find_series(data)
        if series is not None:
            names, codes, counts = np.unique(series, return_inverse=True, return_counts=True)
            links.append(codes)
            findings.append(
                Finding(
                    "series of file names",
                    "note",
                    f"{len(data):,} file names count in {counted(len(names), 'series', 'series')}, "
                    f"such as {listing([f'{name}…' for name in names], 3)}; each was kept on one "
                    "side, as pictures of one recording are alike.",
                    tuple(f"{name}… ({n})" for name, n in zip(names, counts, strict=True))[
                        :MOST_EXAMPLES
                    ],
                    "Name the groups in a table's column if the names mean something else.",
                )
            )
    return joined(links), findings


def _small_enough(copies: Copies) -> np.ndarray:
    """Number the near copies; a set of a large part of the data falls into its equal ones."""
    _, codes, counts = np.unique(copies.near, return_inverse=True, return_counts=True)
    large = counts[codes] > max(2, _LARGEST * len(codes))
    return np.where(large, len(codes) + copies.exact, codes)


def _cut(
    labels: np.ndarray, together: np.ndarray, rows: np.ndarray, share: float, seed: int
) -> np.ndarray:
    """Choose about a share of the rows; what is left keeps an example of every class.

    Groups larger than the share stay behind, unless there are none but such: then the smallest
    goes.
    """
    size = max(1, round(share * len(rows)))
    _, codes, counts = np.unique(together, return_inverse=True, return_counts=True)
    free = np.flatnonzero(counts[codes] <= size)
    if not len(free):
        return rows[codes == counts.argmin()] if len(counts) > 1 else rows[:0]
    part = free[grouped_parts(labels[free], codes[free], [size], seed)[0]]
    cut = np.zeros(len(rows), dtype=bool)
    cut[part] = True
    for label in np.unique(labels):
        if cut[labels == label].all():  # a class with one example, or one group: it is for training
            cut[codes == codes[np.flatnonzero(labels == label)[0]]] = False
    return rows[cut]


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
