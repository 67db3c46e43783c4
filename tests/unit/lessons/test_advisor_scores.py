"""Notebook 14's scores: looks by the file, races by the runs that are compared."""

import pandas as pd
import pytest

from helpers.lessons import advisor_scores
from helpers.paths import results_dir
from helpers.results.learning_curves import comparable, level
from helpers.results.runs import load_runs


def test_a_race_is_judged_by_the_runs_that_are_compared():
    """The table finds each case's runs by itself: here with one case worked out by hand."""
    table, asked = advisor_scores.raced(), pd.read_csv(results_dir() / "advisor.csv")
    raced = asked[asked["mode"] == "measure"].set_index("case")["recommended"]
    assert len(table) and set(table.index) <= set(raced.index)
    clothing = comparable(load_runs(task="clothing", n_train=200, image_size=64, dial=0.0))
    wide = clothing.pivot_table("test_accuracy", index="seed", columns="approach")
    lost = 100 * (level(wide).max() - level(wide)[raced["clothing"]])
    assert table.loc["clothing", advisor_scores.RACE] == pytest.approx(lost, abs=0.006)


@pytest.fixture
def scored(monkeypatch):
    """Three races (one keeps, one gains, one loses) and three situations of looks."""
    named = [("lora", "lora"), ("lora", "adapter"), ("lora", "adapter")]
    table = pd.DataFrame(
        {
            advisor_scores.FIRST: [0.0, 3.0, 1.0],
            advisor_scores.RACE: [0.0, 1.0, 2.0],
            "named": [{"look": look, "measure": race} for look, race in named],
        },
        index=["a", "b", "c"],
    )
    ways = dict.fromkeys(advisor_scores.WAYS.values(), [2.0, 2.0, 2.0])
    tasks = ["clothing", "digits", "tweets"]
    looks = pd.DataFrame(ways | {"kind": ["pictures", "pictures", "texts"], "task": tasks})
    looks[advisor_scores.FIRST] = [0.0, 3.0, 2.0]
    monkeypatch.setattr(advisor_scores, "raced", lambda: table)
    monkeypatch.setattr(advisor_scores, "looked", lambda: looks)


def test_a_constant_that_is_as_good_is_named(scored):
    told = advisor_scores.constant_sentence()
    assert told.startswith("On 3 held-out situations the first answer was within 1.5 points")
    assert "**33%**" in told
    assert "For pictures it gave up 1.5 points; a constant for each kind 2.0" in told
    assert "For texts it gave up 2.0 points; a constant for each kind 2.0" in told
    told = advisor_scores.bought_in_words()
    assert "For **pictures**" in told and "against *always LoRA*: -0.5 (" in told
    assert "over 2 data sets), which may be luck" in told
    shown = advisor_scores.beside_constants()
    assert shown.loc[advisor_scores.FIRST].tolist() == [1.5, 2.0, 3.0, 1]


def test_each_kind_has_its_interval_over_data_sets(scored, monkeypatch):
    always, constant = advisor_scores.WAYS["full"], advisor_scores.WAYS["constant"]
    table = pd.DataFrame(advisor_scores.looked().iloc[[0, 0, 0, 1, 2]].reset_index(drop=True))
    table[advisor_scores.FIRST] = [4.0, 4.0, 4.0, 3.0, 0.5]
    table = table.assign(**{always: [1.0, 1.0, 1.0, 1.0, 0.5], constant: 0.5})
    monkeypatch.setattr(advisor_scores, "looked", lambda: table)
    pictures, texts = advisor_scores.bought_in_words().split("For **texts**")
    # Clothing counts once: (3 + 2) / 2, and not (3 + 3 + 3 + 2) / 4.
    assert f"against *{always}*: +2.5 (" in pictures and "over 2 data sets)" in pictures
    assert f"against *{always}*: the same in every situation" in texts


def test_only_what_was_judged_alike_is_drawn():
    names, judged = ["lora", "adapter", "feature_extraction"], [171, 171, 301]
    table = pd.DataFrame({"approach": names, "accuracy": [0.9, 0.8, 0.7], "judged": judged})
    ticks = advisor_scores.plot_test_size(table, 200).axes[0].get_yticklabels()
    assert [tick.get_text() for tick in ticks] == ["LoRA", "adapter"]


def test_reversals_are_counted_both_ways(scored):
    told = advisor_scores.reversal_sentence()
    assert "**2 times**: 1 for the better, 1 for the worse, by +0.5 points" in told


def test_a_race_is_compared_with_the_first_answer():
    measured = [
        {"approach": "adapter", "accuracy": 0.9, "judged": 100, "p_value": 1.0},
        {"approach": "lora", "accuracy": 0.8, "judged": 80, "p_value": 0.2},
    ]
    first, after = {"approach": "lora"}, {"approach": "adapter", "measured": measured}
    told = advisor_scores.after_the_race(first, after)
    assert "reverses" in told and "0.900 and 0.800" in told and "80 examples" in told
    assert "may be luck (p = 0.2)" in told
    measured[1]["p_value"] = 0.001
    assert "is clear (p = 0.001)" in advisor_scores.after_the_race(first, after)
    gone = advisor_scores.after_the_race(first, after | {"measured": measured[:1]})
    assert "*LoRA* was not measured" in gone
    assert "keeps" in advisor_scores.after_the_race(first, after | {"approach": "lora"})
