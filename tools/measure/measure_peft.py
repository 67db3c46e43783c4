"""Measure what `data/results/peft.csv` lacks; stop it at will and start it again.

Methods of `peft` on MiniLM (columns: `tools.measure.peft_methods`), on the
training texts, validation texts and test texts of the sweep `minilm`, with its 32 tokens and six
epochs, so that rows compare with those of runs.csv. Each method's three learning rates are tried on
one task with seed 0, and the best on validation is used on every task; the test split is read once
for each row.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import math
import time
from collections.abc import Iterator
from typing import Any

import torch

from helpers.approaches import Fitted, TransferModel
from helpers.backbones import clone, load_backbone
from helpers.experiments.single_run import RunConfig, task_for
from helpers.paths import commit
from helpers.training.checkpoints import task_bytes, task_state
from helpers.training.loop import trainable
from tools.measure import peft_methods
from tools.measure.peft_methods import METHODS, TRIAL, PeftApproach

TASKS, N_TRAIN, SEEDS = ("reuters8", "newsgroups", "tweets"), 200, 3
EPOCHS, TOKENS = 6, 32
HALVED = ("lora",)  # the method whose files are also judged at 16 bits


def cells() -> Iterator[dict[str, Any]]:
    """All questions in their order: learning rates first; lr is None where it is to be chosen."""
    asked = {"n_train": N_TRAIN, "seed": 0}
    for name, method in METHODS.items():
        yield from ({"method": name, "task": TRIAL, "lr": r} | asked for r in method.rates)
    for seed in range(SEEDS):
        for task in TASKS:
            for name in METHODS:
                yield {"method": name, "task": task, "lr": None} | asked | {"seed": seed}


def missing() -> Iterator[dict[str, Any]]:
    """The questions that have no row yet, each with its learning rate."""
    for cell in cells():
        rows = peft_methods.load()
        rate = cell["lr"] or peft_methods.chosen_rate(cell["method"], rows)
        cell |= {"lr": rate}
        if rate is None or peft_methods.FILE.missing([cell]):
            yield cell


def measure(cell: dict[str, Any]) -> dict[str, Any]:
    """Train one model; returns its row."""
    approach = PeftApproach(cell["method"])
    asked = RunConfig(cell["task"], "minilm", "lora", cell["n_train"], cell["seed"])
    task = task_for(asked)
    config = approach.config("text", N_TRAIN, lr=cell["lr"], epochs=EPOCHS, seed=cell["seed"])
    fitted = approach.fit(clone(load_backbone("minilm", size=TOKENS)), task, config)
    halved = cell["method"] in HALVED
    return cell | {
        "epochs": EPOCHS,
        "tokens": TOKENS,
        "val_accuracy": max(fitted.history.val_accuracy),
        "test_accuracy": fitted.accuracy(task.test),
        "n_test": len(task.test),
        "half_accuracy": at_16_bits(fitted).accuracy(task.test) if halved else math.nan,
        "trainable_params": sum(p.numel() for p in trainable(fitted.model)),
        "stored_bytes": len(task_bytes(fitted.model)),
        "train_cpu_seconds": fitted.history.cpu_seconds,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "git": commit(),
    }


def at_16_bits(fitted: Fitted) -> Fitted:
    """A copy whose task tensors went through a file of 16-bit numbers."""
    model: TransferModel = copy.deepcopy(fitted.model)
    rounded = {key: value.half().float() for key, value in task_state(model).items()}
    model.load_state_dict(rounded, strict=False)
    return Fitted(fitted.approach, model, fitted.history)


def main() -> None:
    """Measure row by row and print each line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only print what is missing")
    if parser.parse_args().list:
        print("\n".join(str(cell) for cell in missing()))
        return
    torch.set_num_threads(1)
    for cell in missing():
        cpu = time.process_time()
        row = measure(cell)
        peft_methods.FILE.append(row)
        print(*peft_methods.FILE.question(row), f"accuracy {row['test_accuracy']:.3f}",
              f"({time.process_time() - cpu:.0f} s)", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
