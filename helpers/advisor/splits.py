"""Train, validation and test where the data brings none: stratified, copies on one side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers.advisor.checks.copies import find_copies
from helpers.advisor.checks.file_series import find_series
from helpers.advisor.checks.pictures import readable
from helpers.advisor.data import MOST_EXAMPLES, Copies, Finding, OwnData, counted, listing
from helpers.errors import UserError
from helpers.tasks.splits import grouped_parts, joined

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.15
_LARGEST = 0.2  # of the data: a larger set of near copies is how this data looks, not copies


def with_splits(
    data: OwnData,
    seed: int = 0,
    *,
    side: int | None = None,
    channels: int = 3,
    progress: bool = False,
) -> OwnData:
    """Return the data with a split for every example, and without pictures that cannot be read.

    Splits that the data brings are used. A test split that is missing is cut off the training
    examples (a fifth), and then a validation split (15 % of what is left). Cuts are stratified,
    and examples of one group, of one series of file names, and copies of one example, stay on one
    side. The sets of copies that were found come back in `copies`.

    side, channels: what pictures will be used at; with them each is decoded once for all.
    Raises UserError where most pictures cannot be read, or too few examples are left.
    """
    data = readable(data, side, channels, progress=progress)
    _check_left(data)
    data = replace(data, copies=find_copies(data, side, channels, progress=progress))
    splits = data.splits.copy()
    if not data.has_splits:
        splits[:] = "train"
    if all((splits == split).any() for split in ("validation", "test")):
        return data
    together, findings = _together(data)
    made = []
    for split, share in (("test", TEST_SHARE), ("validation", VALIDATION_SHARE)):
        if not (splits == split).any():
            rows = np.flatnonzero(splits == "train")
            splits[_cut(data.labels[rows], together[rows], rows, share, seed)] = split
            made.append(split)
    if not all((splits == split).any() for split in ("train", *made)):
        raise UserError(
            f"{data.root}: {len(data)} examples are too few, or too many of one group or class, to "
            "be split into train, validation and test; add examples or finer groups"
        )
    counts = ", ".join(f"{(splits == split).sum():,} {split}" for split in dict.fromkeys(splits))
    finding = Finding(
        "splits",
        "note",
        f"{' and '.join(made).capitalize()} {'were' if len(made) > 1 else 'was'} drawn from the "
        f"training examples, stratified, groups and copies on one side (seed {seed}): {counts}.",
    )
    return replace(data, splits=splits).found(finding, *findings)


def _check_left(data: OwnData) -> None:
    """Refuse data of which a single class can be read."""
    held = np.unique(data.labels if not data.has_splits else data.labels[data.splits == "train"])
    if len(held) < 2:
        raise UserError(
            f"{data.root}: examples of {len(held)} class can be read; two or more are needed"
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
