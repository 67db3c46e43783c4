"""The price of a training run that nobody has started yet, from a few steps measured here."""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from helpers.approaches import get_approach
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.experiments.costs import forward_flops, step_flops, training_step


@dataclass(frozen=True)
class Price:
    """What one example costs on this machine, seconds and FLOPs.

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
        """Minutes to train on n examples for so many epochs; validation is not in it."""
        return n * (self.prepare_seconds + epochs * self.step_seconds) / 60

    def flops(self, n: int, epochs: float) -> float:
        """FLOPs of the same."""
        return n * (self.prepare_flops + epochs * self.step_flops)


def measure_price(
    approach: str, backbone: str, *, size: int | None = None, batch_size: int = 32, repeats: int = 5
) -> Price:
    """Time a forward pass of the frozen stages and a training step, on noise of the right shape.

    What a picture shows changes neither. size: image side in pixels, the backbone's own when None.
    The fastest of `repeats` steps after one that warms up. Image backbones only; UserError else.
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
        prefix = functools.partial(_prefix, model, batch)
        prepare_seconds, prepare_flops = _fastest_seconds(prefix, repeats), forward_flops(prefix)
        inputs = prefix()
    flops = step_flops(model, inputs, labels)
    working = copy.deepcopy(model).train()
    step = functools.partial(training_step, working, inputs, labels)
    per_batch = (prepare_seconds, _fastest_seconds(step, repeats), prepare_flops, flops)
    return Price(approach, backbone, *(value / batch_size for value in per_batch))


@torch.no_grad()
def _prefix(model: Any, batch: torch.Tensor) -> Any:
    """Output of the stages below `start`; pooled features where that is all of them."""
    state = model.backbone(model.backbone.prepare(batch), stop=model.start)
    return model.backbone.pool(state) if model.start >= model.backbone.n_stages else state


def _fastest_seconds(function: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times[1:])  # other processes only ever add
