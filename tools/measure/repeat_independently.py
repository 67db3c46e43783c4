"""Repeat recorded runs with code that shares nothing with what recorded them: repetitions.csv.

    python -m tools.measure.repeat_independently            # one seed of each cell, then more
    python -m tools.measure.repeat_independently --print    # what the file holds

`tools.measure.plain_transfer` was written from the protocol; only tasks and splits are shared.
It goes on where it stopped. Cells are chosen by the hash in their id, so by nobody: of each
approach three on `pocket` and two on EfficientNet-Lite0, at the learning rate that was best on
validation.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from helpers.paths import results_dir
from helpers.results import runs as records
from helpers.tasks import TASKS, load_task
from tools.measure.plain_transfer import Parts, Question, repeat

FILE = "repetitions.csv"
CELL = ["backbone", "task", "approach", "n_train", "dial", "image_size", "settings"]
ROUND = 2  # the schema whose rows are repeated
CELLS = {"pocket": 3, "efficientnet_lite0": 2}  # of each approach
SEEDS = {"pocket": 3, "efficientnet_lite0": 1}  # of our own: training alone, not the examples
MOST_TESTED = 5000  # test examples
CHEAP = 30  # processor seconds that the recorded training took, at most
COLUMNS = [
    *("run_id", "task", "backbone", "approach", "n_train", "recorded_accuracy"),
    *("repeated_accuracy", "standard_error", "within", "seeds", "spread", "repeats"),
]


def tuned(runs: pd.DataFrame) -> pd.DataFrame:
    """Of each cell's learning rates with seed 0 the row that was best on validation."""
    best = runs[runs["seed"] == 0].sort_values(
        ["val_accuracy", "val_loss", "run_id"], ascending=[False, True, True]
    )
    return best.groupby(CELL, dropna=False, sort=False).head(1)


def chosen(runs: pd.DataFrame) -> pd.DataFrame:
    """The cells to repeat: cheap ones first, and among these one of every approach."""
    rows = tuned(runs)
    rows = rows[rows["n_test"] <= MOST_TESTED].sort_values("run_id")
    parts = [rows[rows["backbone"] == name] for name in CELLS]
    firsts = [p.groupby("approach").head(n) for p, n in zip(parts, CELLS.values(), strict=True)]
    found = pd.concat(firsts).sort_values("train_cpu_seconds")
    order = {"dear": found["train_cpu_seconds"] > CHEAP}
    order["turn"] = found.groupby("approach").cumcount()
    return found.assign(**order).sort_values(["dear", "turn"], kind="stable").drop(columns=order)


def question_of(row: pd.Series, n_classes: int, seed: int) -> Question:
    """The configuration of a recorded row, for `plain_transfer`."""
    settings = row["settings"] if isinstance(row["settings"], str) else ""
    pairs = dict(pair.split("=") for pair in settings.split(";") if pair)
    updates = 0 if math.isnan(row["updates"]) else int(row["updates"])
    return Question(
        row["backbone"],
        row["approach"],
        float(row["lr"]),
        updates,
        int(row["image_size"]),
        pairs,
        n_classes,
        seed,
    )


def measured(row: pd.Series, seed: int) -> float:
    """Test accuracy of one repetition of a recorded row, on the very same examples."""
    info = TASKS[row["task"]]
    side = info.image_size if info.keeps_size else int(row["image_size"])
    task = load_task(
        row["task"], n_train=int(row["n_train"]), seed=0, image_size=side, dial=float(row["dial"])
    )
    splits = [Parts(s.inputs, np.asarray(s.labels)) for s in (task.train, task.validation)]
    test = Parts(task.test.inputs, np.asarray(task.test.labels))
    return repeat(question_of(row, len(task.classes), seed), *splits, test)


def compared(row: pd.Series, repeats: list[float]) -> dict[str, object]:
    """A row of the file.

    The standard error is that of the difference of two shares of the test examples, as if these
    were drawn anew for each; where several seeds were run, their spread counts too.
    """
    mine, theirs, n = float(np.mean(repeats)), float(row["test_accuracy"]), int(row["n_test"])
    variance = (mine * (1 - mine) + theirs * (1 - theirs)) / n
    spread = float(np.std(repeats, ddof=1)) if len(repeats) > 1 else math.nan
    if len(repeats) > 1:
        variance += spread**2 * (1 + 1 / len(repeats))
    error = math.sqrt(variance)
    figures = (theirs, round(mine, 6), round(error, 6), abs(mine - theirs) <= 2 * error)
    more = (len(repeats), round(spread, 6), " ".join(f"{value:.6g}" for value in repeats))
    asked = [row[name] for name in COLUMNS[:5]]
    return dict(zip(COLUMNS, (*asked, *figures, *more), strict=True))


def held(path: Path) -> dict[str, list[float]]:
    """Accuracies that the file holds, by run."""
    if not path.is_file():
        return {}
    table = pd.read_csv(path, dtype={"repeats": str})
    several = table["repeats"].str.split()
    return {i: [float(v) for v in s] for i, s in zip(table["run_id"], several, strict=True)}


def write(path: Path, rows: pd.DataFrame, repeats: dict[str, list[float]]) -> pd.DataFrame:
    """Write every repeated row anew; returns the table."""
    by_id = rows.set_index("run_id", drop=False)
    found = [compared(by_id.loc[name], values) for name, values in repeats.items()]
    table = pd.DataFrame(found, columns=COLUMNS)
    table.to_csv(path, index=False, lineterminator="\n")
    return table


def told(table: pd.DataFrame) -> str:
    """How many lie within two standard errors, and the mean difference of each approach."""
    gap = table["repeated_accuracy"] - table["recorded_accuracy"]
    lines = [f"{table['within'].sum()} of {len(table)} lie within two standard errors"]
    means = gap.groupby(table["approach"]).agg(["size", "mean"])
    lines += [f"{name}: {r['mean']:+.4f} over {r['size']:.0f}" for name, r in means.iterrows()]
    return "\n".join(lines)


def main() -> None:
    """Repeat what is missing, a seed of every cell before a second one of any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--print", action="store_true", help="measure nothing")
    path = results_dir() / FILE
    if parser.parse_args().print:
        print(told(pd.read_csv(path)))
        return
    torch.set_num_threads(1)
    runs = records.load_runs(schema=ROUND)
    repeats = held(path)
    for seed in range(max(SEEDS.values())):
        for _, row in chosen(runs).iterrows():
            several = repeats.setdefault(row["run_id"], [])
            if len(several) == seed < SEEDS[row["backbone"]]:
                several.append(measured(row, seed))
                table = write(path, runs, {k: v for k, v in repeats.items() if v})
                print(table[table["run_id"] == row["run_id"]].to_string(header=False))
    print(told(table))


if __name__ == "__main__":
    main()
