"""Measure what `data/results/flips.csv` lacks; stop it at will and start it again.

Two flips (columns: `helpers.lessons.flips`). Unlabelled data: continued pretraining on a task's
training images or texts, labels unread, then a probe and full fine-tuning on few labels, against
the same on the backbone as it came. Local only: `pocket` fully tuned on this machine against a
probe on the embeddings of a larger frozen network, which are asked for over HTTP.

Splits, validation and test sets, updates, BatchNorm's statistics and the search for a learning
rate are those of the grid's runs: seed 0 tries three rates and goes on while the best lies at an
edge, the other draws take what validation preferred. The test split is read once for each row.
Pretraining goes on for as many steps as an approach trains. MiniLM's is done once, with seed 0,
for all draws of labels.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.metrics import log_loss

from helpers.approaches import get_approach, parse_options
from helpers.approaches.base import UPDATES
from helpers.backbones import BACKBONES, Backbone, clone, load_backbone
from helpers.experiments.costs import sample_batch
from helpers.experiments.single_run import RunConfig, task_for
from helpers.experiments.sweeps import MOST_TRIALS, next_rate, recipe_settings
from helpers.experiments.timing import median_ms, serving_latency
from helpers.lessons import flips
from helpers.lessons.hosted_model.client import EmbeddingClient
from helpers.lessons.hosted_model.service import serve, to_npy
from helpers.lessons.photos import linear_model
from helpers.lessons.unlabelled_data import PretextConfig, contrast, refresh_statistics
from helpers.paths import commit
from helpers.results.schema import SCHEMA
from helpers.tasks import Split, Task, load_task
from tools.measure.masked_words import predict_words

PROBE, NAIVE = flips.PROBE, flips.NAIVE
ARMS = (("plain", PROBE), ("plain", NAIVE), ("statistics", PROBE), ("continued", PROBE),
        ("continued", NAIVE))  # fmt: skip
LOCAL_ARMS = (("local", NAIVE), ("hosted", PROBE))
LARGER = "efficientnet_lite2"  # reads its own 260 pixels, whatever size a picture comes in
REPEATS = 30


@dataclass(frozen=True)
class Place:
    """A task on a backbone, and how pretraining goes on there."""

    task: str
    backbone: str
    size: int  # pixels or tokens
    dial: float = 0.0
    pretext: PretextConfig = PretextConfig(steps=UPDATES)
    labels: tuple[int, ...] = (50, 200)
    seeds: int = 3


@dataclass(frozen=True)
class Trained:
    """What came of one learning rate: how good it is on validation, seconds, and a way to test."""

    val_accuracy: float
    val_loss: float
    cpu_seconds: float
    test_accuracy: Callable[[], float]
    predict_one: Callable[[], float]  # median milliseconds of one answer


POCKET = (
    Place("digits", "pocket", 28),
    Place("textile", "pocket", 28),
    Place("products_near", "pocket", 28, dial=1.0),
)
TEXT = Place("tweets", "minilm", 64, labels=(50,),
             pretext=PretextConfig(steps=UPDATES, batch_size=32, lr=1e-4))  # fmt: skip
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
    """All rows in their order; the first seed searches the learning rates of the others."""
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


def task_of(cell: Cell) -> Task:
    """The task with the cell's labelled examples, at their own size for a hosted network."""
    place = cell.place
    if cell.variant == "hosted":
        return load_task(place.task, n_train=cell.n, seed=cell.seed, dial=place.dial)
    return task_for(RunConfig(place.task, place.backbone, cell.approach, cell.n, seed=cell.seed,
                              dial=place.dial, image_size=place.size))  # fmt: skip


def searched(cell: Cell, modality: str, fit: Callable[[float], Trained]) -> tuple[float, Trained]:
    """The learning rate (of a probe the strength C) that validation prefers, and what it gave."""
    if cell.seed:
        asked = replace(cell, seed=0).row()
        held = flips.FILE.load()
        same = np.logical_and.reduce([held[name] == asked[name] for name in flips.QUESTION])
        rate = float(held[same]["lr"].iloc[0])
        return rate, fit(rate)
    approach = get_approach(cell.approach)
    rates, tried = list(approach.trials[modality]), {}
    middle = rates[len(rates) // 2]
    while True:
        tried |= {rate: fit(rate) for rate in rates if rate not in tried}
        best = max(tried, key=lambda rate: (tried[rate].val_accuracy, -tried[rate].val_loss,
                                            -abs(math.log(rate / middle)), -rate))  # fmt: skip
        if min(rates) < best < max(rates) or len(rates) >= MOST_TRIALS:
            return best, tried[best]
        step = 1 if best == max(rates) else -1
        rates.append(next_rate(best, approach.trials_per_decade, step))


def measured(cell: Cell, task: Task, fit: Callable[[float], Trained]) -> dict[str, Any]:
    """The columns that say what came out."""
    lr, made = searched(cell, task.modality, fit)
    hosted = cell.variant == "hosted"
    return {
        "lr": lr,
        "val_accuracy": made.val_accuracy,
        "test_accuracy": made.test_accuracy(),
        "n_test": len(task.test),
        "pretrain_cpu_seconds": 0.0 if hosted else network_of(cell)[1],
        "train_cpu_seconds": made.cpu_seconds,
        "bytes_sent": len(to_npy(np.asarray(task.test.inputs[:1]))) if hosted else 0,
        "latency_ms": made.predict_one(),
    }


def network_of(cell: Cell) -> tuple[Backbone, float]:
    """`prepared` for a cell."""
    return prepared(cell.place, cell.variant, 0 if cell.place is TEXT else cell.seed)


def measure_here(cell: Cell) -> dict[str, Any]:
    """An approach on a backbone of this machine."""
    task, approach = task_of(cell), get_approach(cell.approach)
    settings = recipe_settings({"task": task.name, "approach": approach.name, "settings": ""}, "")
    options = parse_options(approach.options, settings)

    def fit(rate: float) -> Trained:
        config = approach.protocol(task.modality, cell.n, lr=rate, seed=cell.seed)
        fitted = approach.fit(clone(network_of(cell)[0]), task, config, options)
        one = sample_batch(fitted.model.backbone.encode(task.test.inputs[:1]), 1)
        return Trained(
            *fitted.history.best,
            fitted.history.cpu_seconds + fitted.prepare_cpu_seconds,
            lambda: fitted.accuracy(task.test),
            lambda: serving_latency(fitted.model, one)[0],
        )

    return measured(cell, task, fit)


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
        task, name = task_of(cell), cell.place.task
        seen = self.embed((name, "train", cell.n, cell.seed), task.train)
        held = self.embed((name, "validation", len(task.validation)), task.validation)

        def fit(strength: float) -> Trained:
            before = time.process_time()
            probe = linear_model(strength).fit(seen, task.train.labels)
            spent = time.process_time() - before

            def answer() -> None:
                probe.predict(self.client.embed(task.test.inputs[:1]))

            return Trained(
                probe.score(held, task.validation.labels),
                log_loss(task.validation.labels, probe.predict_proba(held), labels=probe.classes_),
                spent,
                lambda: probe.score(self.embed((name, "test"), task.test), task.test.labels),
                lambda: median_ms(answer, REPEATS),
            )

        return measured(cell, task, fit)


def main() -> None:
    """Measure row by row and print each line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only print what is missing")
    parser.add_argument("tasks", nargs="*", help="only these")
    asked = parser.parse_args()
    known = flips.FILE.recorded()
    left = [cell for cell in cells() if flips.FILE.question(cell.row()) not in known]
    left = [cell for cell in left if cell.place.task in (asked.tasks or [cell.place.task])]
    if asked.list:
        print("\n".join(str(flips.FILE.question(cell.row())) for cell in left))
        return
    torch.set_num_threads(1)
    with serve(load_backbone(LARGER, size=BACKBONES[LARGER].native_size)) as url:
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
