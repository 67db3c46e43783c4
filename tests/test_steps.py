"""What one training step costs: memory that adds up, and the order theory demands."""

import pytest
import torch
from tiny import tiny_task, tiny_text_task
from torch import nn

from helpers.backbones import load_backbone
from helpers.steps import first_step, memory_parts, step_costs

NAMES = ["feature_extraction", "partial_fine_tuning", "full_fine_tuning", "lora", "adapter"]


@pytest.fixture(scope="module")
def table():
    pocket = load_backbone("pocket", pretrained=False)
    return step_costs(pocket, tiny_task(16), NAMES, size=8, repeats=1).set_index("approach")


def test_a_step_does_what_theory_says(table):
    flops, trained = table["gflops"], table["trainable"]
    assert flops["feature_extraction"] < flops["partial_fine_tuning"] < flops["full_fine_tuning"]
    # Gradients for the base's weights are what LoRA and adapters save: a third of the work.
    assert 0.5 < flops["adapter"] / flops["full_fine_tuning"] < 0.75
    assert flops["adapter"] < flops["lora"] < flops["full_fine_tuning"]
    assert trained["feature_extraction"] < trained["adapter"] < trained["lora"]
    assert (table["step_ms"] > 0).all()


def test_memory_is_split_by_what_holds_it(table):
    assert table["moments_mb"].to_dict() == pytest.approx((8e-6 * table["trainable"]).to_dict())
    assert (table["passing_mb"] > 0).all()
    # Few trained parameters, yet the activations of the whole network stay.
    assert table["passing_mb"]["lora"] > table["passing_mb"]["partial_fine_tuning"]


def test_the_peak_has_the_moments_and_the_activations_together():
    model = nn.Sequential(nn.Linear(100, 100, bias=False), nn.ReLU(), nn.Linear(100, 2, bias=False))
    parts = memory_parts(model, torch.randn(1000, 100), torch.zeros(1000, dtype=torch.int64))
    weights = 4 * (100 * 100 + 200) / 1e6
    assert parts["weights_mb"] == pytest.approx(weights)
    assert parts["moments_mb"] == pytest.approx(2 * weights)
    # The input (0.4 MB) and one hidden layer are held while the moments are there.
    assert parts["passing_mb"] > 0.8


def test_texts_and_frozen_stages():
    tiny = load_backbone("minilm", pretrained=False)
    model, (hidden, mask), labels = first_step(tiny, tiny_text_task(), "partial_fine_tuning", 4)
    assert model.start == 5 and hidden.shape[0] == len(mask) == len(labels) == 4
    model, ids, _ = first_step(tiny, tiny_text_task(), "lora", 4)
    assert model.start == 0 and ids.dtype == torch.int32
