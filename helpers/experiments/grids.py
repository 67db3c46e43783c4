"""The grids of runs, as data: which questions each sweep asks. Nothing here runs them.

Learning rates are not here: each approach lists its trials, the same number for all, in its
registry entry. `sweeps` tries them at `tuning_size` examples and picks on validation.
"""

from __future__ import annotations

from typing import Any

from helpers.errors import UserError
from helpers.experiments.blocks import ALL, DEFAULT_RATE, EIGHT, TUNING, Block, Sweep
from helpers.registry import closest_name, unknown_name
from helpers.vocabulary import (
    ADAPTER,
    CLASSICAL,
    FEATURE_EXTRACTION,
    FROM_SCRATCH,
    FULL_FINE_TUNING,
    LORA,
    LP_FT,
    PARTIAL_FINE_TUNING,
)

# The sweeps that compare every approach on equal terms over tasks: of the first round, and now.
FIRST_COMPARING = ("pocket", "lite0", "minilm")
COMPARING = ("repair", "photos", "texts", "distances")
_CACHED = (CLASSICAL, FEATURE_EXTRACTION, PARTIAL_FINE_TUNING)
_UNCACHED = tuple(name for name in EIGHT if name not in _CACHED)
DIALS = tuple(step / 6 for step in range(1, 7))  # the domain dial's steps after 0
FOUR_DECADES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1)

_SIZES = (50, 200, 1_000)
_POCKET_TASKS = ("products_near", "digits", "textile", "solar_cells")
_PHOTO_TASKS = ("clothing", "solar_cells", "textile", "digits", "products")
_TEXT_TASKS = ("newsgroups", "reuters8", "tweets", "film_reviews", "product_reviews", "posts")
_SOLAR = ("solar_cells",)
_LITE0 = "efficientnet_lite0"


def _lite0(sizes: tuple[int, ...], seeds: int = 3) -> Block:
    return Block(_LITE0, _PHOTO_TASKS, sizes, seeds=seeds, image_size=64, tuning_size=200)


_FIFTY = (FEATURE_EXTRACTION, LORA, PARTIAL_FINE_TUNING, FULL_FINE_TUNING)  # at n = 50
_MOVING = (PARTIAL_FINE_TUNING, FULL_FINE_TUNING, LP_FT)
_NATIVE = (FEATURE_EXTRACTION, PARTIAL_FINE_TUNING, FULL_FINE_TUNING, LORA, ADAPTER)
_CLAIMED = (CLASSICAL, *_NATIVE)  # approaches that a claim of the ledger names
_SCRATCH = (FROM_SCRATCH,)
_PHOTO = "mirror+crop"


def _second(backbone: str, tasks: tuple[str, ...], sizes: tuple[int, ...], **more: Any) -> Block:
    """A block of the second round: its recipe, learning rates searched for at 200 examples."""
    return Block(backbone, tasks, sizes, **({"schema": 2, "tuning_size": 200} | more))


def _photos(tasks: tuple[str, ...], sizes: tuple[int, ...], side: int, **more: Any) -> Block:
    """Photos on the ImageNet network, augmented; scratch, which needs no second look, once."""
    more = {"single": _SCRATCH, "augment": _PHOTO} | more
    return _second(_LITE0, tasks, sizes, image_size=side, **more)


SECOND_ROUND = (
    Sweep(
        "repair",
        "block 0: the first round's commonest situations by the second recipe",
        (
            _second("pocket", _POCKET_TASKS, (200, 1_000), extra_seeds=2),
            _second("pocket", _POCKET_TASKS, (50,), approaches=_FIFTY, extra_seeds=2),
            _second("pocket", ("products_near",), (200, 1_000), dials=(DIALS[2], DIALS[-1])),
            _photos(("clothing",), (200,), 64),
            _photos(("digits", "products"), (200, 1_000), 64, augment=""),
        ),
    ),
    Sweep(
        "normalisation",
        "block 0: BatchNorm's statistics frozen or running, for whatever moves the base",
        tuple(
            _second(
                backbone,
                tasks,
                (200,),
                approaches=_MOVING,
                settings=("norm=running",),
                image_size=side,
                augment=augment,
            )
            for backbone, tasks, side, augment in (
                (_LITE0, ("clothing",), 64, _PHOTO),
                (_LITE0, ("digits",), 64, ""),
                ("pocket", ("textile", "digits"), None, ""),
            )
        ),
    ),
    Sweep(
        "photos",
        "block 1: the article's own case, product photos and groceries at 128 pixels",
        (_photos(("clothing", "grocery"), (200, 1_000, ALL), 128, tuning_size=(200, 1_000)),),
    ),
    Sweep(
        "native",
        "block 2: photos at the network's own 224 pixels, at rates tuned for 128",
        (
            _photos(
                ("clothing",),
                (ALL,),
                224,
                approaches=(*_NATIVE, *_SCRATCH),
                tuning_size=1_000,
                tuning_side=128,
                seeds=2,
            ),
            _photos(
                ("grocery", "solar_cells", "textile"),
                (1_000,),
                224,
                approaches=_NATIVE,
                tuning_side=128,
                seeds=2,
            ),
        ),
    ),
    Sweep(
        "threshold",
        "block 3: where data are no longer scarce, 5,000 to 27,000 examples",
        (
            _second("pocket", ("products_near",), (5_000, ALL), tuning_size=1_000),
            _second(
                "pocket",
                ("products_near",),
                (5_000,),
                dials=(DIALS[2], DIALS[-1]),
                tuning_size=1_000,
            ),
            _second(
                _LITE0,
                ("products",),
                (5_000, 20_000),
                image_size=64,
                seeds=2,
                single=_SCRATCH,
                always=_CLAIMED,
            ),
        ),
    ),
    Sweep(
        "texts",
        "block 4: six tasks of texts of 64 tokens",
        (
            _second("minilm", _TEXT_TASKS, (200, 1_000), image_size=64, single=_SCRATCH),
            _second(
                "minilm",
                ("newsgroups", "reuters8", "tweets", "film_reviews"),
                (4_000,),
                image_size=64,
                single=_SCRATCH,
                always=_CLAIMED,
            ),
        ),
    ),
    Sweep(
        "distances",
        "block 5: photos at other distances from ImageNet",
        (
            _photos(("solar_cells", "textile"), (200, 1_000, ALL), 128, always=_CLAIMED),
            _photos(("sign_digits",), (200, 1_000, ALL), 100, always=_CLAIMED),
            _photos(("digits",), (ALL,), 64, always=_CLAIMED, augment=""),
        ),
    ),
    Sweep(
        "networks",
        "block 6: a network without BatchNorm, and a larger one of the same family",
        tuple(
            _second(
                backbone,
                ("clothing", "grocery", "solar_cells"),
                (1_000,),
                approaches=(CLASSICAL, *_NATIVE),
                image_size=128,
                augment=_PHOTO,
                seeds=2,
            )
            for backbone in ("squeezenet", "efficientnet_lite2")
        ),
    ),
)

SWEEPS: dict[str, Sweep] = {
    sweep.name: sweep
    for sweep in (
        *SECOND_ROUND,
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
        error = unknown_name("sweep", name, SWEEPS)
        if closest_name(name, SWEEPS) is None:
            raise error
        raise UserError(f"{error}; the sweeps are: {', '.join(SWEEPS)}")
    return SWEEPS[plain]
