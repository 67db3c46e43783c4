"""Whether there are enough examples, and whether they can show anything: counts, sizes, lengths."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from helpers.advisor.checks.context import Check, Context
from helpers.advisor.checks.copies import FLAT
from helpers.advisor.checks.pictures import GREY
from helpers.advisor.data import BALANCE, Finding, OwnData, counted, listing
from helpers.results.statistics import smallest_visible_gain
from helpers.tasks.words import count_words

IMBALANCED = 10  # times as many examples in the largest class as in the smallest
TINY = 10  # training examples of a class: fewer and its accuracy is luck
FEW = 50  # training examples in all
_POINTS = 0.02  # of accuracy: what two approaches often differ by
ACCURACY = 0.85  # that the size of a test is worked out for
EXAMPLES_TO_SEE = math.ceil((smallest_visible_gain(1, ACCURACY) / _POINTS) ** 2)  # in a test
_THREAD = 16.0  # longer side over shorter side: hardly a picture of anything
_LONG = 2.0  # longer side over shorter side: the crop at the centre drops half or more
_FEW_WORDS = 3
# Letters that a piece of a tokenizer stands for: of English news, mails and tweets 3.6 to 4.2 on
# average, where it was made for English, and 1.0 to 3.0 of thirteen other languages.
_FOREIGN, _OTHER_SCRIPT = 3.2, 1.6


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


def _blank(context: Context) -> Iterator[Finding]:
    data = context.data
    deviation = np.array([thumbnail.std() for thumbnail in context.thumbnails])
    rows = np.flatnonzero(deviation < FLAT)
    if len(rows):
        share = len(rows) / len(data)
        yield Finding(
            "blank pictures",
            "refused" if share > 0.5 else "warning",
            f"Blank, one shade all over: {counted(len(rows), 'picture')} of {len(data):,} "
            f"({100 * share:.1f} %).",
            data.names(rows),
            "Remove them, or take them again.",
        )


def _resolution(context: Context) -> Iterator[Finding]:
    side, rows = context.side, context.headers.index
    sizes = context.headers[["width", "height"]].to_numpy(np.int64)
    shorter, longer = sizes.min(axis=1), sizes.max(axis=1)
    small = np.flatnonzero(shorter < side)
    if len(small) > 0.1 * len(shorter):
        yield Finding(
            "resolution",
            "note" if np.median(shorter) > side / 2 else "warning",
            f"{100 * len(small) / len(shorter):.0f} % of the pictures are smaller than the "
            f"{side} pixels that the backbone is given (half have a shorter side of at most "
            f"{np.median(shorter):.0f}); they are enlarged, which adds no detail.",
            context.data.names(rows[small]),
            "Take larger originals if there are any, or a backbone with smaller inputs.",
        )
    if np.median(shorter) > 4 * side:
        yield Finding(
            "resolution",
            "note",
            f"Half of the pictures have a shorter side of {np.median(shorter):.0f} pixels or more "
            f"and are reduced to {side}: what is smaller than {np.median(shorter) / side:.0f} "
            "pixels is lost.",
            (),
            "If the class shows in small details, cut the pictures to them or use larger inputs.",
        )
    wide = np.flatnonzero(longer > _LONG * shorter)
    if len(wide) > 0.05 * len(shorter) or (longer > _THREAD * shorter).any():
        yield Finding(
            "shape",
            "note",
            f"{counted(len(wide), 'picture')} of {len(shorter):,} are more than {_LONG:.0f} "
            "times as long as wide; the square at their centre is used, and the rest is not seen.",
            context.data.names(rows[wide]),
            "Cut them to the subject, or pad them to squares.",
        )


def _colour(context: Context) -> Iterator[Finding]:
    modes = context.headers["mode"]
    grey = modes.isin(GREY)
    if context.channels == 1 and not grey.all():
        yield Finding(
            "colour",
            "warning",
            f"{100 * (~grey).mean():.0f} % of the pictures have colour, which a backbone for grey "
            "ones does not see.",
            (),
            "Take a backbone for colour if it tells the classes apart.",
        )
    odd = modes[~grey & (modes != "RGB")]
    if len(odd):
        counts = odd.value_counts().sort_index()
        kinds = ", ".join(f"{n:,} {name}" for name, n in counts.items())
        yield Finding(
            "colour",
            "note",
            f"{counted(len(odd), 'picture')} of {len(grey):,} looked at are stored otherwise "
            f"than RGB ({kinds}); they are converted, transparent parts to white.",
            context.data.names(odd.index),
            "Look at some of them as they are used.",
        )


def _texts(context: Context) -> Iterator[Finding]:
    data = context.data
    words = np.array([count_words(text) for text in data.items])
    short = np.flatnonzero(words < _FEW_WORDS)
    if len(short) > 0.05 * len(data):
        yield Finding(
            "short texts",
            "note",
            f"{counted(len(short), 'text')} of {len(data):,} have fewer than {_FEW_WORDS} words.",
            data.names(short),
            "Look whether they can be classed by a reader; leave out those that cannot.",
        )
    if context.cut is None:
        return
    long = np.flatnonzero(context.cut)
    if len(long) > 0.1 * len(data):
        yield Finding(
            "long texts",
            "note",
            f"{100 * len(long) / len(data):.0f} % of the texts have more tokens than the "
            f"{context.side} that the backbone reads; their ends are not seen.",
            data.names(long),
            "Put what matters first, or allow more tokens.",
        )


def _language(context: Context) -> Iterator[Finding]:
    letters = context.letters
    known = np.flatnonzero(np.isfinite(letters))
    average = float(letters[known].mean()) if len(known) else _FOREIGN
    limit = np.inf if average < _FOREIGN else _OTHER_SCRIPT
    rows = known[letters[known] < limit]
    if len(rows) <= 0.01 * len(letters):
        return
    what = "These texts are" if limit > _FOREIGN else f"{counted(len(rows), 'text')} seem to be"
    yield Finding(
        "language",
        "warning",
        f"{what} in a language or script that the encoder was not trained for: its vocabulary "
        f"knows pieces of {letters[rows].mean():.1f} letters of their words, where it knows 3.6 to "
        "4.2 of English ones. What its features reach says little about such texts.",
        context.data.names(rows[np.argsort(letters[rows], kind="stable")]),
        "Name an encoder of this language (--backbone hf:NAME, online) if it has no warning like "
        "this one, or rely on the model without a network, which counts words or letters of any "
        "language.",
        {"letters_a_piece": round(average, 2), "texts": len(rows)},
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
    Check("blank pictures", _blank, "No picture is blank.", ("image",)),
    Check("resolution", _resolution, "The pictures fit the backbone's input.", ("image",), "side"),
    Check("colour", _colour, "The pictures have the backbone's colours.", ("image",), "side"),
    Check("language", _language, "The encoder knows the words of the texts.", ("text",), "letters"),
    Check("lengths of texts", _texts, "Texts are neither too short nor too long.", ("text",)),
)
