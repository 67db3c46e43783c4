"""Ways to the label that will not be there later: names, cameras, sizes, groups on both sides.

What the words of texts give away stands in `wording`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from helpers.advisor.checks.context import Check, Context
from helpers.advisor.data import MOST_EXAMPLES, Finding, OwnData, counted, listing
from helpers.advisor.together import find_series

TELLING = 0.3  # of what chance leaves open: from here on a property gives the class away
_LEAST = 30  # examples: with fewer everything tells something


def told_by(values: Sequence[str], labels: np.ndarray) -> tuple[float, float]:
    """Return how often a property names the class, and how often the largest class is right.

    Each example is judged by the others that share its value (leave-one-out), so that a value that
    stands once, such as a serial number, tells nothing. values: N strings, labels: int64 (N,).
    """
    n = len(labels)
    _, codes = np.unique(np.asarray(values), return_inverse=True)
    _, classes = np.unique(labels, return_inverse=True)
    table = np.zeros((codes.max() + 1, classes.max() + 1))
    np.add.at(table, (codes, classes), 1)
    overall = table.sum(axis=0)
    right = 0.0
    for code, label in np.argwhere(table > 0):
        others = table[code].copy()
        others[label] -= 1
        if others.sum() == 0:
            others = overall.copy()
            others[label] -= 1
        right += table[code, label] * (others.argmax() == label)
    return right / n, overall.max() / n


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


def telling(
    data: OwnData,
    labels: np.ndarray,
    values: np.ndarray,
    finding: Finding,
    told: str,
) -> Iterator[Finding]:
    """Yield the finding, completed, where `values` alone give the class away.

    labels, values: of the examples that were looked at. told: what tells it, for the sentence.
    """
    if len(values) < _LEAST or len(np.unique(values)) < 2:
        return
    accuracy, chance = told_by(values, labels)
    if tells(accuracy, chance, len(values)):
        things = "texts" if data.modality == "text" else "pictures"
        found = (
            f"In {100 * accuracy:.0f} % of {len(values):,} {things} {told} alone names the class, "
            f"where the largest class makes {100 * chance:.0f} %."
        )
        yield replace(finding, found=found, examples=_typical(values, labels, data))


def _headers(context: Context) -> Iterator[Finding]:
    data, headers = context.data, context.headers
    sizes = np.array([f"{width} x {height}" for width, height in headers.sizes], dtype=str)
    properties = (
        ("camera", "the camera in EXIF", headers.cameras),
        ("software", "the software in EXIF", headers.software),
        ("day", "the day in EXIF", headers.days),
        ("size", "the size in pixels", sizes),
        ("format", "the file format", headers.formats),
        ("mode", "the colour mode", headers.modes),
    )
    mend = (
        "A network can learn the source instead of the subject: mix the sources within each class, "
        "or test on pictures from a new one."
    )
    for short, name, values in properties:
        finding = Finding(f"class told by {short}", "warning", "", mend=mend)
        yield from telling(data, data.labels[headers.rows], np.asarray(values), finding, name)


def _names(context: Context) -> Iterator[Finding]:
    data = context.data
    starts = np.array([_start(data, row) for row in range(len(data))])
    mend = (
        "Harmless if names were made from labels; if they tell of cameras or sites, mix these "
        "within each class."
    )
    finding = Finding("class told by file name", "note", "", mend=mend)
    yield from telling(data, data.labels, starts, finding, "the beginning of the file name")


def _start(data: OwnData, row: int) -> str:
    """The letters that a file name begins with, unless they are the class's own name."""
    stem = data.items[row].stem.lower()
    letters = re.match(r"[^\W\d_]*", stem).group()
    own = re.sub(r"[\W_]+", "", data.classes[data.labels[row]].lower())
    plain = re.sub(r"[\W_]+", "", stem)
    return "" if plain.startswith(own) or (letters and own.startswith(letters)) else letters


def _groups(context: Context) -> Iterator[Finding] | None:
    data = context.data
    if not data.has_splits or data.groups is None:
        return None
    return _spanning(data, data.groups, "groups across splits", "group", "groups")


def _series(context: Context) -> Iterator[Finding] | None:
    data = context.data
    series = find_series(data) if data.has_splits and data.groups is None else None
    if series is None:
        return None
    return _spanning(data, series, "series across splits", "series", "series")


def _spanning(
    data: OwnData, groups: np.ndarray, check: str, word: str, plural: str
) -> Iterator[Finding]:
    train = np.unique(groups[data.splits == "train"])
    rows = np.flatnonzero((data.splits == "test") & np.isin(groups, train))
    n_test = int((data.splits == "test").sum())
    if not len(rows):
        return
    names = np.unique(groups[rows])
    yield Finding(
        check,
        "warning",
        f"{counted(len(names), word, plural)} ({listing([str(name) for name in names], 3)}) stand "
        f"in train and in test, with {len(rows):,} of {n_test:,} test examples.",
        data.names(rows),
        f"Keep each {word} on one side: what is tested should be as new as what will come; "
        "--ignore-splits draws such splits.",
    )


CHECKS = (
    Check(
        "properties of files",
        _headers,
        "Neither camera, day, size nor format of a picture gives its class away.",
        ("image",),
    ),
    Check("file names", _names, "File names do not give the class away.", ("image",)),
    Check("groups across splits", _groups, "Every group stands in one split."),
    Check("series across splits", _series, "Every series of names is in one split.", ("image",)),
)
