"""Train, validation and test where the data brings none, with what belongs together on one side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers.advisor.data import Copies, Finding, OwnData
from helpers.advisor.together import keep_together, small_enough
from helpers.errors import UserError
from helpers.tasks.splits import held_out

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.15


def draw_splits(data: OwnData, copies: Copies, seed: int = 0) -> OwnData:
    """Return the data with a split for every example, its copies, and what stays `together`.

    Splits that the data brings are used. A test split that is missing is cut off the training
    examples (a fifth), and then a validation split (15 % of what is left). Cuts are stratified,
    and what `keep_together` finds to belong together stays on one side.

    data: without pictures that cannot be read.
    A set of near copies that is a large part of the data can't stay on one side: where all splits
    are drawn its examples no longer count as near copies, which a finding tells.
    Raises UserError where examples are too few.
    """
    _check_classes(data)
    if not data.has_splits:
        copies, data = _tell_large_sets(data, copies)
    data = keep_together(data, copies)
    splits = data.splits.copy()
    if not data.has_splits:
        splits[:] = "train"
    drawn = []
    for split, share in (("test", TEST_SHARE), ("validation", VALIDATION_SHARE)):
        if not (splits == split).any():
            rows = np.flatnonzero(splits == "train")
            chosen = held_out(data.labels[rows], data.together[rows], share, seed)
            splits[rows[chosen]] = split
            drawn.append(split)
    if not drawn:
        return data
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
        f"training examples, stratified, what belongs together on one side (seed {seed}): "
        f"{counts}.",
    )
    return replace(data, splits=splits, drawn=tuple(drawn)).found(finding)


def _check_classes(data: OwnData) -> None:
    """Refuse data of which a single class can be read."""
    labels = np.unique(data.labels if not data.has_splits else data.labels[data.splits == "train"])
    if len(labels) < 2:
        raise UserError(
            f"{data.root}: examples of {len(labels)} class can be read; two or more are needed"
        )


def _tell_large_sets(data: OwnData, copies: Copies) -> tuple[Copies, OwnData]:
    """Count near copies of which there are too many as different examples, and tell it."""
    near = small_enough(copies)
    alike = np.flatnonzero(near >= len(near))
    if not len(alike):
        return copies, data
    finding = Finding(
        "examples that are all alike",
        "warning",
        f"{len(alike):,} of {len(data):,} examples are nearly the same, too many to stand on one "
        "side of a split; they were taken for different ones.",
        data.names(alike),
        "If they are copies keep one of each: the accuracy measured with them is too high.",
    )
    return Copies(copies.exact, near), data.found(finding)
