"""Train, validation and test where the data brings none: stratified, copies on one side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers.advisor.data import Finding, OwnData
from helpers.errors import UserError
from helpers.tasks.splits import grouped_parts, near_duplicate_groups

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.15


def with_splits(data: OwnData, seed: int = 0) -> OwnData:
    """Return the data with a split for every example.

    Splits that the data brings are used. A test split that is missing is cut off the training
    examples (a fifth), and then a validation split (15 % of what is left). Cuts are stratified,
    and examples of one group, and copies of one example, stay on one side.
    """
    splits = data.splits.copy()
    if not data.has_splits:
        splits[:] = "train"
    together = kept_together(data)
    made = []
    for split, share in (("test", TEST_SHARE), ("validation", VALIDATION_SHARE)):
        if not (splits == split).any():
            rows = np.flatnonzero(splits == "train")
            splits[_cut(data.labels[rows], together[rows], rows, share, seed)] = split
            made.append(split)
    if not made:
        return data
    if not all((splits == split).any() for split in ("train", *made)):
        raise UserError(
            f"{data.root}: {len(data)} examples are too few, or too many of one group, to be split "
            "into train, validation and test; add examples or finer groups"
        )
    counts = ", ".join(f"{(splits == split).sum():,} {split}" for split in dict.fromkeys(splits))
    finding = Finding(
        "splits",
        "note",
        f"{' and '.join(made)} were drawn from the training examples, stratified, with groups and "
        f"copies on one side (seed {seed}): {counts}.",
    )
    return replace(data, splits=splits).found(finding)


def kept_together(data: OwnData) -> np.ndarray:
    """Number what has to stay on one side, int64 (N,): groups, and copies of one example."""
    links = [copies(data)]
    if data.groups is not None:
        links.append(np.unique(data.groups, return_inverse=True)[1])
    return joined(links)


def copies(data: OwnData) -> np.ndarray:
    """Number the sets of copies, int64 (N,)."""
    if data.modality == "text":
        return near_duplicate_groups(data.items)
    return np.arange(len(data))


def joined(numberings: list[np.ndarray]) -> np.ndarray:
    """The finest numbering (N,) that keeps together what any of these (N,) keeps together."""
    n = len(numberings[0])
    if len(numberings) == 1:
        return numberings[0]
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, columns, width = [], [], n
    for numbers in numberings:
        _, codes = np.unique(numbers, return_inverse=True)
        rows.append(np.arange(n))
        columns.append(codes + width)
        width += int(codes.max()) + 1
    r, c = np.concatenate(rows), np.concatenate(columns)
    graph = coo_matrix((np.ones(len(r), dtype=np.int8), (r, c)), shape=(width, width))
    return connected_components(graph, directed=False)[1][:n].astype(np.int64)


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
