"""What many tasks cost over years: storage and training time, from what one task was measured to.

Versions are kept, as whoever must say later which model answered has to. An upgrade is a new base:
parts that were trained on the old one are trained again, and both bases are kept; full copies hold
all their weights and are left as they are (they gain nothing from the new base either).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from helpers.errors import UserError
from helpers.vocabulary import (
    ADAPTER,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    LORA,
    PARTIAL_FINE_TUNING,
)

FULL = FULL_FINE_TUNING
HEAD = FEATURE_EXTRACTION
APPROACHES = (HEAD, ADAPTER, LORA, PARTIAL_FINE_TUNING, FULL)


@dataclass(frozen=True)
class Plan:
    """Tasks, retrainings of each in a year, years, and upgrades of the base in all that time."""

    tasks: int
    retrainings: float = 2.0
    years: float = 3.0
    upgrades: int = 0

    def __post_init__(self) -> None:
        if self.tasks < 1 or min(self.retrainings, self.years, self.upgrades) < 0:
            raise UserError("a plan needs 1 task or more, and nothing below zero")

    @property
    def trainings(self) -> float:
        """How often one task is trained while its base stays: at first, then again and again."""
        return 1 + self.retrainings * self.years


def unit_costs(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per backbone and approach: `file_mb`, `cpu_seconds` of one training, `accuracy`.

    runs: recorded, of one size. Only tasks count on which all APPROACHES were run, so that rows
    compare; medians over tasks and seeds, and means of accuracy. `base_mb` is a full copy less its
    head, 0 for full copies, which share none. `tasks` says how many a row rests on.
    """
    runs = runs[runs["approach"].isin(APPROACHES)]
    whole = runs.groupby(["backbone", "task"])["approach"].transform("nunique") == len(APPROACHES)
    groups = runs[whole].groupby(["backbone", "approach"])
    table = groups.agg(
        file_mb=("stored_mb", "median"),
        cpu_seconds=("train_cpu_seconds", "median"),
        accuracy=("test_accuracy", "mean"),
        tasks=("task", "nunique"),
    ).reset_index()
    sizes = table.pivot(index="backbone", columns="approach", values="file_mb")
    base = sizes[FULL] - sizes[HEAD] if len(sizes) else pd.Series(dtype=float)
    table["base_mb"] = table["backbone"].map(base).where(table["approach"] != FULL, 0.0)
    table["place"] = table["approach"].map(APPROACHES.index)
    table = table.sort_values(["backbone", "place"], ignore_index=True)
    return table.drop(columns="place")


def totals(costs: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """The rows of `costs` with `versions`, `storage_mb` and `cpu_hours` of a whole plan."""
    shares = costs["base_mb"] > 0
    versions = plan.trainings + plan.upgrades * shares
    storage = (1 + plan.upgrades) * costs["base_mb"] + plan.tasks * versions * costs["file_mb"]
    hours = plan.tasks * versions * costs["cpu_seconds"] / 3600
    return costs.assign(versions=versions, storage_mb=storage, cpu_hours=hours)


def totals_over(costs: pd.DataFrame, plan: Plan, name: str, values: Iterable[int]) -> pd.DataFrame:
    """`totals` of plans that differ in one field, which is a column then: lines to draw."""
    plans = [replace(plan, **{name: int(value)}) for value in values]
    return pd.concat([totals(costs, one).assign(**{name: getattr(one, name)}) for one in plans])


def less_over(
    costs: pd.DataFrame, approaches: Iterable[str], counts: Iterable[int]
) -> pd.DataFrame:
    """`times_less` of each approach over numbers of tasks: columns approach, tasks, times."""
    rows = [(one, n, times_less(costs, one, n)) for one in approaches for n in counts]
    return pd.DataFrame(rows, columns=["approach", "tasks", "times"])


def tasks_to_pay(costs: pd.DataFrame, approach: str, plan: Plan) -> float:
    """Tasks from which an approach needs less storage than full copies; infinite where never.

    costs: of one backbone. It pays a base for every upgrade first, then less for each version.
    """
    part, full = _pair(costs, approach)
    saved = plan.trainings * full["file_mb"] - (plan.trainings + plan.upgrades) * part["file_mb"]
    return (1 + plan.upgrades) * part["base_mb"] / saved if saved > 0 else math.inf


def upgrades_to_lose(costs: pd.DataFrame, approach: str, plan: Plan) -> float:
    """Upgrades at which an approach has taken as much training time as full copies, left alone.

    0: a training of it takes as long or longer anyway.
    """
    part, full = _pair(costs, approach)
    return max(0.0, plan.trainings * (full["cpu_seconds"] / part["cpu_seconds"] - 1))


def times_less(costs: pd.DataFrame, approach: str, tasks: float) -> float:
    """Storage of full copies over that of an approach with its base, one version of each task.

    Infinitely many tasks give the ratio of the files, which no number of tasks can beat.
    """
    part, full = _pair(costs, approach)
    shared = 0.0 if math.isinf(tasks) else part["base_mb"] / tasks
    return float(full["file_mb"] / (shared + part["file_mb"]))


def _pair(costs: pd.DataFrame, approach: str) -> tuple[pd.Series, pd.Series]:
    rows = costs.set_index("approach")
    if not rows.index.is_unique:
        raise UserError("these costs are of several backbones; filter them to one")
    for name in (approach, FULL):
        if name not in rows.index:
            raise UserError(f"no costs of {name!r} are recorded there")
    return rows.loc[approach], rows.loc[FULL]
