"""What would twice the updates have bought? Repeats recorded runs, twice as long.

    python -m tools.measure.double_updates --tasks newsgroups tweets posts

takes the recorded runs of the second recipe on these tasks that train by gradient, each approach at
the rate that its validation chose, and trains them again from the same seed for twice the epochs. A
row of `data/results/double_updates.csv` holds both accuracies on test. Stop it at will and start it
again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import pandas as pd

from helpers.experiments.single_run import RunConfig, run
from helpers.results import load_runs
from helpers.results.statistics import mean_interval, trains_by_gradient
from helpers.storage.results_file import ResultsFile

ASKED = ("task", "backbone", "approach", "n_train", "image_size", "settings", "lr", "seed")
FOUND = ("updates", "best_update", "accuracy")
COLUMNS = (*ASKED, *FOUND, *(f"twice_{name}" for name in FOUND))
FILE = ResultsFile("double_updates.csv", COLUMNS, ASKED, text=("settings",))


def chosen(
    backbone: str, tasks: list[str], n_train: int, approaches: list[str], seeds: int
) -> pd.DataFrame:
    """The recorded runs to repeat: of each task and approach those at its best rate."""
    runs = load_runs(schema=None, backbone=backbone, n_train=n_train, task=tasks, dial=0.0)
    runs = runs[runs["schema"].eq(2)]
    runs = runs[trains_by_gradient(runs) & ~runs["settings"].str.contains("norm=running")]
    if approaches:
        runs = runs[runs["approach"].isin(approaches)]
    cell = ["task", "backbone", "approach", "image_size", "settings"]
    first = runs[runs["seed"].eq(0)].sort_values(
        ["val_accuracy", "val_loss"], ascending=[True, False]
    )
    best = first.groupby(cell, observed=True, sort=False).tail(1)[[*cell, "lr"]]
    return runs[runs["seed"] < seeds].merge(best, on=[*cell, "lr"])


def measure(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded run beside the one that is twice as long."""
    question = {name: recorded[name] for name in (*ASKED, "batch_size", "schema")}
    longer = run(RunConfig(**question, epochs=2 * int(recorded["epochs"])))
    row = {name: recorded[name] for name in ASKED}
    for prefix, source in (("", recorded), ("twice_", longer)):
        row |= {prefix + name: source[name] for name in FOUND[:2]}
        row[prefix + "accuracy"] = source["test_accuracy"]
    return row


def main() -> None:
    """Measure what is missing, then print each approach's mean gain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="minilm")
    parser.add_argument("--tasks", nargs="+", default=["newsgroups", "tweets", "posts"])
    parser.add_argument("--approaches", nargs="+", default=[])
    parser.add_argument("--n-train", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    runs = chosen(asked.backbone, asked.tasks, asked.n_train, asked.approaches, asked.seeds)
    for recorded in FILE.missing(runs.to_dict("records")):
        FILE.append(measure(recorded))
    for cell, rows in FILE.load().groupby(["n_train", "backbone", "approach"]):
        mean, low, high = mean_interval(rows["twice_accuracy"] - rows["accuracy"])
        spread = f" ({low:+.4f} to {high:+.4f})" if len(rows) > 1 else ""
        print(*cell, f"{mean:+.4f}{spread}, pairs: {len(rows)}")


if __name__ == "__main__":
    main()
