"""Ways to the label that will not be there later: cameras, days, sizes, groups on both sides.

What the words of texts give away stands in `text_leakage`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from helpers.advisor.checks.context import Check, Context
from helpers.advisor.data import MOST_EXAMPLES, Finding, OwnData, counted, listing
from helpers.advisor.splits import find_series

TELLING = 0.3  # of what chance leaves open: from here on a property gives the class away
_LEAST = 30  # examples: with fewer everything tells something


def told_by(values: Sequence[str], labels: np.ndarray) -> tuple[float, float]:
    """Return how often a property names the class, and how often the largest class is right.

    Each example is judged by the others that share its value (leave-one-out), so that a value that
    stands once, such as a serial number, tells nothing. values: N strings, labels: int64 (N,).
    """
    table = pd.crosstab(np.asarray(values), labels).to_numpy()
    overall = table.sum(axis=0)
    code, label = np.nonzero(table)
    itself = np.eye(len(overall), dtype=int)[label]
    others = table[code] - itself
    others = np.where(others.any(axis=1, keepdims=True), others, overall - itself)
    right = table[code, label] @ (others.argmax(axis=1) == label)
    return right / len(labels), overall.max() / len(labels)


def tells(accuracy: float, chance: float, n: int) -> bool:
    """Whether a property gives the class away: far above chance, and not by luck."""
    luck = math.sqrt(chance * (1 - chance) / max(1, n))
    return n >= _LEAST and accuracy - chance > max(TELLING * (1 - chance), 4 * luck)


def _typical(values: np.ndarray, labels: np.ndarray, data: OwnData) -> tuple[str, ...]:
    """The commonest value of each class, as "cat: Canon EOS (31 of 40)"."""
    lines = []
    for label in np.unique(labels):
        names, counts = np.unique(values[labels == label], return_counts=True)
        top = int(counts.argmax())
        lines.append(
            f"{data.classes[label]}: {names[top] or 'none'} ({counts[top]:,} of {counts.sum():,})"
        )
    return tuple(lines[:MOST_EXAMPLES])


_PROPERTIES = {
    "camera": "the camera in EXIF",
    "software": "the software in EXIF",
    "day": "the day in EXIF",
    "size": "the size in pixels",
    "format": "the file format",
    "mode": "the colour mode",
}


def _headers(context: Context) -> Iterator[Finding]:
    data, headers = context.data, context.headers
    labels = data.labels[headers.index]
    for short, name in _PROPERTIES.items():
        values = headers[short].to_numpy(str)
        if len(np.unique(values)) < 2:
            continue
        accuracy, chance = told_by(values, labels)
        if tells(accuracy, chance, len(values)):
            yield Finding(
                f"class told by {short}",
                "warning",
                f"In {100 * accuracy:.0f} % of {len(values):,} pictures {name} alone names the "
                f"class, where the largest class makes {100 * chance:.0f} %.",
                _typical(values, labels, data),
                "A network can learn the source instead of the subject: mix the sources within "
                "each class, or test on pictures from a new one.",
            )


def _across_splits(context: Context) -> Iterator[Finding] | None:
    """Groups, or where none are named series of file names, that train and test share."""
    data = context.data
    series = data.groups is None
    named = find_series(data) if series else data.groups
    return None if named is None or not data.has_splits else _spanning(data, named, series)


def _spanning(data: OwnData, named: np.ndarray, series: bool) -> Iterator[Finding]:
    one, several = ("series", "series") if series else ("group", "groups")
    train = np.unique(named[data.splits == "train"])
    rows = np.flatnonzero((data.splits == "test") & np.isin(named, train))
    if not len(rows):
        return
    names = [str(name) for name in np.unique(named[rows])]
    yield Finding(
        f"{several} across splits",
        "warning",
        f"{counted(len(names), one, several)} ({listing(names, 3)}) stand in train and in test, "
        f"with {len(rows):,} of {(data.splits == 'test').sum():,} test examples.",
        data.names(rows),
        f"Keep each {one} on one side: what is tested should be as new as what will come; "
        "--ignore-splits draws such splits.",
    )


CHECKS = (
    Check(
        "properties of files",
        _headers,
        "Neither camera, day, size nor format of a picture gives its class away.",
        ("image",),
    ),
    Check("groups across splits", _across_splits, "Every group or series is in one split."),
)
