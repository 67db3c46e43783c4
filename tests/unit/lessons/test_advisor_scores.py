"""Notebook 14's scores: regrets are those of the file, constants know no task of the case."""

import pandas as pd
import pytest

from helpers.lessons import advisor_scores
from helpers.paths import results_dir
from helpers.vocabulary import LORA, label_of


def test_what_is_given_up_is_what_the_file_says():
    """The table finds each case's runs by itself."""
    asked = pd.read_csv(results_dir() / "advisor.csv")
    table = advisor_scores.given_up()
    for row in asked.itertuples():
        way = advisor_scores.FIRST if row.mode == "look" else advisor_scores.RACE
        assert table.loc[row.case, way] == pytest.approx(row.regret_points, abs=0.006)
    lora = asked[asked["recommended"] == LORA].iloc[0]
    always = table.loc[lora["case"], f"always {label_of(LORA)}"]
    assert always == pytest.approx(lora["regret_points"], abs=0.006)


@pytest.fixture
def scored(monkeypatch):
    """Four cases: the race keeps, gains, loses, and was not run."""
    named = [("lora", "lora"), ("lora", "adapter"), ("lora", "adapter"), ("lora", None)]
    table = pd.DataFrame(
        {
            "kind": ["pictures", "pictures", "texts", "texts"],
            advisor_scores.FIRST: [0.0, 3.0, 1.0, 9.0],
            advisor_scores.RACE: [0.0, 1.0, 2.0, None],
            advisor_scores.CONSTANT: [0.0, 3.0, 0.0, 0.0],
            **dict.fromkeys(advisor_scores.FIXED, [2.0, 2.0, 2.0, 2.0]),
            "named": [{"look": look, "measure": race} for look, race in named],
        },
        index=["a", "b", "c", "d"],
    )
    monkeypatch.setattr(advisor_scores, "given_up", lambda: table)


def test_a_constant_that_did_better_is_named(scored):
    told = advisor_scores.constant_sentence()
    assert told.startswith("On 3 held-out cases the first answer gave up 1.3 points")
    assert "For pictures the first answer is that constant." in told
    assert "**The constant did better than the race in 1** of them (c) and worse in 1." in told
    shown = advisor_scores.beside_constants()
    assert shown.loc[advisor_scores.RACE].tolist() == [0.5, 2.0, 2.0, 2]


def test_reversals_are_counted_both_ways(scored):
    assert list(advisor_scores.reversals().index) == ["b", "c"]
    told = advisor_scores.reversal_sentence()
    assert "**2 of 3** cases: 1 time for the better, 1 for the worse, by +0.5 points" in told


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
