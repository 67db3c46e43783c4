"""What notebook 01 shows of a network is what the network does."""

import numpy as np
import pytest

from helpers.backbones import load_backbone
from helpers.lessons.network_inspection import (
    batchnorm_shift,
    imagenet_names,
    imagenet_samples,
    made_of,
    pooled_stages,
    stage_table,
)
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


def test_imagenet_samples_and_names():
    images, labels = imagenet_samples()
    assert images.shape == (20, 224, 224, 3) and images.dtype == np.uint8
    assert len(labels) == 20 and labels.max() < 1000
    assert imagenet_names([243, 0]) == ["bull mastiff", "tench"]
