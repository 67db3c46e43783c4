"""Photos of hands that show the digits 0 to 9, split so that no student is on two sides.

The students of a school were photographed one after another, each showing 0 to 9, so that about
ten consecutive picture numbers are one student: all of them share a hand, its skin, its jewellery
and its light. The splits are therefore three stretches of picture numbers, with the same borders in
every class. Numbers are irregular in places (a picture was taken twice, dropped, or out of turn),
so students are not worked out from them; instead each border lies between two students whose ten
numbers are complete and in order, which leaves no doubt about the students on either side of it.
"""

import re
from pathlib import Path

from helpers.errors import UserError
from helpers.storage.install import asset_path
from helpers.tasks.photos import DIGITS, IMAGENET, photo_split
from helpers.tasks.registry import Source, TaskInfo, labels_of, register_task
from helpers.tasks.splits import SPLIT_SEED, stratified_order

FIRST_VALIDATION = 5360  # the number of the first picture of validation
FIRST_TEST = 5582
_STRETCHES = {
    "train": range(FIRST_VALIDATION),
    "validation": range(FIRST_VALIDATION, FIRST_TEST),
    "test": range(FIRST_TEST, 10_000),
}


def picture_number(file: Path) -> int:
    """Return 1118 for `IMG_1118.JPG`. Raises UserError when a picture is named otherwise."""
    found = re.fullmatch(r"IMG_(\d{4})\.JPG", file.name)
    if found is None:
        raise UserError(f"{file} should be named IMG_ and four digits; fetch sign_digits again")
    return int(found[1])


def _load(size: int | None) -> Source:
    folder = asset_path("sign_digits") / "Dataset"
    files = [file for digit in DIGITS for file in sorted((folder / digit).glob("*.JPG"))]
    splits = {}
    for name, numbers in _STRETCHES.items():
        chosen = [file for file in files if picture_number(file) in numbers]
        if not chosen:
            raise UserError(f"{folder} holds no photos for {name}; fetch sign_digits again")
        labels = labels_of([file.parent.name for file in chosen], DIGITS)
        splits[name] = photo_split(chosen, labels, stratified_order(labels, SPLIT_SEED), size, 3)
    return Source(**splits)


register_task(
    TaskInfo(
        name="sign_digits",
        modality="image",
        classes=DIGITS,
        licence="Apache-2.0",
        provenance="photos of students of the Ankara Ayrancı Anadolu High School, "
        "https://github.com/ardamavi/Sign-Language-Digits-Dataset, commit 4b09433",
        train_examples=1_453,
        judged=dict.fromkeys(IMAGENET, "medium"),  # photos, but of hands, which no class shows
        loader=_load,
        image_size=100,
    )
)
