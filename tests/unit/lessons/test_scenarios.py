"""Scenarios: what a choice costs is read from the runs, and credit follows the regret."""

import math

import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.lessons.exercises import scenarios
from helpers.lessons.exercises.check import judge
from helpers.lessons.exercises.grading import Score
from helpers.lessons.exercises.scenarios import (
    Scenario,
    chosen,
    get_scenario,
    options,
    outcome,
    tell,
)
from helpers.results import runs
from helpers.results.learning_curves import Curve, Measured, measured_curves
from helpers.vocabulary import SHIPPED

SHOP = Scenario("shop", "A shop.", "boxes", "net", 100, trainings=60)
# Accuracy on three seeds, processor seconds of one training.
RUNS = {
    "lora": ((0.80, 0.82, 0.84), 10.0),
    "adapter": ((0.79, 0.83, 0.81), 4.0),
    "feature_extraction": ((0.70, 0.72, 0.74), 1.0),
    "classical": ((0.20, 0.22, 0.24), 0.1),
    "from_scratch": ((0.40, 0.90, 0.70), 20.0),
}


def curve(**changes):
    """Return a curve of the shop; approaches without a row of their own do as classical does."""
    rows = {name: RUNS.get(name, RUNS["classical"]) for name in SHIPPED}
    accuracy = pd.DataFrame({name: scores for name, (scores, _) in rows.items()})
    costs = pd.DataFrame({"train_seconds": {name: seconds for name, (_, seconds) in rows.items()}})
    facts = {
        "task": "boxes",
        "backbone": "net",
        "dial": 0.0,
        "image_size": 64,
        "modality": "image",
        "distance": 0.5,
        "how": "judged",
        "accuracy": {100: accuracy},
        "costs": {100: costs},
    }
    return Curve(**(facts | changes))


@pytest.fixture
def table():
    return options(SHOP, Measured((curve(),)))


def test_options_are_priced_over_all_trainings_and_ordered_by_accuracy(table):
    assert list(table["approach"][:3]) == ["lora", "adapter", "feature_extraction"]
    rows = table.set_index("approach")
    assert rows.loc["lora", "minutes"] == pytest.approx(10.0)
    assert rows.loc["feature_extraction", "points"] == pytest.approx(10.0)
    assert rows.loc["feature_extraction", ["low", "high"]].tolist() == pytest.approx([10, 10])
    assert rows.loc["adapter", "low"] < 0 < rows.loc["adapter", "high"]
    assert table["fits"].all()


def test_the_best_has_full_credit_and_hears_of_the_cheaper_one(table):
    best = outcome(SHOP, "lora", table)
    assert best.credit == 1.0
    assert "the best mean. adapter can't be told from the best either" in best.message
    assert "would save 6.0 processor minutes" in best.message


def test_what_seeds_cannot_tell_apart_has_full_credit(table):
    close = outcome(SHOP, "adapter", table)
    assert close.credit == 1.0
    assert "too close to call." in close.message


def test_credit_falls_with_the_regret(table):
    probe = outcome(SHOP, "feature_extraction", table)
    assert probe.credit == pytest.approx(1 - 10 / 60)
    assert "10.0 points lost (10.0 to 10.0) and 9.0 processor minutes saved" in probe.message
    assert outcome(SHOP, "classical", table).credit == 0.0


def test_what_ran_on_one_seed_says_so():
    one = curve(recipe=2)
    one.accuracy[100] = one.accuracy[100].head(1)
    lost = outcome(SHOP, "feature_extraction", options(SHOP, Measured((one,))))
    assert "10.0 points lost on one seed and" in lost.message


def test_wide_intervals_alone_earn_nothing(table):
    rows = table.set_index("approach")
    noisy = outcome(SHOP, "from_scratch", table)
    assert rows.loc["from_scratch", "low"] < 0
    assert noisy.credit == pytest.approx(1 - rows.loc["from_scratch", "points"] / 60)
    assert "10.0 processor minutes lost against lora" in noisy.message


def test_beyond_the_budget_there_is_no_credit():
    night = Scenario("night", "At night.", "boxes", "net", 100, trainings=60, minutes=2.0)
    table = options(night, Measured((curve(),)))
    assert table["approach"][0] == "feature_extraction"
    over = outcome(night, "lora", table)
    assert over.credit == 0.0
    assert over.message == "night, lora: 10.0 processor minutes, and 2 were allowed."
    assert outcome(night, "feature_extraction", table).credit == 1.0


@pytest.mark.parametrize(
    ("scenario", "held", "words"),
    [
        (SHOP, (), "'shop' are not recorded yet"),
        (SHOP, (curve(dial=0.5),), "not recorded yet"),
        (
            Scenario("s", "", "boxes", "net", 100, image_size=128),
            (curve(),),
            "'s' are not recorded yet",
        ),
        (Scenario("s", "", "boxes", "net", 100, minutes=0.0), (curve(),), "nothing fits"),
        (
            SHOP,
            (curve(accuracy={100: pd.DataFrame({"lora": [0.5, 0.6, 0.7]})}),),
            "'shop' are not all recorded yet",
        ),
    ],
)
def test_what_cannot_be_judged_is_said(scenario, held, words):
    with pytest.raises(UserError, match=words):
        options(scenario, Measured(held))


def test_unknown_names_are_said(table):
    with pytest.raises(UserError, match="did you mean 'lora'"):
        outcome(SHOP, "lorra", table)
    with pytest.raises(UserError, match="there is no scenario 'shop'"):
        get_scenario("shop")


@pytest.mark.parametrize("answer", [None, "lora", {}, {"fabric": "lora", "shop": "lora"}])
def test_an_answer_has_one_choice_for_each_scenario(answer):
    assert chosen("fabric")(answer) == "A dict with the keys fabric is wanted."
    assert chosen("fabric")({"fabric": ...}) == "Still to fill in: fabric."


@pytest.mark.files
def test_every_scenario_is_recorded_and_tells_approaches_apart():
    held = measured_curves(runs.load_runs())
    for scenario in scenarios.scenarios().values():
        table = options(scenario, held)
        assert len(table) == len(SHIPPED)
        assert f"**{scenario.name}**" in tell()
        credits = [outcome(scenario, name, table).credit for name in table["approach"]]
        assert max(credits) == 1.0
        assert min(credits) == 0.0
        assert all(math.isfinite(one) for one in credits)
        assert f"{scenario.n_train:,}" in scenario.words


@pytest.mark.files
def test_a_scenario_exercise_is_scored_by_its_mean_credit():
    name, scenario = next(iter(scenarios.scenarios().items()))
    table = options(scenario)
    rule = chosen(name)
    best, worst = (rule({name: table["approach"].iloc[place]}) for place in (0, -1))
    assert isinstance(best, Score)
    assert best.credit == 1.0
    assert worst.credit < 1.0
    assert "points lost" in worst.message


@pytest.mark.files
def test_a_habit_is_shown_what_it_costs():
    verdict = judge("10.4", dict.fromkeys(scenarios.scenarios(), "full_fine_tuning"))
    assert not verdict.right
    assert 0 < verdict.credit < 1
    lines = verdict.message.splitlines()
    assert "of the credit." in lines[0]
    assert len(lines) == 2 + len(scenarios.scenarios())
    assert lines[-1].startswith("Hint: ")
