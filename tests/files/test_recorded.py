"""The records that ship: all that the grids declare is there or listed, and a run repeats."""

from dataclasses import fields

import pandas as pd
import pytest

from helpers.experiments.grids import SWEEPS
from helpers.experiments.single_run import RunConfig, run
from helpers.experiments.sweeps import cells, missing, steps_of
from helpers.paths import results_dir
from helpers.results import runs as records
from helpers.results.statistics import wilson_interval

STEPS = [step for name in SWEEPS for step in steps_of(name)]
KEYS = ["sweep", "backbone", "task", "dial", "approach", "n_train", "settings"]


@pytest.fixture(scope="module")
def runs():
    return records.load_runs(schema=None)


@pytest.fixture(scope="module")
def listed():
    table = pd.read_csv(results_dir() / "missing.csv", keep_default_na=False)
    names = table[KEYS].itertuples(index=False, name=None)
    return dict(zip(names, table["reason"], strict=True)), table


@pytest.mark.parametrize("step", STEPS)
def test_every_declared_cell_is_recorded_or_listed_with_a_reason(step, runs, listed):
    reasons, _ = listed
    assert len(cells(step, runs)) > 0
    for config in missing(step, runs):
        cell = (step, config.backbone, config.task, round(config.dial, 4), config.approach)
        assert reasons.get((*cell, config.n_train, config.settings)), config


def test_nothing_listed_as_missing_is_unknown_to_the_grids(listed):
    _, table = listed
    assert set(table["sweep"]) <= set(STEPS)
    assert table["seeds"].astype(str).str.fullmatch(r"\d+( \d+)*").all()
    assert table["reason"].str.startswith("not measured yet").all()


def test_the_records_are_as_many_and_as_varied_as_promised(runs):
    assert len(runs) >= 1_500
    assert len(runs[["task", "backbone", "dial"]].drop_duplicates()) >= 12


@pytest.mark.slow
@pytest.mark.parametrize("approach", ["feature_extraction", "full_fine_tuning", "lora"])
def test_a_recorded_run_repeats(approach, runs):
    """Of the second round: batches are of equal size since then, so older rows do not repeat."""
    wanted = {"schema": 2, "backbone": "pocket", "task": "digits", "approach": approach}
    chosen = runs[runs[list(wanted)].eq(pd.Series(wanted)).all(axis=1)]
    if chosen.empty:
        pytest.skip("no such run of the second round is recorded yet: helpers sweep repair")
    row = chosen.sort_values(["n_train", "seed"], ascending=[True, False]).iloc[0]
    asked = {field.name: row[field.name] for field in fields(RunConfig)}
    plain = {k: v.item() if hasattr(v, "item") else v for k, v in asked.items()}
    again = run(RunConfig(**plain))
    assert again["run_id"] == row["run_id"]
    assert (again["updates"], again["n_labels"]) == pytest.approx(
        (row["updates"], row["n_labels"]), nan_ok=True
    )
    n = int(row["n_test"])
    low, high = wilson_interval(round(row["test_accuracy"] * n), n)
    assert low <= again["test_accuracy"] <= high
    assert again["trainable_params"] == row["trainable_params"]
