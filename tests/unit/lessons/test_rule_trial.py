"""What notebook 10 and README say of the trial follows the table, whichever way it goes."""

import pandas as pd
import pytest

from helpers.lessons import rule_trial
from helpers.results.rule_cases import CONSTANT, MEASURED


@pytest.fixture
def planted(monkeypatch):
    """Let a rule's row of the trial be another's: planted(rule, like, also=rule)."""
    whole = rule_trial.trial

    def plant(rule, like):
        def changed(where, part=rule_trial.ALL):
            rows = whole(where, part).copy()
            rows.loc[rule] = rows.loc[like]
            return rows

        monkeypatch.setattr(rule_trial, "trial", changed)

    return plant


def test_size_and_distance_help_only_where_the_model_that_sees_them_gives_up_less(planted):
    planted(rule_trial.SLOPES, "always from_scratch")
    assert "Size and distance made no difference that shows" in rule_trial.own_sentence()
    planted(MEASURED, "always from_scratch")
    assert "Size and distance helped" in rule_trial.own_sentence()


def test_an_answer_carries_over_where_it_gives_up_no_more_than_a_constant_learned_there(planted):
    planted(MEASURED, "always from_scratch")
    assert "does not carry over" in rule_trial.published_sentence()
    planted(MEASURED, CONSTANT)
    assert "**does about as well**" in rule_trial.published_sentence()


def test_each_rule_and_both_fallbacks_have_a_row():
    table = rule_trial.rule_by_rule()
    assert list(table.index[:4]) == ["R1", "R2", "R3", "R4"] and len(table) == 6
    untried = table["published: situations"] == 0
    assert (table.loc[untried, "published: gives up"] == "").all()
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


def test_the_sides_count_those_where_the_rule_names_what_the_evidence_would_choose():
    rows = [("a", 0, "lora", 0.9), ("a", 0, "feature_extraction", 0.5)]
    table = pd.DataFrame(rows, columns=["family", "case", "approach", "mean"])
    table = table.assign(seconds=1.0, stored=1.0)
    assert rule_trial._side(table, "lora")[-1] is True
    assert rule_trial._side(table, "feature_extraction")[-1] is False
    assert rule_trial._side(table, "adapter")[-1] is None
    assert rule_trial._side(table.head(0), "lora")[-1] is None
