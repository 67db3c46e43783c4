"""Measure what `data/results/smollm2_classified.csv` lacks; stop it at will and start it again.

SmolLM2 on three text tasks at two sizes: asked by prompt, with and without examples, as frozen
features under a linear probe, with LoRA, and moved as a whole; beside it word counts and MiniLM's
probe (columns: `helpers.lessons.language_models.smollm2_records`; LoRA on MiniLM is in runs.csv).
64 tokens of a text; rates (of probes: C) are tried with seed 0 until the best on validation is
inside, four at most. LoRA and full fine-tuning make the same updates (`UPDATES`), with 200
examples alone; few-shot, whose examples are few at any size, draws them from 200. It tries two
numbers of examples, with scores as they are and calibrated. Zero-shot uses no label, so it has one
row. SmolLM2 is asked about the first `TESTED` test texts, what is cheap about all. One thread.

A larger grid: raise the constants, and set the rows that they contradict aside.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import Tensor

from helpers.approaches import Fitted, TransferModel, get_approach, parse_options
from helpers.approaches.base import entering_examples
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.experiments.single_run import RunConfig
from helpers.experiments.sweeps import next_rate
from helpers.lessons.language_models.causal_lm import CausalLM, load_causal_lm
from helpers.lessons.language_models.smollm2_records import (
    CLASSIFIED,
    FEW_SHOT,
    NONE,
    NUMBERS,
    PROMPTS,
    SIZES,
    SMALL,
    TASKS,
    WAYS,
    ZERO_SHOT,
)
from helpers.lessons.language_models.smollm2_records import MODEL as SMOLLM2
from helpers.paths import commit
from helpers.runtime import Stopwatch
from helpers.tasks import Split, Task, load_task
from helpers.training.checkpoints import task_bytes
from helpers.training.loop import TrainingDiverged, autocast, bfloat16_pays, trainable
from helpers.vocabulary import FEATURE_EXTRACTION, FULL_FINE_TUNING, LORA
from tools.measure import prompting

SEEDS = 3
SHOTS = (1, 4)  # examples of each class
MOST_TRIALS, UPDATES, BATCH = 4, 400, 8
TESTED, ASKED = 400, 100  # test texts of SmolLM2; validation texts of a prompt
TUNED = (LORA, FULL_FINE_TUNING)
FIRST_RATES = {(SMOLLM2, FULL_FINE_TUNING): (1e-5, 3e-5, 1e-4)}  # others: those of their trials


@dataclass(frozen=True)
class Cell:
    """One model; lr is NaN for prompts."""

    task: str
    model: str
    approach: str
    settings: str
    n_train: int
    seed: int
    lr: float
    role: str

    @property
    def arm(self) -> tuple[str, str]:
        """(model, approach)."""
        return self.model, self.approach


def prompt_settings(shots: int) -> tuple[str, str]:
    """The two settings that one reading of the texts answers."""
    return tuple(f"shots={shots};calibrated={how}" for how in (0, 1))


def cells(tasks: list[str], arms: list[tuple[str, str]]) -> Iterator[Cell]:
    """The questions in their order; runs follow when their trials are recorded."""
    for arm in arms:
        if arm[1] == ZERO_SHOT:
            for task, settings in itertools.product(tasks, prompt_settings(0)):
                yield Cell(task, *arm, settings, 0, 0, math.nan, "run")
            continue
        sizes = SIZES[:1] if arm[1] in SMALL else SIZES
        for size, task in itertools.product(sizes, tasks):
            yield from _trained_cells(task, arm, size)


def _trained_cells(task: str, arm: tuple[str, str], size: int) -> Iterator[Cell]:
    """Trials with seed 0 until the best is inside, then the best with every seed."""
    if arm[1] == FEW_SHOT:
        for shots in SHOTS:
            for settings in prompt_settings(shots):
                yield Cell(task, *arm, settings, size, 0, math.nan, "trial")
        best = _best(task, arm, size)
        if best is not None:
            for seed in range(SEEDS):
                yield Cell(task, *arm, best["settings"], size, seed, math.nan, "run")
        return
    settings = get_approach(arm[1]).protocol_settings.get("text", "")
    asked: set[float] = set()
    while (rates := set(_rates(task, arm, size))) - asked:
        for rate in sorted(rates - asked):
            yield Cell(task, *arm, settings, size, 0, rate, "trial")
        asked |= rates
    best = _best(task, arm, size)
    if best is not None and asked <= set(_trials(task, arm, size)["lr"]):
        for seed in range(SEEDS):
            yield Cell(task, *arm, settings, size, seed, float(best["lr"]), "run")


def _trials(task: str, arm: tuple[str, str], size: int) -> pd.DataFrame:
    rows = CLASSIFIED.load()
    own = (rows["task"] == task) & (rows["model"] == arm[0]) & (rows["approach"] == arm[1])
    return rows[own & (rows["n_train"] == size) & (rows["role"] == "trial")]


def _best(task: str, arm: tuple[str, str], size: int) -> pd.Series | None:
    """The trial that validation prefers: accuracy, then loss, then the lower rate."""
    order = _trials(task, arm, size).sort_values(
        ["val_accuracy", "val_loss", "lr"], ascending=[False, True, True]
    )
    return None if order.empty else order.iloc[0]


def _rates(task: str, arm: tuple[str, str], size: int) -> list[float]:
    """The rates asked for by now: three, and one more while the best lies at an edge."""
    approach = get_approach(arm[1])
    first = FIRST_RATES.get(arm, approach.trials["text"])
    tried = sorted({*first, *_trials(task, arm, size)["lr"]})
    best = _best(task, arm, size)
    whole = set(tried) <= set(_trials(task, arm, size)["lr"])
    if whole and len(tried) < MOST_TRIALS and best["lr"] in (tried[0], tried[-1]):
        step = 1 if best["lr"] == tried[-1] else -1
        tried.append(next_rate(best["lr"], approach.trials_per_decade, step))
    return tried


@functools.cache
def lm() -> CausalLM:
    """SmolLM2 as it comes."""
    return load_causal_lm(SMOLLM2)


def scores_of(labels: Any, logits: Tensor, part: str) -> dict[str, float]:
    """Accuracy and loss of validation; accuracy and macro F1 of test."""
    wanted, answers = torch.as_tensor(labels), logits.argmax(1)
    accuracy = float((answers == wanted).float().mean())
    if part == "val":
        return {"val_accuracy": accuracy, "val_loss": float(F.cross_entropy(logits, wanted))}
    f1 = float(f1_score(labels, answers.numpy(), average="macro"))
    return {"test_accuracy": accuracy, "macro_f1": f1, "n_test": len(labels)}


def prompted(cell: Cell) -> list[dict[str, Any]]:
    """The rows of both settings, or of the one that was chosen."""
    shots = int(cell.settings.partition(";")[0].partition("=")[2])
    task = load_task(cell.task, n_train=cell.n_train or None, seed=cell.seed)
    prompt, amp = prompting.PROMPTS[cell.task], bfloat16_pays("text") or None
    examples = prompting.drawn(task.train, shots, cell.seed) if shots else []
    unlabelled = task.validation.inputs[
        :ASKED
    ]  # for calibration, and to choose few-shot's settings
    held = Split(unlabelled, task.validation.labels[: len(unlabelled)])

    def scored(texts: list[str]) -> Tensor:
        return prompting.word_scores(lm(), prompt, texts, examples, amp=amp)

    known = scored(held.inputs)
    facts = dict.fromkeys(NUMBERS, math.nan) | {"trainable_params": 0, "stored_bytes": 0}
    facts |= {"n_labels": (len(examples) + len(held)) if shots else 0, "updates": 0}
    facts |= {"train_cpu_seconds": 0.0, "precision": "bfloat16" if amp else "float32"}
    watch = Stopwatch()
    test = first(task.test)
    logits = scored(test.inputs) if cell.role == "run" else None
    if logits is not None:
        facts["predict_ms"] = 1000 * watch.cpu_seconds / len(test)
    chosen = [cell.settings] if shots and logits is not None else prompt_settings(shots)
    rows = []
    for settings in chosen:
        shift = known.mean(0) if settings.endswith("calibrated=1") else torch.zeros(1)
        row = asdict(cell) | facts | {"settings": settings}
        row |= scores_of(held.labels, known - shift, "val") if shots else {}
        if logits is not None:
            row |= scores_of(test.labels, logits - shift, "test")
        rows.append(row)
    return rows


def first(test: Split) -> Split:
    """The test texts that SmolLM2 is asked about."""
    return test.take(slice(TESTED))


@functools.lru_cache(maxsize=MOST_TRIALS)
def fitted_to(
    task: str, model: str, approach: str, settings: str, n_train: int, seed: int, lr: float
) -> Fitted:
    """One training; the run that takes a trial's rate and seed takes its model too."""
    chosen, texts = get_approach(approach), load_task(task, n_train=n_train, seed=seed)
    asked = RunConfig(task, model, approach, n_train, seed, lr=lr, schema=2)
    config = asked.training("text", n_train)
    if approach in TUNED:
        passes = math.ceil(UPDATES / math.ceil(n_train / BATCH))
        config = replace(config, epochs=passes, patience=passes, batch_size=BATCH, looks=3)
    backbone = None if model == NONE else load_backbone(model, size=prompting.TOKENS)
    return chosen.fit(backbone, texts, config, parse_options(chosen.options, settings))


def trained(cell: Cell) -> list[dict[str, Any]]:
    """The row of one trained model; SmolLM2's features are in bfloat16 where that pays."""
    # Not around a training: autocast keeps what it has cast of the weights, and these move.
    frozen = cell.arm == (SMOLLM2, FEATURE_EXTRACTION)
    with autocast(torch.device("cpu"), frozen and bfloat16_pays("text")):
        return [trained_row(cell)]


def trained_row(cell: Cell) -> dict[str, Any]:
    """The row of one trained model."""
    task: Task = load_task(cell.task, n_train=cell.n_train, seed=cell.seed)
    asked = asdict(cell)
    asked.pop("role")
    fitted = fitted_to(**asked)
    accuracy, loss = fitted.history.best
    halved = torch.is_autocast_enabled("cpu") or (fitted.config and fitted.config.amp)
    row = asdict(cell) | dict.fromkeys(NUMBERS, math.nan) | {
        "n_labels": len(task.train) + len(task.validation),
        "val_accuracy": accuracy,
        "val_loss": loss,
        "updates": fitted.history.updates,
        "train_cpu_seconds": fitted.history.cpu_seconds + fitted.prepare_cpu_seconds,
        "precision": "bfloat16" if halved else "float32",
    }  # fmt: skip
    if isinstance(fitted.model, TransferModel):
        row["trainable_params"] = sum(p.numel() for p in trainable(fitted.model))
        if cell.role == "run":
            row["stored_bytes"] = len(task_bytes(fitted.model))
    if cell.role == "run":
        test = first(task.test) if cell.model == SMOLLM2 else task.test
        watch = Stopwatch()
        row |= scores_of(test.labels, fitted.predict(test), "test")
        seconds = watch.cpu_seconds
        if cell.approach == FEATURE_EXTRACTION:  # kept for later seeds: what computing them took
            seconds = entering_examples(fitted.model, test, None, None)[2]
        row["predict_ms"] = 1000 * seconds / len(test)
    return row


def main() -> None:
    """Measure cell by cell and print each row's accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only print what is missing")
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=TASKS)
    parser.add_argument("--arms", nargs="*", choices=[":".join(arm) for arm in WAYS],
                        default=[":".join(arm) for arm in WAYS])  # fmt: skip
    given = parser.parse_args()
    torch.set_num_threads(1)
    for cell in cells(given.tasks, [tuple(arm.split(":")) for arm in given.arms]):
        known = {question(row) for row in CLASSIFIED.load().to_dict("records")}
        if question(asdict(cell)) in known:
            continue
        if given.list:
            print(cell)
            continue
        try:
            rows = (prompted if cell.approach in PROMPTS else trained)(cell)
        except TrainingDiverged as error:  # an answer too: the rate is none to take
            print(cell, error, flush=True)
            rows = [asdict(cell) | dict.fromkeys(NUMBERS, math.nan) | {"precision": ""}]
        except UserError as error:
            print(cell, error, flush=True)
            continue
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        for row in rows:
            CLASSIFIED.append(row | {"threads": torch.get_num_threads(), "created": now,
                                     "git": commit()})  # fmt: skip
            print(*CLASSIFIED.question(row), row["val_accuracy"], row["test_accuracy"], flush=True)


def question(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a row answers; a rate that is not there equals another."""
    return tuple("" if one != one else one for one in CLASSIFIED.question(row))


if __name__ == "__main__":
    main()
