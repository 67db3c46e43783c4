"""A single run: the interval of its accuracy, and its seconds."""

import pandas as pd

from helpers.lessons.exercises.n00 import _curves
from helpers.lessons.race import binomial_interval, with_seconds
from helpers.results.statistics import wilson_interval


def test_the_interval_of_an_accuracy_is_that_of_its_count():
    assert binomial_interval(0.85, 400) == wilson_interval(340, 400)
    assert binomial_interval(2 / 3, 3) == wilson_interval(2, 3)


def test_seconds_are_those_of_the_processor():
    table = pd.DataFrame({"train_seconds": [120.0], "train_cpu_seconds": [15.0]})
    assert with_seconds(table)["seconds"].tolist() == [15.0]


def test_pocket_races_are_judged_on_the_draws_that_all_ran():
    curves = _curves()
    assert curves["runs"].le(3).all() and set(curves["image_size"]) == {28}
