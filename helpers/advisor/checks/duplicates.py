"""Copies: within the data, in two classes, and of training examples in the other splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from helpers.advisor.checks.context import Check, Context
from helpers.advisor.data import MOST_EXAMPLES, Finding, counted

REFUSED = 0.2  # of a test split that stands in train: its accuracy says nothing then


def _sets(numbers: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each set of two or more."""
    groups = pd.Series(numbers).groupby(numbers).indices.values()
    return [rows for rows in groups if len(rows) > 1]


def _shown(context: Context, pairs: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Pairs by name: equal throughout (=) or nearly so (≈)."""
    name, exact = context.data.name, context.copies.exact
    return tuple(
        f"{name(int(a))} {'=' if exact[a] == exact[b] else '≈'} {name(int(b))}"
        for a, b in pairs[:MOST_EXAMPLES]
    )


def _within(context: Context) -> Iterator[Finding]:
    sets = _sets(context.copies.near)
    if not sets:
        return
    data = context.data
    exact = sum(len(rows) - 1 for rows in _sets(context.copies.exact))
    near = sum(len(rows) - 1 for rows in sets) - exact
    what = "file" if data.modality == "image" else "text"
    share = (exact + near) / len(data)
    pairs = [pair for rows in sets for pair in pairwise(rows)]
    yield Finding(
        "duplicates",
        "warning" if share > 0.05 else "note",
        f"Copies of another example: {exact + near:,} of {len(data):,} ({100 * share:.1f} %), "
        f"{counted(exact, f'equal {what}')} and {near:,} nearly the same"
        + (", cropped or mirrored ones included." if data.modality == "image" else "."),
        _shown(context, pairs),
        "Keep one of each: copies count an example twice and teach little.",
    )


def _across_classes(context: Context) -> Iterator[Finding]:
    labels = context.data.labels
    sets = [rows for rows in _sets(context.copies.near) if len(set(labels[rows].tolist())) > 1]
    if not sets:
        return
    pairs = [(rows[0], rows[labels[rows] != labels[rows[0]]][0]) for rows in sets]
    exact = context.copies.exact
    equal = sum(int(exact[a] == exact[b]) for a, b in pairs)
    yield Finding(
        "duplicates across classes",
        "warning",
        f"{counted(len(sets), 'set of copies is', 'sets of copies are')} found in more than one "
        f"class; {equal:,} of these are equal throughout.",
        tuple(
            f"{pair} ({context.data.classes[labels[a]]} or {context.data.classes[labels[b]]})"
            for pair, (a, b) in zip(_shown(context, pairs), pairs, strict=False)
        ),
        "Decide on one label; if both are right, the classes overlap and no model can part them"
        + (
            " (or a mirrored picture is of another class, as left and right are)."
            if context.data.modality == "image"
            else "."
        ),
    )


def _across_splits(context: Context) -> Iterator[Finding]:
    data, numbers = context.data, context.copies.near
    for split in ("test", "validation"):
        rows = np.flatnonzero(data.splits == split)
        others = np.flatnonzero(data.splits == "train")
        seen = rows[np.isin(numbers[rows], numbers[others])]
        if not len(seen):
            continue
        first = {int(numbers[row]): row for row in others[::-1]}
        pairs = [(row, first[int(numbers[row])]) for row in seen]
        share = len(seen) / len(rows)
        yield Finding(
            "duplicates across splits",
            "refused" if split == "test" and share > REFUSED else "warning",
            f"Copies of a training example: {len(seen):,} of {len(rows):,} {split} examples "
            f"({100 * share:.1f} %), so the accuracy measured there is too high.",
            _shown(context, pairs),
            f"Remove them from {split}, or ask again with --ignore-splits, which draws splits with "
            "copies on one side.",
        )


CHECKS = (
    Check("duplicates", _within, "No example is a copy of another."),
    Check("duplicates across classes", _across_classes, "No copies stand in two classes."),
    Check(
        "duplicates across splits",
        _across_splits,
        "No test example is a copy of another split's.",
        needs="splits",
    ),
)
