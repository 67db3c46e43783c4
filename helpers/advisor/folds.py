"""Folds of own data, and linear models that are judged out of fold on frozen features."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from joblib import parallel_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

from helpers.advisor.task import OwnTask
from helpers.approaches.feature_extraction import STRENGTHS
from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.experiments.timing import spent, undisturbed
from helpers.results.statistics import wilson_interval
from helpers.tasks import Task
from helpers.tasks.splits import SPLIT_SEED, stratified_order
from helpers.training import feature_cache
from helpers.training.linear import linear_probe, one_blas_thread
from helpers.training.subset_features import Pool

TIMED = 16  # examples whose features are timed
WHOLE_CHOICE = 500  # examples up to which every fold has a say in a probe's strength


def cut_folds(
    labels: np.ndarray, together: np.ndarray | None, most: int, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stratified folds, `most` or fewer, as rows to train on and rows to judge by, int64 each.

    labels: (N,). together: (N,), equal where examples stay on one side; None: each stands alone.
    Every row is judged once, and every part to train on holds two classes. Raises UserError where
    no number of folds can have that.
    """
    together = np.arange(len(labels)) if together is None else together
    sets = len(np.unique(together))
    kind = StratifiedKFold if sets == len(together) else StratifiedGroupKFold
    for count in range(min(most, sets, int(np.bincount(labels).max())), 1, -1):
        draw = kind(count, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class smaller than the folds
            found = list(draw.split(labels, labels, together))
        if all(len(judged) and len(np.unique(labels[train])) > 1 for train, judged in found):
            return found
    raise UserError(
        f"{len(labels):,} examples in {sets:,} groups can't be cut into parts that leave two "
        "classes to train on; add examples, or take no groups with --group-column none"
    )


def sets_of_class(labels: np.ndarray, together: np.ndarray) -> np.ndarray:
    """How many sets of what stays together each class has, int64 (classes,)."""
    pairs = np.unique(np.stack([labels, together]), axis=1)
    return np.bincount(pairs[0])


@dataclass(frozen=True)
class Folds:
    """Ways to cut the pool (training, then validation examples) into parts to train and to judge.

    Fold 0 is the task's own split. Folds 1 to `count` judge each example of the pool once, the
    next `count` do so again with another draw. together: int64 (pool,), see `OwnData`.
    """

    labels: np.ndarray = field(repr=False)
    n_train: int
    together: np.ndarray | None = field(default=None, repr=False)
    seed: int = 0
    _cuts: dict[int, list] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def count(self) -> int:
        """Folds that judge everything once; the judged part is as large as the own validation.

        Fewer where classes or groups are too small for so many.
        """
        return len(self._drawn(0))

    def rows(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the pool to train on and to judge by, int64 each."""
        everything = np.arange(len(self.labels))
        if fold == 0:
            return everything[: self.n_train], everything[self.n_train :]
        number, place = divmod(fold - 1, self.count)
        return self._drawn(number)[place]

    def _drawn(self, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
        if number not in self._cuts:
            share = len(self.labels) / max(1, len(self.labels) - self.n_train)
            most = int(np.clip(round(share), 2, 10)) if number == 0 else self.count
            found = cut_folds(self.labels, self.together, most, self.seed + number)
            self._cuts[number] = found if number == 0 or len(found) == most else self._cuts[0]
        return self._cuts[number]


def folds_of(own: OwnTask, seed: int = 0) -> Folds:
    """The folds of a task's pool."""
    return Folds(own.data.labels[own.pool], len(own.task.train), own.data.together[own.pool], seed)


def part_of(task: Task, folds: Folds, fold: int, n_train: int, pool: Pool | None = None) -> Task:
    """A task to choose by: at most n_train examples to train on, and a fold to judge by.

    The test split is not in it; an example of the validation split stands there.
    pool: the task's training and validation examples (`OwnTask.examples`), made where None.
    """
    pool, (train, judged) = pool or Pool(task.train, task.validation), folds.rows(fold)
    train = train[np.sort(stratified_order(folds.labels[train], SPLIT_SEED)[:n_train])]
    train, validation = pool.part(train), pool.part(judged)
    return replace(task, train=train, validation=validation, test=validation.take(slice(1)))


@dataclass(frozen=True)
class ProbeScore:
    """A model judged on n examples: share right, its 95 % Wilson interval, mean F1 of classes."""

    accuracy: float
    low: float
    high: float
    n: int
    macro_f1: float = math.nan

    def as_dict(self, *, macro_f1: bool = False) -> dict[str, Any]:
        """For JSON. macro_f1: whether it is told."""
        told = {name: round(value, 4) for name, value in vars(self).items()}
        return {name: one for name, one in told.items() if macro_f1 or name != "macro_f1"}


@dataclass(frozen=True, kw_only=True)
class SizedProbe(ProbeScore):
    """A probe at one input size, on the examples that every size was probed on.

    image_size: pixels a side, or tokens. strength: C of the linear model, chosen among STRENGTHS.
    seconds: of features and folds here. fit: seconds of one fit, an example. part: whether these
    are fewer examples than could be probed, for want of time.
    """

    image_size: int
    strength: float
    seconds: float
    fit: float
    part: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        exact = {"strength": self.strength, "seconds": round(self.seconds, 1), "part": self.part}
        return {name: one for name, one in (super().as_dict() | exact).items() if name != "fit"}


def share_right(right: np.ndarray) -> dict[str, Any]:
    """accuracy, low, high and n of a model that got these right, bool (N,)."""
    low, high = wilson_interval(int(right.sum()), len(right))
    return {"accuracy": float(right.mean()), "low": low, "high": high, "n": len(right)}


def score_of(named: np.ndarray, labels: np.ndarray) -> ProbeScore:
    """The score of a model that named these classes, int64 (N,)."""
    f1 = float(f1_score(labels, named, average="macro"))
    return ProbeScore(**share_right(named == labels), macro_f1=f1)


def seconds_each(backbone: Backbone, inputs: np.ndarray | list[str]) -> float:
    """Seconds that the features of one input take here where nothing else runs."""
    few = inputs[:TIMED]
    call = partial(feature_cache.frozen_prefix, backbone, few, backbone.n_stages, cache=False)
    taken, _ = undisturbed({"": partial(spent, call)}, 1)
    return taken[""] / len(few)


@one_blas_thread
def probed(
    image_size: int, each: float, features: np.ndarray, labels: np.ndarray, cuts: list
) -> tuple[SizedProbe, np.ndarray]:
    """A linear probe out of fold, its strength the one with the least loss out of fold.

    image_size: that the features, float32 (n, F), were computed at, in `each` seconds an example.
    Returns its figures, and the classes that it names, int64 (n,).
    """
    started = time.process_time()
    strength = strength_of(features, labels, cuts if len(labels) <= WHOLE_CHOICE else cuts[:1])
    between = time.process_time()
    named = out_of_fold(linear_probe(strength), features, labels, cuts)
    ended = time.process_time()
    sized = SizedProbe(
        **vars(score_of(named, labels)),
        image_size=image_size,
        strength=strength,
        seconds=each * len(labels) + ended - started,
        fit=(ended - between) / sum(len(train) for train, _ in cuts),
    )
    return sized, named


def strength_of(features: np.ndarray, labels: np.ndarray, cuts: Sequence) -> float:
    """C of STRENGTHS with the least cross-entropy on the judged side of these folds."""
    losses = dict.fromkeys(STRENGTHS, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for (train, judged), strength in product(cuts, STRENGTHS):
            probe = linear_probe(strength).fit(features[train], labels[train])
            # A class that a part lacks gets next to nothing, and not 0.
            chances = np.full((len(judged), labels.max() + 1), 1e-9)
            chances[:, probe.classes_] += probe.predict_proba(features[judged])
            chances /= chances.sum(axis=1, keepdims=True)
            losses[strength] -= np.log(chances[np.arange(len(judged)), labels[judged]]).sum()
    return min(losses, key=losses.__getitem__)


@one_blas_thread
def out_of_fold(
    model: Any, inputs: Any, labels: np.ndarray, cuts: list, method: str = "predict"
) -> np.ndarray:
    """What a method of a model returns for each example, fitted on the other folds, (n, ...)."""
    threads = parallel_config("threading", n_jobs=torch.get_num_threads())  # a fold on each
    with threads, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its last digit
        warnings.filterwarnings("ignore", "Number of classes in training fold")
        return cross_val_predict(model, inputs, labels, cv=cuts, method=method)
