"""Fashion-MNIST and its two halves: product images of 28 x 28 grey pixels.

`products_source` holds the five classes that the `pocket` network was pretrained on,
`products_near` the five that it never saw. Both are cut from the splits of `products`, so no test
image of one is a training image of another. Validation is the last tenth of a fixed stratified
shuffle of the published 60,000; the sample is the beginning of each split.
"""

import gzip
import hashlib
import struct
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from helpers import paths
from helpers.errors import DataNotFound, UserError
from helpers.storage.assets import all_assets
from helpers.storage.install import find_asset
from helpers.storage.seals import digests
from helpers.tasks.images import array_memmap
from helpers.tasks.registry import Source, Split, TaskInfo
from helpers.tasks.splits import SPLIT_SEED, stratified_order

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SOURCE_CLASSES = ("T-shirt/top", "Trouser", "Coat", "Sandal", "Bag")
NEAR_CLASSES = ("Pullover", "Dress", "Shirt", "Sneaker", "Ankle boot")
SAMPLE_FILE = "fashion_mnist_sample.npz"

Images = Callable[[], np.ndarray]  # read when called: the cache often makes it unnecessary


def read_idx(file: Path) -> np.ndarray:
    """Read a gzipped IDX file of bytes, as Yann LeCun's MNIST page describes it.

    Raises UserError when it is damaged or of another type.
    """
    try:
        with gzip.open(file) as handle:
            data = handle.read()
        zero, kind, dimensions = struct.unpack(">HBB", data[:4])
        shape = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
        if (zero, kind) != (0, 8):
            raise ValueError("it does not hold bytes")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except FileNotFoundError as error:
        raise DataNotFound(
            f"{file} does not exist; run `python -m helpers fetch fashion_mnist`"
        ) from error
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise UserError(f"{file} is not a whole IDX file ({error}); fetch it again") from error


def full_splits(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray, Images]]:
    """Return split -> (labels, rows, images) of the IDX files in `folder`, before any filter.

    labels: of the whole file, uint8. rows: int64, the split's rows in their fixed order. images():
    the whole file, uint8 (N, 28, 28).
    """
    train = read_idx(folder / "train-labels-idx1-ubyte.gz")
    test = read_idx(folder / "t10k-labels-idx1-ubyte.gz")
    order = stratified_order(train, SPLIT_SEED)
    cut = len(train) - len(train) // 10
    train_images = partial(read_idx, folder / "train-images-idx3-ubyte.gz")
    test_images = partial(read_idx, folder / "t10k-images-idx3-ubyte.gz")
    return {
        "train": (train, order[:cut], train_images),
        "validation": (train, order[cut:], train_images),
        "test": (test, stratified_order(test, SPLIT_SEED), test_images),
    }


def _sample_splits(file: Path) -> dict[str, tuple[np.ndarray, np.ndarray, Images]]:
    if not file.is_file():
        raise DataNotFound(f"{file} is missing; get it back with `git checkout -- data/sample`")
    with np.load(file, allow_pickle=False) as arrays:
        labels = {split: arrays[f"{split}_labels"] for split in ("train", "validation", "test")}

    def images(split: str) -> np.ndarray:
        with np.load(file, allow_pickle=False) as arrays:
            return arrays[f"{split}_images"]

    return {s: (y, np.arange(len(y)), partial(images, s)) for s, y in labels.items()}


def _load(classes: Sequence[str], size: int | None) -> Source:
    folder = find_asset(all_assets()["fashion_mnist"])
    if folder is None:
        file = paths.sample_dir() / SAMPLE_FILE
        splits, origin, files = _sample_splits(file), "sample", [file]
    else:
        splits, origin = full_splits(folder), "full"
        files = sorted(folder.glob("*-images-idx3-ubyte.gz"))
    content = digests(files)
    wanted = np.array([CLASSES.index(name) for name in classes])
    made = {}
    for name, (labels, rows, images) in splits.items():
        rows = rows[np.isin(labels[rows], wanted)]
        new_label = np.full(len(CLASSES), -1, dtype=np.int64)
        new_label[wanted] = np.arange(len(wanted))
        made[name] = Split(_pictures(images, rows, size, [name, *content]), new_label[labels[rows]])
    return Source(**made, origin=origin)


def _pictures(images: Images, rows: np.ndarray, size: int, key: list) -> np.ndarray:
    digest = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
    return array_memmap(lambda: images()[rows][..., None], size, [*key, digest])


_info = partial(
    TaskInfo,
    family="products",
    keeps_size=True,
    modality="image",
    licence="MIT",
    provenance="Fashion-MNIST, product images of Zalando, "
    "https://github.com/zalandoresearch/fashion-mnist",
    image_size=28,
)
TASKS = (
    _info(
        "products",
        classes=CLASSES,
        loader=partial(_load, CLASSES),
        train_examples=54_000,
        judged={"efficientnet_lite0": "medium"},  # things, but grey and 28 pixels wide
    ),
    _info(
        "products_source",
        classes=SOURCE_CLASSES,
        loader=partial(_load, SOURCE_CLASSES),
        train_examples=27_000,
    ),
    _info(
        "products_near",
        classes=NEAR_CLASSES,
        loader=partial(_load, NEAR_CLASSES),
        train_examples=27_000,
        judged={"pocket": "close"},  # other products, same photographer
    ),
)
