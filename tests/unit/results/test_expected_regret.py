"""Expected regret from all measured situations: weights by hand, one say for each family."""

import math

import pandas as pd
import pytest
from rows import SECONDS, made, three

from helpers.decision import Situation
from helpers.experiments import grids
from helpers.results import learning_curves
from helpers.results.expected_regret import Weights, cheapest_credible, expected_regret
from helpers.tasks import TASKS

PLACES = {("digits", "pocket", 0.0): 0.8, ("textile", "pocket", 0.0): 0.6}


def two_tasks(first=(0.6, 0.8, 0.7), second=(0.8, 0.6, 0.7), **changes) -> pd.DataFrame:
    """Frozen, LoRA, full on digits at 100 examples and on textile at 400."""
    parts = [made(three(*first), 100), made(three(*second), 400, task="textile", **changes)]
    return pd.concat(parts)


def expected(situation, runs, **given):
    return expected_regret(situation, learning_curves.measured_curves(runs, PLACES), **given)


def test_weights_halve_with_size_and_distance():
    table = expected(Situation(100, 0.8), two_tasks())
    weight = 0.5 * 0.5  # textile: four times the examples, 0.2 nearer
    assert table.loc["lora", "regret"] == pytest.approx(weight * 0.2 / (1 + weight))
    assert table.loc["feature_extraction", "regret"] == pytest.approx(0.2 / (1 + weight))
    assert table.loc["full_fine_tuning", "regret"] == pytest.approx(0.1)
    assert list(table.index) == ["lora", "full_fine_tuning", "feature_extraction"]
    assert (table["families"] == 2).all()


def test_weights_halve_with_the_number_of_classes_where_it_is_known():
    factor = 3.0
    weights = Weights(class_factor=factor)
    table = expected(Situation(100, 0.8), two_tasks(), weights=weights, n_classes=10)
    classes = 0.5 ** (math.log(10 / 3) / math.log(factor))  # digits has ten, textile three
    weight = 0.5 * 0.5 * classes
    assert table.loc["lora", "regret"] == pytest.approx(weight * 0.2 / (1 + weight))
    # From the other side: digits is the one that lies off.
    table = expected(Situation(100, 0.8), two_tasks(), weights=weights, n_classes=3)
    assert table.loc["lora", "regret"] == pytest.approx(0.25 * 0.2 / (classes + 0.25))


def test_a_task_that_left_the_registry_weighs_by_the_rest(monkeypatch):
    """Records outlive the file that registered a task."""
    monkeypatch.delitem(TASKS, "textile")
    table = expected(Situation(100, 0.8), two_tasks(), n_classes=10)
    assert table.loc["lora", "regret"] == pytest.approx(0.25 * 0.2 / 1.25)


def test_another_backbone_keeps_a_share_only_where_one_is_asked_for():
    runs = two_tasks(backbone="efficientnet_lite0")
    places = PLACES | {("textile", "efficientnet_lite0", 0.0): 0.6}
    held = learning_curves.measured_curves(runs, places)
    asked = expected_regret(Situation(100, 0.8), held, backbone="pocket")
    weight = 0.25 * 0.25
    assert asked.loc["lora", "regret"] == pytest.approx(weight * 0.2 / (1 + weight))
    free = expected_regret(Situation(100, 0.8), held)
    assert free.loc["lora", "regret"] == pytest.approx(0.25 * 0.2 / 1.25)


def test_the_steps_of_a_dial_have_one_say_together():
    """Six steps of one task must not outvote another task as six."""
    dialled = [made(three(0.8, 0.6, 0.7), task="products_near", dial=step) for step in grids.DIALS]
    places = {("products_near", "pocket", round(step, 4)): 0.8 for step in grids.DIALS} | PLACES
    held = learning_curves.measured_curves(
        pd.concat([made(three(0.6, 0.8, 0.7)), *dialled]), places
    )
    table = expected_regret(Situation(100, 0.8), held)
    assert table.loc["lora", "regret"] == pytest.approx(0.1)
    assert table.loc["feature_extraction", "regret"] == pytest.approx(0.1)


def test_situations_that_lack_an_approach_or_seeds_have_no_say():
    short = two_tasks()
    short = short[~((short["task"] == "textile") & (short["approach"] == "lora"))]
    assert expected(Situation(100, 0.8), short, names=list(SECONDS))["families"].max() == 1
    runs = two_tasks()
    assert expected(Situation(100, 0.8, "text"), runs).empty
    assert expected(Situation(100, 0.8), runs, names=["lora", "adapter"]).empty


def test_costs_are_relative_and_the_cheapest_within_the_margin_is_taken():
    table = expected(Situation(100, 0.8), two_tasks(second=(0.6, 0.8, 0.7)))
    ratio = table.loc["full_fine_tuning", "cost"] / table.loc["feature_extraction", "cost"]
    assert ratio == pytest.approx(SECONDS["full_fine_tuning"] / SECONDS["feature_extraction"])
    assert cheapest_credible(table) == "lora"
    assert cheapest_credible(table, margin=0.2) == "feature_extraction"
    assert cheapest_credible(table, margin=0.19) == "lora"


def test_weights_can_be_switched_off():
    flat = Weights(size_factor=math.inf, distance=math.inf)
    table = expected(Situation(100, 0.8), two_tasks(), weights=flat)
    assert table.loc["lora", "regret"] == pytest.approx(0.1)
