"""Repeat recorded float32 runs in bfloat16: does the accuracy stay, and what is saved?

Writes `data/results/precisions.csv`; stop it at will and start it again. One row per repeated run:
its run_id, task, approach and n_train, its recorded accuracy on test, that of the repetition, that
of the repetition's weights read in float32, and the processor seconds of both trainings.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pandas as pd

from helpers.approaches import get_approach, parse_options
from helpers.backbones import load_backbone
from helpers.experiments.single_run import RunConfig, task_for
from helpers.results import load_runs
from helpers.results.statistics import mean_interval
from helpers.runtime import Stopwatch
from helpers.storage.results_file import ResultsFile

COLUMNS = [
    "run_id",
    "task",
    "approach",
    "n_train",
    "float32_accuracy",
    "bfloat16_accuracy",
    "read_in_float32",
    "float32_seconds",
    "bfloat16_seconds",
]
FILE = ResultsFile("precisions.csv", COLUMNS, ["run_id"])
COMPARED = ("full_fine_tuning", "partial_fine_tuning", "lora", "adapter")


def to_repeat(runs: pd.DataFrame, backbone: str) -> pd.DataFrame:
    """The best float32 run of each task and approach on validation."""
    kept = runs[
        runs["backbone"].eq(backbone)
        & runs["precision"].eq("float32")
        & runs["approach"].isin(COMPARED)
    ]
    best = kept.sort_values("val_accuracy").groupby(["task", "approach", "n_train"]).tail(1)
    return best.sort_values(["approach", "task"])


def repeat(row: Mapping[str, Any]) -> dict[str, object]:
    """The same run in bfloat16, beside what was recorded."""
    names = {field.name for field in fields(RunConfig)}
    config = RunConfig(**{key: value for key, value in row.items() if key in names})
    approach, task = get_approach(config.approach), task_for(config)
    training = replace(config.training(task.modality, config.n_train), amp=True)
    backbone = load_backbone(config.backbone, size=config.image_size, seed=config.seed)
    watch = Stopwatch()
    fitted = approach.fit(
        backbone, task, training, parse_options(approach.options, config.settings)
    )
    seconds = watch.cpu_seconds
    accuracy = fitted.accuracy(task.test)
    fitted.config = replace(training, amp=False)
    return {
        "run_id": row["run_id"],
        "task": config.task,
        "approach": config.approach,
        "n_train": config.n_train,
        "float32_accuracy": row["test_accuracy"],
        "bfloat16_accuracy": accuracy,
        "read_in_float32": fitted.accuracy(task.test),
        "float32_seconds": row["train_cpu_seconds"],
        "bfloat16_seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    backbone = parser.parse_args().backbone
    for row in FILE.missing(to_repeat(load_runs(schema=2), backbone).to_dict("records")):
        FILE.append(repeat(row))
    found = FILE.load()
    for name, gap in (
        ("trained and read in bfloat16", found["bfloat16_accuracy"] - found["float32_accuracy"]),
        ("read in bfloat16 alone", found["bfloat16_accuracy"] - found["read_in_float32"]),
    ):
        mean, low, high = mean_interval(gap)
        print(f"{name}: {mean:+.4f} ({low:+.4f} to {high:+.4f}), {len(gap)} runs")


if __name__ == "__main__":
    main()
