"""Whether the test that the data brings resembles the training data.

Each example is called test or training by its nearest neighbours of the same class, on frozen
features. How well that works is compared with how well it works when the sides are dealt anew by
luck, so that a test drawn at random from the same examples passes (Schilling 1986, JASA 81:799).
Test photos from another shop lie elsewhere in each class by its own way, which a linear classifier
over all classes hardly sees: of the groceries' published test it reaches an AUC of 0.54, and the
neighbours 0.76.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.preprocessing import StandardScaler

from helpers.advisor.checks.context import Check, Context
from helpers.advisor.data import Finding
from helpers.advisor.folds import cut_folds, out_of_fold, share_right
from helpers.tasks.splits import stratified_order
from helpers.training.linear import linear_probe, one_blas_thread

SHIFT = "test against training data"
LUCK, APART = 0.02, 0.6  # a p-value and an AUC from which on the test is of another kind
_SHUFFLES, _NEAREST = 199, 3
_MOST, _FEWEST = 1_000, 20  # examples of a side
_PROBED, _FOLDS = 1_500, 5  # training examples of the probe that is judged on the test; folds


@dataclass(frozen=True)
class Shift:
    """How far test and training examples can be told apart.

    auc: 0.5 where they are alike, 1 where each is told. p_value: share of lucky deals that reach
    as much. telling: rows of test examples, those that look least like training first.
    """

    auc: float
    p_value: float
    telling: np.ndarray

    @property
    def differs(self) -> bool:
        """Whether the test is of another kind: not by luck, and by enough to matter."""
        return self.p_value <= LUCK and self.auc >= APART


@one_blas_thread
def compare(
    features: np.ndarray,
    labels: np.ndarray,
    is_test: np.ndarray,
    together: np.ndarray,
    seed: int = 0,
) -> Shift | None:
    """Tell test from training examples; None where either side is too small to say anything.

    features: float (N, F). labels: int64 (N,). is_test: bool (N,). together: int64 (N,), see
    `OwnData`. Each class counts as often on both sides, so that another mix of classes is no shift.
    """
    rng = np.random.default_rng(seed)
    rows = _balanced(labels, is_test, rng)
    if len(rows) < 2 * _FEWEST:
        return None
    labels, side, together = labels[rows], is_test[rows], together[rows]
    points = StandardScaler().fit_transform(features[rows])
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-6)
    alike = points @ points.T
    alike[(labels[:, None] != labels) | (together[:, None] == together)] = -np.inf
    near = np.argpartition(-alike, _NEAREST, axis=1)[:, :_NEAREST]
    counts = np.isfinite(np.take_along_axis(alike, near, 1))[:, :, None]
    sides = np.column_stack([side, _dealt(side, labels, together, rng)])
    scores = (sides[near] * counts).sum(1) / np.maximum(1, counts.sum(1))
    scores[~counts.any(1)[:, 0]] = 0.5  # alone in its class
    ranks, n_test = rankdata(scores, axis=0), sides.sum(0)
    aucs = ((ranks * sides).sum(0) / n_test - (n_test + 1) / 2) / (len(rows) - n_test)
    p_value = (1 + (aucs[1:] >= aucs[0]).sum()) / (1 + _SHUFFLES)
    # Without itself an example has fewer of its own side around it: luck lies below a half.
    auc = np.clip(aucs[0] - aucs[1:].mean() + 0.5, 0, 1)
    order = np.argsort(-scores[:, 0], kind="stable")
    return Shift(float(auc), float(p_value), rows[order[side[order]]])


def _balanced(labels: np.ndarray, is_test: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows with as many examples of each class on both sides, at most _MOST of a side."""
    pairs = []
    for label in np.unique(labels):
        sides = [np.flatnonzero((labels == label) & (is_test == test)) for test in (False, True)]
        n = min(map(len, sides))
        pairs.append(np.column_stack([rng.permutation(rows)[:n] for rows in sides]))
    return np.sort(rng.permutation(np.concatenate(pairs))[:_MOST].ravel())


def _dealt(
    side: np.ndarray, labels: np.ndarray, together: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Sides dealt anew, bool (N, _SHUFFLES): within each class, what stays together at once."""
    _, first, sets = np.unique(2 * together + side, return_index=True, return_inverse=True)
    kinds, sides = labels[first], side[first]
    places = np.argsort(kinds, kind="stable")
    dealt = np.empty((len(first), _SHUFFLES), dtype=bool)
    for column in range(_SHUFFLES):
        dealt[places, column] = sides[np.lexsort((rng.random(len(first)), kinds))]
    return dealt[sets]


def _shift(context: Context) -> list[Finding] | None:
    data, is_test = context.data, context.data.splits == "test"
    if "test" in data.drawn or not is_test.any():
        return None
    shift = compare(context.features, data.labels, is_test, data.together)
    if shift is None:
        return None
    figures = {"auc": shift.auc, "p_value": shift.p_value}
    how = f"AUC {shift.auc:.2f}, where 0.5 is alike and 1 wholly apart; p = {shift.p_value:.2g}"
    severity, found, mend = "passed", f"The test resembles the training data ({how}).", ""
    if shift.differs:
        judged = _probed(context)
        figures |= judged
        severity = "warning"
        found = (
            "The test is of another kind than the training data: by their nearest neighbours "
            f"examples of the same class are told apart ({how}). A probe gets "
            f"{judged['probe_on_test']:.3f} of this test right ({judged['low']:.3f} to "
            f"{judged['high']:.3f}), and {judged['probe_out_of_fold']:.3f} out of fold."
        )
        mend = (
            "Where what comes later looks like the test, believe the number on the test, not the "
            "one out of fold, and train on some of its kind; else draw a test from what will come."
        )
    figures = {key: round(value, 4) for key, value in figures.items()}
    examples = data.names(shift.telling) if shift.differs else ()
    return [Finding(SHIFT, severity, found, examples, mend, figures)]


@one_blas_thread
def _probed(context: Context) -> dict[str, float]:
    """A probe's accuracy out of fold on the other examples; on the test, its 95 % interval."""
    data, features = context.data, context.features
    pool, test = np.flatnonzero(data.splits != "test"), np.flatnonzero(data.splits == "test")
    pool = pool[stratified_order(data.labels[pool], 0)[:_PROBED]]
    labels = data.labels[pool]
    cuts = cut_folds(labels, data.together[pool], _FOLDS)
    guessed = out_of_fold(linear_probe(), features[pool], labels, cuts)
    probe = linear_probe().fit(features[pool], labels)
    told = share_right(probe.predict(features[test]) == data.labels[test])
    ends = {name: told[name] for name in ("low", "high")}
    inside = float((guessed == labels).mean())
    return {"probe_out_of_fold": inside, "probe_on_test": told["accuracy"], **ends}


CHECKS = (Check(SHIFT, _shift, "The test resembles the training data.", needs="features"),)
