"""Folds of own data: the parts that a race trains on and judges by."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from helpers.advisor.task import OwnTask
from helpers.errors import UserError
from helpers.tasks import Task
from helpers.tasks.splits import SPLIT_SEED, stratified_order
from helpers.training.subset_features import Pool


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

    def part(self, fold: int, n_train: int) -> tuple[np.ndarray, np.ndarray]:
        """`rows`, with at most n_train to train on; a smaller part is contained in a larger one."""
        train, judged = self.rows(fold)
        if n_train < len(train):
            train = train[np.sort(stratified_order(self.labels[train], SPLIT_SEED)[:n_train])]
        return train, judged


def folds_of(own: OwnTask, seed: int = 0) -> Folds:
    """The folds of a task's pool."""
    return Folds(own.data.labels[own.pool], len(own.task.train), own.data.together[own.pool], seed)


def part_of(task: Task, folds: Folds, fold: int, n_train: int, pool: Pool | None = None) -> Task:
    """A task to choose by: at most n_train examples to train on, and a fold to judge by.

    The test split is not in it; an example of the validation split stands there.
    pool: the task's training and validation examples (`OwnTask.examples`), made where None.
    """
    pool = pool or Pool(task.train, task.validation)
    train, validation = (pool.part(rows) for rows in folds.part(fold, n_train))
    return replace(task, train=train, validation=validation, test=validation.take(slice(1)))
