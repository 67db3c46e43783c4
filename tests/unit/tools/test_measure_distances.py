"""Distances of tasks from backbones: what is asked, how a row is made and kept; curve panels."""

import math

import numpy as np
import pandas as pd
import pytest

from helpers.display.plots import small_multiples
from helpers.errors import UserError
from helpers.experiments import domain_distance
from helpers.lessons import crossings
from helpers.results.learning_curves import DISTANCES_FILE
from helpers.vocabulary import FEATURE_EXTRACTION as FROZEN
from helpers.vocabulary import FULL_FINE_TUNING as FULL
from tools.measure.measure_distances import Place, measure_place, missing, places


def a_row(task="digits", dial=0.0, distance=0.5):
    """A made-up row; the scores follow the distance."""
    row = dict.fromkeys(DISTANCES_FILE.columns, 0.5) | {
        "backbone": "pocket",
        "task": task,
        "dial": dial,
    }
    row |= {"image_size": 28, "distance": distance, "frechet": distance, "reference": "x"}
    return row | {"above_chance": 1 - distance, "log_me": -distance, "n": 10, "seed": 0}


def test_places_cover_the_sweeps_and_the_source():
    found = places()
    assert len(found) == len(set(found))
    assert Place("pocket", "products_source", 0.0, 28) in found
    assert Place("efficientnet_lite0", "clothing", 0.0, 64) in found
    assert Place("minilm", "tweets", 0.0, 64) in found
    assert sum(place.task == "products_near" for place in found) == 3  # steps of the dial


def test_distance_grows_with_frechet_and_stays_below_one():
    assert domain_distance.as_distance(0) == 0
    assert domain_distance.as_distance(1) == 0.5
    assert 0.99 < domain_distance.as_distance(1000) < 1


def test_a_gap_survives_the_choice_of_directions():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 300, 200))
    near = domain_distance.cloud_distance(first, second)
    assert near < 0.2
    assert domain_distance.cloud_distance(first, second + 1) > 1 + near


def test_few_examples_are_told_as_near_as_many():
    spread = np.arange(1, 65.0) ** -0.75  # features vary along few directions
    rng, rows = np.random.default_rng(0), []
    for _ in range(5):
        source = rng.normal(size=(400, 64)) * spread
        near = rng.normal(size=(1_000, 64)) * spread + spread / 4
        few = near[:60]
        told = [domain_distance.cloud_distance(source, cloud) for cloud in (few, near)]
        rows.append([domain_distance.frechet_distance(source, few), *told])
    plain, few, many = np.mean(rows, axis=0)
    assert plain > many + 0.08
    assert few == pytest.approx(many, abs=0.04)


def test_a_pocket_row_is_near_for_the_source_and_far_for_its_inverse():
    near = measure_place(Place("pocket", "products_near", 0.0, 28), n=200)
    far = measure_place(Place("pocket", "products_near", 1.0, 28), n=200)
    assert list(near) == DISTANCES_FILE.columns
    assert 0 < near["distance"] < far["distance"] < 1
    assert near["low"] < near["probe"] < near["high"]


def test_rows_are_appended_whole_and_missing_knows_them(tmp_path):
    path = tmp_path / "distances.csv"
    before = len(missing(path))
    DISTANCES_FILE.append(a_row(), path)
    path.write_text(path.read_text() + "pocket,half", encoding="utf-8")  # a killed writer
    DISTANCES_FILE.append(a_row("products_near", 3 / 6), path)
    held = DISTANCES_FILE.load(path)
    assert list(held["task"]) == ["digits", "products_near"]
    DISTANCES_FILE.append(a_row("products_near", 1.0), path)
    assert len(missing(path)) == before - 3


def test_bad_rows_and_files_are_refused(tmp_path):
    path = tmp_path / "distances.csv"
    with pytest.raises(UserError, match="differ: distance"):
        DISTANCES_FILE.append({k: v for k, v in a_row().items() if k != "distance"}, path)
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="other columns"):
        DISTANCES_FILE.load(path)


def test_a_gain_that_grows_with_distance_correlates_by_one():
    tasks = ["a", "b", "c", "d"]
    table = pd.DataFrame([a_row(task, distance=0.2 * i) for i, task in enumerate(tasks)])
    gains = pd.DataFrame({"task": tasks, "mean": [0.0, 0.1, 0.2, 0.4]})
    gains = gains.assign(backbone="pocket", dial=0.0, image_size=28, n_train=50)
    gains = domain_distance.beside(table, gains)
    found = domain_distance.gains_by_distance(gains).iloc[0]
    for name in domain_distance.SIGNS:
        assert found[name] == pytest.approx(1)
    few = domain_distance.gains_by_distance(gains.head(3)).iloc[0]
    assert math.isnan(few["frechet"])


def duel(gains):
    """Runs of two approaches, three seeds each, whose paired gains are about `gains` by size."""
    rows = [
        ("t", "pocket", n, 0.0, 28, approach, seed, 0.5 + share * (gain + 0.001 * seed))
        for n, gain in gains.items()
        for seed in range(3)
        for approach, share in ((FROZEN, 0), (FULL, 1))
    ]
    names = ["task", "backbone", "n_train", "dial", "image_size", "approach", "seed"]
    names += ["test_accuracy"]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize(
    ("gains", "examples", "clear"),
    [
        ({10: 0.1, 100: 0.2}, 10, 10),
        ({10: -0.101, 1000: 0.099}, 100, 1000),
        ({10: 0.1, 100: -0.1}, math.nan, 10),
        ({10: -0.1, 100: -0.2}, math.nan, math.nan),
    ],
)
def test_overtakes(gains, examples, clear):
    row = crossings.overtakes(duel(gains)).iloc[0]
    assert row["examples"] == pytest.approx(examples, rel=0.03, nan_ok=True)
    assert row["clear"] == pytest.approx(clear, nan_ok=True)
    assert row["largest"] == max(gains)


def test_small_multiples_has_a_panel_for_each_task_and_one_legend():
    table = pd.DataFrame(
        [(task, "lora", n, 0.5) for task in "abc" for n in (50, 200)],
        columns=["task", "approach", "n_train", "mean"],
    )
    made = small_multiples(table, "task", title="Curves", mark=("from", 100))
    shown = [ax for ax in made.axes if ax.get_visible()]
    assert [ax.get_title("left") for ax in shown] == ["a", "b", "c"]
    assert all(ax.get_xlabel() == "from 100" for ax in shown)
    assert len(made.legends) == 1 and not any(ax.get_legend() for ax in shown)
