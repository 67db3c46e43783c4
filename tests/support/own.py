"""Own data for tests of the advisor: tiny folders of pictures and tables of texts."""

import csv
from pathlib import Path

from PIL import Image
from tiny import tiny_task, tiny_text_task

from helpers.advisor.checks.copies import find_copies
from helpers.advisor.checks.pictures import readable
from helpers.advisor.data import OwnData
from helpers.advisor.splits import draw_splits
from helpers.tasks import Task

SPLITS = ("train", "validation", "test")


def write_pictures(folder: Path, task: Task | None = None) -> Path:
    """Write a task as class folders below train, validation and test; returns the folder."""
    task = tiny_task(48, n_classes=3) if task is None else task
    for name in SPLITS:
        split = getattr(task, name)
        for row, (picture, label) in enumerate(zip(split.inputs, split.labels, strict=True)):
            place = folder / name / task.classes[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture[:, :, 0]).save(place / f"{row:04}.png")
    return folder


def write_texts(file: Path) -> Path:
    """Write the tiny text task as a CSV with splits; returns the file."""
    task = tiny_text_task(40)
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label", "split"])
        for name in SPLITS:
            split = getattr(task, name)
            for row, (text, label) in enumerate(zip(split.inputs, split.labels, strict=True)):
                writer.writerow([f"{text} {name} {row}", task.classes[label], name])
    return file


def with_splits(data: OwnData, seed: int = 0, *, side: int = 32, channels: int = 1) -> OwnData:
    """The readable examples with splits, as the stages of `advise` make them one after another."""
    data = readable(data, side, channels)
    return draw_splits(data, find_copies(data, side, channels), seed)
