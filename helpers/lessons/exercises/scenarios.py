"""Choose an approach for a situation told in words; the recorded runs say what the choice costs."""

import functools
from dataclasses import dataclass
from typing import Any

import pandas as pd

from helpers.errors import UserError
from helpers.lessons.exercises.grading import Rule, Score, not_filled
from helpers.paths import data_dir
from helpers.registry import find, unknown_name
from helpers.results.learning_curves import SEEDS, Curve, Measured, level, measured_curves
from helpers.results.runs import load_runs
from helpers.results.statistics import mean_interval
from helpers.storage.files import read_toml
from helpers.vocabulary import SHIPPED

LEEWAY = 2.0  # points below the best mean that still count as the best, where seeds can't tell


@dataclass(frozen=True)
class Scenario:
    """A situation in words, and the recorded one behind it: see `data/scenarios.toml`."""

    name: str
    words: str
    task: str
    backbone: str
    n_train: int
    dial: float = 0.0
    image_size: int | None = None
    trainings: int = 1
    minutes: float | None = None


@functools.cache
def scenarios() -> dict[str, Scenario]:
    """Return the scenarios by name, in the order of the file."""
    file = data_dir() / "scenarios.toml"
    try:
        return {
            name: Scenario(name, **row | {"words": " ".join(row["words"].split())})
            for name, row in read_toml(file).items()
        }
    except (LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{file} holds no scenarios ({error}); correct it") from error


def get_scenario(name: str) -> Scenario:
    """Return one scenario; raises UserError for an unknown name."""
    return find("scenario", name, scenarios())


def tell(*names: str) -> str:
    """Return scenarios (all without a name) as a Markdown list."""
    chosen = names or tuple(scenarios())
    return "\n".join(f"- **{name}**: {get_scenario(name).words}" for name in chosen)


def options(scenario: Scenario, held: Measured | None = None) -> pd.DataFrame:
    """What each approach would have brought: one row each, best affordable first.

    Columns: approach; mean (test accuracy on equal seeds); minutes
    (processor minutes of preparation and training, over all trainings); fits (the budget); points,
    low, high (below the best that fits, in points, with a 95 % interval of the seeds' differences,
    NaN where both ran on one seed alone).
    Raises UserError where the situation is not recorded with every approach yet.
    """
    curve = _curve(scenario, measured_curves(load_runs()) if held is None else held)
    seeds = curve.accuracy[scenario.n_train].reindex(columns=list(SHIPPED))
    if len(seeds.dropna()) < SEEDS[curve.recipe]:
        raise UserError(f"the runs behind the scenario {scenario.name!r} are not all recorded yet")
    seconds = curve.costs[scenario.n_train]["train_seconds"].reindex(SHIPPED)
    minutes = seconds * scenario.trainings / 60
    fits = minutes <= (float("inf") if scenario.minutes is None else scenario.minutes)
    if not fits.any():
        raise UserError(f"nothing fits the budget of the scenario {scenario.name!r}; raise minutes")
    means = level(seeds)
    best = str(means[fits].idxmax())
    rows = []
    for name in SHIPPED:
        _, low, high = mean_interval((seeds[best] - seeds[name]).dropna())
        points = [100 * value for value in (means[best] - means[name], low, high)]
        rows.append((name, means[name], minutes[name], bool(fits[name]), *points))
    columns = ["approach", "mean", "minutes", "fits", "points", "low", "high"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["fits", "mean"], ascending=False, ignore_index=True)


def outcome(scenario: Scenario, approach: str, table: pd.DataFrame) -> Score:
    """Judge a choice by its regret in `table`, from `options`.

    Full credit for the best mean, and within LEEWAY of it where the interval reaches zero too: the
    runs can't tell them apart. Otherwise 1 - regret / the largest regret that was possible, and
    nothing beyond the budget.
    Raises UserError for an approach that is not among the recorded ones.
    """
    if approach not in set(table["approach"]):
        raise unknown_name("approach", str(approach), table["approach"])
    rows = table.set_index("approach")
    own, best = rows.loc[approach], rows.index[0]
    extra = own["minutes"] - rows.loc[best, "minutes"]
    what = f"{scenario.name}, {approach}: "
    if not own["fits"]:
        what += f"{own['minutes']:.1f} processor minutes, and {scenario.minutes:g} were allowed."
        return Score(0.0, what)
    hint = _cheaper(rows, approach)
    if approach == best:
        return Score(1.0, f"{what}the best mean.{hint}")
    alone = pd.isna(own["low"])
    reach = "on one seed" if alone else f"({own['low']:.1f} to {own['high']:.1f})"
    span = f"{own['points']:.1f} points lost {reach}"
    bill = f"{abs(extra):.1f} processor minutes {'lost' if extra > 0 else 'saved'}"
    what += f"{span} and {bill} against {best}"
    if _even(rows)[approach]:
        return Score(1.0, f"{what}: too close to call.{hint}")
    credit = float(1 - own["points"] / rows.loc[rows["fits"], "points"].max())
    return Score(credit, f"{what}: {credit:.0%} of the credit.")


def chosen(*names: str) -> Rule:
    """A rule for exercises: the answer is a dict of scenario to approach, for all of `names`."""

    def rule(answer: Any) -> str | Score:
        if lacking := not_filled(answer, names):
            return lacking
        held = measured_curves(load_runs())
        found = []
        for name in names:
            scenario = get_scenario(name)
            found.append(outcome(scenario, answer[name], options(scenario, held)))
        said = "".join(f"\n  {one.message}" for one in found)
        return Score(sum(one.credit for one in found) / len(found), said)

    return rule


def _even(rows: pd.DataFrame) -> pd.Series:
    """Tell for each affordable approach whether the runs can't tell it from the best."""
    return rows["fits"] & ~(rows["low"] > 0) & (rows["points"] <= LEEWAY)


def _cheaper(rows: pd.DataFrame, approach: str) -> str:
    """Name the cheapest approach as good as the best, if it saves half of this one's bill."""
    bills, own = rows["minutes"][_even(rows)], rows.loc[approach, "minutes"]
    if bills.min() > own / 2:
        return ""
    saved = f"{own - bills.min():.1f} processor minutes"
    return f" {bills.idxmin()} can't be told from the best either and would save {saved}."


def _curve(scenario: Scenario, held: Measured) -> Curve:
    asked = (scenario.task, scenario.backbone, round(scenario.dial, 6))
    for curve in held.curves:
        same = (curve.task, curve.backbone, round(curve.dial, 6)) == asked
        sized = scenario.image_size in (None, curve.image_size)
        if same and sized and scenario.n_train in curve.accuracy:
            return curve
    raise UserError(f"the runs behind the scenario {scenario.name!r} are not recorded yet")
