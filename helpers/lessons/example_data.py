"""A small folder of product photos with three faults planted in it, for notebook 14 and tests."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers.tasks import Task, load_task
from helpers.tasks.images import read_image

N_TRAIN, SIDE, WRONG = 200, 28, 4  # training pictures, pixels, labels that are wrong


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

    def found(self, checks: list[dict[str, Any]]) -> str:
        """Which of the faults the checks of `advise` name, in a sentence."""
        named = " ".join(example for check in checks for example in check["examples"])
        told = {True: "found", False: "**missed**"}
        caught = sum(file in named for file in self.mislabelled)
        return (
            f"The blank picture was {told[self.blank in named]}, the copy across splits was "
            f"{told[self.copy[0] in named]}, and **{caught} of {len(self.mislabelled)}** wrong "
            "labels were suspected."
        )


def example_folder(folder: Path, n_train: int = N_TRAIN, *, seed: int = 0) -> Planted:
    """Write products that `pocket` never saw as class folders, with faults; anew each time.

    seed: draws the faults. Names of files give nothing away.
    """
    task, rng = example_task(n_train), np.random.default_rng(seed)
    shutil.rmtree(folder, ignore_errors=True)
    files: dict[str, list[Path]] = {"train": [], "validation": [], "test": []}
    for name, written in files.items():
        split = getattr(task, name)
        for row, (picture, label) in enumerate(zip(split.inputs, split.labels, strict=True)):
            file = folder / name / task.classes[label] / f"{row:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(picture)[:, :, 0]).save(file)
            written.append(file)
    rows = iter(rng.permutation(len(files["train"])))
    first = files["train"][next(rows)]
    copied = folder / "test" / first.parent.name / f"{len(files['test']):04}.png"
    shutil.copyfile(first, copied)
    blank = files["train"][next(rows)].with_name(f"{len(files['train']):04}.png")
    Image.new("L", (SIDE, SIDE), 128).save(blank)
    moved = {}
    for _ in range(WRONG):
        file = files["train"][next(rows)]
        other = task.classes[(task.classes.index(file.parent.name) + 2) % len(task.classes)]
        target = file.replace(folder / "train" / other / file.name)
        moved[target.relative_to(folder).as_posix()] = file.parent.name
    below = [path.relative_to(folder).as_posix() for path in (copied, first, blank)]
    return Planted(folder, (below[0], below[1]), below[2], moved)


def example_task(n_train: int) -> Task:
    """The products that an example folder holds, before any fault."""
    return load_task("products_near", n_train=n_train, n_test=200)


def true_classes() -> dict[bytes, str]:
    """The class of each picture of an example folder, by its pixels."""
    task = example_task(N_TRAIN)
    splits = (task.train, task.validation, task.test)
    pairs = (pair for one in splits for pair in zip(one.inputs, one.labels, strict=True))
    return {np.asarray(picture).tobytes(): task.classes[label] for picture, label in pairs}


def onnx_in_words(model: Any, files: list[Path]) -> str:
    """How far the ONNX file of an export lies from the model on some pictures, at most.

    model: what `helpers.advisor.load_model` returns.
    """
    file = next(model.folder.glob("*.onnx"), None)
    if file is None:
        return "There is no ONNX file to compare with."
    import onnxruntime  # it wrote the file, so it is there

    recipe = model.recipe
    form = recipe["side"], recipe["channels"], recipe["scale"]
    pictures = np.stack([read_image(one, *form) for one in files])
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    told, own = session.run(None, {"inputs": pictures})[0], model.probabilities(files)
    same = int((told.argmax(1) == own.argmax(1)).sum())
    return (
        f"On {len(files)} test pictures the ONNX file names the same class **{same}** times, and "
        f"no probability differs by more than {np.abs(told - own).max():.0e}."
    )
