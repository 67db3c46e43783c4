"""What the explorer's page says beside the verdicts: a year's bill, larger pictures."""

import itertools
from dataclasses import replace

import pandas as pd
import pytest
from rows import make_row

from helpers.display.explorer.settings import Point
from helpers.results.evidence import Candidate
from helpers.results.larger_pictures import larger_pictures, larger_words, nearest_larger
from tools.site.upkeep import upkeep, upkeep_words

DEAR = Candidate("full_fine_tuning", 0.80, 0.7, 0.9, 3_600.0, 10.0, 1.0, 3)
CHEAP = Candidate("feature_extraction", 0.79, 0.7, 0.9, 36.0, 1.0, 1.0, 3)


def test_a_year_costs_every_training_and_the_worth_of_points_decides():
    point = Point(tasks=10, retrainings=2, hour_price=2.0, release_minutes=30, point_worth=100.0)
    told = upkeep(point, [DEAR, CHEAP])
    assert told.computing == {"full_fine_tuning": 60.0, "feature_extraction": pytest.approx(0.6)}
    assert told.people_hours == 15
    assert told.take == "full_fine_tuning"  # a point for ten tasks: 1,000 against 59.4
    assert upkeep(replace(point, point_worth=5.0), [DEAR, CHEAP]).take == "feature_extraction"
    assert upkeep(replace(point, retrainings=365), [DEAR, CHEAP]).take == "feature_extraction"
    assert "(feature extraction, the cheapest, 0.600)" in upkeep_words(point, told)


def test_without_a_recorded_time_there_is_no_bill():
    told = upkeep(Point(), [])
    assert told.take == "" and "no bill" in upkeep_words(Point(), told)


@pytest.fixture(scope="module")
def sized():
    """Runs of the frozen network on two tasks: larger pictures help on one of them."""
    tasks = {"clothing": 0.1, "textile": -0.05}
    return pd.DataFrame([
        make_row(
            task=task,
            backbone="efficientnet_lite0",
            approach="feature_extraction",
            image_size=size,
            n_train=200,
            seed=seed,
            lr=0.01,
            dial=0.0,
            test_accuracy=0.6 + gain * place + 0.001 * seed,
            train_cpu_seconds=1.0 + place,
        )
        for (task, gain), (place, size), seed in itertools.product(
            tasks.items(), enumerate((64, 128, 224)), range(3)
        )
    ])  # fmt: skip


def test_larger_pictures_are_advised_where_they_helped_alone(sized):
    clothing, textile = larger_pictures(sized)
    assert [s.pixels for s in clothing.sizes] == [64, 128, 224]
    told = larger_words(clothing, 64)
    assert told.startswith("Before you move a weight, feed it larger pictures.")
    assert "20.0 points more" in told
    assert "10.0 points less" in larger_words(textile, 64)
    assert "10.0 points more" in larger_words(clothing, 128)
    assert "the largest recorded" in larger_words(clothing, 224)
    assert nearest_larger([clothing, textile], 0.0) is clothing
    assert nearest_larger([clothing, textile], 1.0) is textile


def test_sizes_with_too_few_seeds_do_not_count(sized):
    assert larger_pictures(sized[sized["seed"] < 2]) == ()
    assert larger_pictures(sized.iloc[:0]) == ()
    assert larger_words(None, 64) == "Nothing is recorded of larger pictures."
