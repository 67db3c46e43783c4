"""Learning curves in the records, and the distance of each task from what its backbone has seen.

A curve is one task on one backbone, measured at several sizes on equal terms for all approaches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from helpers.decision import Situation
from helpers.paths import results_dir
from helpers.tasks import TASKS, family
from helpers.vocabulary import DISTANCES, FEATURE_EXTRACTION

NEAREST = 3  # curves that an answer is read from, at most
REACH_DISTANCE = 0.2  # a task whose distance differs by more says nothing here
REACH_SIZE = 10**0.5  # beyond the ends of a curve by half a decade its end stands in; farther, nothing
LEAST_SEEDS = 3
CURVE = ["task", "backbone", "dial", "image_size"]
VARIANT = ["lr", "epochs", "batch_size", "settings"]
COSTS = ["train_seconds", "stored_mb", "latency_ms", "all_seconds", "cpu_seconds"]


class CurveKey(NamedTuple):
    """What tells a curve from every other."""

    task: str
    backbone: str
    dial: float
    image_size: int


@dataclass(frozen=True)
class Curve:
    """One task on one backbone: tables by size.

    accuracy and validation: seeds x approaches. costs: approaches x costs, medians.
    """

    task: str
    backbone: str
    dial: float
    image_size: int
    modality: str
    distance: float
    how: str  # the distance is measured or judged
    accuracy: dict[int, pd.DataFrame]
    validation: dict[int, pd.DataFrame]
    costs: dict[int, pd.DataFrame]
    seen: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)  # worked out

    @property
    def key(self) -> CurveKey:
        """What tells it from every other curve."""
        return CurveKey(self.task, self.backbone, self.dial, self.image_size)

    @property
    def family(self) -> str:
        """What must be left out with it, where a rule is scored on it: tasks of the same data."""
        return family(self.task)

    @property
    def whole(self) -> list[int]:
        """The sizes that have most approaches. At others the dear ones are still to be measured,
        and a comparison of the cheap ones alone would answer another question."""
        held = {size: len(table.columns) for size, table in self.accuracy.items()}
        return sorted(size for size, count in held.items() if count == max(held.values()))

    @property
    def name(self) -> str:
        """The curve in words."""
        dialled = f", dial {self.dial:.2f}" if self.dial else ""
        place = f"{self.task}{dialled} on {self.backbone} at {self.image_size}"
        return f"{place} (distance {self.how}: {self.distance:.2f})"


@dataclass(frozen=True)
class Measured:
    """All comparable curves, ready to be read again and again."""

    curves: tuple[Curve, ...]

    def without(self, left_out: str) -> Measured:
        """Return the same without one family of tasks."""
        return replace(self, curves=tuple(c for c in self.curves if c.family != left_out))


@dataclass(frozen=True)
class Reading:
    """One curve read at a number of examples: approach → accuracy by seed, and → costs."""

    key: CurveKey
    name: str
    accuracy: dict[str, pd.Series]
    costs: dict[str, pd.Series]
    runs: dict[str, int]


def comparable(runs: pd.DataFrame, least_seeds: int = LEAST_SEEDS) -> pd.DataFrame:
    """Rows that compare approaches on equal terms, one variant for each approach and size.

    Sweeps that vary something else (no frozen baseline, few approaches) are left out.
    Where sweeps measured an approach in several variants, validation accuracy picks the one, among
    those with three seeds where there are such. With fewer than `least_seeds` none counts.
    """
    runs = runs[runs["origin"] == "full"]
    # A trial at a size of the grid is one of its runs; trials of other rates lack the seeds.
    runs = runs.assign(sweep=runs["sweep"].str.removesuffix("/tuning"))
    compared = runs.groupby("sweep")["approach"].agg(set)
    fair = [
        name
        for name, held in compared.items()
        # The sweep of one approach asks what those that compare do (`entry_sweeps`).
        if (len(held) > 2 and FEATURE_EXTRACTION in held) or held == {name}
    ]
    runs = runs[runs["sweep"].isin(fair)]
    cell = [*CURVE, "modality", "n_train", "approach"]
    variants = runs.groupby([*cell, *VARIANT], observed=True).agg(
        seeds=("seed", "nunique"), validation=("val_accuracy", "mean")
    )
    variants = variants[variants["seeds"] >= least_seeds].reset_index()
    variants["seeds"] = variants["seeds"].clip(upper=LEAST_SEEDS)
    ranked = variants.sort_values([*cell, "seeds", "validation"], kind="stable")
    best = ranked.drop_duplicates(cell, keep="last")
    return runs.merge(best[[*cell, *VARIANT]], on=[*cell, *VARIANT])


def measured_curves(
    runs: pd.DataFrame, distances: Mapping[tuple[str, str, float], float] | None = None
) -> Measured:
    """Return the comparable curves of recorded runs whose task has a distance.

    distances: (task, backbone, dial) → distance; None: what is recorded in `distances.csv`.
    """
    distances = recorded_distances() if distances is None else distances
    held = []
    for (task, backbone, dial, size), rows in comparable(runs).groupby(CURVE, observed=True):
        distance = task_distance(task, backbone, dial, distances)
        if distance is None:
            continue
        how = "measured" if (task, backbone, round(dial, 4)) in distances else "judged"
        facts = (task, backbone, dial, int(size), rows["modality"].iloc[0], distance, how)
        held.append(Curve(*facts, *_tables(rows)))
    return Measured(tuple(held))


def _tables(rows: pd.DataFrame) -> tuple[dict[int, pd.DataFrame], ...]:
    """Test and validation accuracies by seed and approach, and median costs, for each size.

    A floor keeps logarithms finite where something took no time.
    """
    rows = rows.assign(
        all_seconds=rows["train_seconds"] + rows["prepare_seconds"],
        cpu_seconds=rows["train_cpu_seconds"],  # preparation is in it
    )
    accuracy, validation, costs = {}, {}, {}
    for size, own in rows.groupby("n_train"):
        both = own.pivot(index="seed", columns="approach", values=["test_accuracy", "val_accuracy"])
        accuracy[int(size)], validation[int(size)] = both["test_accuracy"], both["val_accuracy"]
        costs[int(size)] = own.groupby("approach", observed=True)[COSTS].median().clip(lower=1e-9)
    return accuracy, validation, costs


def nearest(situation: Situation, held: Measured, backbone: str | None = None) -> list[Reading]:
    """The nearest curves that reach the situation; each has all approaches that the first has.

    backbone: only curves on it; None: on any.
    """
    reached = []
    for place, curve in enumerate(held.curves):
        if curve.modality != situation.modality or backbone not in (None, curve.backbone):
            continue
        gap, beyond = abs(curve.distance - situation.distance), _beyond(curve, situation.examples)
        if gap <= REACH_DISTANCE + 1e-9 and beyond <= REACH_SIZE:
            reached.append((gap / REACH_DISTANCE + np.log10(beyond), curve.name, place))
    kept: list[Reading] = []
    for _, _, place in sorted(reached):
        reading = _read(held.curves[place], situation.examples)
        if reading and (not kept or set(kept[0].accuracy) <= set(reading.accuracy)):
            kept.append(reading)
        if len(kept) == NEAREST:
            break
    return kept


def training_minutes(approach: str, readings: list[Reading]) -> float:
    """Minutes an approach trains, preparation in: the median over readings."""
    return float(np.median([r.costs[approach]["all_seconds"] for r in readings])) / 60


def _beyond(curve: Curve, examples: int) -> float:
    """By which factor a number of examples lies outside of the measured sizes; 1: inside."""
    inside = np.clip(examples, curve.whole[0], curve.whole[-1])
    return float(max(examples / inside, inside / examples))


def _read(curve: Curve, examples: int) -> Reading | None:
    """Read a curve at a number of examples; straight over log n between two measured sizes."""
    sizes = np.array(curve.whole)
    inside = int(np.clip(examples, sizes[0], sizes[-1]))
    lower, upper = sizes[sizes <= inside].max(), sizes[sizes >= inside].min()
    share = 0.0 if lower == upper else np.log(inside / lower) / np.log(upper / lower)
    ends = [curve.accuracy[size] for size in (lower, upper)]
    accuracy, costs, used = {}, {}, {}
    for approach in ends[0].columns.intersection(ends[1].columns):
        low, high = (end[approach].dropna() for end in ends)
        seeds = low.index.intersection(high.index)
        if len(seeds) < LEAST_SEEDS:
            continue
        accuracy[approach] = (1 - share) * low[seeds] + share * high[seeds]
        medians = [np.log(curve.costs[size].loc[approach]) for size in (lower, upper)]
        costs[approach] = np.exp((1 - share) * medians[0] + share * medians[1])
        used[approach] = len(low) + (len(high) if lower != upper else 0)
    return Reading(curve.key, curve.name, accuracy, costs, used) if len(accuracy) > 1 else None


def task_distance(
    task: str, backbone: str, dial: float, distances: Mapping[tuple[str, str, float], float]
) -> float | None:
    """Return a task's distance from a backbone: measured, else judged (`TaskInfo`), else None.

    The domain dial moves a judged distance on towards 1, evenly.
    """
    measured = distances.get((task, backbone, round(dial, 4)))
    if measured is not None:
        return measured
    judged = TASKS[task].judged.get(backbone) if task in TASKS else None
    return None if judged is None else DISTANCES[judged] + dial * (1 - DISTANCES[judged])


def recorded_distances() -> dict[tuple[str, str, float], float]:
    """Return the measured distances by (task, backbone, dial); none where there is no file."""
    table = _distances()
    keys = zip(table["task"], table["backbone"], table["dial"].round(4), strict=True)
    return dict(zip(keys, table["distance"].astype(float), strict=True))


def recorded_chances() -> dict[str, float]:
    """Return the accuracy of always naming a task's largest class, where it was measured."""
    return _distances().groupby("task")["chance"].mean().to_dict()


def _distances() -> pd.DataFrame:
    path = results_dir() / "distances.csv"
    columns = ["task", "backbone", "dial", "distance", "chance"]
    return pd.read_csv(path, encoding="utf-8") if path.exists() else pd.DataFrame(columns=columns)
