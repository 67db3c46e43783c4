"""One measured run: a configuration in, a record out."""

from __future__ import annotations

import copy
import datetime
import functools
import math
import platform
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import f1_score

from helpers.approaches import Fitted, TransferModel, get_approach, parse_options
from helpers.backbones import BACKBONES, Backbone, load_backbone, source_task_of
from helpers.errors import UserError
from helpers.experiments import costs
from helpers.paths import commit
from helpers.results.schema import run_id
from helpers.runtime import pick_device
from helpers.tasks import TASKS, Task, load_task
from helpers.training.examples import Examples
from helpers.training.loop import TrainConfig, predict

NAN = math.nan


@dataclass(frozen=True)
class RunConfig:
    """What is asked; `run_id` is its hash, so that the same question has one row."""

    task: str
    backbone: str
    approach: str
    n_train: int  # 0: every training example of the task
    seed: int = 0
    dial: float = 0.0
    lr: float | None = None  # None: the approach's default
    epochs: int | None = None
    batch_size: int = 32
    image_size: int | None = None  # None: the backbone's default
    settings: str = ""  # the approach's options, "key=value;key=value"
    schema: int = 1  # whose defaults hold: 1 the first round's, 2 the second's

    def resolved(self) -> RunConfig:
        """The same question with every default written out, as it is recorded and hashed.

        Raises UserError for an unknown task, backbone, approach or setting.
        """
        approach = get_approach(self.approach)
        parse_options(approach.options, self.settings)
        if self.task not in TASKS:
            load_task(self.task)  # raises, with the nearest name
        n_train = self.n_train or len(load_task(self.task).train)
        config = self.training(TASKS[self.task].modality, n_train)
        info = BACKBONES.get(self.backbone)
        size = self.image_size or (info.default_size if info else 224)
        return replace(self, n_train=n_train, lr=config.lr, epochs=config.epochs, image_size=size)

    def training(self, modality: str, n_train: int) -> TrainConfig:
        """How it is trained: what is set here, the rest by the round's defaults."""
        approach = get_approach(self.approach)
        settings = approach.config if self.schema == 1 else approach.protocol
        return settings(
            modality,
            n_train,
            lr=self.lr,
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=self.seed,
        )


def run(config: RunConfig, *, n_test: int | None = None) -> dict[str, Any]:
    """Train, read the test split once, measure every cost; returns the record's columns.

    n_test: read only the first n test examples, for a quick look that is no record. None: all.

    Raises UserError for unknown names, too few examples, or a diverging loss.
    """
    config = config.resolved()
    approach = get_approach(config.approach)
    task = task_for(config, n_test)
    backbone = load_backbone(
        config.backbone,
        pretrained=approach.uses_pretrained,
        size=config.image_size,
        seed=config.seed,
    )
    if backbone.modality != task.modality:
        raise UserError(
            f"{config.backbone} reads {backbone.modality}s, and {task.name} holds {task.modality}s"
        )
    training = config.training(task.modality, config.n_train)
    options = parse_options(approach.options, config.settings)
    before = _known_source_accuracy(config.backbone, n_test) if approach.uses_pretrained else NAN
    fitted = approach.fit(copy.deepcopy(backbone), task, training, options)
    row = asdict(config) | {"modality": task.modality, "origin": task.origin}
    row |= _scores(fitted, task) | {"precision": _precision(fitted)}
    row |= costs.measure(fitted, task, training, options)
    row["source_accuracy_before"] = row["source_accuracy_after"] = before
    if isinstance(fitted.model, TransferModel) and not math.isnan(before):
        # Through whatever was inserted: unplugging LoRA or adapters would give `before` again.
        row["source_accuracy_after"] = source_accuracy(fitted.model.backbone, backbone, n_test)
    row |= environment(pick_device(training.device))
    return row | {"run_id": run_id(row)}


def _precision(fitted: Fitted) -> str:
    """What the training computed in; solvers of scikit-learn know no half precision."""
    config = fitted.config
    if config is None:
        return "float32"
    on_cuda = pick_device(config.device).type == "cuda"
    return "bfloat16" if (on_cuda if config.amp is None else config.amp) else "float32"


def task_for(config: RunConfig, n_test: int | None = None) -> Task:
    """The task at the size the backbone reads, or at its own where its entry says so."""
    info = TASKS[config.task]
    own_size = info.modality == "text" or info.keeps_size
    return load_task(
        config.task,
        n_train=config.n_train or None,
        seed=config.seed,
        image_size=None if own_size else config.image_size,
        dial=config.dial,
        n_test=n_test,
    )


def _scores(fitted: Fitted, task: Task) -> dict[str, Any]:
    """Accuracies on all three splits; macro F1 on test."""
    predicted = fitted.predict(task.test).argmax(1).numpy()
    accuracy, loss = fitted.history.best
    return {
        "n_train": len(task.train),
        "n_validation": len(task.validation),
        "n_test": len(task.test),
        "n_labels": len(task.train) + len(task.validation),
        "best_epoch": fitted.history.best_epoch,
        "best_update": fitted.history.best_update if fitted.history.updates else NAN,
        "updates": fitted.history.updates or NAN,
        "train_accuracy": fitted.accuracy(task.train),
        "val_accuracy": accuracy,
        "val_loss": loss,
        "probe_val_accuracy": fitted.extra.get("probe_val_accuracy", NAN),
        "test_accuracy": float((predicted == task.test.labels).mean()),
        "macro_f1": float(f1_score(task.test.labels, predicted, average="macro")),
    }


def source_accuracy(tuned: Backbone, original: Backbone, n_test: int | None = None) -> float:
    """Accuracy of tuned stages under the original classifier on the pretraining task's test.

    What falls here was forgotten. NaN where the source data is not at hand. `pocket`'s head
    tells twenty classes apart (five products × four rotations); the upright five are compared.
    """
    (head,) = original.source_head
    source = source_task_of(original.name)
    if head is None or not source:
        return NAN
    task = load_task(source, n_test=n_test)
    examples = Examples.raw(task.test.inputs, task.test.labels)
    model = TransferModel(copy.deepcopy(tuned), len(task.classes))
    upright = slice(len(task.classes))
    model.head.load_state_dict({"weight": head.weight[upright], "bias": head.bias[upright]})
    labels = torch.from_numpy(examples.labels)
    return float((predict(model, examples).argmax(1) == labels).float().mean())


@functools.cache
def _known_source_accuracy(name: str, n_test: int | None) -> float:
    """`source_accuracy` of a backbone as it comes; once per process."""
    backbone = load_backbone(name)
    return source_accuracy(backbone, backbone, n_test)


def environment(device: torch.device) -> dict[str, Any]:
    """Facts of the machine and code that a record carries."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "device": f"{device.type}: {name}",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "git": commit(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


@functools.cache
def _processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
        return names[0] if names else platform.machine()
    except OSError:
        return platform.processor() or platform.machine()
