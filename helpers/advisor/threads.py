"""How many threads are fastest now: on a busy machine, one beats many that wait for each other."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from helpers.backbones import Backbone
from helpers.training import pick_device

BATCH, REPEATS = 8, 3


@contextlib.contextmanager
def fastest_threads(backbone: Backbone) -> Iterator[int]:
    """Use as many threads as a forward pass is fastest with now, and afterwards as before.

    Tried are all that PyTorch may use, half of them, and one. On a GPU nothing is changed.
    """
    before = torch.get_num_threads()
    choices = sorted({before, max(1, before // 2), 1}, reverse=True)
    if len(choices) == 1 or pick_device().type != "cpu":
        yield before
        return
    batch = _batch(backbone)
    taken = {}
    try:
        for count in choices:
            torch.set_num_threads(count)
            taken[count] = _seconds(backbone, batch)
        best = min(taken, key=taken.__getitem__)
        torch.set_num_threads(best)
        with threadpool_limits(limits=best, user_api="blas"):
            yield best
    finally:
        torch.set_num_threads(before)


def _batch(backbone: Backbone) -> torch.Tensor:
    side = backbone.recipe.size
    if backbone.modality == "text":
        return torch.ones((BATCH, side), dtype=torch.int32)
    shape = (BATCH, side, side, backbone.recipe.channels)
    return torch.from_numpy(np.zeros(shape, dtype=np.uint8))


@torch.inference_mode()
def _seconds(backbone: Backbone, batch: torch.Tensor) -> float:
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        backbone.pool(backbone(backbone.prepare(batch)))
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])
