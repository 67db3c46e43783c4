"""What notebook 01 shows of a network is what the network does."""

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.backbones import Recipe, load_backbone
from helpers.lessons.network_inspection import (
    batchnorm_shift,
    best_in_words,
    best_stages,
    imagenet_names,
    imagenet_samples,
    loudest,
    made_of,
    meaning_or_word,
    plot_map,
    pooled_stages,
    probe_stages,
    recipe_costs,
    stage_bands,
    stage_table,
)
from helpers.lessons.photos import linear_model
from helpers.tasks import load_task
from helpers.training.feature_cache import extract_features


@pytest.fixture(scope="module")
def pocket():
    return load_backbone("pocket")


def test_stage_table_adds_up(pocket):
    table = stage_table(pocket)
    assert table["parameters"].sum() == sum(p.numel() for p in pocket.parameters())
    assert table["FLOPs (%)"].sum() == pytest.approx(100)
    assert table["output shape"].iloc[-1] == (80, 4, 4)
    # The stem: 24 filters of 5×5 on 14×14 places, two FLOPs a multiply-add.
    stem = 2 * 24 * 25 * 14 * 14
    first_block = 2 * 2 * 24 * 24 * 9 * 14 * 14
    shares = table["FLOPs (%)"]
    assert shares[1] / shares[0] == pytest.approx(first_block / stem)


def test_parts_are_counted(pocket):
    assert made_of(pocket.stages[0]) == "Conv2d, BatchNorm2d, ReLU"
    assert made_of(load_backbone("efficientnet_lite0").stages[4]) == "3 InvertedResidual"


def test_last_pooled_stage_is_the_features(pocket):
    images = load_task("products_near", n_train=70).train.inputs
    stages = pooled_stages(pocket, images)
    assert [stage.shape for stage in stages] == [(70, width) for width in (24, 24, 48, 80, 80)]
    np.testing.assert_allclose(stages[-1], extract_features(pocket, images, cache=False), atol=1e-5)


def test_texts_have_stages_too():
    stages = pooled_stages(load_backbone("minilm"), ["one short text", "another"])
    assert [stage.shape for stage in stages] == [(2, 384)] * 7


def test_batchnorm_remembers_the_source_and_is_left_alone(pocket):
    before = {key: value.clone() for key, value in pocket.state_dict().items()}
    source = batchnorm_shift(pocket, load_task("products_source", n_train=200).train.inputs)
    digits = batchnorm_shift(pocket, load_task("digits", n_train=200).train.inputs)
    assert len(source) == 11
    assert source[0] < 0.1 < digits[0]
    assert all((before[key] == value).all() for key, value in pocket.state_dict().items())
    assert not any(module._forward_pre_hooks for module in pocket.modules())


def test_channels_that_never_varied_have_no_say():
    lite = load_backbone("efficientnet_lite0", size=64)
    norms = [one for one in lite.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    assert any((one.running_var == 0).any() for one in norms)  # dead ones, as it comes
    shifts = batchnorm_shift(lite, load_task("clothing", n_train=10, image_size=64).train.inputs)
    assert len(shifts) == len(norms) == 49
    assert np.isfinite(shifts).all()


def test_imagenet_samples_and_names():
    images, labels = imagenet_samples()
    assert images.shape == (20, 224, 224, 3) and images.dtype == np.uint8
    assert len(labels) == 20 and labels.max() < 1000
    assert imagenet_names([243, 0]) == ["bull mastiff", "tench"]


def test_the_loudest_maps_are_those_that_vary_most(pocket):
    images = load_task("digits", n_train=20).train.inputs[:3]
    maps = loudest(pocket, images, 2, 4)
    assert maps.shape[:2] == (3, 4) and maps.min() == 0 and maps.max() <= 1
    every = loudest(pocket, images, 2, 24)
    assert np.array_equal(every[:, :4], maps)


def test_a_wrong_recipe_costs_and_the_right_one_nothing(pocket):
    digits = load_task("digits", n_train=200, n_test=100)
    known = extract_features(pocket, digits.test.inputs)
    probe = linear_model().fit(extract_features(pocket, digits.train.inputs), digits.train.labels)
    right, black = pocket.recipe, Recipe(28, 1, (50.0,), (1.0,))
    wrong = {"right": (digits.test.inputs, right), "black": (digits.test.inputs, black)}
    table = recipe_costs(pocket, probe, known, digits.test.labels, wrong).set_index("recipe")
    assert table.loc["right", "mean"] == 0 and table.loc["black", "high"] < 0


def test_stages_are_probed_in_pairs_and_told():
    rows = probe_stages("pocket", ["digits"], n_train=60, n_test=50, size=28, draws=2)
    wide = rows.pivot(index=["stage", "seed"], columns="weights", values="accuracy")
    assert wide["gain"].tolist() == pytest.approx((wide["pretrained"] - wide["random"]).tolist())
    best = best_stages(stage_bands(rows))
    assert best["stage"].tolist() == [wide.groupby("stage")["pretrained"].mean().idxmax()]
    told = pd.DataFrame([{"task": "a", "stage": 3, "mean": 0.5, "mean_gain": 0.1, "low_gain": -1}])
    assert "after stage 3" in best_in_words(told) and "+10.0" in best_in_words(told)
    assert "not clear" in best_in_words(told)
    assert "not clear" not in best_in_words(told.assign(low_gain=0.01))


def test_meanings_and_words_are_compared_in_their_groups():
    same = "A cat sleeps. | A cat sleeps. | Stocks fell on Monday."
    table = meaning_or_word(load_backbone("minilm"), [same, same])
    last = table[table["stage"] == table["stage"].max()].groupby("pair")["cosine"].mean()
    assert last["same meaning"] == pytest.approx(1.0, abs=1e-5) and last["same word"] < 0.9


def test_a_map_names_its_classes():
    drawn = plot_map(np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1]), ["hat", "shirt"])
    assert [t.get_text() for t in drawn.axes[0].get_legend().get_texts()] == ["hat", "shirt"]
