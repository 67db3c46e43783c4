"""What stands beside rule and records: published cases."""

import pandas as pd
import pytest

from helpers.display.explorer.elsewhere import (
    Reach,
    compared_cases,
    published_near,
    published_words,
)
from helpers.display.explorer.settings import Point
from helpers.results.evidence import CLEAR, CLOSE, NONE
from helpers.results.published.cases import APPROACHES


def cases(*rows, distance="close", n=1_000):
    """Published cases, made up: one a row, as (data set, scores)."""
    empty = dict.fromkeys(APPROACHES, float("nan"))
    facts = {"modality": "image", "llm": "no", "distance": distance, "n_train": float(n)}
    return pd.DataFrame([
        facts | {"points": True, "source": "made_up", "data_set": name} | empty | scores
        for name, scores in rows
    ])  # fmt: skip


def three(full, linear):
    return [
        (name, {"full_fine_tuning": full + place, "feature_extraction": linear + place / 2})
        for place, name in enumerate("abc")
    ]


def test_what_is_ahead_on_every_data_set_is_clear_and_two_data_sets_are_not_enough():
    situation = Point(1_000, 0.1).situation()
    told = published_near(situation, cases(*three(80, 70)))
    assert (told.verdict, told.take, told.reach) == (CLEAR, "full_fine_tuning", Reach.SAME)
    words = published_words(told)
    assert "given up by full fine-tuning, 0.0 points on average (3 cases, 3 data sets" in words
    assert published_near(situation, cases(*three(80, 70)[:2])).verdict == CLOSE


def test_what_hardly_anybody_tried_is_not_named():
    odd = ("a", {"lora": 99.0, "full_fine_tuning": 98.0, "feature_extraction": 50.0})
    told = published_near(Point(1_000, 0.1).situation(), cases(odd, *three(80, 70)[1:]))
    assert told.take == "full_fine_tuning"
    assert {one.approach for one in told.standings} > {"lora"}


@pytest.mark.parametrize(
    ("distance", "reach"), [(0.1, Reach.SAME), (0.5, Reach.STEP), (0.9, Reach.NOTHING)]
)
def test_a_word_of_distance_reaches_its_neighbour_and_no_farther(distance, reach):
    told = published_near(Point(1_000, distance).situation(), cases(*three(80, 70)))
    assert told.reach is reach
    assert (told.verdict == NONE) == (told.take == "") == (reach is Reach.NOTHING)


def test_sizes_reach_a_factor_of_three():
    held = cases(*three(80, 70))
    reached = [published_near(Point(n, 0.1).situation(), held).reach for n in (200, 500, 5_000)]
    assert reached == [Reach.NOTHING, Reach.SAME, Reach.NOTHING]


def test_every_compared_case_has_a_size_and_points():
    held = compared_cases()
    assert len(held) > 300 and held["n_train"].notna().all() and held["points"].all()
