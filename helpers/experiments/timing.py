"""How long calls take: one family of functions for steps, forward passes and requests."""

import copy
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from helpers.approaches import TransferModel, merge_lora
from helpers.approaches.lora import lora_layers
from helpers.runtime import Stopwatch
from helpers.training.loop import trainable

Taken = TypeVar("Taken")


def seconds(function: Callable[[], Any]) -> float:
    """Seconds of one call by the clock."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def timed_ms(function: Callable[[], Any]) -> tuple[float, float]:
    """(processor, wall) milliseconds of a call; processor time is over threads."""
    watch = Stopwatch()
    function()
    return 1000 * watch.cpu_seconds, 1000 * watch.seconds


def laps(*parts: Callable[[], Any]) -> list[float]:
    """Seconds of calls that follow each other, such as the parts of a step."""
    return [seconds(part) for part in parts]


def in_turns(
    timers: Mapping[str, Callable[[], Taken]], repeats: int, *, warm_up: int = 1
) -> dict[str, list[Taken]]:
    """What each timer returns in `repeats` turns, after `warm_up` turns that don't count.

    In a turn each runs once, one after the other, so a busy moment of the machine meets all alike.
    timers: such as `partial(seconds, step)`.
    """
    taken: dict[str, list[Taken]] = {name: [] for name in timers}
    for turn in range(warm_up + repeats):
        for name, timer in timers.items():
            found = timer()
            if turn >= warm_up:
                taken[name].append(found)
    return taken


def repeated(function: Callable[[], Any], repeats: int, *, warm_up: int = 1) -> list[float]:
    """Seconds of each of `repeats` calls, after `warm_up` calls that don't count.

    Take the least where other processes can only add, the median where the call itself varies.
    """
    return in_turns({"": partial(seconds, function)}, repeats, warm_up=warm_up)[""]


def median_ms(function: Callable[[], Any], repeats: int, *, warm_up: int = 3) -> float:
    """Median milliseconds of a call."""
    return 1000 * statistics.median(repeated(function, repeats, warm_up=warm_up))


def processor_ms(function: Callable[[], Any], repeats: int, *, warm_up: int = 3) -> float:
    """Median processor milliseconds of a call, which other processes can't lengthen.

    With a graphics card the processor only waits, so there it is time by the clock.
    """
    if torch.cuda.is_available():
        return median_ms(function, repeats, warm_up=warm_up)
    turns = in_turns({"": partial(timed_ms, function)}, repeats, warm_up=warm_up)[""]
    return statistics.median(processor for processor, _ in turns)


def latency_ms(model: nn.Module, inputs: Any, *, repeats: int = 30) -> float:
    """Median processor milliseconds of one forward pass, after three that warm it up."""
    model.eval()

    def forward() -> None:
        model(inputs)
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    with torch.inference_mode():
        return processor_ms(forward, repeats)


def serving_latency(model: TransferModel, batch: torch.Tensor) -> tuple[float, float]:
    """(merged, unmerged) milliseconds for a raw batch, from the first stage on.

    They differ for LoRA alone: adapters can't be merged, since a ReLU lies inside.
    """
    model = copy.deepcopy(model)
    model.start = 0
    unmerged = latency_ms(model, batch)
    if not any(True for _ in lora_layers(model)):
        return unmerged, unmerged
    return latency_ms(merge_lora(model), batch), unmerged


def resting_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """AdamW as the loop has it, at a rate of zero: a step costs as much, and moves nothing."""
    return torch.optim.AdamW(trainable(model), lr=0.0, weight_decay=0.0, fused=True)
