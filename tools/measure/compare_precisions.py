"""Does an approach that trains in bfloat16 reach what it reaches in float32?

Trains each arm twice from one seed, at the learning rate that was best in float32 where such runs
are recorded, else at the second round's default, and appends the two accuracies on test to
`data/results/precisions.csv`. Stop it at will and start it again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from helpers.approaches import get_approach, parse_options
from helpers.backbones import load_backbone
from helpers.experiments.single_run import RunConfig, task_for
from helpers.results import load_runs
from helpers.results.statistics import mean_interval
from helpers.storage.results_file import ResultsFile
from helpers.tasks import TASKS

COLUMNS = ("task", "approach", "n_train", "image_size", "lr", "seed", "float32", "bfloat16")
FILE = ResultsFile("precisions.csv", COLUMNS, COLUMNS[:-2])
N_TRAIN = 200
READ = {"image": ("efficientnet_lite0", 64), "text": ("minilm", 64)}  # and at which size


def questions(tasks: list[str], approaches: list[str], seeds: int) -> Iterator[dict[str, Any]]:
    """The rows asked for, at the rates that the module tells of."""
    for task in tasks:
        modality = TASKS[task].modality
        backbone, size = READ[modality]
        runs = load_runs(schema=2, task=task, backbone=backbone, image_size=size, n_train=N_TRAIN)
        runs = runs[runs["precision"].eq("float32")]
        for approach in approaches:
            tried = runs[runs["approach"].eq(approach)].sort_values(
                ["val_accuracy", "val_loss"], ascending=[True, False]
            )
            default = get_approach(approach).protocol(modality, N_TRAIN).lr
            rate = default if tried.empty else float(tried["lr"].iloc[-1])
            for seed in range(seeds):
                yield dict(zip(COLUMNS, (task, approach, N_TRAIN, size, rate, seed), strict=False))


def measure(question: Mapping[str, Any]) -> dict[str, Any]:
    """The question with its two accuracies."""
    backbone, size = READ[TASKS[question["task"]].modality]
    runs = load_runs(
        schema=2, task=question["task"], approach=question["approach"], backbone=backbone
    )
    settings = "" if runs.empty else runs["settings"].mode()[0]
    config = RunConfig(backbone=backbone, settings=settings, schema=2, **question)
    approach, task = get_approach(config.approach), task_for(config)
    reached = {}
    for name in COLUMNS[-2:]:
        training = config.training(task.modality, config.n_train)
        training = replace(training, amp=name == "bfloat16")
        network = load_backbone(backbone, size=size, seed=config.seed)
        options = parse_options(approach.options, settings)
        reached[name] = approach.fit(network, task, training, options).accuracy(task.test)
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
    table = FILE.load()
    kinds = table["task"].map(lambda name: TASKS[name].modality)
    for (kind, approach), rows in table.groupby([kinds, "approach"]):
        mean, low, high = mean_interval(rows["bfloat16"] - rows["float32"])
        gain = f"{mean:+.4f} ({low:+.4f} to {high:+.4f}) in bfloat16"
        print(f"{kind}, {approach}: {gain}, {len(rows)} pairs")


if __name__ == "__main__":
    main()
