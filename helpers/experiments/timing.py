"""One training step of each approach: what it computes, what fills memory, how long it takes."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from helpers.approaches import TransferModel, get_approach
from helpers.approaches.base import cached_examples
from helpers.backbones import Backbone, clone
from helpers.experiments.costs import TensorMemory, count_parameters, step_flops
from helpers.tasks import Task
from helpers.training.examples import Examples
from helpers.training.loop import trainable

CPU = torch.device("cpu")
Step = tuple[TransferModel, Any, Tensor]


def first_step(backbone: Backbone, task: Task, approach: str, size: int = 32) -> Step:
    """The model of an approach, and the inputs and labels that enter its first training step.

    Where stages are frozen from the bottom up, the inputs are their output, already computed.
    """
    chosen, split = get_approach(approach), task.train.take(slice(size))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = chosen.build(clone(backbone).to(CPU), len(task.classes), chosen.options()).to(CPU)
    if model.start:
        examples, *_ = cached_examples(model, split, None, None)
    else:
        examples = Examples.raw(backbone.encode(split.inputs), split.labels)
    return model.to(CPU).train(), *examples.batch(np.arange(len(split)), CPU)


def step_costs(
    backbone: Backbone,
    task: Task,
    approaches: Sequence[str],
    *,
    size: int = 32,
    repeats: int = 5,
) -> pd.DataFrame:
    """One row per approach: what a training step on `size` examples costs on this CPU.

    Columns: those of `measured_steps`, and gflops.
    """
    steps = {name: first_step(backbone, task, name, size) for name in approaches}
    table = measured_steps(steps, repeats)
    table.insert(2, "gflops", [step_flops(*step) / 1e9 for step in steps.values()])
    return table


def measured_steps(steps: dict[str, Step], repeats: int = 5) -> pd.DataFrame:
    """One row per approach: the seconds and the memory of its step on this CPU.

    steps: approach → what `first_step` returns; it is left as it is. Columns: approach, trainable
    (parameters), step_ms, and peak memory as `memory_parts` splits it. step_ms is the median of
    `repeats` steps, taken in turns, so that a busy moment of the machine meets all approaches
    alike.
    """
    times = _in_turns(steps, repeats)
    rows = []
    for name, (model, inputs, labels) in steps.items():
        row = {"approach": name, "trainable": count_parameters(model)[0]}
        row["step_ms"] = 1000 * statistics.median(times[name])
        rows.append(row | memory_parts(model, inputs, labels))
    return pd.DataFrame(rows)


def memory_parts(model: nn.Module, inputs: Any, labels: Tensor) -> dict[str, float]:
    """Peak megabytes of a training step once training runs, split by what holds them.

    weights_mb: parameters and buffers. moments_mb: AdamW's two numbers for each trained one.
    passing_mb: gradients and activations, which come and go; the backward pass frees activations
    while gradients fill up, so the two are never there in full at once. The parts add up.

    AdamW makes its moments at the end of the first step and keeps them; so they are counted by
    their number, and one pass forward and back shows the rest.
    """
    model = copy.deepcopy(model).train()
    held = [*model.parameters(), *model.buffers()]
    memory = TensorMemory()
    for tensor in [*held, labels, *tree_leaves(inputs)]:
        memory.track(tensor.data)
    with memory:
        F.cross_entropy(model(inputs), labels).backward()
    weights = sum(tensor.nbytes for tensor in held)
    moments = 2 * sum(parameter.nbytes for parameter in trainable(model))
    return {
        "weights_mb": weights / 1e6,
        "moments_mb": moments / 1e6,
        "passing_mb": (memory.peak - weights) / 1e6,
    }


def _in_turns(steps: dict[str, Step], repeats: int) -> dict[str, list[float]]:
    """Seconds of each model's steps, one of each per turn, after a turn that warms up."""
    working = {name: (copy.deepcopy(model), *rest) for name, (model, *rest) in steps.items()}
    optimizers = {name: _optimizer(model) for name, (model, *_) in working.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, (model, inputs, labels) in working.items():
            started = time.perf_counter()
            _step(model, optimizers[name], inputs, labels)
            if turn:
                times[name].append(time.perf_counter() - started)
    return times


def _optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """AdamW as the loop has it, at a rate that changes nothing."""
    return torch.optim.AdamW(trainable(model), lr=0.0, weight_decay=0.0, fused=True)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Any, labels: Tensor) -> None:
    F.cross_entropy(model(inputs), labels).backward()
    optimizer.step()
    optimizer.zero_grad()
