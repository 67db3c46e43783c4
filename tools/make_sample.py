"""Make `data/sample/fashion_mnist_sample.npz` from the whole of Fashion-MNIST.

    TRANSFER_DATA=FOLDER python tools/make_sample.py

FOLDER holds `fashion-mnist/`; without it, what `python -m helpers fetch fashion_mnist` brought is
read. The sample is the beginning of each split of the task `products` (4,500 train, 500 validation,
1,000 test, every class equally often), so no example changes sides between sample and whole.
The same input gives the same arrays.
"""

import sys
from pathlib import Path

import numpy as np

from helpers import paths
from helpers.assets import asset_path
from helpers.errors import UserError
from helpers.tasks.products import SAMPLE_FILE, full_splits

SIZES = {"train": 4500, "validation": 500, "test": 1000}


def make_sample(source: Path, target: Path) -> Path:
    """Write the sample of the IDX files in `source` to `target`; return `target`.

    The arrays are {split}_images uint8 (N, 28, 28) and {split}_labels uint8 (N,).
    """
    arrays = {}
    for split, (labels, rows, images) in full_splits(source).items():
        chosen = rows[: SIZES[split]]
        arrays[f"{split}_images"] = images()[chosen]
        arrays[f"{split}_labels"] = labels[chosen]
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, **arrays)
    return target


def main() -> int:
    """Make the sample in its place; return the exit code."""
    try:
        file = make_sample(asset_path("fashion_mnist"), paths.sample_dir() / SAMPLE_FILE)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{file} ({file.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
