"""The grids of runs, as data: which questions each sweep asks. Nothing here runs them.

The grids are those of the second round. Of the first round, whose sweeps are closed, only the ids
of the recorded runs are kept (`data/results/first_round.csv`, read by `sweeps.recorded_runs`).

Learning rates are not here: each approach lists its trials, the same number for all, in its
registry entry. `sweeps` tries them at `tuning_size` examples and picks on validation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from helpers.errors import UserError
from helpers.registry import closest_name, unknown_name
from helpers.results.schema import SCHEMA
from helpers.tasks import train_examples
from helpers.vocabulary import (
    ADAPTER,
    CLASSICAL,
    FEATURE_EXTRACTION,
    FROM_SCRATCH,
    FULL_FINE_TUNING,
    LORA,
    LP_FT,
    PARTIAL_FINE_TUNING,
    SHIPPED,
)

TUNING = "/tuning"  # a sweep's learning-rate trials are recorded under its name and this
ALL = 0  # as a size: every training example of the task
DEFAULT_RATE = (None,)  # as rates: the approach's default and no trials
FEW = 200  # training examples up to which extra seeds run, and that learning rates are tried on


@dataclass(frozen=True)
class Block:
    """A box of questions: every combination of what is listed, checked when built."""

    backbone: str
    tasks: tuple[str, ...]
    sizes: tuple[int, ...]  # training examples, rising; one that a task lacks is left out
    approaches: tuple[str, ...] = SHIPPED
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
    always: tuple[str, ...] = SHIPPED
    single: tuple[str, ...] = ()  # approaches that run on seed 0 only
    extra_seeds: int = 0  # more seeds at 200 examples or fewer, for those near the best

    def __post_init__(self) -> None:
        if self.seeds < 1 or min(self.sizes) < 0:
            raise UserError("a block needs seeds of 1 or more and sizes of 0 or more")

    def questions_of(self, group: dict[str, Any]) -> list[dict[str, Any]]:
        """The fields of a RunConfig for each run of a group; `lr` is None where it is tuned."""
        pool = train_examples(group["task"])
        return [
            group | {"n_train": size, "seed": seed, "lr": rate}
            for size in sorted({size or pool for size in self.sizes if size <= pool})
            for seed in self.seeds_of(group["approach"], size)
            for rate in self.rates or DEFAULT_RATE
        ]

    def seeds_of(self, approach: str, size: int) -> range:
        """The seeds that may run.

        On every example of a task a solver repeats itself; that each seed is run all the same
        gives every other approach's run one to be paired with.
        """
        more = self.extra_seeds if size <= FEW else 0
        return range(1 if approach in self.single else self.seeds + more)

    def groups(self) -> Iterator[dict[str, Any]]:
        """Yield what runs share that differ in size, seed and learning rate alone."""
        varied = product(self.tasks, self.dials, self.approaches, self.settings)
        for task, dial, approach, settings in varied:
            yield {
                "task": task,
                "backbone": self.backbone,
                "approach": approach,
                "dial": dial,
                "settings": settings,
                "image_size": self.image_size,
                "schema": SCHEMA,
            }

    def tuning_for(self, task: str, size: int) -> int:
        """The tuning size whose learning rate a run with `size` training examples takes."""
        several = self.tuning_size if isinstance(self.tuning_size, tuple) else (self.tuning_size,)
        pool = train_examples(task)
        sizes = sorted(min(one or pool, pool) for one in several)
        return max((one for one in sizes if one <= size), default=sizes[0])


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


# The sweeps of the first round: nothing of them runs again.
CLOSED = ("pocket", "pocket_large", "lite0", "lite0_all", "resolution", "minilm", "anchor",
          "clothing", "solar", "lr_sensitivity", "stages")  # fmt: skip
# The sweeps that compare every approach on equal terms over tasks.
COMPARING = ("repair", "photos", "texts", "distances")
DIALS = tuple(step / 6 for step in range(1, 7))  # the domain dial's steps after 0
_POCKET_TASKS = ("products_near", "digits", "textile", "solar_cells")
_TEXT_TASKS = ("newsgroups", "reuters8", "tweets", "film_reviews", "product_reviews", "posts")
_LITE0 = "efficientnet_lite0"
_FIFTY = (FEATURE_EXTRACTION, LORA, PARTIAL_FINE_TUNING, FULL_FINE_TUNING)  # at n = 50
_MOVING = (PARTIAL_FINE_TUNING, FULL_FINE_TUNING, LP_FT)
_NATIVE = (FEATURE_EXTRACTION, PARTIAL_FINE_TUNING, FULL_FINE_TUNING, LORA, ADAPTER)
_TUNED = (PARTIAL_FINE_TUNING, FULL_FINE_TUNING)
_SCRATCH = (FROM_SCRATCH,)
_PHOTO = "mirror+crop"
# A crop could cut a defect out and keep its label; neither kind of picture has an upright.
_UPRIGHTLESS, _FLIPS = ("solar_cells", "textile"), "flips"


def _photos(tasks: tuple[str, ...], sizes: tuple[int, ...], side: int, **more: Any) -> Block:
    """Photos on the ImageNet network, augmented; scratch, which needs no second look, once."""
    more = {"single": _SCRATCH, "augment": _PHOTO} | more
    return Block(_LITE0, tasks, sizes, image_size=side, **more)


_native = partial(_photos, side=224, tuning_side=128, approaches=_NATIVE, seeds=2)
_texts = partial(Block, "minilm", image_size=64)
# BatchNorm's statistics follow the batches, for whatever moves the base.
_running = partial(Block, approaches=_MOVING, settings=("norm=running",))
SECOND_ROUND = (
    Sweep(
        "repair",
        "block 0: the first round's commonest situations by the second recipe",
        (
            Block("pocket", _POCKET_TASKS, (200, 1_000), extra_seeds=2),
            Block("pocket", _POCKET_TASKS, (50,), approaches=_FIFTY, tuning_size=50, extra_seeds=2),
            Block("pocket", ("products_near",), (200, 1_000), dials=(DIALS[2], DIALS[-1])),
            _photos(("clothing",), (200,), 64),
            _photos(("digits", "products"), (200, 1_000), 64, augment=""),
        ),
    ),
    Sweep(
        "normalisation",
        "block 0: BatchNorm's statistics frozen or running, for whatever moves the base",
        (
            _running(_LITE0, ("clothing",), (200,), image_size=64, augment=_PHOTO),
            _running(_LITE0, ("digits",), (200,), image_size=64),
            _running("pocket", ("textile", "digits"), (200,)),
        ),
    ),
    Sweep(
        "photos",
        "block 1: the article's own case, product photos and groceries at 128 pixels",
        (_photos(("clothing", "grocery"), (200, 1_000, ALL), 128, extra_seeds=2),),
    ),
    Sweep(
        "native",
        "block 2: photos at the network's own 224 pixels, at rates tuned for 128",
        (
            _native(("clothing",), (ALL,), approaches=(*_NATIVE, *_SCRATCH), seeds=3),
            # What pixels alone buy, beside blocks 0 and 1 with fewer of them.
            _native(("clothing",), (200, 1_000), approaches=(FEATURE_EXTRACTION,), seeds=3),
            _native(("grocery",), (1_000,)),
            _native(_UPRIGHTLESS, (1_000,), augment=_FLIPS),
            # All cells, as the network that was published with them had.
            _native(("solar_cells",), (ALL,), approaches=_TUNED, augment=_FLIPS, seeds=3),
            # The flagship without augmentation, for comparison.
            _photos(("clothing",), (ALL,), 128, approaches=_NATIVE, augment="", seeds=2),
        ),
    ),
    Sweep(
        "threshold",
        "block 3: where data are no longer scarce, 5,000 to 27,000 examples",
        (
            Block("pocket", ("products_near",), (5_000, ALL), dials=(0.0, DIALS[2], DIALS[-1])),
            # Statistics of the source may not fit pixels that were moved: both, where data abound.
            _running("pocket", ("products_near",), (5_000,), dials=(0.0, DIALS[-1])),
            Block(_LITE0, ("products",), (5_000, 20_000), image_size=64, seeds=2, single=_SCRATCH),
        ),
    ),
    Sweep(
        "texts",
        "block 4: six tasks of texts of 64 tokens",
        (
            _texts(_TEXT_TASKS, (200, 1_000), single=_SCRATCH),
            _texts(_TEXT_TASKS[:4], (4_000,), single=_SCRATCH),
            # Networks read 64 tokens, some 48 words; counted words read whole texts, but here.
            _texts(_TEXT_TASKS, (200, 1_000), approaches=(CLASSICAL,), settings=("longest=48",)),
        ),
    ),
    Sweep(
        "distances",
        "block 5: photos at other distances from ImageNet",
        (
            _photos(_UPRIGHTLESS, (200, 1_000, ALL), 128, augment=_FLIPS),
            _photos(("sign_digits",), (200, 1_000, ALL), 100),
            _photos(("digits",), (ALL,), 64, augment=""),
        ),
    ),
    Sweep(
        "networks",
        "block 6: a network without BatchNorm, and a larger one of the same family",
        tuple(
            Block(
                backbone,
                tasks,
                (1_000,),
                approaches=(CLASSICAL, *_NATIVE),
                image_size=128,
                augment=augment,
                seeds=2,
            )
            for backbone in ("squeezenet", "efficientnet_lite2")
            for tasks, augment in ((("clothing", "grocery"), _PHOTO), (("solar_cells",), _FLIPS))
        ),
    ),
)

# The open sweeps by name, in their order; those of an earlier recipe are closed.
SWEEPS: dict[str, Sweep] = {sweep.name: sweep for sweep in SECOND_ROUND}


def get_sweep(name: str) -> Sweep:
    """Return the sweep of this name, or of NAME in "NAME/tuning".

    Raises UserError for a closed one, and, with the names that exist, where there is none.
    """
    plain = name.removesuffix(TUNING)
    if plain in CLOSED:
        raise UserError(
            f"sweep {name!r} followed an earlier recipe and is closed, so that nothing of it runs "
            f"again; the open sweeps are: {', '.join(SWEEPS)}"
        )
    if plain not in SWEEPS or (name != plain and not SWEEPS[plain].tuned):
        error = unknown_name("sweep", name, SWEEPS)
        if closest_name(name, SWEEPS) is None:
            raise error  # it lists them
        raise UserError(f"{error}; the open sweeps are: {', '.join(SWEEPS)}")
    return SWEEPS[plain]
