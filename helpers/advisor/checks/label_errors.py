"""Labels that may be wrong: examples that a probe, out of fold, is confident to call otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from helpers.advisor.checks.context import Check, Context
from helpers.advisor.data import MOST_EXAMPLES, Finding
from helpers.advisor.folds import cut_folds, out_of_fold
from helpers.errors import UserError
from helpers.tasks.splits import stratified_order
from helpers.training.linear import linear_probe

_FOLDS = 5
_DOUBT = 0.3  # of the probability that a class usually gets: its label is doubted below
_MOST = 10_000  # examples that the probe is fitted on; more would take minutes and find no more


def suspects_from(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find confident disagreement in out-of-fold probabilities, float (N, C), with labels (N,).

    Returns the rows of the examples, int64 (M,), the likeliest errors first, and the labels that
    the probe would give them, int64 (M,).
    Confident learning (Northcutt, Jiang, Chuang, 2021): an example is suspect where another class
    than its own is likeliest and is given at least the probability that examples labelled so get
    on average. Its own class must also be given far less than usual: on photos with errors planted
    among them that left out most false alarms, and put as many errors first.
    """
    own, best = probabilities[np.arange(len(labels)), labels], probabilities.argmax(axis=1)
    usual = np.full(probabilities.shape[1], np.inf)
    for label in np.unique(labels):
        usual[label] = own[labels == label].mean()
    confidence = probabilities.max(axis=1)
    doubted = (confidence >= usual[best]) & (own <= _DOUBT * usual[labels])
    rows = np.flatnonzero((best != labels) & doubted)
    rows = rows[np.argsort(own[rows] / confidence[rows], kind="stable")]
    return rows, best[rows]


def chances_out_of_fold(
    features: np.ndarray, labels: np.ndarray, together: np.ndarray | None
) -> np.ndarray:
    """Return probabilities (N, C) from probes that did not see the example, nor one of its group.

    A class that a fold's probe has not seen gets probability 0; C is labels.max() + 1.
    Raises UserError where examples are too few.
    """
    cuts = cut_folds(labels, together, _FOLDS)
    # Held short: a probe must not learn the very labels that it is asked to doubt.
    probe = linear_probe(1 / features.shape[1], 200, tol=1e-3)
    found = np.zeros((len(labels), int(labels.max()) + 1))
    found[:, np.unique(labels)] = out_of_fold(probe, features, labels, cuts, "predict_proba")
    return found


def label_suspects(
    features: np.ndarray, labels: np.ndarray, together: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find examples whose labels may be wrong, as `suspects_from` returns them.

    features: float (N, F) of a frozen backbone. labels: int64 (N,). together: (N,), equal where
    examples must not judge each other, such as copies. Of more than 10,000 examples a stratified
    draw is looked at.
    """
    rows = np.sort(stratified_order(labels, 0)[:_MOST])
    part, own = None if together is None else together[rows], labels[rows]
    try:
        probabilities = chances_out_of_fold(features[rows], own, part)
    except UserError:  # too few to doubt any
        return rows[:0], own[:0]
    found, rather = suspects_from(probabilities, own)
    return rows[found], rather


def _suspects(context: Context) -> Iterator[Finding]:
    data = context.data
    rows, rather = label_suspects(context.features, data.labels, data.together)
    if not len(rows):
        return
    n, names = min(len(data), _MOST), data.classes
    shown = zip(rows[:MOST_EXAMPLES], rather[:MOST_EXAMPLES], strict=True)
    yield Finding(
        "label suspects",
        "warning" if len(rows) > 0.05 * n else "note",
        f"A probe that did not see them confidently calls {len(rows):,} of {n:,} examples "
        f"({100 * len(rows) / n:.1f} %) another class; the likeliest errors come first.",
        tuple(
            f"{data.name(int(row))} ({names[data.labels[row]]}, rather {names[other]})"
            for row, other in shown
        ),
        "Look at the first of them: if half are mislabelled, go through the rest.",
    )


CHECKS = (
    Check(
        "label suspects", _suspects, "A probe doubts no label with confidence.", needs="features"
    ),
)
