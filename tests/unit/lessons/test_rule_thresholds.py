"""Notebook 10 asks at each threshold of the rule whether the best approach changes there."""

import pandas as pd
import pytest

from helpers.decision import DEFAULTS
from helpers.lessons import rule_thresholds


@pytest.mark.parametrize("threshold", rule_thresholds.THRESHOLDS)
def test_each_threshold_is_drawn_between_its_sides(threshold):
    own, published = rule_thresholds.plot_threshold(threshold).axes
    edges = list(rule_thresholds.THRESHOLDS[threshold].edges)
    for ax in (own, published):
        (dashed,) = (line for line in ax.lines if line.get_linestyle() == "--")
        labels = [text.get_text() for text in ax.get_xticklabels()]
        assert dashed.get_xdata()[0] == edges.index(rule_thresholds.THRESHOLDS[threshold].at) - 0.5
        assert len(labels) == len(edges) - 1
    assert len(published.lines) > 2


def test_a_situation_without_a_size_lies_on_no_side(monkeypatch):
    rows = pd.DataFrame({"n_train": [10, None, 10_000], "distance": [0.1, 0.1, 0.1]})
    asked = rule_thresholds.THRESHOLDS[f"{DEFAULTS.small:,} examples"]
    assert list(asked.rows(rows)["n_train"]) == [10, 10_000]


def side(gains, says, n=10):
    """What is said of a side where LoRA is ahead of the frozen network by these on data sets."""
    rows = [
        (place, place, name, 0.5 + gain * (name == "lora"))
        for place, gain in enumerate(gains)
        for name in ("lora", "feature_extraction")
    ]
    table = pd.DataFrame(rows, columns=["family", "case", "approach", "mean"])
    table = table.assign(seconds=1.0, n_train=n, distance=0.1)
    return rule_thresholds._side(table, says)


def test_a_side_is_scored_where_the_rule_speaks_and_its_winner_is_clear():
    assert side([0.1, 0.11, 0.12], "feature_extraction").ended == rule_thresholds.OTHER
    assert side([-0.1, -0.2], "feature_extraction").ended == rule_thresholds.SAME
    unsure = side([0.5, -0.1, 0.0], "feature_extraction")
    assert unsure.ended == rule_thresholds.UNCLEAR and "3 data sets, no clear winner" in unsure.told
    silent = side([0.1, 0.1], "feature_extraction", n=10_000)
    assert silent == ("nothing measured where the rule speaks", frozenset(), "")
    assert side([0.1, 0.1], "").told == "LoRA (2 data sets)"
