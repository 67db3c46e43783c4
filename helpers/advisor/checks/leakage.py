"""Copies, and ways to the label that will be gone later: a camera, a day, a word, a group."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer

from helpers.advisor.checks.context import Check, Context
from helpers.advisor.data import MOST_EXAMPLES, Finding, counted, listing
from helpers.advisor.splits import find_series
from helpers.tasks.words import spaced, without_marks

REFUSED = 0.2  # of a test split that stands in train: its accuracy says nothing then
TELLING = 0.3  # of what chance leaves open: from here on a property gives the class away
_LEAST = 30  # examples: with fewer everything tells something
_FEWEST = 20  # texts of a class: with fewer, some word stands in most of them by luck
_MOST_READ = 20_000  # texts: as many show a word that stands in half of a class
_SHARE, _NEARLY_ALL = 0.5, 0.9  # of a class's texts that hold the word
_RARER = 20  # times rarer in the other classes


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


def _copies_across_splits(context: Context) -> Iterator[Finding]:
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
        counts = pd.crosstab(labels, values).iloc[:MOST_EXAMPLES].iterrows()
        if tells(accuracy, chance, len(values)):
            yield Finding(
                f"class told by {short}",
                "warning",
                f"In {100 * accuracy:.0f} % of {len(values):,} pictures {name} alone names the "
                f"class, where the largest class makes {100 * chance:.0f} %.",
                tuple(  # the commonest value of each class
                    f"{data.classes[c]}: {row.idxmax() or 'none'} ({row.max():,} of {row.sum():,})"
                    for c, row in counts
                ),
                "A network can learn the source instead of the subject: mix the sources within "
                "each class, or test on pictures from a new one.",
            )


def _across_splits(context: Context) -> list[Finding] | None:
    """Groups, or where none are named series of file names, that train and test share."""
    data, named, one, several = context.data, context.data.groups, "group", "groups"
    if named is None:
        named, one, several = find_series(data), "series", "series"
    if named is None or not data.has_splits:
        return None
    test = data.splits == "test"
    rows = np.flatnonzero(test & np.isin(named, named[data.splits == "train"]))
    names = [str(name) for name in np.unique(named[rows])]
    finding = Finding(
        f"{several} across splits",
        "warning",
        f"{counted(len(names), one, several)} ({listing(names, 3)}) stand in train and in test, "
        f"with {len(rows):,} of {test.sum():,} test examples.",
        data.names(rows),
        f"Keep each {one} on one side: what is tested should be as new as what will come; "
        "--ignore-splits draws such splits.",
    )
    return [finding] if names else []


def _label_in_text(context: Context) -> Iterator[Finding]:
    data = context.data
    plain = [f" {_words(text)} " for text in data.items]
    named, examples = [], []
    for label, name in enumerate(data.classes):
        words = _words(name)
        if len(words) < 3:
            continue
        holds = np.array([f" {words} " in text for text in plain])
        own = data.labels == label
        inside, outside = holds[own].mean(), holds[~own].mean()
        if inside > 0.5 and inside > 5 * outside:
            named.append(f"{name} ({100 * inside:.0f} % of its texts, {100 * outside:.0f} % else)")
            examples += np.flatnonzero(own & holds)[:3].tolist()
    if named:
        yield Finding(
            "class named in the text",
            "warning",
            f"{counted(len(named), 'class is', 'classes are')} named in most of their own texts: "
            f"{listing(named, 3)}.",
            data.names(examples),
            "Remove the label from the text if it will not be there later.",
        )


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", spaced(without_marks(text.lower()))))


def _one_word(context: Context) -> Iterator[Finding]:
    """Each class's most telling word; the class's own name is another check's business."""
    data = context.data
    rows = np.linspace(0, len(data) - 1, min(len(data), _MOST_READ)).astype(int)
    counter = CountVectorizer(binary=True, token_pattern=r"\w+", dtype=np.int32)
    try:
        holds = counter.fit_transform([_words(data.items[row]) for row in rows]).tocsr()
    except ValueError:  # no text has a word
        return
    words, labels = counter.get_feature_names_out(), data.labels[rows]
    told = {}
    for label, name in enumerate(data.classes):
        own = labels == label
        inside = np.asarray(holds[own].sum(axis=0)).ravel() / max(1, own.sum())
        others = np.asarray(holds[~own].sum(axis=0)).ravel()
        outside = (others + 1) / ((~own).sum() + 1)  # one more: few show nothing
        allowed = ~np.isin(words, _words(name).split())
        best = int(np.where(allowed, inside - _RARER * outside, -np.inf).argmax())
        share = float(inside[best])
        if own.sum() >= _FEWEST and share >= _SHARE and outside[best] * _RARER <= share:
            shown = f"{words[best]!r} {name} ({100 * share:.0f} % of its texts)"
            told[shown] = share, rows[own & (holds[:, [best]].toarray()[:, 0] > 0)][:3]
    if told:
        sentences = sorted(told, key=lambda shown: -told[shown][0])
        yield Finding(
            "class told by one word",
            "warning" if told[sentences[0]][0] >= _NEARLY_ALL else "note",
            f"One word that the other classes hardly hold names {listing(sentences, 3)}.",
            data.names(np.concatenate([told[shown][1] for shown in sentences])),
            "Where the word is no part of the subject (a signature, a template, a source), take it "
            "out: what comes later may lack it.",
        )


CHECKS = (
    Check("duplicates", _within, "No example is a copy of another."),
    Check("duplicates across classes", _across_classes, "No copies stand in two classes."),
    Check(
        "duplicates across splits",
        _copies_across_splits,
        "No test example is a copy of another split's.",
        needs="splits",
    ),
    Check(
        "properties of files",
        _headers,
        "Neither camera, day, size nor format of a picture gives its class away.",
        ("image",),
    ),
    Check("groups across splits", _across_splits, "Every group or series is in one split."),
    Check("class named in the text", _label_in_text, "Texts do not name their class.", ("text",)),
    Check("single words", _one_word, "No single word gives a class away.", ("text",)),
)
