"""What one training step costs: memory that adds up, and the order theory demands."""

import copy

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_task, tiny_text_task
from torch import nn

from helpers.backbones import load_backbone
from helpers.experiments.costs import TensorMemory
from helpers.experiments.timing import first_step, memory_parts, step_costs
from helpers.training.loop import trainable

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


def test_one_pass_shows_what_a_second_step_holds():
    """The oracle: two whole steps watched, the moments that AdamW keeps taken off."""
    pocket = load_backbone("pocket", pretrained=False)
    for name in NAMES:
        model, inputs, labels = first_step(pocket, tiny_task(16), name, 8)
        found = memory_parts(model, inputs, labels)
        watched = copy.deepcopy(model).train()
        held = [*watched.parameters(), *watched.buffers()]
        memory = TensorMemory()
        for tensor in (*held, inputs, labels):
            memory.track(tensor.data)
        optimizer = torch.optim.AdamW(trainable(watched), lr=0.0, weight_decay=0.0, fused=True)
        with memory:
            for _ in range(2):
                F.cross_entropy(watched(inputs), labels).backward()
                optimizer.step()
                optimizer.zero_grad()
        kept = 1e6 * (found["weights_mb"] + found["moments_mb"])
        counters = 4 * len(list(watched.parameters()))  # AdamW counts its steps, too
        assert memory.peak - kept - 1e6 * found["passing_mb"] == pytest.approx(0, abs=counters)


def test_texts_and_frozen_stages():
    tiny = load_backbone("minilm", pretrained=False)
    model, (hidden, mask), labels = first_step(tiny, tiny_text_task(), "partial_fine_tuning", 4)
    assert model.start == 5 and hidden.shape[0] == len(mask) == len(labels) == 4
    model, ids, _ = first_step(tiny, tiny_text_task(), "lora", 4)
    assert model.start == 0 and ids.dtype == torch.int32
