"""Ways to the label that will be gone later: a camera, a day, a word, a group on both sides."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer

from helpers.advisor.checks.context import Check, Context
from helpers.advisor.data import MOST_EXAMPLES, Finding, counted, listing
from helpers.advisor.splits import find_series
from helpers.tasks.words import spaced, without_marks

TELLING = 0.3  # of what chance leaves open: from here on a property gives the class away
_LEAST = 30  # examples: with fewer everything tells something
_FEWEST = 20  # texts of a class: with fewer, some word stands in most of them by luck
_MOST_READ = 20_000  # texts: as many show a word that stands in half of a class
_SHARE, _NEARLY_ALL = 0.5, 0.9  # of a class's texts that hold the word
_RARER = 20  # times rarer in the other classes


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
