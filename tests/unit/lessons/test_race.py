"""The seconds of a single run, and the runs that the first race shows."""

import pandas as pd

from helpers.lessons.exercises.n00 import _curves
from helpers.lessons.race import with_seconds


def test_seconds_are_those_of_the_processor():
    table = pd.DataFrame({"train_seconds": [120.0], "train_cpu_seconds": [15.0]})
    assert with_seconds(table)["seconds"].tolist() == [15.0]


def test_pocket_races_are_judged_on_the_draws_that_all_ran():
    curves = _curves()
    assert curves["runs"].le(3).all() and set(curves["image_size"]) == {28}
