"""How much memory a notebook's kernel took at its highest: what a shared server plans with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

EVERY = 0.5  # seconds between two looks


@dataclass
class Peak:
    """The highest sum of resident memory seen, in megabytes (10⁶ bytes)."""

    megabytes: float = 0.0


@contextmanager
def watched_children() -> Iterator[Peak]:
    """Watch the processes that this one starts, kernels with their workers, while the block runs.

    Resident memory counts libraries that several kernels share once for each of them, so the sum
    over students is an upper bound.
    """
    peak, done = Peak(), threading.Event()

    def look() -> None:
        while not done.wait(EVERY):
            peak.megabytes = max(peak.megabytes, _resident_megabytes())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _resident_megabytes() -> float:
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended while we looked
            continue
    return total / 1e6
