"""Twice the updates: which recorded runs are repeated, and what a row says."""

import pandas as pd
import pytest
from rows import make_row

from helpers.errors import UserError
from helpers.storage.install import asset_path
from tools.measure import double_updates


def test_the_best_rate_of_each_approach_is_repeated_and_solvers_are_not(monkeypatch):
    told = {"lora": {0.001: 0.7, 0.003: 0.8}, "adapter": {0.003: 0.6}, "classical": {0.003: 0.9}}
    rows = pd.DataFrame(
        make_row(approach=approach, lr=rate, seed=seed, schema=2, val_accuracy=reached - seed / 10)
        for approach, rates in told.items()
        for rate, reached in rates.items()
        for seed in (0, 1)
    )
    monkeypatch.setattr(double_updates, "load_runs", lambda **_: rows)
    found = double_updates.chosen("pocket", ["products_near"], 200, [], seeds=2)
    assert sorted(zip(found["approach"], found["lr"], found["seed"], strict=True)) == [
        ("adapter", 0.003, 0), ("adapter", 0.003, 1), ("lora", 0.003, 0), ("lora", 0.003, 1),
    ]  # fmt: skip
    assert set(double_updates.chosen("pocket", [], 200, ["lora"], seeds=1)["approach"]) == {"lora"}


def test_a_recorded_run_comes_again_twice_as_long():
    try:
        asset_path("minilm")
    except UserError as error:
        pytest.skip(str(error))
    first = {"task": "tweets", "backbone": "minilm", "approach": "partial_fine_tuning", "seed": 0}
    first |= {"n_train": 8, "image_size": 16, "settings": "", "lr": 1e-4, "epochs": 1}
    first |= {"batch_size": 4, "schema": 2, "updates": 2, "best_update": 2, "test_accuracy": 0.5}
    row = double_updates.measure(first)
    assert row["twice_updates"] == 2 * row["updates"] == 4
    assert list(row) == list(double_updates.COLUMNS)
    assert 0 <= row["twice_accuracy"] <= 1
