"""Train, validation and test where the data brings none: stratified, copies on one side.

File names that count (the frames of one recording, the slices of one patient) stay together too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers.advisor.data import MOST_EXAMPLES, Copies, Finding, OwnData, counted, listing
from helpers.errors import UserError
from helpers.tasks.splits import held_out, joined

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.15
_LARGEST = 0.2  # of the data: a larger set of near copies is how this data looks, not copies


def draw_splits(data: OwnData, copies: Copies, series: np.ndarray | None, seed: int = 0) -> OwnData:
    """Return the data with a split for every example, and with its copies.

    Splits that the data brings are used. A test split that is missing is cut off the training
    examples (a fifth), and then a validation split (15 % of what is left). Cuts are stratified,
    and examples of one group, of one series of file names, and copies of one example, stay on one
    side.

    data: without pictures that cannot be read. series: str (N,), see `find_series`, or None.
    A set of near copies that is a large part of the data can't stay on one side: where all splits
    are drawn its examples no longer count as near copies, which a finding tells.
    Raises UserError where examples are too few.
    """
    _check_classes(data)
    data = replace(data, copies=copies)
    splits = data.splits.copy()
    if not data.has_splits:
        splits[:] = "train"
    if all((splits == split).any() for split in ("validation", "test")):
        return data
    if not data.has_splits:
        data = _tell_large_sets(data)
    together, findings = _together(data, series)
    drawn = []
    for split, share in (("test", TEST_SHARE), ("validation", VALIDATION_SHARE)):
        if not (splits == split).any():
            rows = np.flatnonzero(splits == "train")
            chosen = held_out(data.labels[rows], together[rows], share, seed)
            splits[rows[chosen]] = split
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


def _together(data: OwnData, series: np.ndarray | None) -> tuple[np.ndarray, list[Finding]]:
    """Number what has to stay on one side, int64 (N,): groups, series, and copies."""
    findings = []
    links = [_small_enough(data.copies)]
    if data.groups is not None:
        links.append(np.unique(data.groups, return_inverse=True)[1])
    elif series is not None:
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


def _tell_large_sets(data: OwnData) -> OwnData:
    """Count near copies of which there are too many as different examples, and tell it."""
    near = _small_enough(data.copies)
    alike = np.flatnonzero(near >= len(near))
    if not len(alike):
        return data
    finding = Finding(
        "examples that are all alike",
        "warning",
        f"{len(alike):,} of {len(data):,} examples are nearly the same, too many to stand on one "
        "side of a split; they were taken for different ones.",
        data.names(alike),
        "If they are copies keep one of each: the accuracy measured with them is too high.",
    )
    return replace(data, copies=Copies(data.copies.exact, near)).found(finding)


def _small_enough(copies: Copies) -> np.ndarray:
    """Number the near copies; a set of a large part of the data falls into its equal ones."""
    _, codes, counts = np.unique(copies.near, return_inverse=True, return_counts=True)
    large = counts[codes] > max(2, _LARGEST * len(codes))
    return np.where(large, len(codes) + copies.exact, codes)
