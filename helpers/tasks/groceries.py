"""Photos of groceries on the shelves of shops: 43 coarse classes, or the 81 kinds within them."""

from functools import partial
from pathlib import Path

import numpy as np

from helpers.errors import UserError
from helpers.storage.install import asset_path
from helpers.tasks.photos import IMAGENET, photo_split
from helpers.tasks.registry import Source, TaskInfo, register_task
from helpers.tasks.splits import SPLIT_SEED, stratified_order

# The coarse classes, in the order of their numbers in `dataset/classes.csv`.
COARSE = (
    "Apple", "Avocado", "Banana", "Kiwi", "Lemon", "Lime", "Mango", "Melon", "Nectarine",
    "Orange", "Papaya", "Passion-Fruit", "Peach", "Pear", "Pineapple", "Plum",
    "Pomegranate", "Red-Grapefruit", "Satsumas", "Juice", "Milk", "Oatghurt", "Oat-Milk",
    "Sour-Cream", "Sour-Milk", "Soyghurt", "Soy-Milk", "Yoghurt", "Asparagus", "Aubergine",
    "Cabbage", "Carrots", "Cucumber", "Garlic", "Ginger", "Leek", "Mushroom", "Onion",
    "Pepper", "Potato", "Red-Beet", "Tomato", "Zucchini",
)  # fmt: skip
# Kinds within them, in that order too; a class that is not here has one kind, of its own name.
KINDS = {
    "Apple": ("Golden-Delicious", "Granny-Smith", "Pink-Lady", "Red-Delicious", "Royal-Gala"),
    "Melon": ("Cantaloupe", "Galia-Melon", "Honeydew-Melon", "Watermelon"),
    "Pear": ("Anjou", "Conference", "Kaiser"),
    "Juice": (
        "Bravo-Apple-Juice",
        "Bravo-Orange-Juice",
        "God-Morgon-Apple-Juice",
        "God-Morgon-Orange-Juice",
        "God-Morgon-Orange-Red-Grapefruit-Juice",
        "God-Morgon-Red-Grapefruit-Juice",
        "Tropicana-Apple-Juice",
        "Tropicana-Golden-Grapefruit",
        "Tropicana-Juice-Smooth",
        "Tropicana-Mandarin-Morning",
    ),
    "Milk": (
        "Arla-Ecological-Medium-Fat-Milk",
        "Arla-Lactose-Medium-Fat-Milk",
        "Arla-Medium-Fat-Milk",
        "Arla-Standard-Milk",
        "Garant-Ecological-Medium-Fat-Milk",
        "Garant-Ecological-Standard-Milk",
    ),
    "Oatghurt": ("Oatly-Natural-Oatghurt",),
    "Oat-Milk": ("Oatly-Oat-Milk",),
    "Sour-Cream": ("Arla-Ecological-Sour-Cream", "Arla-Sour-Cream"),
    "Sour-Milk": ("Arla-Sour-Milk",),
    "Soyghurt": ("Alpro-Blueberry-Soyghurt", "Alpro-Vanilla-Soyghurt"),
    "Soy-Milk": ("Alpro-Fresh-Soy-Milk", "Alpro-Shelf-Soy-Milk"),
    "Yoghurt": (
        "Arla-Mild-Vanilla-Yoghurt",
        "Arla-Natural-Mild-Low-Fat-Yoghurt",
        "Arla-Natural-Yoghurt",
        "Valio-Vanilla-Yoghurt",
        "Yoggi-Strawberry-Yoghurt",
        "Yoggi-Vanilla-Yoghurt",
    ),
    "Mushroom": ("Brown-Cap-Mushroom",),
    "Onion": ("Yellow-Onion",),
    "Pepper": ("Green-Bell-Pepper", "Orange-Bell-Pepper", "Red-Bell-Pepper", "Yellow-Bell-Pepper"),
    "Potato": ("Floury-Potato", "Solid-Potato", "Sweet-Potato"),
    "Tomato": ("Beef-Tomato", "Regular-Tomato", "Vine-Tomato"),
}
FINE_CLASSES = {name: KINDS.get(name, (name,)) for name in COARSE}
FINE = tuple(kind for kinds in FINE_CLASSES.values() for kind in kinds)


def read_list(file: Path) -> tuple[list[Path], np.ndarray, np.ndarray]:
    """Return photos, fine labels and coarse labels of a published list, in its order.

    A line is `train/Fruit/Kiwi/Kiwi_001.jpg, 7, 3`: a path from the list's folder, the number of
    the fine class and that of the coarse class. Raises UserError when a line says something else.
    """
    photos, numbers = [], []
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            name, fine, coarse = line.split(",")
            photos.append(file.parent / name.strip())
            numbers.append((int(fine), int(coarse)))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file} is not a list of photos ({error}); run `python -m helpers fetch grocery`"
        ) from error
    labels = np.array(numbers, dtype=np.int64).reshape(-1, 2)
    within = (labels >= 0) & (labels < (len(FINE), len(COARSE)))
    if not len(labels) or not within.all():
        raise UserError(f"{file} holds no photos, or a class that the data set does not have")
    return photos, labels[:, 0], labels[:, 1]


def _load(fine: bool, size: int | None) -> Source:
    folder = asset_path("grocery") / "dataset"
    splits = {}
    for name, stem in (("train", "train"), ("validation", "val"), ("test", "test")):
        photos, fine_labels, coarse_labels = read_list(folder / f"{stem}.txt")
        labels = fine_labels if fine else coarse_labels
        splits[name] = photo_split(photos, labels, stratified_order(labels, SPLIT_SEED), size, 3)
    return Source(**splits)


_info = partial(
    TaskInfo,
    modality="image",
    licence="MIT",
    provenance="smartphone photos of fruit, vegetables and packages in shops, "
    "https://github.com/marcusklasson/GroceryStoreDataset, commit fc80ba9",
    family="grocery",
    train_examples=2_640,
    judged=dict.fromkeys(IMAGENET, "close"),  # ImageNet has fruit, packets and shelves
    image_size=128,
)
for _name, _classes, _fine in (("grocery", COARSE, False), ("grocery_fine", FINE, True)):
    register_task(_info(_name, classes=_classes, loader=partial(_load, _fine)))
