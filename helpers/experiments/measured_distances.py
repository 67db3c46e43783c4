"""How far each task of the sweeps lies from its backbone, measured on frozen features and kept.

`data/results/distances.csv` holds one line per backbone, task, dial and picture size; whole lines
are appended and never edited. What the scores are is told in `helpers.experiments.domain_distance`.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.backbones import BACKBONES, load_backbone, reference_of, source_task_of
from helpers.errors import UserError
from helpers.experiments.domain_distance import frechet_distance, log_me, probe
from helpers.experiments.entry_sweeps import find_sweep
from helpers.experiments.grids import COMPARING, FIRST_COMPARING
from helpers.experiments.single_run import RunConfig, task_for
from helpers.paths import results_dir
from helpers.storage.files import RowFile
from helpers.training.feature_cache import extract
from helpers.vocabulary import FEATURE_EXTRACTION

EXAMPLES = 1_000
MEASURED = (*FIRST_COMPARING, *COMPARING)  # sweeps whose places are to be measured
KEY = ["backbone", "task", "dial", "image_size"]
SCORES = ["probe", "low", "high", "chance", "above_chance", "frechet", "log_me", "distance"]
COLUMNS = [*KEY, *SCORES, "n", "seed", "reference"]
DIRECTIONS = 64  # of greatest joint spread, where features are wider than the examples support


@dataclass(frozen=True)
class Place:
    """One task on one backbone, at one step of the dial and one size (pixels or tokens)."""

    backbone: str
    task: str
    dial: float
    image_size: int


def distances_path() -> Path:
    """Return the file of measured distances."""
    return results_dir() / "distances.csv"


def places(sweeps: Iterable[str] = MEASURED) -> list[Place]:
    """List what sweeps compare approaches on, and first each known source on itself.

    sweeps: names, also of one task or backbone (`entry_sweeps.find_sweep`). Raises UserError for an
    unknown one.
    """
    found = []
    for name in sweeps:
        for block in find_sweep(name).blocks:
            size = block.image_size or BACKBONES[block.backbone].default_size
            source = source_task_of(block.backbone)
            tasks = ((source,) if source else ()) + tuple(block.tasks)
            for task in tasks:
                dials = (0.0,) if task == source else block.dials
                found += [Place(block.backbone, task, dial, size) for dial in dials]
    return list(dict.fromkeys(found))


def as_distance(frechet: float) -> float:
    """Turn a Fréchet distance F into one from 0 (like the reference) to 1: F / (1 + F).

    F's unit is the spread of the reference's own features, so 1/2 is a cloud that lies as far off
    as the reference is wide. The unit makes backbones comparable; what the reference is does not
    where it is a stand-in. A probe's shortfall would mix in how hard a task is.
    """
    return frechet / (1 + frechet)


def cloud_distance(source: np.ndarray, target: np.ndarray) -> float:
    """Fréchet distance of features (N,F), (M,F), in at most DIRECTIONS directions.

    Covariances of wide features can't be told from so few examples: the directions kept are those
    of greatest spread of both clouds together, so that a gap between them stays in. The unit is
    then the source's spread within these directions.
    """
    if source.shape[1] > 2 * DIRECTIONS:
        both = np.concatenate([source, target]).astype(np.float64)
        *_, directions = np.linalg.svd(both - both.mean(0), full_matrices=False)
        source, target = (cloud @ directions[:DIRECTIONS].T for cloud in (source, target))
    return frechet_distance(source, target)


def measure_place(place: Place, n: int = EXAMPLES, seed: int = 0) -> dict[str, float | str]:
    """Measure one row: features of n training examples drawn with `seed` (all, where fewer).

    The Fréchet distance is taken to as many test examples of the backbone's reference,
    or to all of them where there are fewer.
    """
    asked = RunConfig(
        place.task,
        place.backbone,
        FEATURE_EXTRACTION,
        n,
        seed=seed,
        dial=place.dial,
        image_size=place.image_size,
    )
    examples = task_for(asked, n_test=1).train
    backbone = load_backbone(place.backbone, size=place.image_size)
    found = np.asarray(extract(backbone, examples.inputs, cache=False))
    frechet = cloud_distance(reference_features(place.backbone, place.image_size, n), found)
    score = probe(found, examples.labels, seed=seed)
    return {
        "backbone": place.backbone,
        "task": place.task,
        "dial": round(place.dial, 6),
        "image_size": place.image_size,
        "probe": score.accuracy,
        "low": score.low,
        "high": score.high,
        "chance": score.chance,
        "above_chance": score.above_chance,
        "frechet": frechet,
        "log_me": log_me(found, examples.labels),
        "distance": as_distance(frechet),
        "n": len(examples),
        "seed": seed,
        "reference": reference_of(place.backbone),
    }


@functools.lru_cache(maxsize=2)
def reference_features(backbone: str, size: int, n: int) -> np.ndarray:
    """Frozen features (n,F) of test examples of what stands for the pretraining data.

    Raises UserError for a backbone whose entry names no such task.
    """
    reference = reference_of(backbone)
    if not reference:
        raise UserError(
            f"no task stands for what {backbone} was pretrained on; name one in its registry entry "
            "(source_task or stand_in)"
        )
    asked = RunConfig(reference, backbone, FEATURE_EXTRACTION, n, image_size=size)
    examples = task_for(asked).test
    examples = examples.take(slice(n))
    return np.asarray(extract(load_backbone(backbone, size=size), examples.inputs, cache=False))


def missing(path: Path | None = None, sweeps: Iterable[str] = MEASURED) -> list[Place]:
    """List the places of some sweeps that the file lacks."""
    held = load(path)
    known = {Place(*row) for row in held[KEY].itertuples(index=False, name=None)}
    return [
        place
        for place in places(sweeps)
        if Place(place.backbone, place.task, round(place.dial, 6), place.image_size) not in known
    ]


def append(row: dict[str, float | str], path: Path | None = None) -> None:
    """Append one whole line. Raises UserError for a row that lacks a column, or a bad place."""
    path = distances_path() if path is None else path
    RowFile(path, COLUMNS).append_row(row)


def load(path: Path | None = None) -> pd.DataFrame:
    """Return the measured distances; no rows where nothing is measured yet.

    Raises UserError for a file with other columns.
    """
    path = distances_path() if path is None else path
    return pd.read_csv(io.BytesIO(RowFile(path, COLUMNS).read()), encoding="utf-8")


def gains_by_distance(distances: pd.DataFrame, gains: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of each score with a gain, for each backbone and number of examples.

    gains: rows of `comparisons.paired_gain` (backbone, task, dial, n_train, mean). Signs are
    turned so that 1 says "the farther by this score, the larger the gain".
    Columns: backbone, n_train, places, distance, frechet, probe, log_me (Spearman's rank
    correlation; NaN with fewer than four places).
    """
    joined = gains.assign(dial=gains["dial"].round(4)).merge(
        distances.assign(dial=distances["dial"].round(4)), on=["backbone", "task", "dial"]
    )
    rows = []
    for (backbone, n), own in joined.groupby(["backbone", "n_train"], observed=True):
        row = {"backbone": backbone, "n_train": int(n), "places": len(own)}
        for name, sign in {"distance": 1, "frechet": 1, "above_chance": -1, "log_me": -1}.items():
            both = own[[name, "mean"]].dropna()
            enough = len(both) >= 4 and both[name].nunique() > 1 and both["mean"].nunique() > 1
            ranks = both.rank()
            row[name] = sign * ranks[name].corr(ranks["mean"]) if enough else math.nan
        rows.append(row)
    names = ["backbone", "n_train", "places", "distance", "frechet", "above_chance", "log_me"]
    return pd.DataFrame(rows, columns=names)
