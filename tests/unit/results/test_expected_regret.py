"""Expected regret from all measured situations: by hand, one say for each data set, gaps filled."""

import functools

import numpy as np
import pandas as pd
import pytest
from rows import SECONDS, made, three

from helpers.experiments import grids
from helpers.results import learning_curves
from helpers.results.expected_regret import cheapest_credible, expected_regret

PLACES = {("digits", "pocket", 0.0): 0.8, ("textile", "pocket", 0.0): 0.1}


def two_tasks(first=(0.6, 0.8, 0.7), second=(0.8, 0.6, 0.7), **changes) -> pd.DataFrame:
    """Frozen, LoRA, full on digits at 100 examples and on textile at 400."""
    parts = [made(three(*first), 100), made(three(*second), 400, task="textile", **changes)]
    return pd.concat(parts)


def expected(runs, names=None, modality="image", places=PLACES):
    return expected_regret(modality, learning_curves.measured_curves(runs, places), names)


def test_size_distance_and_network_have_no_say():
    table = expected(two_tasks(first=(0.6, 0.9, 0.7)))
    assert table.loc["lora", "regret"] == pytest.approx(0.1)
    assert table.loc["feature_extraction", "regret"] == pytest.approx(0.15)
    assert table.loc["full_fine_tuning", "regret"] == pytest.approx(0.15)
    assert table.index[0] == "lora" and (table["families"] == 2).all()


def test_the_steps_of_a_dial_have_one_say_together():
    """Six steps of one task must not outvote another task as six."""
    dialled = [made(three(0.8, 0.6, 0.7), task="products_near", dial=step) for step in grids.DIALS]
    places = {("products_near", "pocket", round(step, 4)): 0.8 for step in grids.DIALS} | PLACES
    table = expected(pd.concat([made(three(0.6, 0.8, 0.7)), *dialled]), places=places)
    assert table.loc["lora", "regret"] == pytest.approx(0.1)
    assert table.loc["feature_extraction", "regret"] == pytest.approx(0.1)


def test_an_approach_that_was_not_run_somewhere_differs_there_as_elsewhere():
    """It must win nothing by staying away from a hard task, and lose nothing by it."""
    both = two_tasks(first=(0.6, 0.8, 0.7), second=(0.3, 0.5, 0.4))
    once = pd.concat([both, made({"adapter": [0.75] * 3}, 100)])
    assert "adapter" not in expected(once).index  # one data set tells nothing of others
    third = made(three(0.1, 0.3, 0.2) | {"adapter": [0.25] * 3}, 100, task="solar_cells")
    table = expected(pd.concat([once, third]))
    assert table.loc["adapter", "regret"] == pytest.approx(0.05)
    assert table.loc["lora", "regret"] == pytest.approx(0.0, abs=1e-9)
    assert table.loc["full_fine_tuning", "regret"] == pytest.approx(0.1)


def test_other_kinds_and_what_nothing_is_compared_with_have_no_say():
    runs = two_tasks()
    assert expected(runs, modality="text").empty
    assert expected(runs, names=["lora", "adapter"]).empty
    assert set(expected(runs, names=["lora", "full_fine_tuning"]).index) == {
        "full_fine_tuning",
        "lora",
    }
    few = made({n: v for n, v in three(0.1, 0.9, 0.5).items() if "full" not in n}, 1_000)
    with_few = expected(pd.concat([runs, few]))  # still being measured: two approaches
    assert with_few.loc["lora", "regret"] == expected(runs).loc["lora", "regret"]


def test_a_situation_whose_dear_approaches_are_to_come_has_no_say():
    """Frozen, LoRA and adapters alone on a third task, where frozen wins: full would have won."""
    whole = {"feature_extraction": 0.6, "partial_fine_tuning": 0.7, "full_fine_tuning": 0.8}
    four = {name: [mean] * 3 for name, mean in (whole | {"lora": 0.75}).items()}
    both = pd.concat([made(four, 100), made(four, 400, task="textile")])
    early = {"feature_extraction": [0.9] * 3, "adapter": [0.5] * 3, "lora": [0.4] * 3}
    with_early = expected(pd.concat([both, made(early, 1_000)]))
    assert with_early["regret"].to_dict() == expected(both)["regret"].to_dict()


def test_costs_are_relative_and_the_cheapest_within_the_margin_is_taken():
    table = expected(two_tasks(second=(0.6, 0.8, 0.7)))
    ratio = table.loc["full_fine_tuning", "cost"] / table.loc["feature_extraction", "cost"]
    assert ratio == pytest.approx(SECONDS["full_fine_tuning"] / SECONDS["feature_extraction"])
    take = functools.partial(cheapest_credible, table["regret"], table["cost"])
    assert take() == "lora"
    assert take(margin=0.2) == "feature_extraction"
    assert take(margin=0.19) == "lora"


def raced(schema=2):
    """Seed 1 is 0.3 harder for all; full fine-tuning, out of the race, did not run on it."""
    values = {
        "feature_extraction": [0.6, 0.3],
        "lora": [0.8, 0.5],
        "full_fine_tuning": [0.75],
    }
    return made(values, schema=schema)


def test_the_second_recipe_compares_raced_arms_on_the_seeds_that_they_share():
    held = learning_curves.measured_curves(raced(), PLACES)
    table = held.situations.set_index("approach")
    assert table.loc["lora", "mean"] == pytest.approx(0.65)
    assert table.loc["full_fine_tuning", "mean"] == pytest.approx(0.60)  # not 0.75
    regrets = expected_regret("image", held)
    assert regrets.loc["full_fine_tuning", "regret"] == pytest.approx(0.05)
    assert regrets.index[0] == "lora"


def test_the_first_recipe_wants_three_seeds_of_everything():
    assert learning_curves.measured_curves(raced(schema=1), PLACES).curves == ()


def test_an_additive_fit_gives_back_what_it_was_made_of():
    rng = np.random.default_rng(0)
    row, column = rng.normal(size=4), rng.normal(size=6)
    column -= column.mean()
    values = pd.DataFrame(np.add.outer(row, column))
    values = values.mask(rng.random(values.shape) < 0.4)
    values.loc[0, 0] = row[0] + column[0]
    found = learning_curves.additive(values)
    assert found[0].to_numpy() == pytest.approx(row, abs=1e-8)
    assert found[1].to_numpy() == pytest.approx(column, abs=1e-8)
