"""Measure the library of tasks, for data/results/bench.csv: MiniLM, LoRA, 20 tasks.

adapter_swap_ms         milliseconds from a file to a live model that answers the task
task_file_ratio         bytes of a full copy on the disk / of a LoRA task
library_memory          resident memory of the base and 20 tasks / of the base
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import torch

from helpers.approaches import Fitted, get_approach
from helpers.backbones import Backbone, clone, load_backbone
from helpers.lessons.adapter_library.library import Library
from helpers.training.loop import History, trainable
from tools.bench.timing import geometric, seconds

TASKS, TOKENS, CLASSES = 20, 32, 4
NAMES = [f"task-{i:02}" for i in range(TASKS)]
SWAP_LIMIT_MS, REPEATS, BITS = 20, 5, 16


def fill(folder: Path, base: Backbone) -> None:
    """Write 20 LoRA tasks as training would leave them, drawn at random."""
    approach, library = get_approach("lora"), Library(folder, base)
    model = approach.build(clone(base), CLASSES, approach.options())
    for name in NAMES:
        with torch.no_grad():
            for parameter in trainable(model):
                parameter.normal_(std=0.02)
        library.add(Fitted(approach, model, History()), name, bits=BITS)


@contextmanager
def shelf() -> Iterator[tuple[Path, Backbone]]:
    """A folder with the tasks, and their base."""
    with tempfile.TemporaryDirectory() as folder:
        base = load_backbone("minilm", size=TOKENS)
        fill(Path(folder), base)
        yield Path(folder), base


def texts() -> torch.Tensor:
    """One text of each task, as token ids; speed does not depend on what they say."""
    ids = np.random.default_rng(0).integers(1000, 20_000, (TASKS, TOKENS), dtype=np.int32)
    return torch.from_numpy(ids)


def adapter_swap_ms() -> tuple[float, float, float, str]:
    """Milliseconds to read, verify and plug in a task that was not in memory."""
    times = []
    with shelf() as (folder, base):
        for _ in range(REPEATS):
            library = Library(folder, base)
            times += [1000 * seconds(lambda n=name, one=library: one.use(n)) for name in NAMES]
        held = [1000 * seconds(lambda n=name: library.use(n)) for name in NAMES]
        size = (folder / f"{NAMES[0]}.safetensors").stat().st_size / 1e6
    what = (
        f"milliseconds (no ratio; at most {SWAP_LIMIT_MS}) until MiniLM answers another LoRA task, "
        f"{size:.1f} MB read and verified; {statistics.median(held):.2f} when it is in memory"
    )
    return *geometric(times), what


def task_file_ratio() -> tuple[float, float, float, str]:
    """Bytes on the disk of a full copy, over those of a LoRA task in 16 bits."""
    with shelf() as (folder, base):
        library, lora, full = Library(folder, base), get_approach("lora"), "full_fine_tuning"
        model = lora.build(clone(base), CLASSES, lora.options())
        library.add(Fitted(lora, model, History()), "wide")
        copy = get_approach(full)
        model = copy.build(clone(base), CLASSES, copy.options())
        library.add(Fitted(copy, model, History()), "copy")
        names = (NAMES[0], "wide", "copy")
        narrow, wide, whole = ((folder / f"{n}.safetensors").stat().st_size / 1e6 for n in names)
    ratio = whole / narrow
    what = (
        f"MB on the disk of a full copy of MiniLM ({whole:.1f}) / of a LoRA task in {BITS} bits "
        f"({narrow:.2f}); {whole / wide:.0f} in 32 bits; 100 tasks: {100 * whole:,.0f} MB of "
        f"copies against {whole + 100 * narrow:.0f} MB, one base included"
    )
    return ratio, math.nan, math.nan, what


def settled_mb() -> float:
    """Resident megabytes, after what is free has gone back to the system (glibc keeps it)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss / 1e6


def resident() -> tuple[float, float]:
    """(megabytes for the base, for the base and 20 tasks), each having answered a batch."""
    folder, batch = Path(sys.argv[1]), texts()
    load_backbone("minilm", pretrained=False, size=TOKENS)  # so that code is loaded
    before = settled_mb()
    base = load_backbone("minilm", size=TOKENS)
    library = Library(folder, base)
    with torch.inference_mode():
        base.pool(base(base.prepare(batch)))
    alone = settled_mb() - before
    for name in NAMES:
        library.use(name)(batch)
    return alone, settled_mb() - before


def library_memory() -> tuple[float, float, float, str]:
    """Resident memory of one base with 20 tasks, over that of the base alone."""
    with shelf() as (folder, _):
        command = [sys.executable, "-m", "tools.bench.bench_library", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    alone, together = map(float, done.stdout.split()[-2:])
    what = f"resident MB of MiniLM with 20 LoRA tasks ({together:.0f}) / alone ({alone:.0f})"
    return together / alone, math.nan, math.nan, what


if __name__ == "__main__":  # the process of its own, whose memory is looked at
    print(*resident())
