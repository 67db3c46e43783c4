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
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
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
Row = dict[str, Any]
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


class Asked:
    """A task at a size as a user has it: what `advise` says of it, and each approach trained once.

    Several answers name the same approach at the same size in pixels, and it is trained for the
    first of them. The folder and the cache are the caller's to remove.
    """

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.path = case, write_out(case, folder)
        self.advice = functools.cache(self._advice)  # size in pixels, or None -> Timed
        self.trained = functools.cache(self._trained)

    def _advice(self, image_size: int | None) -> Timed:
        asked = Request(self.path, exclude=(self.case.task,), image_size=image_size)
        return timed(lambda: advise(asked))

    def _trained(self, name: str, image_size: int | None) -> Timed:
        """Train an approach on every training example, as it is handed over, and test it.

        With an empty cache: features that a look has left would be time for nothing.
        """
        looked = self.advice(image_size).value.looked
        race = RaceFile(looked.own, looked.backbone, looked.image_size)
        recipe = looked.recipes[name]
        job = RaceRun(name, len(looked.own.task.train), 0, recipe.lr, recipe.epochs, looked.seed)
        with empty_cache():
            return timed(lambda: read_test(race, job))


@dataclass(frozen=True)
class Timed:
    """What was worked out, in seconds of the clock and of the processor."""

    value: Any
    seconds: float
    cpu_seconds: float


def timed(work: Callable[[], Any]) -> Timed:
    """Work something out and time it."""
    started, cpu = time.monotonic(), time.process_time()
    return Timed(work(), time.monotonic() - started, time.process_time() - cpu)


def measure(task: str, n: int, answers: Collection[str], runs: pd.DataFrame) -> Iterator[Row]:
    """The rows of several answers on one task and size, but for their regret.

    seconds: of a look, the look and the training of what it names; of a baseline, its training.
    """
    case = case_of(task, n)
    with tempfile.TemporaryDirectory() as folder, empty_cache():
        asked = Asked(case, Path(folder))
        for answer in answers:
            size = BACKBONES[case.backbone].native_size or None if answer == PROBE else None
            advice = asked.advice(size)
            name = FIXED.get(answer) or advice.value.as_dict()["approach"]
            if answer == CONSTANT:
                name = constant(advice.value, runs)
            test = asked.trained(name, size)
            spent = [advice, test] if answer == LOOK else [test]
            yield row_of(case, answer, advice.value.as_dict(), name, test.value, spent)


def measure_race(task: str, n: int, minutes: float) -> Row:
    """The row of a race, in an empty cache: what a look left would be time for nothing."""
    case = case_of(task, n)
    with tempfile.TemporaryDirectory() as folder, empty_cache():
        path = write_out(case, Path(folder))
        asked = Request(path, exclude=(task,), measure=True, minutes=minutes)
        raced = timed(lambda: advise(asked))
        told = raced.value.as_dict()
        test = raced.value.race.test
        return row_of(case, RACE, told, told["approach"], test, [raced]) | {"minutes": minutes}


def rows_of(
    task: str, n: int, answers: Sequence[str], minutes: float, runs: pd.DataFrame
) -> Iterator[Row]:
    """The rows of any answers on one task and size, races last."""
    yield from measure(task, n, [one for one in answers if one != RACE], runs)
    if RACE in answers:
        yield measure_race(task, n, minutes)


def row_of(
    case: Case, answer: str, told: dict[str, Any], name: str, test: Test, spent: Sequence[Timed]
) -> Row:
    """The row of an answer: the approach that it names, what that reached, what it took."""
    own = next((one for one in told["candidates"] if one["approach"] == name), {})
    judged = told if answer in (LOOK, RACE) else {}
    return dict.fromkeys(COLUMNS, "") | {
        "key": f"{case.name}/{answer}",
        "task": case.task,
        "n_train": told["n_train"],
        "answer": answer,
        "backbone": case.backbone,
        "image_size": told["settings"]["image_size"],
        "recommended": name,
        "verdict": judged.get("verdict", ""),
        "chance_right": judged.get("chance_right", ""),
        "low": own.get("low", ""),
        "high": own.get("high", ""),
        "accuracy": round(test.accuracy, 4),
        "seconds": round(sum(one.seconds for one in spent), 1),
        "cpu_seconds": round(sum(one.cpu_seconds for one in spent), 1),
        **_measured_by(told["settings"]),
    }


def _measured_by(settings: dict[str, Any]) -> Row:
    """The machine, the code and the time of a row."""
    return {
        "threads": settings["torch_threads"],
        "device": settings["device"],
        "git": commit(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


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
    groups: dict[tuple[str, int], list[str]] = {}
    for key in [] if asked.refresh else missing:
        task, n, answer = CELLS[key]
        groups.setdefault((task, n), []).append(answer)
    for (task, n), answers in groups.items():
        try:
            for row in rows_of(task, n, answers, asked.minutes, runs):
                TABLE.append(row)
                print(f"{row['key']}: {row['recommended']} {row['accuracy']} in {row['seconds']} s")
        except UserError as error:
            print(f"{task} at {n or 'all'}: {error}", file=sys.stderr)
            failed += 1
    if TABLE.rows().path.exists():
        refresh(TABLE.rows().path, runs)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
