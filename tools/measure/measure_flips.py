"""Measure what `data/results/flips.csv` lacks; stop it at will and start it again.

Two flips (columns: `helpers.lessons.flips`). Unlabelled data: continued pretraining on a task's
training images or texts, labels unread, then a probe and full fine-tuning on few labels, against
the same on the backbone as it came. Local only: `pocket` fully tuned on this machine against a
probe on the embeddings of a larger frozen network, which are asked for over HTTP.

Splits, validation sizes and test sets are those of `helpers.experiments.single_run`. An approach
gets three learning rates at the largest size with seed 0, the best on validation is used
throughout; the test split is read once for each row. MiniLM runs at default rates, as in the sweep
of its name, and its continued pretraining is done once, with seed 0, for all draws of labels.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from helpers.approaches import get_approach
from helpers.approaches.feature_extraction import FeatureExtraction, StandardisedHead
from helpers.backbones import Backbone, clone, load_backbone
from helpers.experiments.costs import sample_batch
from helpers.experiments.single_run import RunConfig, task_for
from helpers.experiments.timing import median_ms, serving_latency
from helpers.lessons import flips
from helpers.lessons.hosted_model.client import EmbeddingClient
from helpers.lessons.hosted_model.service import serve, to_npy
from helpers.lessons.unlabelled_data import (
    PretextConfig,
    contrast,
    refresh_statistics,
)
from helpers.paths import commit
from helpers.results.schema import SCHEMA
from helpers.tasks import Split, Task
from helpers.training.examples import Examples
from helpers.training.loop import History, predict, train
from tools.measure.masked_words import predict_words

PROBE, NAIVE = flips.PROBE, flips.NAIVE
ARMS = (("plain", PROBE), ("plain", NAIVE), ("statistics", PROBE), ("continued", PROBE),
        ("continued", NAIVE))  # fmt: skip
LOCAL_ARMS = (("local", NAIVE), ("hosted", PROBE))
LARGER, LARGER_SIZE = "efficientnet_lite0", 64
REPEATS = 30


def fit_probe(
    train_set: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    n_classes: int,
    *,
    lr: float | None = None,
    seed: int = 0,
) -> tuple[nn.Module, History]:
    """Train a linear head on embeddings, just as the approach `feature_extraction` does.

    train_set, validation: embeddings (N, F) and int64 labels (N,). lr: its default when None.
    """
    features, labels = train_set
    config = FeatureExtraction().config("image", len(labels), lr=lr, seed=seed)
    linear = nn.Linear(features.shape[1], n_classes)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    mean, std = torch.from_numpy(features.mean(0)), torch.from_numpy(features.std(0))
    head = StandardisedHead(linear, mean, std.clamp(min=1e-4))
    history = train(head, Examples.raw(features, labels), Examples.raw(*validation), config)
    return head, history


@dataclass(frozen=True)
class Place:
    """A task on a backbone, and how pretraining goes on there."""

    task: str
    backbone: str
    size: int  # pixels or tokens
    dial: float = 0.0
    pretext: PretextConfig = PretextConfig()
    labels: tuple[int, ...] = (50, 200)
    seeds: int = 3
    epochs: int | None = None  # of fine-tuning; None: the approach's default


POCKET = (
    Place("digits", "pocket", 28),
    Place("textile", "pocket", 28),
    Place("products_near", "pocket", 28, dial=1.0),
)
TEXT = Place("tweets", "minilm", 32, pretext=PretextConfig(steps=96, batch_size=32, lr=1e-4),
             labels=(50,), epochs=6)  # fmt: skip
LOCAL = tuple(Place(task, "pocket", 28)
              for task in ("digits", "textile", "solar_cells", "products_near"))  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One row to measure."""

    flip: str
    place: Place
    variant: str
    approach: str
    n: int
    seed: int

    def row(self) -> dict[str, Any]:
        """The columns that say what is asked."""
        continued = self.variant in ("statistics", "continued")
        return {
            "flip": self.flip,
            "schema": SCHEMA,
            "task": self.place.task,
            "backbone": LARGER if self.variant == "hosted" else self.place.backbone,
            "variant": self.variant,
            "approach": self.approach,
            "n_labelled": self.n,
            "n_unlabelled": unlabelled_seen(self.place) if continued else 0,
            "seed": self.seed,
            "dial": round(self.place.dial, 6),
        }


def cells() -> Iterator[Cell]:
    """All rows in their order: the largest size first, since learning rates come from it."""
    plan = [("unlabelled", place, ARMS) for place in POCKET]
    plan[2:2] = [("local", place, LOCAL_ARMS) for place in LOCAL]
    plan += [("unlabelled", TEXT, [arm for arm in ARMS if arm[0] != "statistics"])]
    for flip, place, arms in plan:
        for seed in range(place.seeds):
            for n in sorted(place.labels, reverse=True):
                for variant, approach in arms:
                    yield Cell(flip, place, variant, approach, n, seed)


@functools.lru_cache(maxsize=1)
def pool(place: Place) -> Any:
    """All training inputs of a task; their labels are not looked at."""
    asked = RunConfig(place.task, place.backbone, PROBE, 0, dial=place.dial, image_size=place.size)
    return task_for(asked, n_test=1).train.inputs


def unlabelled_seen(place: Place) -> int:
    """Different inputs that continued pretraining looks at."""
    return min(len(pool(place)), place.pretext.steps * place.pretext.batch_size)


@functools.lru_cache(maxsize=4)
def prepared(place: Place, variant: str, seed: int) -> tuple[Backbone, float]:
    """The backbone of a variant and the processor seconds that continued pretraining took."""
    backbone = load_backbone(place.backbone, size=place.size)
    if variant in ("plain", "local"):
        return backbone, 0.0
    steps = {"statistics": refresh_statistics, "continued": contrast}
    method = predict_words if place is TEXT else steps[variant]
    config = replace(place.pretext, seed=seed)
    made = method(backbone, pool(place), config)
    return made.backbone, made.cpu_seconds


def task_of(cell: Cell, size: int) -> Task:
    """The task with the cell's labelled examples."""
    place = cell.place
    return task_for(RunConfig(place.task, place.backbone, cell.approach, cell.n, seed=cell.seed,
                              dial=place.dial, image_size=size))  # fmt: skip


def rates(cell: Cell, modality: str) -> tuple[float, ...]:
    """The learning rates to try: all three where they are chosen, else the one chosen."""
    if cell.place is TEXT:
        return (get_approach(cell.approach).config(modality, cell.n).lr,)
    largest = max(cell.place.labels)
    if (cell.n, cell.seed) == (largest, 0):
        return get_approach(cell.approach).learning_rates[modality]
    asked = Cell(cell.flip, cell.place, cell.variant, cell.approach, largest, 0).row()
    held = flips.FILE.load()
    same = np.logical_and.reduce([held[name] == asked[name] for name in flips.QUESTION])
    return (float(held[same]["lr"].iloc[0]),)


def measure_here(cell: Cell) -> dict[str, Any]:
    """An approach on a backbone of this machine."""
    seed = 0 if cell.place is TEXT else cell.seed
    backbone, pretrain_cpu = prepared(cell.place, cell.variant, seed)
    task, approach = task_of(cell, cell.place.size), get_approach(cell.approach)
    best = None
    for lr in rates(cell, task.modality):
        config = approach.config(task.modality, cell.n, lr=lr, epochs=_epochs(cell), seed=cell.seed)
        fitted = approach.fit(clone(backbone), task, config)
        score = max(fitted.history.val_accuracy)
        if best is None or score > best[0]:
            best = (score, lr, fitted)
    score, lr, fitted = best
    one = sample_batch(fitted.model.backbone.encode(task.test.inputs[:1]), 1)
    return {
        "lr": lr,
        "val_accuracy": score,
        "test_accuracy": fitted.accuracy(task.test),
        "n_test": len(task.test),
        "pretrain_cpu_seconds": pretrain_cpu,
        "train_cpu_seconds": fitted.history.cpu_seconds + fitted.prepare_cpu_seconds,
        "bytes_sent": 0,
        "latency_ms": serving_latency(fitted.model, one)[0],
    }


def _epochs(cell: Cell) -> int | None:
    return cell.place.epochs if cell.approach == NAIVE else None


class Hosted:
    """Embeddings of the larger model, each split asked for once."""

    def __init__(self, url: str) -> None:
        self.client, self._held = EmbeddingClient(url), {}

    def embed(self, key: tuple, split: Split) -> np.ndarray:
        """A split's embeddings (N, F)."""
        if key not in self._held:
            self._held[key] = self.client.embed(split.inputs)
        return self._held[key]

    def measure(self, cell: Cell) -> dict[str, Any]:
        """A probe on embeddings that come over HTTP."""
        task = task_of(cell, LARGER_SIZE)
        name, fixed = cell.place.task, ("validation", len(task.validation))
        seen = self.embed((name, "train", cell.n, cell.seed), task.train)
        held = self.embed((name, *fixed), task.validation)
        best = None
        for lr in rates(cell, "image"):
            head, history = fit_probe((seen, task.train.labels), (held, task.validation.labels),
                                      len(task.classes), lr=lr, seed=cell.seed)  # fmt: skip
            score = max(history.val_accuracy)
            if best is None or score > best[0]:
                best = (score, lr, head, history)
        score, lr, head, history = best
        tested = Examples.raw(self.embed((name, "test"), task.test), task.test.labels)
        right = predict(head, tested).argmax(1) == torch.from_numpy(task.test.labels)
        return {
            "lr": lr,
            "val_accuracy": score,
            "test_accuracy": float(right.float().mean()),
            "n_test": len(task.test),
            "pretrain_cpu_seconds": 0.0,
            "train_cpu_seconds": history.cpu_seconds,
            "bytes_sent": len(to_npy(np.asarray(task.test.inputs[:1]))),
            "latency_ms": self._latency(task, head),
        }

    def _latency(self, task: Task, head: torch.nn.Module) -> float:
        """Median milliseconds from a picture to a class, the trip to the service included."""

        def answer() -> None:
            with torch.inference_mode():
                head(torch.from_numpy(self.client.embed(task.test.inputs[:1]))).argmax()

        return median_ms(answer, REPEATS)


def main() -> None:
    """Measure row by row and print each line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only print what is missing")
    listing = parser.parse_args().list
    known = flips.FILE.recorded()
    left = [cell for cell in cells() if flips.FILE.question(cell.row()) not in known]
    if listing:
        print("\n".join(str(flips.FILE.question(cell.row())) for cell in left))
        return
    torch.set_num_threads(1)
    with serve(load_backbone(LARGER, size=LARGER_SIZE)) as url:
        hosted = Hosted(url)
        for cell in left:
            cpu = time.process_time()
            found = hosted.measure(cell) if cell.variant == "hosted" else measure_here(cell)
            facts = {"created": _now(), "git": commit()}
            flips.FILE.append(cell.row() | found | facts)
            print(*flips.FILE.question(cell.row()), f"accuracy {found['test_accuracy']:.3f}",
                  f"({time.process_time() - cpu:.0f} s)", flush=True)  # fmt: skip


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    main()
