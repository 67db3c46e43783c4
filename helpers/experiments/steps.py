"""One training step of each approach: what it computes, what fills memory, how long it takes.

A step also prices a training run that nobody has started yet (`measure_price`).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.approaches import TransferModel, get_approach
from helpers.approaches.base import entering_examples
from helpers.approaches.folding import fold
from helpers.backbones import Backbone, clone, load_backbone
from helpers.errors import UserError
from helpers.experiments import costs
from helpers.experiments.timing import (
    in_turns,
    laps,
    one_thread,
    processor_laps,
    resting_optimizer,
)
from helpers.tasks import Task
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
    examples, *_ = entering_examples(model, split, None, None)
    return model.to(CPU).train(), *examples.batch(np.arange(len(split)), CPU)


def memory_parts(model: nn.Module, inputs: Any, labels: Tensor) -> dict[str, float]:
    """Peak megabytes of a training step once training runs, split by what holds them.

    weights_mb: parameters and buffers. moments_mb: AdamW's two numbers for each trained one.
    passing_mb: gradients and activations, which come and go; the backward pass frees activations
    while gradients fill up, so the two are never there in full at once. The parts add up.

    AdamW makes its moments at the end of the first step and keeps them; so they are counted by
    their number, and one pass forward and back shows the rest.
    """
    model = copy.deepcopy(model).train()
    fold(model, inputs)
    held = [*model.parameters(), *model.buffers()]
    with costs.TensorMemory(*held, labels, inputs) as memory:
        F.cross_entropy(model(inputs), labels).backward()
    weights = sum(tensor.nbytes for tensor in held)
    moments = 2 * sum(parameter.nbytes for parameter in trainable(model))
    return {
        "weights_mb": weights / 1e6,
        "moments_mb": moments / 1e6,
        "passing_mb": (memory.peak - weights) / 1e6,
    }


def step_timer(step: Step, timed: Callable[..., list[float]] = laps) -> Callable[[], list[float]]:
    """What times a step on a copy of the model: seconds forward, backward, and of the update.

    BatchNorm is folded, as in training. timed: gives the seconds of three calls.
    """
    model, inputs, labels = step
    working = copy.deepcopy(model)
    fold(working, inputs)
    optimizer, losses = resting_optimizer(working), []

    def forward() -> None:
        losses.append(F.cross_entropy(working(inputs), labels))

    def backward() -> None:
        losses.pop().backward()

    def update() -> None:
        optimizer.step()
        optimizer.zero_grad()

    return partial(timed, forward, backward, update)


@dataclass(frozen=True)
class Price:
    """What one example costs on this machine, processor seconds and FLOPs.

    prepare: once per example, the frozen stages below what is trained (0 where nothing is cached).
    step: each time a training step sees an example.
    """

    approach: str
    backbone: str
    prepare_seconds: float
    step_seconds: float
    prepare_flops: float
    step_flops: float

    def minutes(self, n: int, epochs: float) -> float:
        """Processor minutes to train on n examples for so many epochs, without validation."""
        return n * (self.prepare_seconds + epochs * self.step_seconds) / 60

    def flops(self, n: int, epochs: float) -> float:
        """FLOPs of the same."""
        return n * (self.prepare_flops + epochs * self.step_flops)


def measure_price(
    approach: str, backbone: str, *, size: int | None = None, batch_size: int = 32, repeats: int = 5
) -> Price:
    """Time a forward pass of the frozen stages and a training step, on noise of the right shape.

    What a picture shows changes neither. size: image side in pixels, the backbone's own when None.
    As for the records: processor seconds of one thread, and frozen BatchNorm folded. The fastest of
    `repeats` steps after one that warms up, since what else runs still takes caches. Image
    backbones only; UserError else.
    """
    chosen = get_approach(approach)
    model = chosen.build(load_backbone(backbone, size=size), 10, chosen.options())
    if model.backbone.modality != "image":
        raise UserError(f"{backbone} reads texts; measure_price knows images only")
    side, channels = model.backbone.recipe.size, model.backbone.recipe.channels
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, side, side, channels)
    batch = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.arange(batch_size) % 10
    prepare_seconds = prepare_flops = 0.0
    inputs: Any = batch
    if model.start:
        model.eval()
        prefix = partial(_prefix, model, batch)
        once = partial(processor_laps, prefix)
        prepare_seconds, prepare_flops = _least(once, repeats), costs.forward_flops(prefix)
        inputs = prefix()
    flops = costs.step_flops(model, inputs, labels)
    step = step_timer((model.train(), inputs, labels), processor_laps)
    per_batch = (prepare_seconds, _least(step, repeats), prepare_flops, flops)
    return Price(approach, backbone, *(value / batch_size for value in per_batch))


def _least(timer: Callable[[], list[float]], repeats: int) -> float:
    with one_thread():
        return min(map(sum, in_turns({"": timer}, repeats)[""]))


@torch.no_grad()
def _prefix(model: Any, batch: torch.Tensor) -> Any:
    """Output of the stages below `start`; pooled features where that is all of them."""
    state = model.backbone(model.backbone.prepare(batch), stop=model.start)
    return model.backbone.pool(state) if model.start >= model.backbone.n_stages else state
