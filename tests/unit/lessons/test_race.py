"""A race of single runs: intervals, contenders, and the sentence about them."""

import math

import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.lessons.race import (
    binomial_interval,
    contenders,
    race_in_words,
    race_table,
)
from helpers.results.statistics import wilson_interval


def row(approach, accuracy, train, prepare=0.0, n=1000):
    return {
        "approach": approach,
        "test_accuracy": accuracy,
        "n_test": n,
        "prepare_seconds": prepare,
        "train_seconds": train,
    }


ROWS = [
    row("lp_ft", 0.86, 12.0, 3.0),
    row("lora", 0.87, 20.0),
    row("feature_extraction", 0.70, 1.0),
    row("adapter", 0.85, 4.0),
]


def test_the_interval_of_an_accuracy_is_that_of_its_count():
    assert binomial_interval(0.85, 400) == wilson_interval(340, 400)
    assert binomial_interval(2 / 3, 3) == wilson_interval(2, 3)


def test_table_is_sorted_and_counts_preparation():
    table = race_table(ROWS)
    assert list(table["approach"]) == ["lora", "lp_ft", "adapter", "feature_extraction"]
    assert table["seconds"].tolist() == [20.0, 15.0, 4.0, 1.0]
    assert (table["low"] < table["mean"]).all() and (table["mean"] < table["high"]).all()


def test_an_approach_twice_is_no_race():
    with pytest.raises(UserError, match="twice"):
        race_table([ROWS[0], ROWS[0]])


def test_contenders_are_cheapest_first_and_none_is_clearly_behind():
    assert list(contenders(race_table(ROWS))["approach"]) == ["adapter", "lp_ft", "lora"]


def test_the_sentence_names_winner_ties_and_the_cheapest():
    said = race_in_words(race_table(ROWS))
    assert said.startswith("First came *LoRA* with 0.870 (95 % interval 0.8")
    assert "Too close to it to call: *adapter*, *probe, then fine-tune*." in said
    assert said.endswith("*adapter* with 0.850: 4 s, where the winner took 20 s.")


def test_the_sentence_of_a_clear_and_of_a_cheap_winner():
    clear = race_table([row("lora", 0.95, 2.0), row("adapter", 0.60, 1.0)])
    assert race_in_words(clear).endswith("No other approach comes within its interval.")
    cheap = race_table([row("lora", 0.86, 0.25), row("adapter", 0.85, 1.0)])
    assert race_in_words(cheap).endswith("the winner is also the cheapest: 0.25 s.")


def test_the_sentence_without_runs_and_without_intervals():
    assert "recorded" in race_in_words(pd.DataFrame())
    single = race_table(ROWS).assign(low=math.nan, high=math.nan)
    assert race_in_words(single).startswith("First came *LoRA* with 0.870. That is a single")
