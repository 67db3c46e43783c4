"""Learning curves in the records, and the distance of each task from what its backbone has seen.

A curve is one task on one backbone, measured at several sizes on equal terms for all approaches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.decision import DISTANCES, Situation
from helpers.paths import results_dir

NEAREST = 3  # curves that an answer is read from, at most
REACH_DISTANCE = 0.2  # a task whose distance differs by more says nothing here
REACH_SIZE = 3.0  # beyond a curve's ends by this factor its end stands in; farther, nothing
LEAST_SEEDS = 3
CURVE = ["task", "backbone", "dial", "image_size"]
VARIANT = ["lr", "epochs", "batch_size", "settings"]
# Where a task lies from a backbone's pretraining, judged by what both show, for want of a measured
# number: `data/results/distances.csv` (task, backbone, dial, distance) replaces these.
JUDGED = {
    ("products_near", "pocket"): "close",  # other products, same photographer
    ("digits", "pocket"): "far",
    ("textile", "pocket"): "far",
    ("solar_cells", "pocket"): "far",
    ("clothing", "efficientnet_lite0"): "close",  # photos of things, as ImageNet has
    ("products", "efficientnet_lite0"): "medium",  # things, but grey and 28 pixels wide
    ("digits", "efficientnet_lite0"): "far",
    ("textile", "efficientnet_lite0"): "far",
    ("solar_cells", "efficientnet_lite0"): "far",
    ("newsgroups", "minilm"): "close",
    ("reuters8", "minilm"): "close",
    ("tweets", "minilm"): "medium",
}


@dataclass(frozen=True)
class Reading:
    """One curve read at a number of examples: approach → accuracy by seed, and → costs."""

    name: str
    gap: float
    accuracy: dict[str, pd.Series]
    costs: dict[str, pd.Series]
    runs: dict[str, int]


def comparable(runs: pd.DataFrame) -> pd.DataFrame:
    """Rows that compare approaches on equal terms, one variant for each approach and size.

    Sweeps that vary something else (no frozen baseline, few approaches) are left out.
    Where sweeps measured an approach in several variants, validation accuracy picks the one.
    """
    runs = runs[runs["origin"] == "full"]
    # A trial at a size of the grid is one of its runs; trials of other rates lack the seeds.
    runs = runs.assign(sweep=runs["sweep"].str.removesuffix("/tuning"))
    compared = runs.groupby("sweep")["approach"].agg(set)
    fair = [
        name for name, held in compared.items() if len(held) > 2 and "feature_extraction" in held
    ]
    runs = runs[runs["sweep"].isin(fair)]
    cell = [*CURVE, "modality", "n_train", "approach"]
    variants = runs.groupby([*cell, *VARIANT], observed=True).agg(
        seeds=("seed", "nunique"), validation=("val_accuracy", "mean")
    )
    variants = variants[variants["seeds"] >= LEAST_SEEDS].reset_index()
    best = variants.sort_values([*cell, "validation"], kind="stable").drop_duplicates(
        cell, keep="last"
    )
    return runs.merge(best[[*cell, *VARIANT]], on=[*cell, *VARIANT])


def nearest(
    situation: Situation,
    runs: pd.DataFrame,
    distances: Mapping[tuple[str, str, float], float] | None,
) -> list[Reading]:
    """The nearest curves that reach the situation; each has all approaches that the first has."""
    distances = recorded_distances() if distances is None else distances
    readings = []
    for (task, backbone, dial, size), rows in runs.groupby(CURVE, observed=True):
        distance = task_distance(task, backbone, dial, distances)
        if distance is None or rows["modality"].iloc[0] != situation.modality:
            continue
        gap = abs(distance - situation.distance)
        if gap <= REACH_DISTANCE + 1e-9:
            dialled = f", dial {dial:.2f}" if dial else ""
            how = "measured" if (task, backbone, round(dial, 4)) in distances else "judged"
            name = f"{task}{dialled} on {backbone} at {size} (distance {how}: {distance:.2f})"
            readings.append(_read(name, gap / REACH_DISTANCE, rows, situation.examples))
    readings = sorted((r for r in readings if r is not None), key=lambda r: (r.gap, r.name))
    kept = readings[:1]
    for reading in readings[1:]:
        if set(kept[0].accuracy) <= set(reading.accuracy) and len(kept) < NEAREST:
            kept.append(reading)
    return kept


def _read(name: str, gap: float, rows: pd.DataFrame, examples: int) -> Reading | None:
    """Read a curve at a number of examples; straight over log n between two measured sizes."""
    sizes = np.sort(rows["n_train"].unique())
    inside = int(np.clip(examples, sizes[0], sizes[-1]))
    beyond = max(examples / inside, inside / examples)
    if beyond > REACH_SIZE:
        return None
    lower, upper = sizes[sizes <= inside].max(), sizes[sizes >= inside].min()
    share = 0.0 if lower == upper else np.log(inside / lower) / np.log(upper / lower)
    accuracy, costs, used = {}, {}, {}
    for approach, own in rows.groupby("approach", observed=True):
        ends = [own[own["n_train"] == size].set_index("seed") for size in (lower, upper)]
        seeds = ends[0].index.intersection(ends[1].index)
        if len(seeds) < LEAST_SEEDS:
            continue
        values = [end.loc[seeds, "test_accuracy"] for end in ends]
        accuracy[approach] = (1 - share) * values[0] + share * values[1]
        medians = [_costs(end) for end in ends]
        costs[approach] = np.exp((1 - share) * np.log(medians[0]) + share * np.log(medians[1]))
        used[approach] = len(ends[0]) + (len(ends[1]) if lower != upper else 0)
    if len(accuracy) < 2:
        return None
    return Reading(name, gap + np.log10(beyond), accuracy, costs, used)


def _costs(rows: pd.DataFrame) -> pd.Series:
    """Median costs; a floor keeps logarithms finite where something took no time."""
    table = rows[["train_seconds", "stored_mb", "latency_ms"]].copy()
    table["all_seconds"] = rows["train_seconds"] + rows["prepare_seconds"]
    return table.median().clip(lower=1e-9)


def task_distance(
    task: str, backbone: str, dial: float, distances: Mapping[tuple[str, str, float], float]
) -> float | None:
    """Return a task's distance from a backbone: measured, else judged, else None.

    The domain dial moves a judged distance on towards 1, evenly.
    """
    measured = distances.get((task, backbone, round(dial, 4)))
    if measured is not None:
        return measured
    judged = JUDGED.get((task, backbone))
    return None if judged is None else DISTANCES[judged] + dial * (1 - DISTANCES[judged])


def recorded_distances() -> dict[tuple[str, str, float], float]:
    """Return the measured distances by (task, backbone, dial); none where there is no file."""
    path = results_dir() / "distances.csv"
    if not path.exists():
        return {}
    table = pd.read_csv(path, encoding="utf-8")
    keys = zip(table["task"], table["backbone"], table["dial"].round(4), strict=True)
    return dict(zip(keys, table["distance"].astype(float), strict=True))
