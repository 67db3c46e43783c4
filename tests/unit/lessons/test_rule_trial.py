"""What notebook 10 and README say of the trial follows the table, whichever way it goes."""

import pandas as pd
import pytest

from helpers.lessons import rule_trial


@pytest.fixture
def planted(monkeypatch):
    """Let every paired difference be an interval of points: planted(low, high)."""

    def plant(low, high):
        change = pd.Series({"more": (low + high) / 2, "low": low, "high": high})
        monkeypatch.setattr(rule_trial, "paired", lambda *asked: change)

    return plant


@pytest.mark.parametrize(
    ("low", "high", "own", "published"),
    [
        (-1, 1, "made no difference that shows", "**does about as well**"),
        (-2, -1, "helped", "**does better**"),
        (1, 2, "did harm", "**does worse**"),
    ],
)
def test_rules_are_compared_on_the_same_cases(planted, low, high, own, published):
    planted(low, high)
    assert f"Size and distance {own}**" in rule_trial.own_sentence()
    assert published in rule_trial.published_sentence()


def test_each_rule_and_both_fallbacks_have_a_row():
    table = rule_trial.rule_by_rule()
    assert list(table.index[:4]) == ["R1", "R2", "R3", "R4"] and len(table) == 6
    untried = table["published: situations"] == 0
    assert (table.loc[untried, ["published: gives up", "published: constant"]] == "").all(axis=None)
    assert (table.loc[~untried, "published: gives up"] != "").all()


@pytest.mark.parametrize("wall", rule_trial.WALLS)
def test_each_threshold_is_drawn_between_its_sides(wall):
    own, published = rule_trial.plot_wall(wall).axes
    edges = list(rule_trial.WALLS[wall].edges)
    for ax in (own, published):
        (dashed,) = (line for line in ax.lines if line.get_linestyle() == "--")
        labels = [text.get_text() for text in ax.get_xticklabels()]
        assert dashed.get_xdata()[0] == edges.index(rule_trial.WALLS[wall].at) - 0.5
        assert len(labels) == len(edges) - 1
    assert len(published.lines) > 2


def test_a_situation_without_a_size_lies_on_no_side(monkeypatch):
    rows = pd.DataFrame({"n_train": [10, None, 10_000], "distance": [0.1, 0.1, 0.1]})
    wall = rule_trial.WALLS[f"{rule_trial.DEFAULTS.small:,} examples"]
    assert list(wall.rows(rows)["n_train"]) == [10, 10_000]


def side(gains, says, n=10):
    """What is said of a side where LoRA is ahead of the frozen network by these on data sets."""
    rows = [
        (place, place, name, 0.5 + gain * (name == "lora"))
        for place, gain in enumerate(gains)
        for name in ("lora", "feature_extraction")
    ]
    table = pd.DataFrame(rows, columns=["family", "case", "approach", "mean"])
    table = table.assign(seconds=1.0, n_train=n, distance=0.1)
    return rule_trial._side(table, says)


def test_a_side_is_scored_where_the_rule_speaks_and_its_winner_is_clear():
    assert side([0.1, 0.11, 0.12], "feature_extraction").ended == rule_trial.OTHER
    assert side([-0.1, -0.2], "feature_extraction").ended == rule_trial.SAME
    unsure = side([0.5, -0.1, 0.0], "feature_extraction")
    assert unsure.ended == rule_trial.UNCLEAR and "3 data sets, no clear winner" in unsure.told
    silent = side([0.1, 0.1], "feature_extraction", n=10_000)
    assert silent == ("nothing measured where the rule speaks", frozenset(), "")
    assert side([0.1, 0.1], "").told == "LoRA (2 data sets)"


def test_what_the_explorer_shows_is_told():
    told = rule_trial.explorer_sentence()
    assert "Their answer there: **LoRA** (" in told and "to nothing else" not in told
