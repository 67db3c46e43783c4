"""Blocks of questions, and the sweeps that they make: every combination, checked when built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from helpers.errors import UserError
from helpers.results.schema import SCHEMA
from helpers.tasks import train_examples
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION, SHIPPED

TUNING = "/tuning"  # a sweep's learning-rate trials are recorded under its name and this
ALL = 0  # as a size: every training example of the task
EIGHT = SHIPPED  # the approaches that a grid compares where it names none
DEFAULT_RATE = (None,)  # as rates: the approach's default and no trials
FEW = 200  # training examples up to which extra seeds run, and that learning rates are tried on


@dataclass(frozen=True)
class Block:
    """A box of questions: every combination of what is listed, checked when built."""

    backbone: str
    tasks: tuple[str, ...]
    sizes: tuple[int, ...]  # training examples, rising; one that a task lacks is left out
    approaches: tuple[str, ...] = EIGHT
    seeds: int = 3
    dials: tuple[float, ...] = (0.0,)
    settings: tuple[str, ...] = ("",)
    image_size: int | None = None  # None: the backbone's default
    rates: tuple[float | None, ...] = ()  # learning rates to compare; empty: one, tuned
    # Examples that learning rates are tried on, seed 0; ALL: the whole pool. With several, a run
    # takes the largest that it reaches.
    tuning_size: int | tuple[int, ...] = (FEW, 1_000)
    tuning_side: int | None = None  # pixels that rates are tried at; None: those of the block
    augment: str = ""  # names of augmentations, added to the settings of every approach
    # Approaches of which every seed runs. Of the others seeds after 0 run where the first one came
    # within two standard errors of the best.
    always: tuple[str, ...] = EIGHT
    single: tuple[str, ...] = ()  # approaches that run on seed 0 only
    extra_seeds: int = 0  # more seeds at 200 examples or fewer, for those near the best

    def __post_init__(self) -> None:
        if self.seeds < 1 or min(self.sizes) < 0:
            raise UserError("a block needs seeds of 1 or more and sizes of 0 or more")

    def questions(self) -> Iterator[dict[str, Any]]:
        """Yield the fields of a RunConfig for each run; `lr` is None where it is tuned."""
        for group in self.groups():
            yield from self.questions_of(group)

    def questions_of(self, group: dict[str, Any]) -> list[dict[str, Any]]:
        """The questions of one group."""
        return [
            group | {"n_train": size, "seed": seed, "lr": rate}
            for size in self._sizes(group["task"])
            for seed in self.seeds_of(group["task"], group["approach"], size)
            for rate in self.rates or DEFAULT_RATE
        ]

    def seeds_of(self, task: str, approach: str, size: int) -> range:
        """The seeds that may run.

        On every example of a task a solver has nothing left to draw: more seeds would repeat it.
        """
        solved = approach in (CLASSICAL, FEATURE_EXTRACTION) and size == train_examples(task)
        more = self.extra_seeds if size <= FEW else 0
        return range(1 if solved or approach in self.single else self.seeds + more)

    def groups(self) -> Iterator[dict[str, Any]]:
        """Yield what runs share that differ in size, seed and learning rate alone."""
        for task in self.tasks:
            for dial in self.dials:
                for approach in self.approaches:
                    for settings in self.settings:
                        yield {
                            "task": task,
                            "backbone": self.backbone,
                            "approach": approach,
                            "dial": dial,
                            "settings": settings,
                            "image_size": self.image_size,
                            "schema": SCHEMA,
                        }

    def trial(self, group: dict[str, Any], size: int, rate: float) -> dict[str, Any]:
        """Return the question of one learning-rate trial at a tuning size of a group."""
        side = self.tuning_side or group["image_size"]
        return group | {"n_train": size, "seed": 0, "lr": rate, "image_size": side}

    def tuning_for(self, task: str, size: int) -> int:
        """The tuning size whose learning rate a run with `size` training examples takes."""
        several = self.tuning_size if isinstance(self.tuning_size, tuple) else (self.tuning_size,)
        pool = train_examples(task)
        sizes = sorted(min(one or pool, pool) for one in several)
        return max((one for one in sizes if one <= size), default=sizes[0])

    def _sizes(self, task: str) -> list[int]:
        pool = train_examples(task)
        return sorted({size or pool for size in self.sizes if size <= pool})


@dataclass(frozen=True)
class Sweep:
    """A named set of questions."""

    name: str
    about: str
    blocks: tuple[Block, ...]

    @property
    def tuned(self) -> bool:
        """Whether any learning rate is to be tuned before the sweep itself."""
        return any(not block.rates for block in self.blocks)
