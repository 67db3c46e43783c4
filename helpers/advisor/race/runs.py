"""One run of a race on own data, and the file that keeps every finished one."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch

from helpers.advisor.export import model_facts, save_fitted
from helpers.advisor.folds import folds_of, part_of
from helpers.advisor.hyperparameters import BATCH_SIZE, settings_of
from helpers.advisor.model_folder import is_kept
from helpers.advisor.task import OwnTask, own_folder
from helpers.approaches import Fitted, get_approach, parse_options
from helpers.backbones import Backbone, clone, load_backbone
from helpers.errors import UserError
from helpers.experiments.single_run import environment
from helpers.runtime import pick_device
from helpers.storage.results_file import RowFile
from helpers.tasks import Split
from helpers.tasks.splits import stratified_order
from helpers.training.loop import bfloat16_pays

VERSION = 4  # raised when a run of the same settings would come out otherwise
TRIALS = 4  # to use a model before somebody deletes the cache
PARTS = 10  # of the examples that judge a run, for choosing its epoch
COLUMNS = ("run_id", "approach", "n_train", "fold", "lr", "epochs", "seed", "n_judged", "accuracy",
           "loss", "right", "best_epoch", "seconds", "prepare_seconds", "train_cpu_seconds",
           "device", "threads", "torch", "git", "created")  # fmt: skip

Used = TypeVar("Used")


class OutOfTime(Exception):
    """The run was stopped, because it took much longer than was predicted."""


class SkipKind(StrEnum):
    """Why an approach was not measured, or not to the end."""

    HOPELESS = "hopeless"  # by the records
    NO_TIME = "no time"
    TOO_SLOW = "too slow"  # it took much longer than was predicted
    FAILED = "failed"
    DIED = "died"  # with its worker, again and again


@dataclass(frozen=True)
class Skipped:
    """Why an approach was left out: the kind, which programs ask for, and a sentence for people."""

    kind: SkipKind
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class RaceRun:
    """One training run: which approach, on how many examples, judged by which fold."""

    approach: str
    n_train: int
    fold: int
    lr: float
    epochs: int
    seed: int


@dataclass(frozen=True)
class RaceFile:
    """Finished runs on one data set, one backbone and one input size; whole lines are appended."""

    own: OwnTask
    backbone: str
    image_size: int

    @property
    def table(self) -> RowFile:
        """The rows, in the cache by content."""
        plain = self.backbone.replace(":", "_").replace("/", "_")
        name = f"race-{VERSION}-{plain}-{self.image_size}.csv"
        return RowFile(own_folder(self.own.name) / name, COLUMNS, checked=True)

    def run_id(self, job: RaceRun) -> str:
        """Hash of everything that was asked."""
        place = [VERSION, self.own.name, self.backbone, self.image_size, BATCH_SIZE]
        text = json.dumps([place, asdict(job)], sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]

    def append(self, row: dict[str, Any]) -> None:
        """Add a finished run; it is on the disk when this returns."""
        self.table.append_row({name: row[name] for name in COLUMNS}, key=True)

    def load(self) -> pd.DataFrame:
        """Every finished run, `right` as text of hexadecimal digits."""
        kinds = {"right": str, "run_id": str, "git": str}
        rows = io.BytesIO(self.table.read())
        return pd.read_csv(rows, encoding="utf-8", dtype=kinds, keep_default_na=False)

    def model_folder(self, job: RaceRun) -> Path:
        """Where the trained model of a job is kept; it is whole where it has a recipe."""
        return own_folder(self.own.name) / "models" / self.run_id(job)

    def has_model(self, job: RaceRun) -> bool:
        """Whether the trained model is there, whole."""
        return is_kept(self.model_folder(job))

    def use_model(self, job: RaceRun, use: Callable[[Path], Used]) -> Used:
        """What `use` makes of the folder of a job's trained model; trains it where none is kept.

        Whoever deletes the cache meanwhile takes the model along, and it is trained again.
        """
        left = TRIALS
        while True:
            if not self.has_model(job):
                row = execute(job, self)
                if row["run_id"] not in set(self.load()["run_id"]):
                    self.append(row)
            try:
                return use(self.model_folder(job))
            except UserError:
                left -= 1
                if not left or self.has_model(job):
                    raise


def execute(
    job: RaceRun,
    race: RaceFile,
    backbone: Backbone | None = None,
    deadline: float | None = None,
    wanted: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Train and judge; returns the row. The model of fold 0 is kept, to be tested or exported.

    deadline: `time.monotonic` after which training is given up; wanted: asked after each epoch
    whether to go on. Raises OutOfTime where either ends it.
    """
    started, cpu = time.perf_counter(), time.process_time()
    approach, own = get_approach(job.approach), race.own
    task = part_of(own.task, folds_of(own, job.seed), job.fold, job.n_train, own.examples)
    prepared = own.examples.seconds
    if backbone is None or not approach.uses_pretrained:
        backbone = load_backbone(
            race.backbone, pretrained=approach.uses_pretrained, size=race.image_size, seed=job.seed
        )
    config = approach.config(
        task.modality, job.n_train, lr=job.lr, epochs=job.epochs, batch_size=BATCH_SIZE,
        seed=job.seed, amp=bfloat16_pays(task.modality) or None,
    )  # fmt: skip
    options = parse_options(approach.options, settings_of(job.approach, task.modality))
    watch = _watch(deadline, wanted)
    fitted = approach.fit(clone(backbone), task, config, options, on_epoch=watch)
    right = judged(fitted, task.validation, job.seed)
    facts = environment(pick_device())
    row = asdict(job) | {
        "run_id": race.run_id(job),
        "n_judged": len(right),
        "accuracy": float(right.mean()),
        "loss": min(fitted.history.val_loss),
        "right": np.packbits(right).tobytes().hex(),
        "best_epoch": fitted.history.best_epoch,
        "seconds": time.perf_counter() - started,
        "prepare_seconds": own.examples.seconds - prepared,  # 0 where it was there already
        "train_cpu_seconds": (time.process_time() - cpu) / torch.get_num_threads(),
        **{key: facts[key] for key in ("device", "threads", "torch", "git", "created")},
    }
    if job.fold == 0:
        told = model_facts(own, race.backbone, race.image_size, row)
        save_fitted(fitted, told, race.model_folder(job))
    return row


def judged(fitted: Fitted, split: Split, seed: int) -> np.ndarray:
    """Which validation examples were got right, bool (N,), each at a look that others chose.

    The best epoch on the very examples that judge it flatters whatever jumps from epoch to epoch,
    and full fine-tuning jumps more than a probe. So each tenth is judged at the epoch that is best
    on the other nine. The weights before training are one of the looks where they may be kept.
    """
    history = fitted.history
    if not history.example_right or len(split) < 2:  # no epochs, or nobody else to choose them
        return fitted.predict(split).argmax(1).numpy() == split.labels
    right, losses = history.looks
    parts = min(PARTS, len(split))
    part = np.empty(len(split), dtype=np.int64)
    part[stratified_order(split.labels, seed)] = np.arange(len(split)) % parts
    made = np.empty(len(split), dtype=bool)
    for number in range(parts):
        judges, others = part == number, part != number
        best = np.lexsort((losses[:, others].mean(1), -right[:, others].mean(1)))[0]
        made[judges] = right[best, judges]
    return made


def _watch(deadline: float | None, wanted: Callable[[], bool] | None) -> Callable[[int, Any], None]:
    def look(epoch: int, history: Any) -> None:
        late = deadline is not None and time.monotonic() > deadline
        if late or not (wanted is None or wanted()):
            raise OutOfTime(
                f"it took longer than predicted and was stopped after epoch {epoch + 1}"
            )

    return look


def right_of(row: Any) -> np.ndarray:
    """Which of the judged examples a run got right, bool (n_judged,)."""
    bits = np.frombuffer(bytes.fromhex(row.right), dtype=np.uint8)
    return np.unpackbits(bits, count=int(row.n_judged)).astype(bool)
