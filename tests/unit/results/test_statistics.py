"""Gains paired by seed, crossing points, and the sentence on what was recorded."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.errors import UserError
from helpers.results.statistics import (
    coverage,
    crossings,
    examples_to_reach,
    mean_interval,
    paired_gain,
)


def runs(values):
    """Rows of one task from {(approach, n_train): accuracies by seed}."""
    rows = [
        {"task": "t", "backbone": "b", "n_train": n, "dial": 0.0, "approach": name, "seed": seed}
        | {"test_accuracy": accuracy}
        for (name, n), accuracies in values.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    return pd.DataFrame(rows)


def test_an_interval_is_scipys():
    values = [0.71, 0.74, 0.69, 0.80]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert mean_interval(values) == pytest.approx((np.mean(values), low, high))
    assert math.isnan(mean_interval([0.5])[1])
    with pytest.raises(UserError):
        mean_interval([])


def test_a_gain_is_paired_by_seed():
    table = paired_gain(runs({("a", 50): [0.6, 0.8, 0.7], ("b", 50): [0.5, 0.7, 0.6]}), "a", "b")
    assert table.loc[0, ["mean", "low", "high"]].tolist() == pytest.approx([0.1, 0.1, 0.1])
    assert table.loc[0, "runs"] == 3


def test_seeds_that_one_side_lacks_are_left_out():
    table = paired_gain(
        runs({("a", 50): [0.6, 0.9], ("b", 50): [0.5], ("a", 200): [0.9]}), "a", "b"
    )
    assert len(table) == 1
    assert table.loc[0, "runs"] == 1
    assert math.isnan(table.loc[0, "low"])


def test_a_seed_twice_is_refused():
    once = runs({("a", 50): [0.6], ("b", 50): [0.5]})
    with pytest.raises(UserError, match="twice"):
        paired_gain(pd.concat([once, once]), "a", "b")


def test_no_runs_give_no_gains():
    assert paired_gain(runs({("a", 50): [0.6]}), "a", "b").empty


@pytest.mark.parametrize(
    ("level", "examples"), [(0.5, 100), (0.6, math.sqrt(100 * 400)), (0.7, 400), (0.3, 100)]
)
def test_a_curve_is_straight_over_log_n(level, examples):
    curve = pd.DataFrame({"n_train": [400, 100], "mean": [0.7, 0.5]})
    assert examples_to_reach(curve, level) == pytest.approx(examples)


def test_a_level_above_the_curve_is_not_reached():
    assert math.isnan(examples_to_reach(pd.DataFrame({"n_train": [100], "mean": [0.5]}), 0.6))


def test_crossings_name_what_is_matched():
    curves = pd.DataFrame(
        {
            "task": ["t"] * 4,
            "approach": ["scratch", "scratch", "probe", "full"],
            "n_train": [100, 400, 100, 100],
            "mean": [0.5, 0.7, 0.6, 0.8],
        }
    )
    table = crossings(curves, "scratch", ("probe", "full", "absent"), 100)
    assert table["target"].tolist() == ["probe", "full"]
    assert table["examples"].iloc[0] == pytest.approx(200)
    assert math.isnan(table["examples"].iloc[1])
    assert table["largest"].tolist() == [400, 400]


def test_coverage_says_what_there_is():
    table = runs({("a", 50): [0.6, 0.7], ("a", 1000): [0.8]})
    words = coverage(table)
    assert "3 recorded runs" in words
    assert "50 to 1,000" in words
    assert "1 to 2 seeds" in words
    assert "1 task," in words
    assert "yet" in coverage(table[:0])
