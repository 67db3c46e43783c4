"""Tracks come from the registries; what cannot run is said, and the figure has a row for each."""

import numpy as np
import pandas as pd
import pytest

from helpers.backbones import BACKBONES
from helpers.errors import DataNotFound
from helpers.experiments.single_run import RunConfig
from helpers.lessons import tracks
from helpers.lessons.race import race_table
from helpers.tasks import TASKS, Source


def test_tracks_are_small_and_fair():
    found = tracks.live_tracks()
    assert ("products_near", "pocket") in found
    for task, backbone in found:
        assert TASKS[task].image_size <= tracks.LIVE_PIXELS >= BACKBONES[backbone].default_size
        assert task not in BACKBONES[backbone].overlaps


def row(config):
    return {
        "approach": config.approach,
        "test_accuracy": 0.8 if config.approach == "lora" else 0.6,
        "n_test": 100,
        "prepare_seconds": 0.0,
        "train_seconds": 1.0,
    }


@pytest.fixture
def raced(monkeypatch):
    """Return the table and the sentences of three tracks, one of them without data."""

    def run(config, n_test):
        if config.task == "digits":
            raise DataNotFound("the digits are not here")
        return row(config)

    monkeypatch.setattr(tracks, "run", run)
    pairs = [("products_near", "pocket"), ("digits", "pocket"), ("textile", "pocket")]
    return tracks.race_tracks(pairs, ["classical", "lora"], 20)


def test_a_track_out_of_reach_is_named_and_the_others_run(raced):
    table, missing = raced
    assert missing == ["pocket on digits: the digits are not here"]
    assert list(dict.fromkeys(table.track)) == ["pocket on products_near", "pocket on textile"]
    assert table.chance.tolist() == pytest.approx([0.2, 0.2, 1 / 3, 1 / 3])
    first = race_table([row(RunConfig("textile", "pocket", "lora", 20))])
    assert table.low[2] == first.low[0]


def test_no_track_at_all_is_an_empty_table():
    table, missing = tracks.race_tracks([], ["lora"], 20)
    assert table.empty and missing == []


def test_the_figure_has_a_row_for_each_track_and_grows_no_further_than_five_inches(raced):
    table, _ = raced
    drawn = tracks.plot_tracks(table, "two tracks")
    ax = drawn.axes[0]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(dict.fromkeys(table.track))
    assert {"no network", "LoRA", "guessing"} == {t.get_text() for t in ax.get_legend().get_texts()}
    many = pd.concat([table.assign(track=f"track {i}") for i in range(20)])
    assert tracks.plot_tracks(many, "many").get_size_inches()[1] <= 5.0


def test_a_drawn_source_is_stratified_disjoint_and_the_same_each_time():
    labels = np.repeat([0, 1], [60, 40])
    inputs = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
    source, again = (Source.drawn(inputs, labels, n_test=20, n_validation=10) for _ in range(2))
    parts = [source.train, source.validation, source.test]
    assert [len(part) for part in parts] == [70, 10, 20]
    assert [int(part.labels.sum()) for part in parts] == [28, 4, 8]
    assert len({int(v) for part in parts for v in part.inputs.ravel()}) == 100
    assert (source.test.inputs == again.test.inputs).all()
