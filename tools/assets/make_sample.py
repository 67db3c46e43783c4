"""Make what stands in `data/sample/` for data sets that lie on other hosts.

    TRANSFER_DATA=FOLDER python -m tools.assets.make_sample [fashion_mnist] [clothing]

FOLDER holds `fashion-mnist/` and `clothing-dataset-small/`; without it, what
`python -m helpers fetch` brought is read. A sample is the beginning of each split of its task, so
no example changes sides between sample and whole:

fashion_mnist  `fashion_mnist_sample.npz`: 4,500 train, 500 validation and 1,000 test images of
               `products`, every class equally often
clothing       `clothing/`: 1,000 train, 200 validation and all 372 test photos, as the loader makes
               them at 224 pixels (the central square), stored as JPEG

The same input gives the same arrays, and with the same version of Pillow the same files.
"""

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from helpers import paths
from helpers.errors import UserError
from helpers.storage.install import asset_path
from helpers.tasks import photos
from helpers.tasks.images import read_image
from helpers.tasks.products import SAMPLE_FILE, full_splits

SIZES = {"train": 4500, "validation": 500, "test": 1000}
PHOTOS = {"train": 1000, "validation": 200, "test": 372}
JPEG_QUALITY = 82  # the best that keeps data/sample/ below 20 MB with room for both samples


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


def make_photo_sample(source: Path, target: Path) -> Path:
    """Write the sample of the photos in `source` into the folder `target`, and return it.

    Photos keep their names and folders; `order.txt` lists them in the order of the whole splits.
    What lay in the folder before is deleted.
    """
    shutil.rmtree(target, ignore_errors=True)
    names = []
    for split, files in photos.clothing_photos(source).items():
        for file in files[: PHOTOS[split]]:
            name = file.relative_to(source)
            names.append(name.as_posix())
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(read_image(file, photos.SAMPLE_SIDE))
            picture.save(target / name, "JPEG", quality=JPEG_QUALITY, optimize=True)
    text = "".join(f"{name}\n" for name in names)
    (target / photos.SAMPLE_ORDER).write_text(text, encoding="utf-8", newline="\n")
    return target


SAMPLES = {
    "fashion_mnist": (make_sample, SAMPLE_FILE),
    "clothing": (make_photo_sample, photos.SAMPLE_FOLDER),
}


def main(arguments: list[str] | None = None) -> int:
    """Make the samples in their place; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SAMPLES)}")
    names = parser.parse_args(arguments).names or list(SAMPLES)
    unknown = [name for name in names if name not in SAMPLES]
    if unknown:
        print(f"there is no sample {unknown[0]!r}; use {' or '.join(SAMPLES)}", file=sys.stderr)
        return 2
    for name in names:
        make, place = SAMPLES[name]
        try:
            made = make(asset_path(name), paths.sample_dir() / place)
        except UserError as error:
            print(error, file=sys.stderr)
            return 2
        print(f"{made} ({_bytes(made) / 1e6:.1f} MB)")
    return 0


def _bytes(place: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [place] if place.is_file() else [f for f in place.rglob("*") if f.is_file()]
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    sys.exit(main())
