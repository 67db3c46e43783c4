"""The grids of runs, as data: which questions each sweep asks. Nothing here runs them.

Learning rates are not here: each approach lists its trials, the same number for all, in its
registry entry. `sweeps` tries them at `tuning_size` examples and picks on validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from helpers.errors import UserError
from helpers.registry import unknown_name
from helpers.tasks import train_examples
from helpers.vocabulary import (
    CLASSICAL,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    LORA,
    PARTIAL_FINE_TUNING,
    SHIPPED,
)

TUNING = "/tuning"  # a sweep's learning-rate trials are recorded under its name and this
ALL = 0  # as a size: every training example of the task
EIGHT = SHIPPED  # the approaches that a grid compares where it names none
_CACHED = (CLASSICAL, FEATURE_EXTRACTION, PARTIAL_FINE_TUNING)
_UNCACHED = tuple(name for name in EIGHT if name not in _CACHED)
# The sweeps that compare every approach on equal terms, over tasks.
COMPARED = ("pocket", "lite0", "minilm")
DIALS = tuple(step / 6 for step in range(1, 7))  # the domain dial's steps after 0
DEFAULT_RATE = (None,)  # as rates: the approach's default and no trials
FOUR_DECADES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1)


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
    epochs: int | None = None  # None: the approach's default at that size
    batch_size: int = 32
    rates: tuple[float | None, ...] = ()  # learning rates to compare; empty: one, tuned
    tuning_size: int = 500  # examples that learning rates are tried on, seed 0; ALL: the whole pool

    def __post_init__(self) -> None:
        if self.seeds < 1 or min(self.sizes) < 0:
            raise UserError("a block needs seeds of 1 or more and sizes of 0 or more")

    def questions(self) -> Iterator[dict[str, Any]]:
        """Yield the fields of a RunConfig for each run; `lr` is None where it is tuned."""
        for group in self.groups():
            for size in self._sizes(group["task"]):
                for seed in range(self.seeds):
                    for rate in self.rates or DEFAULT_RATE:
                        yield group | {"n_train": size, "seed": seed, "lr": rate}

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
                            "epochs": self.epochs,
                            "batch_size": self.batch_size,
                        }

    def trial(self, group: dict[str, Any], rate: float) -> dict[str, Any]:
        """Return the question of one learning-rate trial of a group."""
        pool = train_examples(group["task"])
        size = min(self.tuning_size or pool, pool)
        return group | {"n_train": size, "seed": 0, "lr": rate}

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


_SIZES = (50, 200, 1_000)
_POCKET_TASKS = ("products_near", "digits", "textile", "solar_cells")
_PHOTO_TASKS = ("clothing", "solar_cells", "textile", "digits", "products")
_TEXT_TASKS = ("newsgroups", "reuters8", "tweets", "film_reviews", "product_reviews", "posts")
_SOLAR = ("solar_cells",)
_LITE0 = "efficientnet_lite0"


def _lite0(sizes: tuple[int, ...], seeds: int = 3) -> Block:
    return Block(_LITE0, _PHOTO_TASKS, sizes, seeds=seeds, image_size=64, tuning_size=200)


SWEEPS: dict[str, Sweep] = {
    sweep.name: sweep
    for sweep in (
        Sweep(
            "pocket",
            "every approach on a network whose pretraining data we know, near and far",
            (
                Block("pocket", _POCKET_TASKS, _SIZES, seeds=5),
                Block("pocket", ("products_near",), _SIZES, dials=DIALS),
            ),
        ),
        Sweep(
            "pocket_large",
            "the same where data is no longer scarce, and on the dial's middle and end",
            (
                Block("pocket", ("products_near",), (5_000, 20_000, ALL)),
                Block("pocket", ("products_near",), (5_000,), dials=(DIALS[2], DIALS[-1])),
            ),
        ),
        Sweep(
            "lite0",
            "every approach on an ImageNet backbone, pictures at 64 pixels",
            (_lite0((50, 200), seeds=5), _lite0((1_000,))),  # small sets scatter most, cost least
        ),
        Sweep(
            "lite0_all",
            "the same on every training example",
            (_lite0((ALL,)),),
        ),
        Sweep(
            "resolution",
            "what more pixels are worth: frozen features at three picture sizes",
            tuple(
                Block(
                    _LITE0,
                    ("clothing", "solar_cells", "textile"),
                    (200,),
                    (FEATURE_EXTRACTION,),
                    image_size=side,
                    rates=DEFAULT_RATE,
                )
                for side in (64, 128, 224)
            ),
        ),
        Sweep(
            "minilm",
            "every approach on a sentence encoder that reads 32 tokens, at default learning rates",
            tuple(
                Block(
                    "minilm",
                    _TEXT_TASKS,
                    sizes,
                    approaches,
                    seeds=seeds,
                    image_size=32,
                    epochs=epochs,
                    rates=DEFAULT_RATE,
                )
                # What trains from the first layer on gets six epochs; it cannot be cached.
                for approaches, epochs in ((_CACHED, None), (_UNCACHED, 6))
                for sizes, seeds in (((50, 200), 5), ((1_000,), 3))
            ),
        ),
        Sweep(
            "anchor",
            "counted words against a frozen encoder that reads 64 tokens, where texts are many",
            (
                Block(
                    "minilm",
                    ("newsgroups",),
                    (2_000,),
                    (CLASSICAL, FEATURE_EXTRACTION),
                    image_size=64,
                    rates=DEFAULT_RATE,
                ),
            ),
        ),
        Sweep(
            "clothing",
            "the race on product photos, every approach at its default learning rate",
            (
                Block(
                    _LITE0,
                    ("clothing",),
                    (200, 1_000),
                    image_size=128,
                    rates=DEFAULT_RATE,
                ),
            ),
        ),
        Sweep(
            "solar",
            "solar cells on the published split, all training images, against published accuracies",
            (
                Block(_LITE0, _SOLAR, (ALL,), (CLASSICAL,), rates=(0.01,), image_size=224),
                *(
                    Block(
                        _LITE0,
                        _SOLAR,
                        (ALL,),
                        (FEATURE_EXTRACTION,),
                        settings=(f"augment=flips;views={views}",),
                        rates=(1e-3,),
                        image_size=side,
                    )
                    for side, views in ((224, 8), (300, 4))
                ),
                # The lower four stages frozen: their output is computed once for each of eight
                # flipped views, which makes 224 pixels affordable without a GPU. With 16 epochs
                # early stopping can cut in while the rate is still high; 8 let it fall.
                *(
                    Block(
                        _LITE0,
                        _SOLAR,
                        (ALL,),
                        (PARTIAL_FINE_TUNING,),
                        settings=("top_stages=5;augment=flips;views=8",),
                        rates=(3e-4,),
                        epochs=epochs,
                        image_size=224,
                    )
                    for epochs in (8, 16)
                ),
            ),
        ),
        Sweep(
            "lr_sensitivity",
            "accuracy over four decades of learning rates",
            (
                Block(
                    "pocket",
                    ("products_near", "textile"),
                    (300,),
                    (PARTIAL_FINE_TUNING, FULL_FINE_TUNING, LORA),
                    rates=FOUR_DECADES,
                ),
            ),
        ),
        Sweep(
            "stages",
            "how many of the top stages to unfreeze, on a near task and two distant ones",
            (
                Block(
                    "pocket",
                    ("products_near", "textile", "digits"),
                    (200, 1_000),
                    (PARTIAL_FINE_TUNING,),
                    settings=tuple(f"top_stages={stages}" for stages in range(1, 6)),
                    rates=DEFAULT_RATE,
                ),
            ),
        ),
    )
}


def get_sweep(name: str) -> Sweep:
    """Return the sweep of this name, or of NAME in "NAME/tuning".

    Raises UserError, with the names that exist, when there is none.
    """
    plain = name.removesuffix(TUNING)
    if plain not in SWEEPS or (name != plain and not SWEEPS[plain].tuned):
        known = ", ".join(SWEEPS)
        hint = str(unknown_name("sweep", name, SWEEPS)).partition("; ")[2]
        listed = "" if hint.startswith("choose") else f"; the sweeps are: {known}"
        raise UserError(f"there is no sweep {name!r}; {hint}{listed}")
    return SWEEPS[plain]
