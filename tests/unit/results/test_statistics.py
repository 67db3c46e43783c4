"""Intervals, paired gains, bootstrap and Holm; crossing points; what was recorded, in words."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.errors import UserError
from helpers.results.statistics import (
    coverage,
    examples_to_reach,
    holm,
    interval_table,
    mean_interval,
    pair,
    paired_gain,
    preferred_arms,
    t_half_width,
    t_p_value,
    wilson_interval,
)
from tools.measure.rival_rules import bootstrap_interval, pooled_mean


def runs(values):
    """Rows of one task from {(approach, n_train): accuracies by seed}."""
    rows = [
        {"task": "t", "backbone": "b", "n_train": n, "dial": 0.0, "approach": name}
        | {"image_size": 28, "seed": seed, "test_accuracy": accuracy}
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


def test_half_widths_are_scipys_at_any_level_and_unknown_without_freedom():
    for level in (0.5, 0.95, 0.999):
        low, high = stats.t.interval(level, 4.5, 0.0, 0.2)
        assert t_half_width(0.2, 4.5, level) == pytest.approx(high) == pytest.approx(-low)
    assert np.isnan(t_half_width(np.array([0.2, 0.2]), np.array([0, 3]))).tolist() == [True, False]


def test_p_values_are_scipys_and_unknown_without_freedom():
    values = [0.71, 0.74, 0.69, 0.80]
    for tested in (0.7, 0.735, 0.9):
        p = t_p_value(np.mean(values) - tested, stats.sem(values), 3)
        assert p == pytest.approx(stats.ttest_1samp(values, tested).pvalue)
    found = t_p_value(np.array([0.1, 0.1, 0.0]), np.array([0.1, 0.0, 0.0]), np.array([0, 3, 3]))
    assert np.isnan(found).tolist() == [True, False, True] and found[1] == 0


def test_an_interval_for_each_group():
    table = interval_table(runs({("b", 50): [0.5, 0.7, 0.9], ("a", 50): [0.4]}), ["approach"],
                           "test_accuracy", sort=False)  # fmt: skip
    assert list(table.columns) == ["approach", "mean", "low", "high", "runs"]
    assert table["approach"].tolist() == ["b", "a"] and table["runs"].tolist() == [3, 1]
    assert tuple(table.loc[0, ["mean", "low", "high"]]) == pytest.approx(
        mean_interval([0.5, 0.7, 0.9])
    )
    assert math.isnan(table.loc[1, "low"])


def test_wilson_interval_equals_its_formula():
    z, p, n = stats.norm.ppf(0.975), 0.85, 400
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson_interval(340, n) == pytest.approx((centre - half, centre + half), rel=1e-12)
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 20)[0] == 0 and wilson_interval(20, 20)[1] == 1


@pytest.mark.parametrize(("right", "n"), [(3, 2), (-1, 5), (0, 0)])
def test_no_share_has_no_interval(right, n):
    with pytest.raises(UserError, match="no share"):
        wilson_interval(right, n)


def test_a_bootstrap_over_clusters_is_scipys():
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 9, 12)
    sums = rng.normal(0.3, 0.1, 12) * counts
    theirs = stats.bootstrap((sums, counts), lambda s, c, axis: s.sum(axis) / c.sum(axis),
                             paired=True, vectorized=True, method="percentile", n_resamples=9_000,
                             random_state=1)  # fmt: skip
    ends = bootstrap_interval(pooled_mean, sums, counts, draws=9_000, seed=1)
    assert ends == pytest.approx(tuple(theirs.confidence_interval), abs=0.003)
    assert ends == bootstrap_interval(pooled_mean, sums, counts, draws=9_000, seed=1)


def test_members_of_a_cluster_vary_together():
    """Ten equal situations of each data set say no more than one of each."""
    means = np.array([0.1, 0.2, 0.6, 0.3])
    once = bootstrap_interval(pooled_mean, means, np.ones(4), draws=2_000)
    assert bootstrap_interval(pooled_mean, 10 * means, np.full(4, 10), draws=2_000) == once
    assert once[1] - once[0] > 0.2


def test_draws_without_a_value_are_left_out():
    def mean_of_two_or_more(x):
        return np.where(np.ptp(x, axis=-1) > 0, x.mean(-1), np.nan)

    low, high = bootstrap_interval(mean_of_two_or_more, np.array([0.0, 1.0]), draws=500)
    assert (low, high) == (0.5, 0.5)


def test_holm_equals_the_published_example_and_keeps_the_order():
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8, 0.7]).tolist() == [1.0, 1.0, 1.0]
    assert holm([]).tolist() == [] and holm([0.2]).tolist() == [0.2]
    with pytest.raises(UserError, match="between 0 and 1"):
        holm([0.5, math.nan])


def test_holm_raises_a_false_alarm_at_most_once_in_twenty():
    rng = np.random.default_rng(0)
    alarms = [holm(looks).min() <= 0.05 for looks in rng.uniform(size=(4_000, 30))]
    assert 0.03 < np.mean(alarms) < 0.06
    assert np.mean(rng.uniform(size=(4_000, 30)).min(1) <= 0.05) > 0.7, "what is corrected"


def test_partners_stand_beside_each_other():
    ours = pd.DataFrame({"task": ["a", "b"], "seed": [0, 0], "value": [1.0, 2.0]})
    theirs = pd.DataFrame({"task": ["b", "c"], "seed": [0, 0], "value": [5.0, 6.0]})
    both = pair(ours, theirs, ["task", "seed"], ["value"])
    assert both.to_dict("records") == [
        {"task": "b", "seed": 0, "value": 2.0, "value_theirs": 5.0}
    ]  # fmt: skip
    with pytest.raises(UserError, match="twice"):
        pair(ours, theirs, ["seed"], ["value"])


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


def test_coverage_says_what_there_is():
    table = runs({("a", 50): [0.6, 0.7], ("a", 1000): [0.8]})
    words = coverage(table)
    assert "3 recorded runs" in words
    assert "50 to 1,000" in words
    assert "1 to 2 seeds" in words
    assert "1 task," in words
    assert "yet" in coverage(table[:0])


def test_the_preferred_arm_is_the_better_on_the_seeds_that_both_have():
    """Ahead on every shared seed, and behind by the plain mean: the other ran on the easy one."""
    scores = {"lora": [0.90, 0.80, 0.80], "adapter": [0.88]}
    rows = [{"task": "digits", "approach": name, "seed": seed, "val_accuracy": value}
            for name, values in scores.items() for seed, value in enumerate(values)]  # fmt: skip
    found = preferred_arms(pd.DataFrame(rows), ["task"], "approach")
    assert set(found["approach"]) == {"lora"} and len(found) == 3
