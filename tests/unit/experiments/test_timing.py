"""Calls in turns; what one training step costs: memory that adds up, the order theory demands."""

import copy
import time
from functools import partial

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_task, tiny_text_task
from torch import nn

from helpers.approaches.folding import fold
from helpers.backbones import load_backbone
from helpers.experiments.costs import TensorMemory, count_parameters, step_flops
from helpers.experiments.steps import first_step, memory_parts, step_timer
from helpers.experiments.timing import (
    Spent,
    in_turns,
    laps,
    latency_ms,
    median_ms,
    repeated,
    resting_optimizer,
    seconds,
    spent,
    timed_ms,
    undisturbed,
)
from helpers.training.loop import trainable

NAMES = ["feature_extraction", "partial_fine_tuning", "full_fine_tuning", "lora", "adapter"]


@pytest.fixture(scope="module")
def table():
    pocket = load_backbone("pocket", pretrained=False)
    steps = {name: first_step(pocket, tiny_task(16), name, 8) for name in NAMES}
    rows = {
        name: memory_parts(*step)
        | {"trainable": count_parameters(step[0])[0], "flops": step_flops(*step)}
        | {"step_ms": 1000 * sum(step_timer(step)())}
        for name, step in steps.items()
    }
    return pd.DataFrame(rows).T


def test_a_step_does_what_theory_says(table):
    flops, trained = table["flops"], table["trainable"]
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
        fold(watched, inputs)
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


def test_calls_take_turns_and_the_first_turns_are_left_out():
    order = []

    def noted(name):
        order.append(name)
        return len(order)

    taken = in_turns({name: partial(noted, name) for name in "ab"}, 2, warm_up=1)
    assert order == ["a", "b"] * 3
    assert taken == {"a": [3, 5], "b": [4, 6]}


def test_seconds_are_those_of_the_call_and_sleep_costs_the_processor_nothing():
    nap = partial(time.sleep, 0.02)
    assert 0.02 <= seconds(nap) < 0.5
    assert len(repeated(nap, 3)) == 3 and min(repeated(nap, 2, warm_up=0)) >= 0.02
    assert median_ms(nap, 3, warm_up=0) >= 20
    first, second = laps(nap, lambda: None)
    assert second < 0.02 <= first
    processor, wall = timed_ms(nap)
    assert processor < 20 <= wall


def test_a_busy_machine_is_seen_and_one_thread_is_timed_there():
    threads, before = [], torch.get_num_threads()

    def timer(*turns):
        left = iter(turns)

        def take():
            threads.append(torch.get_num_threads())
            return next(left)

        return take

    quiet = timer(Spent(9.0, 9.0), Spent(1.2, 1.0), Spent(1.1, 1.1), Spent(1.3, 1.0))
    assert undisturbed({"step": quiet}, 2) == ({"step": 1.1}, False)
    torch.set_num_threads(2)
    try:
        beside = timer(*[Spent(50.0, 5.0)] * 2, Spent(10.0, 0.6), Spent(14.0, 0.5))
        assert undisturbed({"step": beside}, 2) == ({"step": 0.5}, True)
        assert threads[-4:] == [2, 2, 1, 1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    wall, working = spent(partial(time.sleep, 0.02), partial(time.sleep, 0.02))
    assert working < 0.04 <= wall


def test_a_latency_is_of_a_model_that_serves():
    class Watched(nn.Module):
        calls = 0

        def forward(self, x):
            assert not self.training and torch.is_inference_mode_enabled()
            self.calls += 1
            return x

    model = Watched()
    assert latency_ms(model, torch.zeros(1), repeats=4) >= 0
    assert model.calls == 3 + 4


def test_a_resting_optimizer_moves_nothing():
    model = nn.Linear(3, 2)
    before = copy.deepcopy(model.state_dict())
    optimizer = resting_optimizer(model)
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert optimizer.state
