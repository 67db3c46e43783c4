"""Drift: the veil, what the trigger fires on, and what each policy trains on."""

import numpy as np
import pandas as pd
import pytest

from helpers.lessons import drift


@pytest.fixture(scope="module")
def rows():
    return drift.watched(weeks=6, photos=40, n_train=60)


def test_a_veil_makes_pictures_whiter_and_hides_them_whole():
    images = np.array([[0, 100, 255]], np.uint8)
    assert drift.veiled(images, 0.0).tolist() == images.tolist()
    assert drift.veiled(images, 1.0).tolist() == [[255, 255, 255]]
    half = drift.veiled(images, 0.5)
    assert half.tolist() == [[127, 177, 255]]
    assert half.dtype == np.uint8


def test_the_first_weeks_are_calm_and_none_comes_twice():
    weeks, pool = drift.stream(6, 10), drift.load_task(drift.TASK, n_test=60).test
    assert np.array_equal(weeks[1].inputs, pool.inputs[10:20])
    assert not np.array_equal(weeks[5].inputs, pool.inputs[50:])
    assert np.concatenate([week.labels for week in weeks]).tolist() == pool.labels.tolist()


def test_a_clones_sample_gives_every_week_its_share(monkeypatch):
    task = drift.load_task(drift.TASK, n_test=50)
    monkeypatch.setattr(drift, "load_task", lambda name: task)
    assert [len(week) for week in drift.stream(12, 60)] == [4] * 12


def test_policies_share_the_stream_until_one_retrains(rows):
    wide = rows.pivot(index="week", columns="policy", values="accuracy")
    assert wide.iloc[0].nunique() == 1
    never = rows[rows["policy"] == drift.NEVER]
    assert not never["retrained"].any()
    assert never["limit"].nunique() == 1
    calendar = rows[rows["policy"] == drift.CALENDAR]
    assert calendar.loc[calendar["retrained"], "week"].tolist() == [1]


def test_the_trigger_fires_where_confidence_is_below_its_limit(rows):
    own = rows[rows["policy"] == drift.TRIGGER]
    fires = (own["confidence"] < own["limit"]) & (own["week"] < own["week"].max())
    assert (own["retrained"] == fires).all()  # after the last week nothing is left to gain
    first = own[own["retrained"]]["week"].min()
    assert first >= drift.CALM - 1
    assert own[own["week"] <= first]["limit"].nunique() == 1
    assert own[own["week"] > first]["limit"].iloc[0] != own["limit"].iloc[0]


def test_the_words_are_those_of_the_table():
    rows = pd.DataFrame({
        "policy": [name for name in drift.POLICIES for _ in range(2)],
        "week": [0, 1] * 3,
        "accuracy": [0.8, 0.4, 0.8, 0.6, 0.8, 0.6],
        "retrained": [False, False, True, False, False, False],
    })  # fmt: skip
    rows.attrs["photos"] = 30
    words = drift.drift_in_words(rows)
    assert "*never retrained*: mean accuracy **0.600**, in the last week 0.400" in words
    assert "1 retraining, 30 labels" in words
    assert "fired first after week 0" in words
    assert "the trigger less the calendar is +0.0 points" in words
    rows["retrained"] = False
    assert "fired never" in drift.drift_in_words(rows)
