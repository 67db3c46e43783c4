"""What an approach can be expected to give up in a situation, from all that was measured.

Nearby curves are few, and a choice that rests on two or three tasks follows their luck. So every
measured situation of the same kind has a say here, with a weight that falls with its distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.decision import Situation
from helpers.results.learning_curves import LEAST_SEEDS, Curve, Measured
from helpers.tasks import TASKS


@dataclass(frozen=True)
class Weights:
    """How fast a measured situation loses its say. Fixed before any rule was scored.

    `class_factor` came later, where the records, each family foreseen from the others, are
    likeliest (`tools/measure/weigh_classes.py`); no rule knows the number of classes.
    """

    size_factor: float = 4.0  # so many times more or fewer examples halve the weight
    distance: float = 0.2  # so does a distance that differs by this
    class_factor: float = 1.35  # so do so many times more or fewer classes, where they are known
    other_backbone: float = 0.25  # another backbone, where one is asked for, leaves this share
    margin: float = 0.005  # approaches expected this near the best count as equal


WEIGHTS = Weights()


def expected_regret(
    situation: Situation,
    held: Measured,
    names: Sequence[str] | None = None,
    backbone: str | None = None,
    weights: Weights = WEIGHTS,
    n_classes: int | None = None,
) -> pd.DataFrame:
    """Expected regret and relative cost of each approach, a row each, best first.

    regret: weighted mean, over measured situations of the same modality, of what the approach
    gave up against the best of `names` there. cost: processor seconds relative to the geometric
    mean of `names`, averaged the same way. families: how many families of tasks have a say; the
    situations of one (its sizes, the dial's steps) share one say on each backbone, the strongest
    of their weights. names: the approaches that are compared, None for every one that is recorded;
    situations that lack one of them are left out. n_classes: of the task, None where nobody knows.
    The table is empty where none has them all.
    """
    curves = [curve for curve in held.curves if curve.modality == situation.modality]
    names = sorted({n for c in curves for t in c.accuracy.values() for n in t} if names is None
                   else names)  # fmt: skip
    says: dict[tuple[str, str], list[tuple[float, np.ndarray, np.ndarray]]] = {}
    for curve in curves:
        for size in curve.accuracy:
            found = _cell(curve, size, names)
            if found is not None:
                weight = say(curve, size, situation, backbone, weights, n_classes)
                says.setdefault((curve.family, curve.backbone), []).append((weight, *found))
    if not says:
        return pd.DataFrame(columns=["regret", "cost", "families"])
    strongest = [max(weight for weight, _, _ in cells) for cells in says.values()]
    regret, cost = (
        np.average([_mean(cells, part) for cells in says.values()], axis=0, weights=strongest)
        for part in (1, 2)
    )
    table = pd.DataFrame({"regret": regret, "cost": np.exp(cost)}, index=names)
    table["families"] = len({name for name, _ in says})
    return table.sort_values(["regret", "cost"])


def say(
    curve: Curve,
    size: int,
    situation: Situation,
    backbone: str | None = None,
    weights: Weights = WEIGHTS,
    n_classes: int | None = None,
) -> float:
    """Weight of a curve at one of its sizes, at most 1: by distance, size, backbone and classes.

    backbone: the one that is asked about, None for any. n_classes: of the task that is asked
    about, None for any number.
    """
    near = 0.5 ** (abs(curve.distance - situation.distance) / weights.distance)
    near *= 1.0 if backbone in (None, curve.backbone) else weights.other_backbone
    steps = abs(np.log(size / situation.examples)) / np.log(weights.size_factor)
    held = classes_of(curve.task)
    if n_classes is not None and held is not None:
        steps += abs(np.log(held / n_classes)) / np.log(weights.class_factor)
    return near * 0.5**steps


def classes_of(task: str) -> int | None:
    """A task's number of classes; None where it was recorded but is no longer in the registry."""
    return len(TASKS[task].classes) if task in TASKS else None


def cheapest_credible(expected: pd.DataFrame, margin: float = WEIGHTS.margin) -> str:
    """The cheapest approach whose expected regret lies within `margin` of the lowest."""
    tied = expected[expected["regret"] <= expected["regret"].min() + margin + 1e-9]
    return str(tied["cost"].idxmin())


def _cell(curve: Curve, size: int, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """Regrets (approaches,) on the seeds that all of them have, and log costs around their mean."""
    key = (size, *names)
    if key not in curve.seen:
        curve.seen[key] = _worked_out(curve, size, list(names))
    return curve.seen[key]


def _worked_out(curve: Curve, size: int, names: list[str]) -> tuple[np.ndarray, np.ndarray] | None:
    accuracy = curve.accuracy[size]
    if not set(names) <= set(accuracy.columns):
        return None
    values = accuracy[names].to_numpy()
    values = values[~np.isnan(values).any(axis=1)]
    if len(values) < LEAST_SEEDS:
        return None
    means = values.mean(axis=0)
    logs = np.log(curve.costs[size].loc[names, "cpu_seconds"].to_numpy())
    return means.max() - means, logs - logs.mean()


def _mean(cells: list[tuple[float, np.ndarray, np.ndarray]], part: int) -> np.ndarray:
    return np.average([cell[part] for cell in cells], axis=0, weights=[cell[0] for cell in cells])
