"""Own data as people would never mean to have it, and what `advise` makes of it while reading.

    python -m tools.attack.attack malformed_data

Every input is written anew from the seed, read, decoded, split, checked and probed. It ends in
labelled examples, or in one sentence with the mend; anything else is a failure, and so is what
takes longer than LIMIT seconds, or a label that a terminal would obey.
"""

from __future__ import annotations

import os
import signal
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from unittest import mock

import numpy as np

from helpers.advisor.checks.catalogue import refuse, run_checks
from helpers.advisor.checks.copies import find_copies
from helpers.advisor.checks.pictures import picture_shape, readable
from helpers.advisor.data import OwnData
from helpers.advisor.folds import folds_of
from helpers.advisor.probe import probe_own
from helpers.advisor.read.any_format import read_data
from helpers.advisor.splits import draw_splits
from helpers.advisor.task import make_own_task
from helpers.errors import UserError, printable
from tools.attack.malformed_inputs import WRITERS

SIZE, SMALL = 300, 40
LIMIT = 30  # seconds
SIDE = 32  # pixels that pictures are decoded at


def looked_at(path: Path) -> OwnData:
    """Read, decode, split, check, probe and cut into folds, as `advise` does, without a network."""
    data = read_data(path)
    shape = picture_shape(data, SIDE)
    data = readable(data, *shape)
    data = draw_splits(data, find_copies(data, *shape))
    own = make_own_task(data, *shape)
    features = np.random.default_rng(0).normal(size=(len(data), 8)).astype(np.float32)
    with mock.patch("helpers.advisor.probe.seconds_each", return_value=0.0):
        probe_own(NETWORK, own, features, cut=np.zeros(len(data), dtype=bool))
    refuse(data, run_checks(data, features=features, side=SIDE, decoded=shape))
    folds = folds_of(own)
    for fold in range(folds.count + 1):
        if not all(map(len, folds.rows(fold))):
            raise ValueError(f"fold {fold} of {folds.count} is empty")
    return data


def letters(texts: list[str], longest: int) -> np.ndarray:
    """Stands in for a network's tokens: a number for each letter."""
    ids = np.zeros((len(texts), longest), dtype=np.int64)
    for row, text in enumerate(texts):
        numbers = [1 + ord(letter) % 1_000 for letter in text[:longest]]
        ids[row, : len(numbers)] = numbers
    return ids


NETWORK = SimpleNamespace(name="-", recipe=SimpleNamespace(size=SIDE), tokenizer=letters)


class Late(BaseException):
    """Raised in what takes too long; decoders swallow what is an `Exception`."""


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raise Late in what takes longer; on the main thread alone."""

    def stop(*_: object) -> None:
        raise Late(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def complaint(path: Path) -> str:
    """What is wrong with how an input is met; "" where nothing is."""
    try:
        with at_most(LIMIT):
            data = looked_at(path)
    except UserError as error:
        said = printable(" ".join(str(error).split()))
        whole = len(said) > 20 and not said.endswith(".") and (";" in said or "," in said)
        return "" if whole else f"no sentence with a mend: {said}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "".join(traceback.format_exception(error)[-3:])
    bad = [name for name in data.classes if printable(name) != name or not name.strip()]
    return f"labels that a terminal obeys: {bad!r}" if bad else ""


def attack(seed: int, size: int, place: Path) -> list[str]:
    """Write and read so many malformed inputs; returns a line for each that is met badly."""
    failures = []
    for number in range(size):
        writer = WRITERS[number % len(WRITERS)]
        with tempfile.TemporaryDirectory(dir=place) as folder:
            data = Path(folder) / "data"
            data.mkdir()
            with mock.patch.dict(os.environ, {"TRANSFER_CACHE": f"{folder}/cache"}):
                wrong = complaint(writer(data, Random(f"{seed} {number}")))
        if wrong:
            failures.append(f"{writer.__name__}, seed {seed}, input {number}: {wrong}")
    return failures
