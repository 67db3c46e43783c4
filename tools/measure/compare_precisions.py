"""Does an approach that trains photos in bfloat16 reach what it reaches in float32?

Trains each arm twice from one seed, at the learning rate that was best in float32, and appends the
two accuracies on test to `data/results/precisions.csv`. Stop it at will and start it again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from helpers.approaches import get_approach, parse_options
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.experiments.single_run import RunConfig, task_for
from helpers.results import load_runs
from helpers.results.statistics import mean_interval
from helpers.storage.results_file import ResultsFile

COLUMNS = ("task", "approach", "n_train", "image_size", "lr", "seed", "float32", "bfloat16")
FILE = ResultsFile("precisions.csv", COLUMNS, COLUMNS[:-2])
BACKBONE, SIDE, N_TRAIN = "efficientnet_lite0", 64, 200


def questions(tasks: list[str], approaches: list[str], seeds: int) -> Iterator[dict[str, Any]]:
    """The rows asked for; the rate is that of the recorded float32 run best on validation."""
    runs = load_runs(schema=2, backbone=BACKBONE, image_size=SIDE, n_train=N_TRAIN)
    runs = runs[runs["precision"].eq("float32")]
    for task in tasks:
        for approach in approaches:
            tried = runs[runs["task"].eq(task) & runs["approach"].eq(approach)]
            if tried.empty:
                raise UserError(f"no float32 run of {approach} on {task} is recorded")
            best = tried.sort_values(["val_accuracy", "val_loss"], ascending=[True, False])
            rate = float(best["lr"].iloc[-1])
            for seed in range(seeds):
                yield dict(zip(COLUMNS, (task, approach, N_TRAIN, SIDE, rate, seed), strict=False))


def measure(question: Mapping[str, Any]) -> dict[str, Any]:
    """The question with its two accuracies."""
    runs = load_runs(schema=2, task=question["task"], approach=question["approach"])
    settings = runs.loc[runs["backbone"].eq(BACKBONE), "settings"].mode()[0]
    config = RunConfig(backbone=BACKBONE, settings=settings, schema=2, **question)
    approach, task = get_approach(config.approach), task_for(config)
    reached = {}
    for name in COLUMNS[-2:]:
        training = config.training(task.modality, config.n_train)
        training = replace(training, amp=name == "bfloat16")
        backbone = load_backbone(BACKBONE, size=SIDE, seed=config.seed)
        options = parse_options(approach.options, settings)
        reached[name] = approach.fit(backbone, task, training, options).accuracy(task.test)
    return dict(question) | reached


def main() -> None:
    """Measure what is missing, then print the mean difference of each approach."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["clothing", "digits", "products"])
    parser.add_argument("--approaches", nargs="+", default=["full_fine_tuning"])
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    for question in FILE.missing(questions(asked.tasks, asked.approaches, asked.seeds)):
        FILE.append(measure(question))
    for approach, rows in FILE.load().groupby("approach"):
        mean, low, high = mean_interval(rows["bfloat16"] - rows["float32"])
        print(f"{approach}: {mean:+.4f} ({low:+.4f} to {high:+.4f}) in bfloat16, {len(rows)} pairs")


if __name__ == "__main__":
    main()
