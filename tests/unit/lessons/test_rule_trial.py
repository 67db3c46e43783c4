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


def test_what_the_explorer_shows_is_told():
    told = rule_trial.explorer_sentence()
    assert "Their answer there: **LoRA** (" in told and "to nothing else" not in told
