"""One run: every column filled, the same question the same id, bad questions refused."""

import math

import pytest

from helpers.approaches import APPROACHES
from helpers.errors import UserError
from helpers.experiments.single_run import RunConfig, run
from helpers.experiments.sweeps import recipe_settings
from helpers.results import runs, schema


@pytest.mark.parametrize("recipe", [1, 2])
@pytest.mark.parametrize("approach", sorted(APPROACHES))
def test_a_run_gives_a_whole_record(approach, recipe, tmp_path):
    asked = {"task": "products_near", "backbone": "pocket", "approach": approach, "n_train": 50}
    settings = recipe_settings({**asked, "settings": ""}, "") if recipe == 2 else ""
    row = run(RunConfig(**asked, epochs=2, schema=recipe, settings=settings))
    row["sweep"] = "test"
    path = tmp_path / "runs.csv"
    assert runs.append(row, path)
    (stored,) = runs.load_runs(path, schema=recipe).to_dict("records")
    assert schema.run_id(stored) == row["run_id"]
    assert 0 <= stored["test_accuracy"] <= 1
    assert stored["n_labels"] == stored["n_train"] + stored["n_validation"]
    solved = approach == "classical" or (recipe == 2 and approach == "feature_extraction")
    assert math.isnan(stored["updates"]) if solved else stored["updates"] == 4  # 2 epochs of 2
    assert math.isnan(stored["probe_val_accuracy"]) == (approach != "lp_ft")
    forgets = stored["source_accuracy_before"] - stored["source_accuracy_after"]
    if approach in ("feature_extraction",):
        assert forgets == 0 and stored["source_accuracy_before"] > 0.8
    if approach in ("from_scratch", "classical"):
        assert math.isnan(stored["source_accuracy_before"])


def test_a_quick_look_reads_fewer_test_examples():
    row = run(RunConfig("products_near", "pocket", "feature_extraction", 20, epochs=1), n_test=30)
    assert row["n_test"] == 30
    assert 0.5 < row["source_accuracy_before"] <= 1


def test_text_and_photo_backbones_run():
    row = run(RunConfig("tweets", "minilm", "feature_extraction", 40, epochs=2, image_size=16))
    assert row["modality"] == "text" and math.isnan(row["source_accuracy_after"])
    row = run(
        RunConfig("digits", "efficientnet_lite0", "feature_extraction", 40, epochs=2, image_size=64)
    )
    assert row["image_size"] == 64


def test_defaults_are_part_of_the_question():
    asked = RunConfig("products_near", "pocket", "lora", 50)
    resolved = asked.resolved()
    assert resolved.lr and resolved.epochs and resolved.image_size == 28
    assert resolved.resolved() == resolved
    explicit = RunConfig("products_near", "pocket", "lora", 50, lr=resolved.lr)
    assert explicit.resolved() == resolved


def test_bad_questions_are_refused():
    for config, message in (
        (RunConfig("nothing", "pocket", "lora", 50), "nothing"),
        (RunConfig("products_near", "nothing", "lora", 50), "no backbone"),
        (RunConfig("products_near", "pocket", "nothing", 50), "no approach"),
        (RunConfig("tweets", "pocket", "lora", 50), "reads images"),
        (RunConfig("products_near", "pocket", "lora", 50, settings="x=1"), "x=1"),
        (RunConfig("products_near", "pocket", "lora", 10**6), "10"),
    ):
        with pytest.raises(UserError, match=message):
            run(config)


def test_a_diverging_run_says_so():
    with pytest.raises(UserError, match="learning rate"):
        run(RunConfig("products_near", "pocket", "from_scratch", 50, lr=1e12, epochs=3))
