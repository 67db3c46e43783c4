"""How many examples there are: of each class, and for the test."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from helpers.advisor.checks.context import Check, Context
from helpers.advisor.data import BALANCE, Finding, OwnData, counted, listing
from helpers.results.statistics import smallest_visible_gain

IMBALANCED = 10  # times as many examples in the largest class as in the smallest
TINY = 10  # training examples of a class: fewer and its accuracy is luck
FEW = 50  # training examples in all
_POINTS = 0.02  # of accuracy: what two approaches often differ by
ACCURACY = 0.85  # that the size of a test is worked out for
EXAMPLES_TO_SEE = math.ceil((smallest_visible_gain(1, ACCURACY) / _POINTS) ** 2)  # in a test


def _counts(data: OwnData, split: str) -> np.ndarray:
    rows = data.splits == split if data.has_splits else slice(None)
    return np.bincount(data.labels[rows], minlength=len(data.classes))


def _balance(context: Context) -> Iterator[Finding]:
    data = context.data
    counts = _counts(data, "train")
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = counts[most] / max(1, counts[least])
    if counts.sum() < FEW:
        yield Finding(
            "number of examples",
            "warning",
            f"There are {counts.sum():,} training examples in all.",
            (),
            f"Label more: below {FEW} every answer is a guess.",
        )
    if ratio >= 2:
        yield Finding(
            BALANCE,
            "warning" if ratio >= IMBALANCED else "note",
            f"The largest class, {data.classes[most]!r}, has {counts[most]:,} training examples, "
            f"{ratio:.0f} times as many as {data.classes[least]!r} with {counts[least]:,}.",
            tuple(f"{data.classes[c]}: {counts[c]:,}" for c in np.argsort(-counts)[:20]),
            "Compare by macro F1 as well: accuracy hides what happens to small classes.",
        )


def _tiny(context: Context) -> Iterator[Finding]:
    data = context.data
    counts = _counts(data, "train")
    order = [c for c in np.argsort(counts, kind="stable") if counts[c] < TINY]
    if not order:
        return
    lone = [c for c in order if counts[c] <= 1]
    also = (
        f" {counted(len(lone), 'of them has', 'of them have')} a single one, which cannot be both "
        "learned and tested."
        if lone
        else ""
    )
    names = [f"{data.classes[c]} ({counts[c]})" for c in order]
    yield Finding(
        "tiny classes",
        "warning",
        f"{counted(len(order), 'class has', 'classes have')} fewer than {TINY} training examples: "
        f"{listing(names)}.{also}",
        tuple(names[:20]),
        "Collect more examples of them, join them to another class, or leave them out.",
    )


def _test_size(context: Context) -> Iterator[Finding]:
    data = context.data
    counts = _counts(data, "test")
    n = int(counts.sum())
    seen, needed = smallest_visible_gain(n, ACCURACY), EXAMPLES_TO_SEE
    if seen <= _POINTS:
        return
    missing = [data.classes[c] for c in np.flatnonzero(counts == 0)]
    without = f" It has none of {listing(missing)}." if missing else ""
    yield Finding(
        "size of the test",
        "warning" if seen > 0.05 or missing else "note",
        f"On {counted(n, 'test example')} two approaches can be told apart where they differ by "
        f"{100 * seen:.0f} points or more.{without}",
        (),
        f"To see {100 * _POINTS:.0f} points, test on about {needed:,} examples; where that is too "
        "many, a race (--measure) compares approaches on training and validation examples too.",
    )


CHECKS = (
    Check("class balance", _balance, "The classes have about as many training examples each."),
    Check("tiny classes", _tiny, f"Every class has {TINY} training examples or more."),
    Check(
        "size of the test",
        _test_size,
        "The test can show differences of two points.",
        needs="test",
    ),
)
