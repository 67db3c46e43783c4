"""A linear model out of fold on frozen features: its strength, its score, and what it costs."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import parallel_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score
from sklearn.model_selection import cross_val_predict

from helpers.approaches.feature_extraction import STRENGTHS
from helpers.backbones import Backbone
from helpers.experiments.timing import spent, undisturbed
from helpers.results.statistics import wilson_interval
from helpers.training import feature_cache
from helpers.training.linear import linear_probe, one_blas_thread

TIMED = 16  # examples whose features are timed
WHOLE_CHOICE = 500  # examples up to which every fold has a say in a probe's strength


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
        if not macro_f1:
            del told["macro_f1"]
        return told


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
        told = super().as_dict()
        del told["fit"]
        exact = {"strength": self.strength, "seconds": round(self.seconds, 1), "part": self.part}
        return told | exact


def share_right(right: np.ndarray) -> dict[str, Any]:
    """accuracy, low, high and n of a model that got these right, bool (N,)."""
    count, n = int(right.sum()), len(right)
    low, high = wilson_interval(count, n)
    return {"accuracy": count / n, "low": low, "high": high, "n": n}


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


class Probed(NamedTuple):
    """One size's probe: its figures, and the classes that it names out of fold, int64 (n,)."""

    sized: SizedProbe
    named: np.ndarray


@one_blas_thread
def probed(
    image_size: int, each: float, features: np.ndarray, labels: np.ndarray, cuts: list
) -> Probed:
    """A linear probe out of fold, its strength the one with the least loss out of fold.

    image_size: that the features, float32 (n, F), were computed at, in `each` seconds an example.
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
    return Probed(sized, named)


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
