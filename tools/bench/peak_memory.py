"""Decode a folder of photos, tune EfficientNet-Lite0 on them, print the peak resident megabytes.

A process of its own, started by tools/bench/bench.py: a peak can't be measured where others went
before.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import psutil

from helpers.approaches import get_approach
from helpers.backbones import load_backbone
from helpers.tasks import Split, Task
from helpers.tasks.images import image_memmap


def peak_resident_mb() -> float:
    """Megabytes at the highest, as the system counted."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def main(folder: Path) -> None:
    """Cached partial, then full fine-tuning on every photo of the folder."""
    images = image_memmap(sorted(folder.glob("*.jpg")), 128, 3).images
    labels = np.arange(len(images)) % 10
    split, held_out = Split(images, labels), Split(images[:256], labels[:256])
    classes = tuple("0123456789")
    task = Task("noise", "image", classes, "MIT", "drawn", "full", split, held_out, held_out)
    for name, epochs in (("partial_fine_tuning", 2), ("full_fine_tuning", 1)):
        approach = get_approach(name)
        config = approach.config("image", len(labels), epochs=epochs)
        approach.fit(load_backbone("efficientnet_lite0"), task, config)
    print(len(images), peak_resident_mb())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
