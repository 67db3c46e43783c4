"""Larger pictures: what the frozen network alone gained from them, as recorded.

Only cells count that differ in nothing but the pictures' size: one task, one network, one number of
examples, features of the frozen network under a linear model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from helpers.results.learning_curves import VARIANT, recorded_distances, task_distance
from helpers.results.runs import load_runs, matching
from helpers.results.schema import SCHEMA
from helpers.results.statistics import mean_interval
from helpers.vocabulary import FEATURE_EXTRACTION, label_of

LEAST_RUNS = 3


@dataclass(frozen=True)
class Sized:
    """The frozen network on pictures of so many pixels a side."""

    pixels: int
    accuracy: float
    low: float
    high: float
    seconds: float
    runs: int


@dataclass(frozen=True)
class Larger:
    """One task's cells, smallest pictures first."""

    task: str
    backbone: str
    examples: int
    distance: float
    sizes: tuple[Sized, ...]

    @property
    def name(self) -> str:
        """The cells in words."""
        return f"{label_of(self.task)}, {self.examples:,} photos, {self.backbone}"


def larger_pictures(runs: pd.DataFrame) -> tuple[Larger, ...]:
    """Return the recorded cells at two picture sizes or more, nearest to the pretraining first."""
    own = matching(runs, modality="image", approach=FEATURE_EXTRACTION, origin="full", dial=0.0)
    cells, distances, made = ["task", "backbone", "n_train"], recorded_distances(), []
    for (task, backbone, examples), rows in own.groupby(cells, observed=True):
        distance = task_distance(task, backbone, 0.0, int(rows["image_size"].min()), distances)
        sizes = tuple(filter(None, (_sized(*part) for part in rows.groupby("image_size"))))
        if distance is not None and len(sizes) > 1:
            made.append(Larger(task, backbone, int(examples), distance[0], sizes))
    return tuple(sorted(made, key=lambda one: (one.distance, one.examples)))


def recorded_larger() -> tuple[Larger, ...]:
    """The cells of the fairer recipe; of the first one where it has none."""
    return larger_pictures(load_runs(schema=SCHEMA)) or larger_pictures(load_runs())


def _sized(pixels: int, rows: pd.DataFrame) -> Sized | None:
    """The variant that validation picks, of those with enough runs."""
    variants = [own for _, own in rows.groupby(VARIANT) if own["seed"].nunique() >= LEAST_RUNS]
    if not variants:
        return None
    best = max(variants, key=lambda own: own["val_accuracy"].mean())
    mean, low, high = mean_interval(best.groupby("seed")["test_accuracy"].mean())
    seconds = float(best["train_cpu_seconds"].median())
    return Sized(int(pixels), mean, low, high, seconds, len(best))


def nearest_larger(cells: Sequence[Larger], distance: float) -> Larger | None:
    """Return the cells whose task lies nearest to a distance; None where nothing is recorded."""
    return min(cells, key=lambda one: (abs(one.distance - distance), -len(one.sizes)), default=None)


def larger_words(cells: Larger | None, pixels: int) -> str:
    """Return what larger pictures than those of `pixels` a side brought, in a sentence."""
    if cells is None:
        return "Nothing is recorded of larger pictures."
    last = cells.sizes[-1]
    first = max((s for s in cells.sizes if s.pixels <= pixels), default=cells.sizes[0],
                key=lambda s: s.pixels)  # fmt: skip
    where = f"{cells.name} (distance {cells.distance:.2f})"
    if first is last:
        return f"{last.pixels} pixels are the largest recorded for {where}."
    points = 100 * (last.accuracy - first.accuracy)
    gained = f"{abs(points):.1f} points {'more' if points >= 0 else 'less'}"
    advice = (
        "Before you move a weight, feed it larger pictures."
        if last.low > first.high
        else "Larger pictures may help here; these runs can't tell."
        if points >= 0
        else "Larger pictures did not help here."
    )
    return (
        f"{advice} On {where} the frozen network reached {first.accuracy:.3f} at {first.pixels} "
        f"pixels a side and {last.accuracy:.3f} at {last.pixels}, {gained}, in "
        f"{first.seconds:.1f} s and {last.seconds:.1f} s of computing."
    )
