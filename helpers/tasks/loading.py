"""`load_task`: any registered task, as much of it as asked for."""

import functools
import operator
from typing import Any

import numpy as np

from helpers.errors import DataNotFound, UserError
from helpers.registry import find
from helpers.tasks.domain_dial import apply_dial, dial_step
from helpers.tasks.registry import TASKS, Split, Task, TaskInfo
from helpers.tasks.splits import stratified_order


def load_task(
    name: str,
    *,
    n_train: int | None = None,
    seed: int = 0,
    image_size: int | None = None,
    dial: float = 0.0,
    n_test: int | None = None,
) -> Task:
    """Load a task with its fixed splits.

    n_train: a stratified draw from the train split with `seed`, every class in it once n_train
        reaches the number of classes; a smaller draw is part of a larger one with the same seed.
        The validation split then shrinks to its first max(100, n_train // 4) examples, because
        who owns 200 examples does not own 5,000 more to validate on. None: all of both.
    image_size: side in pixels, None for the task's own. Pictures keep their channels, 1 or 3.
    dial: position of the domain dial (`DIAL_STEPS`), for pictures of 28 x 28.
    n_test: the first n examples of the test split, which is in a fixed stratified order.

    Raises UserError for unknown names and impossible numbers, DataNotFound for data that this
    machine lacks.
    """
    info = find("task", name, TASKS)
    seed = _whole("seed", seed, 0)
    size = _side(name, info.image_size, image_size, dial)
    source = info.loader(size)
    train, validation, test = source.train, source.validation, source.test
    counts = np.bincount(train.labels, minlength=len(info.classes))
    if not counts.all():
        empty = info.classes[counts.argmin()]
        raise UserError(f"{name!r} has no training example of {empty!r}; its data are damaged")
    if n_train is not None:
        n_train = _count("n_train", n_train, train, name)
        if n_train < len(train):
            train = train.take(stratified_order(train.labels, seed)[:n_train])
        validation = validation.take(slice(max(100, n_train // 4)))
    if n_test is not None:
        test = test.take(slice(_count("n_test", n_test, test, name)))
    splits = (train, validation, test)
    if dial_step(dial):
        splits = [Split(apply_dial(split.inputs, dial), split.labels) for split in splits]
    return Task(
        name, info.modality, info.classes, info.licence, info.provenance, source.origin, *splits
    )


def train_examples(name: str) -> int:
    """Return how many examples a task's training split has: as registered, else counted once.

    Raises UserError for an unknown name, DataNotFound where it is not registered and this machine
    lacks the data.
    """
    info = find("task", name, TASKS)
    return info.train_examples or _counted(info)


@functools.cache
def _counted(info: TaskInfo) -> int:
    return len(info.loader(info.image_size).train)


def load_or_fallback(name: str, fallback: str, **choices: Any) -> Task:
    """Load a task, or another one where this machine lacks its data; the result says which.

    choices: what `load_task` takes, for both. Only missing data is forgiven: every other error of
    `load_task` comes through.
    """
    try:
        return load_task(name, **choices)
    except DataNotFound:
        return load_task(fallback, **choices)


def _side(name: str, own: int | None, asked: int | None, dial: float) -> int | None:
    """Check image_size and dial against the task; return the side in pixels."""
    step = dial_step(dial)
    if own is None:
        if asked is not None or step:
            raise UserError(f"{name!r} is a text task: it has neither image_size nor dial")
        return None
    return own if asked is None else _whole("image_size", asked, 8, 1024)


def _count(what: str, value: int, split: Split, name: str) -> int:
    value = _whole(what, value, 1)
    if value > len(split):
        raise UserError(f"{what}={value} is more than the {len(split)} examples of {name!r} there")
    return value


def _whole(what: str, value: int, least: int, most: int | None = None) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise UserError(f"{what} must be a whole number, not {value!r}") from None
    if isinstance(value, bool | np.bool_) or number < least or (most and number > most):
        upper = f" and at most {most}" if most else ""
        raise UserError(f"{what} must be at least {least}{upper}, not {value!r}")
    return number
