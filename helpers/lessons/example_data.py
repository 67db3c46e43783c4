"""A small folder of product photos with three faults planted in it, for notebook 14 and tests."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.tasks import Task, load_task


@dataclass(frozen=True)
class Planted:
    """What was put into an example folder that does not belong there, as paths below it.

    copy: (a test picture, the training picture it is a copy of). blank: one shade all over.
    mislabelled: pictures in another class's folder, and the class they are of.
    """

    folder: Path
    copy: tuple[str, str]
    blank: str
    mislabelled: dict[str, str]


def example_folder(folder: Path, n_train: int = 200) -> Planted:
    """Write products that `pocket` never saw as class folders, with faults; anew each time."""
    task = load_task("products_near", n_train=n_train, n_test=200)
    shutil.rmtree(folder, ignore_errors=True)
    files = {name: _written(folder, task, name) for name in ("train", "validation", "test")}
    first = next(f for f in files["train"] if f.parent.name == files["test"][0].parent.name)
    copied = files["test"][0].with_name("again.png")
    shutil.copyfile(first, copied)
    blank = files["train"][1].with_name("blank.png")
    Image.new("L", (28, 28), 128).save(blank)
    moved = {}
    for row in range(4):
        file = files["train"][10 + 7 * row]
        label = task.classes.index(file.parent.name)
        other = task.classes[(label + 2) % len(task.classes)]
        target = folder / "train" / other / f"moved-{row}.png"
        file.replace(target)
        moved[target.relative_to(folder).as_posix()] = task.classes[label]
    below = [path.relative_to(folder).as_posix() for path in (copied, first, blank)]
    return Planted(folder, (below[0], below[1]), below[2], moved)


def _written(folder: Path, task: Task, name: str) -> list[Path]:
    split, files = getattr(task, name), []
    for row, (picture, label) in enumerate(zip(split.inputs, split.labels, strict=True)):
        place = folder / name / task.classes[label]
        place.mkdir(parents=True, exist_ok=True)
        file = place / f"{row:04}.png"
        Image.fromarray(np.asarray(picture)[:, :, 0]).save(file)
        files.append(file)
    return files
