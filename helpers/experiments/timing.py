"""How long calls take: one family of functions for steps, forward passes and requests."""

import contextlib
import copy
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from helpers.approaches import TransferModel, merge_lora
from helpers.approaches.lora import lora_layers
from helpers.runtime import Stopwatch
from helpers.training.loop import trainable

Taken = TypeVar("Taken")
BUSY = 1.5  # times as long by the clock as a thread was at work: others had the processor


class Spent(NamedTuple):
    """Seconds of calls by the clock, and those in which the thread that called was at work."""

    wall: float
    working: float


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


def processor_laps(*parts: Callable[[], Any]) -> list[float]:
    """Processor seconds of calls that follow each other, which other processes don't count in."""
    return [timed_ms(part)[0] / 1000 for part in parts]


def spent(*parts: Callable[[], Any]) -> Spent:
    """What calls that follow each other take."""
    started, clock = time.thread_time(), time.perf_counter()
    for part in parts:
        part()
    return Spent(time.perf_counter() - clock, time.thread_time() - started)


@contextlib.contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Hold this process to so many threads, in PyTorch and under scikit-learn."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(limits=threads):
            yield
    finally:
        torch.set_num_threads(before)


one_thread = partial(limited_threads, 1)  # the thread that calls computes alone


def undisturbed(
    timers: Mapping[str, Callable[[], Spent]], repeats: int
) -> tuple[dict[str, float], bool]:
    """Seconds of each call as if nothing else ran, and whether other programs did.

    Without them it is the least by the clock. Where they have the processor, the clock counts them,
    and threads that wait for one of their own keep theirs busy: a step of 24 ms took two threads
    5 s, of which this one worked for 450 ms. So `repeats` turns more are taken by this thread
    alone, and the least that it worked in any turn counts: at most what a single thread needs.
    timers: such as `partial(spent, step)`.
    """
    turns = in_turns(timers, 1)
    found = [taken for of_one in turns.values() for taken in of_one]
    busy = sum(one.wall for one in found) > BUSY * sum(one.working for one in found)
    with one_thread() if busy else contextlib.nullcontext():
        more = in_turns(timers, repeats, warm_up=0)
    field = "working" if busy else "wall"
    return {n: min(getattr(one, field) for one in turns[n] + more[n]) for n in turns}, busy


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
