"""What runs on this machine: which device trains, freed memory that is kept, and a stopwatch."""

from __future__ import annotations

import ctypes
import functools
import mmap
import sys
import time
from typing import TYPE_CHECKING

from helpers.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
KEEP_BYTES = 512 * 2**20


@functools.cache
def keep_freed_memory() -> bool:
    """Tell glibc to reuse up to 512 MB of freed memory; returns whether it listened.

    Each training step on a CPU frees and asks again for large tensors. glibc gives those back to
    the system, which zeroes every page anew: a third of a step's time was spent there (35 against
    51 images per second for EfficientNet-Lite0 at 128 pixels on one core). Other systems: False.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library, such as musl
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 2**30) and mallopt(M_TRIM_THRESHOLD, KEEP_BYTES))


def release_pages(array: np.ndarray) -> None:
    """Let go of what was read of an array that np.load mapped read-only; other arrays stay.

    Pages that were read count as this process's memory until the system needs them. They stay in
    its cache, so that to read them again costs no disk.
    """
    mapped = getattr(array, "_mmap", None)
    if getattr(array, "mode", "") == "r" and hasattr(mapped, "madvise"):  # Windows has none
        mapped.madvise(mmap.MADV_DONTNEED)


def pick_device(name: str = "auto") -> torch.device:
    """`auto` → CUDA, else Apple's MPS, else the CPU. Raises UserError when it isn't there."""
    import torch  # here, because it takes seconds to load

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device is visible; use device='cpu' or 'auto'")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("no MPS device is visible; use device='cpu' or 'auto'")
    return device


class Stopwatch:
    """Time since it was made, by the clock and by the processor."""

    def __init__(self) -> None:
        self._clock, self._processor = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """Seconds by the clock: with what else the machine did meanwhile."""
        return time.perf_counter() - self._clock

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds of this process over PyTorch's threads: as if each were busy alike."""
        import torch  # here, because it takes seconds to load

        return (time.process_time() - self._processor) / torch.get_num_threads()
