"""Recorded runs that code of another kind repeated: data/results/repetitions.csv."""

import ast
import inspect
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from helpers.paths import data_dir, results_dir
from helpers.results import runs as records
from tools.measure import plain_transfer, repeat_independently
from tools.measure.repeat_independently import CELLS, COLUMNS, FILE, compared, measured, question_of

RECORDERS = ("approaches", "training", "backbones", "experiments")
FORBIDDEN = tuple(f"helpers.{name}" for name in RECORDERS)


@pytest.fixture(scope="module")
def runs():
    return records.load_runs(schema=repeat_independently.ROUND)


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(results_dir() / FILE, dtype={"repeats": str})


def test_repetitions_belong_to_recorded_runs_and_follow_from_them(runs, table):
    assert list(table.columns) == COLUMNS
    assert table["run_id"].is_unique
    by_id = runs.set_index("run_id", drop=False)
    for _, row in table.iterrows():
        values = [float(value) for value in row["repeats"].split()]
        again = compared(by_id.loc[row["run_id"]], values)
        for name, value in again.items():
            same = value == row[name] or value == pytest.approx(row[name], abs=2e-6, nan_ok=True)
            assert same, (row["run_id"], name)


def test_enough_cells_of_every_kind_lie_within_two_standard_errors(table):
    assert len(table) >= 22
    assert table["task"].nunique() >= 4 and table["backbone"].nunique() == 2
    assert table["approach"].nunique() == 8
    assert table["within"].mean() >= 0.9


def test_the_repeating_code_shares_none_with_what_recorded():
    root = data_dir().parent
    code = f"import sys, {repeat_independently.__name__}; print('\\n'.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not [name for name in loaded if name.startswith(FORBIDDEN)]
    for module in (plain_transfer, repeat_independently):  # nor inside a function
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            origin = getattr(node, "module", "") if isinstance(node, ast.ImportFrom) else ""
            told = [f"{origin}.{name}".strip(".") for name in names]
            assert not [name for name in told if name.startswith(FORBIDDEN)]


def test_as_many_parameters_move_as_were_recorded(runs):
    known = runs[runs["backbone"].isin(CELLS) & (runs["approach"] != "classical")]
    known = known.groupby(["backbone", "approach"]).head(1)
    for _, row in known.iterrows():
        classes = len(repeat_independently.TASKS[row["task"]].classes)
        question = question_of(row, classes, 0)
        made = plain_transfer.network(question)
        plain_transfer.prepare(made, question)
        if question.approach == "feature_extraction":
            made.stages.requires_grad_(False)
        moving = sum(p.numel() for p in made.parameters() if p.requires_grad)
        assert moving == row["trainable_params"], (row["backbone"], row["approach"])


@pytest.mark.parametrize("approach", ["classical", "feature_extraction"])
def test_what_a_solver_found_is_found_again(runs, approach):
    asked = {"backbone": "pocket", "task": "digits", "approach": approach, "n_train": 200}
    for _, row in runs[runs[list(asked)].eq(pd.Series(asked)).all(axis=1)].head(2).iterrows():
        assert measured(row, 0) == pytest.approx(row["test_accuracy"], abs=2 / row["n_test"])


def test_spread_over_seeds_widens_the_error(runs):
    row = runs.iloc[0].copy()
    row["test_accuracy"], row["n_test"] = 0.8, 10_000
    one, three = compared(row, [0.83]), compared(row, [0.80, 0.83, 0.86])
    assert not one["within"] and three["within"]
    assert three["standard_error"] > 3 * one["standard_error"]
    assert np.isnan(one["spread"]) and three["spread"] == pytest.approx(0.03)
