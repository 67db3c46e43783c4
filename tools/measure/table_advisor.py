"""Measure the advisor beside baselines that ask nothing, for data/results/advisor_table.csv.

    python -m tools.measure.table_advisor [--minutes 10] [--list] [--refresh] [CELL …]

A cell is a task, a number of training examples and an answer: `look` (`advise`), `race` (`advise
--measure`), and four baselines: `probe` (frozen, at the network's own size), `lora`, `full`, and
`constant`: what gives up least on the records of the same kind. Each task is written out as a user
has it and held out from the records. What an answer names is trained on all training examples and
tested once; regret_points is what the best of everything known at that cell (recorded at any size
in pixels, or measured here by any answer) has more. A cell that is there is kept, so that a stopped
call goes on where it was. `--refresh` works out regrets again; `--list` names the cells.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.advisor.answer import held_records
from helpers.advisor.pipeline import Advice, Request, advise
from helpers.advisor.race.runs import RaceFile, RaceRun
from helpers.advisor.race.standings import Test, read_test
from helpers.advisor.verdicts import FILE as NAME
from helpers.advisor.verdicts import LOOK, RACE
from helpers.backbones import BACKBONES
from helpers.errors import UserError
from helpers.paths import commit
from helpers.results import runs as records
from helpers.results.expected_regret import expected_regret
from helpers.storage.files import locked, write_whole
from helpers.storage.results_file import ResultsFile
from helpers.vocabulary import FEATURE_EXTRACTION, FULL_FINE_TUNING, LORA
from tools.measure.score_advisor import Case, empty_cache, write_out

COLUMNS = ("key", "task", "n_train", "answer", "backbone", "image_size", "recommended", "verdict",
           "chance_right", "low", "high", "accuracy", "best", "best_accuracy", "regret_points",
           "seconds", "cpu_seconds", "minutes", "threads", "device", "git", "created")  # fmt: skip
TABLE = ResultsFile(NAME, COLUMNS, ["key"])
PROBE, CONSTANT = "probe", "constant"
FIXED = {PROBE: FEATURE_EXTRACTION, "lora": LORA, "full": FULL_FINE_TUNING}
ANSWERS = (LOOK, *FIXED, CONSTANT, RACE)
PHOTOS = {"clothing": 224, "grocery": 224, "sign_digits": 100, "solar_cells": 224, "textile": 224,
          "digits": 28}  # fmt: skip
TEXTS = ("newsgroups", "reuters8", "tweets", "film_reviews", "product_reviews", "posts")
SIZES = (200, 1_000, 0)  # 0: all
CELLS = {
    f"{task}-{n or 'all'}/{answer}": (task, n, answer)
    for n in SIZES
    for task in (*PHOTOS, *TEXTS)
    for answer in ANSWERS
}


def case_of(task: str, n: int) -> Case:
    """A task as `write_out` writes it, with as many pixels as it has up to 224."""
    backbone = "efficientnet_lite0" if task in PHOTOS else "minilm"
    return Case(f"{task}-{n or 'all'}", task, n or None, backbone, PHOTOS.get(task, 64))


def measure(key: str, minutes: float, runs: pd.DataFrame) -> dict[str, Any]:
    """One cell's row, but for its regret; nothing of another cell is in the cache."""
    task, n, answer = CELLS[key]
    case = case_of(task, n)
    with tempfile.TemporaryDirectory() as folder, empty_cache():
        path = write_out(case, Path(folder))
        raced = answer == RACE
        started, cpu = time.monotonic(), time.process_time()
        size = BACKBONES[case.backbone].native_size or None if answer == PROBE else None
        limits = {"minutes": minutes if raced else None, "measure": raced, "image_size": size}
        advice = advise(Request(path, exclude=(task,), **limits))
        told = advice.as_dict()
        name = told["approach"]
        if answer not in (LOOK, RACE):
            name = FIXED.get(answer) or constant(advice, runs)
        test = advice.race.test if raced else trained(advice, name)
        row = next((one for one in told["candidates"] if one["approach"] == name), {})
    return {
        "key": key,
        "task": task,
        "n_train": told["n_train"],
        "answer": answer,
        "backbone": case.backbone,
        "image_size": told["settings"]["image_size"],
        "recommended": name,
        "verdict": told["verdict"] if answer in (LOOK, RACE) else "",
        "chance_right": told["chance_right"] if answer in (LOOK, RACE) else "",
        "low": row.get("low", ""),
        "high": row.get("high", ""),
        "accuracy": round(test.accuracy, 4),
        "best": "",
        "best_accuracy": "",
        "regret_points": "",
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "minutes": minutes if raced else "",
        **_measured_by(told["settings"]),
    }


def _measured_by(settings: dict[str, Any]) -> dict[str, Any]:
    """The machine, the code and the time of a row."""
    return {
        "threads": settings["torch_threads"],
        "device": settings["device"],
        "git": commit(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def trained(advice: Advice, name: str) -> Test:
    """Train an approach on every training example, as it is handed over, and test it."""
    looked = advice.looked
    race = RaceFile(looked.own, looked.backbone, looked.image_size)
    recipe = looked.recipes[name]
    job = RaceRun(name, len(looked.own.task.train), 0, recipe.lr, recipe.epochs, looked.seed)
    return read_test(race, job)


def constant(advice: Advice, runs: pd.DataFrame) -> str:
    """What gives up least over the records of this kind of data, whatever the data."""
    held = held_records(runs, advice.looked.asked["exclude"])
    table = expected_regret(advice.looked.own.task.modality, held)
    return FEATURE_EXTRACTION if table.empty else str(table.index[0])


def best_recorded(row: Any, runs: pd.DataFrame) -> dict[str, float]:
    """Mean recorded test accuracy of each approach and size in pixels at a row's cell."""
    own = runs[(runs["task"] == row.task) & (runs["n_train"] == row.n_train) & (runs["dial"] == 0)]
    own = own[own["backbone"] == row.backbone]
    means = own.groupby(["approach", "image_size"])["test_accuracy"].mean()
    return {f"{name} at {size}": float(value) for (name, size), value in means.items()}


def with_regrets(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The rows with what the best known at their task and size has more than they."""
    table = table.astype({"accuracy": float, "n_train": int})
    for _, cell in table.groupby(["task", "n_train"]):
        known = best_recorded(cell.iloc[0], runs)
        for row in cell.itertuples():
            name = f"{row.recommended} at {row.image_size}"
            known[name] = max(known.get(name, 0.0), row.accuracy)
        best = max(known, key=known.__getitem__)
        table.loc[cell.index, "best"] = best
        table.loc[cell.index, "best_accuracy"] = f"{known[best]:.4f}"
        gaps = 100 * (known[best] - cell["accuracy"])
        table.loc[cell.index, "regret_points"] = gaps.map("{:.2f}".format)
    return table[list(COLUMNS)]


def refresh(path: Path, runs: pd.DataFrame) -> None:
    """Work out again what every row of the file gives up."""
    with locked(Path(f"{path}.lock")):
        table = with_regrets(pd.read_csv(path, dtype=str, keep_default_na=False), runs)
        write_whole(path, table.to_csv(index=False, lineterminator="\n").encode())


def main() -> int:
    """Measure the cells that the file lacks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="*", metavar="CELL", help="such as clothing-200/look")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--list", action="store_true", help="name the cells that are missing")
    parser.add_argument("--refresh", action="store_true", help="measure nothing")
    asked = parser.parse_args()
    unknown = [name for name in asked.cells if name not in CELLS]
    if unknown:
        print(f"no cell is named {unknown[0]!r}; see --list", file=sys.stderr)
        return 2
    runs, failed = records.load_runs(), 0
    missing = [k for k in asked.cells or CELLS if TABLE.missing([{"key": k}])]
    if asked.list:
        print(*missing, sep="\n")
        return 0
    for key in [] if asked.refresh else missing:
        try:
            row = measure(key, asked.minutes, runs)
        except UserError as error:
            print(f"{key}: {error}", file=sys.stderr)
            failed += 1
            continue
        TABLE.append(row)
        print(f"{key}: {row['recommended']} {row['accuracy']} in {row['seconds']} s", flush=True)
    if TABLE.rows().path.exists():
        refresh(TABLE.rows().path, runs)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
