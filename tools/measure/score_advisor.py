"""Score the advisor on recorded cases, for data/results/advisor.csv.

    python -m tools.measure.score_advisor [--minutes 10] [--mode look|measure] [--refresh] [CASE …]

Each case is a recorded task, written out as a user has it (folders of PNG files, a CSV of texts,
the split of the records in it) and held out from the records. The advisor answers once without and
once with `--measure`. regret_points: the best recorded mean test accuracy among all approaches
trained to the end at that size, minus that of the recommended one, times 100; regret_error: the
standard error of that difference over the seeds. A race begins with an empty cache: what an earlier
one has left would be time for nothing. A case whose size is not recorded yet waits for a later
call; rows that are there are kept. `--refresh` asks nothing again: it works out anew, from the runs
that are compared today, what the answers that are there are worth, or nothing where these
lack the case.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
from PIL import Image

from helpers.advisor.pipeline import Request, advise
from helpers.errors import UserError
from helpers.paths import cache_dir, commit
from helpers.results import runs as records
from helpers.results.learning_curves import comparable, level
from helpers.storage.files import locked, write_whole
from helpers.storage.results_file import ResultsFile
from helpers.tasks import Task, load_task

COLUMNS = ("key", "case", "task", "mode", "n_train", "backbone", "recommended", "verdict", "best",
           "recommended_accuracy", "best_accuracy", "regret_points", "regret_error",
           "probe_accuracy", "distance", "tested_accuracy", "runs_measured", "seconds", "minutes",
           "threads", "device", "git", "created")  # fmt: skip
FILE = ResultsFile("advisor.csv", COLUMNS, ["key"])
WORTH = ("best", "recommended_accuracy", "best_accuracy", "regret_points", "regret_error")
MODES = ("look", "measure")
WITHIN = 1.5  # points: what counts as right


@dataclass(frozen=True)
class Case:
    """A recorded situation. size: pixels a side, or tokens, as its sweep has them."""

    name: str
    task: str
    n_train: int
    backbone: str
    size: int


PHOTOS = ("clothing", "solar_cells", "textile", "digits")
TEXTS = ("newsgroups", "reuters8", "tweets", "film_reviews", "product_reviews", "posts")
SIZES = (200, 50)


def _case(task: str, n: int) -> Case:
    backbone = "efficientnet_lite0" if task in PHOTOS else "minilm"
    size = 64  # pixels a side, or tokens, of a recorded example
    return Case(task if n == 200 else f"{task}-{n}", task, n, backbone, size)


# Every recorded situation of these tasks on the networks that `advise` takes: none is picked.
CASES = {case.name: case for case in (_case(t, n) for n in SIZES for t in (*PHOTOS, *TEXTS))}


def write_out(case: Case, folder: Path) -> Path:
    """Write a case's examples as a user would have them; returns what to point the advisor at."""
    task = _load(case)
    if task.modality == "text":
        path = folder / f"{case.name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label", "split"])
            for name in ("train", "validation", "test"):
                split = getattr(task, name)
                for text, label in zip(split.inputs, split.labels, strict=True):
                    writer.writerow([text, task.classes[label], name])
        return path
    for name in ("train", "validation", "test"):
        split = getattr(task, name)
        for row, (picture, label) in enumerate(zip(split.inputs, split.labels, strict=True)):
            place = folder / case.name / name / task.classes[label]
            place.mkdir(parents=True, exist_ok=True)
            pixels = picture[:, :, 0] if picture.shape[2] == 1 else picture
            Image.fromarray(pixels).save(place / f"{row:05}.png")
    return folder / case.name


def _load(case: Case) -> Task:
    """The task as its sweep read it: digits stay at their own 28 pixels."""
    own = case.backbone == "minilm" or case.task == "digits"
    size = None if own else case.size
    return load_task(case.task, n_train=case.n_train, seed=0, image_size=size)


def recorded(case: Case, runs: pd.DataFrame) -> pd.DataFrame:
    """Test accuracies at the case's size, a row a seed and a column an approach; may be empty."""
    rows = comparable(runs)
    rows = rows[(rows["task"] == case.task) & (rows["backbone"] == case.backbone)]
    rows = rows[(rows["image_size"] == case.size) & (rows["n_train"] == case.n_train)]
    rows = rows[rows["dial"] == 0]
    return rows.pivot_table(index="seed", columns="approach", values="test_accuracy")


def worth(taken: str, accuracies: pd.DataFrame) -> dict[str, Any]:
    """Return what naming `taken` gives up, of `accuracies` as `recorded` returns them.

    Means are on equal seeds: a seed is easy or hard for all. The values of WORTH are empty texts
    where what is taken is not recorded.
    """
    if accuracies.empty or taken not in accuracies:
        return dict.fromkeys(WORTH, "")
    means = level(accuracies)
    best = means.idxmax()
    gaps = accuracies[best] - accuracies[taken]
    return {
        "best": best,
        "recommended_accuracy": round(float(means[taken]), 4),
        "best_accuracy": round(float(means[best]), 4),
        "regret_points": round(100 * float(means[best] - means[taken]), 2),
        "regret_error": round(100 * float(gaps.sem()), 2),
    }


@contextmanager
def empty_cache() -> Iterator[None]:
    """Give the advisor a cache with nothing but the assets in it."""
    assets = (cache_dir() / "assets").resolve()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "assets").symlink_to(assets, target_is_directory=True)
        with patch.dict(os.environ, TRANSFER_CACHE=folder):
            yield


def score(case: Case, mode: str, minutes: float, accuracies: pd.DataFrame) -> dict[str, Any]:
    """Ask the advisor, and look up what its answer is worth."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_out(case, Path(folder))
        request = Request(
            path,
            minutes=minutes if mode == "measure" else None,
            measure=mode == "measure",
            exclude=(case.task,),
            image_size=case.size,
        )
        with empty_cache():
            started = time.monotonic()
            told = advise(request).as_dict()
            seconds = time.monotonic() - started
    settings, tested = told["settings"], told.get("test") or {}
    row = {
        "key": f"{case.name}/{mode}",
        "case": case.name,
        "task": case.task,
        "mode": mode,
        "n_train": case.n_train,
        "backbone": case.backbone,
        "recommended": told["approach"],
        "verdict": told["verdict"],
        "probe_accuracy": told["probe"]["accuracy"],
        "distance": told["distance"],
        "tested_accuracy": tested.get("accuracy", ""),
        "runs_measured": sum(row["runs"] for row in told["measured"]),
        "seconds": round(seconds, 1),
        "minutes": minutes if mode == "measure" else "",
        "threads": settings["torch_threads"],
        "device": settings["device"],
        "git": commit(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    return row | worth(told["approach"], accuracies)


def refresh(path: Path, runs: pd.DataFrame) -> None:
    """Work out again what every answer in the file is worth."""
    with locked(Path(f"{path}.lock")):  # the same as a race's that appends its row
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        for row, line in table.iterrows():
            found = worth(line["recommended"], recorded(CASES[line["case"]], runs))
            for column, value in found.items():
                table.loc[row, column] = f"{value:g}" if isinstance(value, float) else value
        write_whole(path, table[list(COLUMNS)].to_csv(index=False, lineterminator="\n").encode())


def main() -> int:
    """Score the cases that the file lacks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--mode", choices=MODES, help="look or measure alone")
    parser.add_argument("--refresh", action="store_true", help="ask nothing, judge answers again")
    asked = parser.parse_args()
    unknown = [name for name in asked.cases if name not in CASES]
    if unknown:
        print(f"no case is named {unknown[0]!r}; known: {', '.join(CASES)}", file=sys.stderr)
        return 2
    runs = records.load_runs()
    if asked.refresh:
        refresh(FILE.rows().path, runs)
        return 0
    failed = 0
    for mode in [asked.mode] if asked.mode else MODES:
        for case in (CASES[name] for name in asked.cases or CASES):
            failed += _scored(case, mode, asked.minutes, runs)
    return int(failed > 0)


def _scored(case: Case, mode: str, minutes: float, runs: pd.DataFrame) -> bool:
    """Score one case and append its row, unless it is there; returns whether that failed."""
    if not FILE.missing([{"key": f"{case.name}/{mode}"}]):
        return False
    accuracies = recorded(case, runs)
    if len(accuracies.columns) < len(comparable(runs)["approach"].unique()):
        print(f"{case.name}: not every approach is recorded at {case.n_train} examples yet")
        return False
    try:
        row = score(case, mode, minutes, accuracies)
    except UserError as error:
        print(f"{case.name}/{mode}: {error}", file=sys.stderr)
        return True
    FILE.append(row)
    shown = {k: row[k] for k in ("key", "recommended", "best", "regret_points", "seconds")}
    print(json.dumps(shown), flush=True)
    return False


if __name__ == "__main__":
    raise SystemExit(main())
