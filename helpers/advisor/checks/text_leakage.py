"""Words of texts that give the class away: its own name, a template, a signature, a source."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer

from helpers.advisor.checks.context import Check, Context
from helpers.advisor.data import Finding, counted, listing
from helpers.tasks.words import spaced, without_marks

_FEWEST = 20  # texts of a class: with fewer, some word stands in most of them by luck
_MOST_READ = 20_000  # texts: as many show a word that stands in half of a class
_SHARE, _NEARLY_ALL = 0.5, 0.9  # of a class's texts that hold the word
_RARER = 20  # times rarer in the other classes


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
        column, inside, outside = _most_telling(holds, own, ~np.isin(words, _words(name).split()))
        if own.sum() >= _FEWEST and inside >= _SHARE and outside * _RARER <= inside:
            shown = f"{words[column]!r} {name} ({100 * inside:.0f} % of its texts)"
            told[shown] = inside, rows[own & (holds[:, [column]].toarray()[:, 0] > 0)][:3]
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


def _most_telling(holds: csr_matrix, own: np.ndarray, allowed: np.ndarray) -> tuple:
    """Return a class's most telling word: its column, its share of own and of other texts.

    holds: N x words, 1 where a text holds the word. own: bool (N,). allowed: bool (words,).
    The share of the others counts one text more than there is, so that few show nothing.
    """
    inside = np.asarray(holds[own].sum(axis=0)).ravel() / max(1, own.sum())
    outside = (np.asarray(holds[~own].sum(axis=0)).ravel() + 1) / ((~own).sum() + 1)
    column = int(np.where(allowed, inside - _RARER * outside, -np.inf).argmax())
    return column, float(inside[column]), float(outside[column])


CHECKS = (
    Check("class named in the text", _label_in_text, "Texts do not name their class.", ("text",)),
    Check("single words", _one_word, "No single word gives a class away.", ("text",)),
)
