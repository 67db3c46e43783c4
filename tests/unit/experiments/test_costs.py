"""Costs: counted against formulas, and in the order the approaches promise."""

import copy
import gc
import weakref

import pytest
import torch
from tiny import tiny_task, tiny_text_task
from torch import nn

from helpers.approaches import APPROACHES, get_approach
from helpers.backbones import load_backbone
from helpers.experiments import costs
from helpers.training.checkpoints import task_bytes


def fit(name: str, task=None):
    task = task or tiny_task(64)
    approach = get_approach(name)
    backbone = load_backbone("pocket", pretrained=False, seed=0)
    config = approach.config("image", 64, epochs=2, batch_size=32, device="cpu")
    options = approach.options()
    fitted = approach.fit(backbone, task, config, options)
    return fitted, costs.measure(fitted, task, config, options)


@pytest.fixture(scope="module")
def measured():
    return {name: fit(name) for name in APPROACHES}


def test_flops_of_a_linear_layer_are_its_formula():
    layer, x = nn.Linear(30, 20), torch.randn(8, 30)
    assert costs.forward_flops(lambda: layer(x)) == 2 * 8 * 30 * 20
    # Backward: the weight's gradient costs the same again; the input needs none.
    assert costs.step_flops(layer, x, torch.zeros(8, dtype=torch.long)) == 4 * 8 * 30 * 20


@pytest.mark.parametrize("groups", [1, 4, 16])
def test_flops_of_a_convolution_step_are_three_forwards_less_the_inputs_gradient(groups):
    first = nn.Conv2d(16, 16, 3, padding=1, groups=groups, bias=False)
    second = nn.Conv2d(16, 16, 3, padding=1, groups=groups, bias=False)
    model = nn.Sequential(first, second, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    forward = 2 * 2 * 10 * 10 * 16 * (16 // groups) * 9
    step = costs.step_flops(model, torch.randn(2, 16, 10, 10), torch.zeros(2, dtype=torch.long))
    assert step == 2 * forward + 4 * forward - forward


def test_memory_of_a_step_is_its_formula():
    """Weights, gradients and AdamW's two moments, plus what the layers in between keep."""
    layers = [nn.Linear(500, 500, bias=False) for _ in range(4)]
    model, x = nn.Sequential(*layers), torch.randn(64, 500)
    weights = 4 * 500 * 500 * 4
    activations = 64 * 500 * 4
    peak = costs.step_memory(model, x, torch.zeros(64, dtype=torch.long))
    assert 4 * weights <= peak <= 4 * weights + 1.2 * weights + 12 * activations


def test_memory_counts_live_tensors_only():
    with costs.TensorMemory() as memory:
        first = torch.zeros(1000)
        assert memory.live == 4000
        del first
        assert memory.live == 0
        view = torch.zeros(500)[:10]
        assert memory.live == 2000
        del view
    assert memory.peak == 4000


def test_frozen_layers_keep_no_activations():
    frozen = nn.Sequential(*[nn.Linear(400, 400) for _ in range(6)], nn.Linear(400, 2))
    moving = copy.deepcopy(frozen)
    frozen[:6].requires_grad_(False)
    x, y = torch.randn(256, 400), torch.zeros(256, dtype=torch.long)
    assert costs.step_memory(frozen, x, y) < 0.6 * costs.step_memory(moving, x, y)


def test_every_column_is_measured(measured):
    columns = {
        "prepare_seconds", "train_seconds", "train_cpu_seconds", "flops_train", "peak_memory_mb",
        "trainable_params", "total_params", "stored_mb", "latency_ms", "latency_unmerged_ms",
    }  # fmt: skip
    for name, (_, row) in measured.items():
        assert set(row) == columns, name
        zero = {key for key, value in row.items() if not value > 0}
        assert zero <= {"prepare_seconds"}, (name, zero)


def test_stored_megabytes_are_those_of_the_file(measured):
    for name, (fitted, row) in measured.items():
        if name != "classical":
            assert row["stored_mb"] == pytest.approx(len(task_bytes(fitted.model)) / 1e6)


def test_costs_stand_in_the_order_that_freezing_implies(measured):
    rows = {name: row for name, (_, row) in measured.items()}
    for column in ("stored_mb", "trainable_params"):
        order = [rows[n][column] for n in ("feature_extraction", "adapter", "full_fine_tuning")]
        assert order == sorted(order), column
    per_example = {n: rows[n]["flops_train"] for n in ("full_fine_tuning", "lora")}
    assert per_example["lora"] > rows["feature_extraction"]["flops_train"]
    assert rows["full_fine_tuning"]["flops_train"] > rows["partial_fine_tuning"]["flops_train"]
    assert (
        rows["full_fine_tuning"]["peak_memory_mb"] > rows["partial_fine_tuning"]["peak_memory_mb"]
    )


def test_a_merged_lora_has_no_more_flops_than_its_base(measured):
    fitted, _ = measured["lora"]
    model = copy.deepcopy(fitted.model).eval()
    x = torch.from_numpy(tiny_task().test.inputs[:4])
    unmerged = costs.forward_flops(lambda: model(x))
    from helpers.approaches import merge_lora

    merge_lora(model)
    merged = costs.forward_flops(lambda: model(x))
    base = get_approach("full_fine_tuning").build(
        load_backbone("pocket", pretrained=False), 2, get_approach("full_fine_tuning").options()
    )
    assert merged == costs.forward_flops(lambda: base.eval()(x)) < unmerged


def test_classical_text_costs():
    task, approach = tiny_text_task(), get_approach("classical")
    config = approach.config("text", 24)
    fitted = approach.fit(None, task, config)
    row = costs.measure(fitted, task, config, approach.options())
    assert row["peak_memory_mb"] > 0 and row["stored_mb"] > 0 and row["flops_train"] > 0


def test_what_was_measured_is_freed():
    model, labels = nn.Linear(8, 2), torch.zeros(4, dtype=torch.long)
    with costs.TensorMemory(*model.parameters()) as memory:
        model(torch.randn(4, 8)).sum().backward()
    storage = weakref.ref(model.weight.untyped_storage())
    costs.step_memory(model, torch.randn(4, 8), labels)
    del model
    gc.collect()
    assert memory.peak > 0
    assert storage() is None
