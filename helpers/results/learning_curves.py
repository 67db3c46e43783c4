"""Learning curves in the records, and the distance of each task from what its backbone has seen.

A curve is one task on one backbone, measured at several sizes on equal terms for all approaches.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.decision import Situation
from helpers.results.statistics import additive
from helpers.storage.results_file import ResultsFile
from helpers.tasks import TASKS, family
from helpers.vocabulary import (
    DISTANCES,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    LORA,
    PARTIAL_FINE_TUNING,
)

NEAREST = 3  # curves that an answer is read from, at most
REACH_DISTANCE = 0.2  # a task whose distance differs by more says nothing here
REACH_SIZE = 10**0.5  # half a decade beyond a curve's ends its end stands in; farther, nothing
LEAST_APPROACHES = 3  # of a situation that has a say elsewhere
# A situation is whole where these were run; others may lack, such as scratch at 224 pixels.
WHOLE = frozenset({FEATURE_EXTRACTION, PARTIAL_FINE_TUNING, FULL_FINE_TUNING, LORA})
# Seeds that count, by recipe: the second round gives further seeds to close races alone, so one
# is enough there, and approaches are compared on the seeds that they share.
SEEDS = {1: 3, 2: 1}
# Deviation of an accuracy from one run to the next, times the root of the training examples. It
# stands in where an approach has too few seeds to show its own.
RUN_NOISE = {"image": 0.28, "text": 0.2}
CURVE = ["task", "backbone", "dial", "image_size"]
VARIANT = ["lr", "epochs", "batch_size", "settings"]
COSTS = ["train_seconds", "stored_mb", "latency_ms"]
SCORES = ["probe", "low", "high", "chance", "above_chance", "frechet", "log_me", "distance"]
PLACE = ["backbone", "task", "dial", "image_size"]
# (task, backbone, dial, pixels or tokens) → distance
Distances = Mapping[tuple[str, str, float, int], float]
DISTANCES_FILE = ResultsFile("distances.csv", [*PLACE, *SCORES, "n", "seed", "reference"], PLACE)


class CurveKey(NamedTuple):
    """What tells a curve from every other."""

    task: str
    backbone: str
    dial: float
    image_size: int


@dataclass(frozen=True)
class Curve:
    """One task on one backbone: tables by size.

    accuracy: seeds x approaches, NaN where a seed was not run. costs: approaches x costs, medians;
    `train_seconds` are processor seconds of preparation and training.
    """

    task: str
    backbone: str
    dial: float
    image_size: int
    modality: str
    distance: float
    how: str  # the distance is measured, measured at another size (which it names), or judged
    accuracy: dict[int, pd.DataFrame]
    costs: dict[int, pd.DataFrame]
    recipe: int = 1  # the schema of its rows

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
        """The sizes that have those of WHOLE, or else most approaches. At others the dear ones are
        still to be measured: to compare the cheap ones alone would answer another question."""
        held = {size: set(table.columns) for size, table in self.accuracy.items()}
        most = max(len(names) for names in held.values())
        return sorted(n for n, names in held.items() if len(names) == most or names >= WHOLE)

    @property
    def unit(self) -> str:
        """What `image_size` counts."""
        return "tokens" if self.modality == "text" else "pixels"

    @property
    def name(self) -> str:
        """The curve in words."""
        dialled = f", dial {self.dial:.2f}" if self.dial else ""
        place = f"{self.task}{dialled} on {self.backbone} at {self.image_size} {self.unit}"
        return f"{place} (distance {self.how}: {self.distance:.2f})"


@dataclass(frozen=True)
class Measured:
    """All comparable curves, ready to be read again and again."""

    curves: tuple[Curve, ...]

    def without(self, left_out: str) -> Measured:
        """Return the same without one family of tasks."""
        return replace(self, curves=tuple(c for c in self.curves if c.family != left_out))

    @cached_property
    def worked_out(self) -> dict:
        """What was worked out over these curves, by question."""
        return {}

    @cached_property
    def situations(self) -> pd.DataFrame:
        """Every measured situation and approach, a row each: one curve at one size.

        With fewer than LEAST_APPROACHES a situation is still being measured, and left out.

        Columns: task, backbone, dial, image_size, modality, distance, recipe, family, n_train, case
        (its number), approach, mean (`level`), seconds (of the processor), seeds.
        """
        facts = [*CURVE, "modality", "distance", "recipe", "family"]
        rows, number = [], 0
        for curve in self.curves:
            known = {name: getattr(curve, name) for name in facts}
            for size, table in sorted(curve.accuracy.items()):
                if len(table.columns) < LEAST_APPROACHES:
                    continue
                place = known | {"n_train": size, "case": number}
                seconds = curve.costs[size]["train_seconds"]
                found = pd.DataFrame(
                    {"mean": level(table), "seconds": seconds, "seeds": table.count()}
                )
                rows += [
                    place | {"approach": name} | found.loc[name].to_dict() for name in table.columns
                ]
                number += 1
        columns = [*facts, "n_train", "case", "approach", "mean", "seconds", "seeds"]
        return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class Reading:
    """One curve read at a number of examples.

    accuracy: seeds x approaches, NaN where a seed was not run. costs and runs: by approach.
    noise: deviation from one run to the next that is usual at this size.
    """

    key: CurveKey
    name: str
    accuracy: pd.DataFrame
    costs: dict[str, pd.Series]
    runs: dict[str, int]
    noise: float


def level(accuracy: pd.DataFrame) -> pd.Series:
    """Means of approaches on equal seeds; accuracy: seeds x approaches, NaN where one was not run.

    A seed is easy or hard for all, so an approach that ran on few is corrected by what the others
    show of these: the fit of approach + seed by least squares. Without gaps it is the plain mean.
    """
    return additive(accuracy.T)[0]


def on_equal_seeds(table: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """A table of means (by `by` and approach) with mean, low and high moved to what `level` gives.

    runs: those it was made from; none may stand twice.
    """
    means = {
        place: level(own.pivot(index="seed", columns="approach", values="test_accuracy"))
        for place, own in runs.groupby(list(by), observed=True)
    }
    keys = pd.MultiIndex.from_frame(table[[*by, "approach"]])
    moved = pd.concat(means).reindex(keys).to_numpy() - table["mean"]
    return table.assign(**{name: table[name] + moved for name in ("mean", "low", "high")})


def whole_situations(table: pd.DataFrame, names: Collection[str] = WHOLE) -> pd.DataFrame:
    """The rows of `Measured.situations` whose case has every one of `names`.

    Where the dear ones are still to be measured, the cheap ones alone answer another question.
    """
    named = table["approach"].isin(names).groupby(table["case"]).transform("sum")
    return table[named == len(names)]


def comparable(runs: pd.DataFrame, least_seeds: int | None = None) -> pd.DataFrame:
    """Rows that compare approaches on equal terms, one variant for each approach and size.

    Sweeps that vary something else (no frozen baseline, few approaches) are left out.
    Where a situation was measured in several variants, that of the sweep which compares most
    approaches there counts; of its variants the one with most seeds, up to three, and then the
    best validation accuracy. With fewer than `least_seeds` (None: of the recipe) none counts.
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
    together = runs.groupby([*CURVE, "n_train", "sweep"], observed=True)["approach"]
    variants = runs.assign(together=together.transform("nunique"))
    variants = variants.groupby([*cell, *VARIANT], observed=True).agg(
        together=("together", "max"),
        seeds=("seed", "nunique"),
        validation=("val_accuracy", "mean"),
        recipe=("schema", "max"),
    )
    least = variants["recipe"].map(SEEDS) if least_seeds is None else least_seeds
    variants = variants[variants["seeds"] >= least].reset_index()
    variants["seeds"] = variants["seeds"].clip(upper=SEEDS[1])
    # The first round's sweeps compared equally many approaches at every size.
    variants.loc[variants["recipe"] == 1, "together"] = 0
    ranked = variants.sort_values([*cell, "together", "seeds", "validation"], kind="stable")
    best = ranked.drop_duplicates(cell, keep="last")
    return runs.merge(best[[*cell, *VARIANT]], on=[*cell, *VARIANT])


def measured_curves(runs: pd.DataFrame, distances: Distances | None = None) -> Measured:
    """Return the comparable curves of recorded runs whose task has a distance.

    distances: None: what is recorded in `distances.csv`.
    """
    distances = recorded_distances() if distances is None else distances
    held = []
    for (task, backbone, dial, size), rows in comparable(runs).groupby(CURVE, observed=True):
        distance = task_distance(task, backbone, dial, int(size), distances)
        if distance is None:
            continue
        facts = (task, backbone, dial, int(size), rows["modality"].iloc[0], *distance)
        held.append(Curve(*facts, *_tables(rows), int(rows["schema"].iloc[0])))
    return Measured(tuple(held))


def _tables(rows: pd.DataFrame) -> tuple[dict[int, pd.DataFrame], ...]:
    """Test accuracies by seed and approach, and median costs, for each size.

    Seconds of the clock depend on what else ran, those of the processor hardly do; preparation is
    in them. A floor keeps logarithms finite where something took no time.
    """
    rows = rows.assign(train_seconds=rows["train_cpu_seconds"])
    accuracy, costs = {}, {}
    for size, own in rows.groupby("n_train"):
        accuracy[int(size)] = own.pivot(index="seed", columns="approach", values="test_accuracy")
        costs[int(size)] = own.groupby("approach", observed=True)[COSTS].median().clip(lower=1e-9)
    return accuracy, costs


def nearest(situation: Situation, held: Measured) -> list[Reading]:
    """The nearest curves that reach the situation; each has all approaches that the first has."""
    reached = []
    for place, curve in enumerate(held.curves):
        if curve.modality != situation.modality:
            continue
        gap, beyond = abs(curve.distance - situation.distance), _beyond(curve, situation.examples)
        if gap <= REACH_DISTANCE + 1e-9 and beyond <= REACH_SIZE:
            reached.append((gap / REACH_DISTANCE + np.log10(beyond), curve.name, place))
    kept: list[Reading] = []
    for _, _, place in sorted(reached):
        reading = _read(held.curves[place], situation.examples)
        if reading and (not kept or set(kept[0].costs) <= set(reading.costs)):
            kept.append(reading)
        if len(kept) == NEAREST:
            break
    return kept


def training_minutes(approach: str, readings: list[Reading]) -> float:
    """Processor minutes an approach trains, preparation in: the median over readings."""
    return float(np.median([r.costs[approach]["train_seconds"] for r in readings])) / 60


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
    # Where the ends share a seed it was the same draw; NaN where one of them lacks it.
    accuracy = (1 - share) * ends[0] + share * ends[1]
    accuracy = accuracy.dropna(how="all").dropna(axis="columns", how="all")
    costs, used = {}, {}
    for approach in accuracy.columns:
        medians = [np.log(curve.costs[size].loc[approach]) for size in (lower, upper)]
        costs[approach] = np.exp((1 - share) * medians[0] + share * medians[1])
        used[approach] = sum(int(end[approach].count()) for end in ends[: 1 + (lower != upper)])
    noise = RUN_NOISE[curve.modality] / np.sqrt(inside)
    return Reading(curve.key, curve.name, accuracy, costs, used, noise) if len(costs) > 1 else None


def task_distance(
    task: str, backbone: str, dial: float, size: int, distances: Distances
) -> tuple[float, str] | None:
    """Return a task's distance from a backbone and whether it was measured; None where neither is.

    Measured at this size of input, else at the nearest, which is then named; else judged
    (`TaskInfo`). The domain dial moves a judged distance on towards 1, evenly.
    """
    known = {own: value for (*place, own), value in distances.items()
             if place == [task, backbone, round(dial, 4)]}  # fmt: skip
    if known:
        nearest_size = min(known, key=lambda own: abs(np.log(own / size)))
        how = "measured" if nearest_size == size else f"measured at {nearest_size}"
        return known[nearest_size], how
    judged = TASKS[task].judged.get(backbone) if task in TASKS else None
    if judged is None:
        return None
    return DISTANCES[judged] + dial * (1 - DISTANCES[judged]), "judged"


def recorded_distances() -> Distances:
    """Return the measured distances; none where there is no file."""
    table = DISTANCES_FILE.load()
    keys = (table["task"], table["backbone"], table["dial"].round(4), table["image_size"])
    return dict(zip(zip(*keys, strict=True), table["distance"].astype(float), strict=True))


def recorded_chances() -> dict[str, float]:
    """Return the accuracy of always naming a task's largest class, where it was measured."""
    return DISTANCES_FILE.load().groupby("task")["chance"].mean().to_dict()
