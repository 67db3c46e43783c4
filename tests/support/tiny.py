"""A task of two-coloured squares and stripes, small enough to train on in a second."""

import numpy as np

from helpers.approaches.adapter import Adapted
from helpers.tasks import Split, Task


def tiny_task(n: int = 64, n_classes: int = 2, seed: int = 0) -> Task:
    """Grey 28-pixel images whose class is the position of a bright bar; noise on top."""
    rng = np.random.default_rng(seed)

    def split(size: int) -> Split:
        labels = np.arange(size, dtype=np.int64) % n_classes
        images = rng.integers(0, 120, (size, 28, 28, 1), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            start = 2 + int(label) * 24 // n_classes
            image[start : start + 5] += 100
        return Split(images, labels)

    return Task(
        name="tiny",
        modality="image",
        classes=tuple(f"bar {i}" for i in range(n_classes)),
        licence="MIT",
        provenance="drawn here",
        origin="full",
        train=split(n),
        validation=split(32),
        test=split(40),
    )


def tiny_text_task(n: int = 24) -> Task:
    """Texts that speak of cats or of engines."""
    words = (["cat", "fur", "purrs", "whiskers"], ["engine", "piston", "torque", "gear"])
    rng = np.random.default_rng(0)

    def split(size: int) -> Split:
        labels = np.arange(size, dtype=np.int64) % 2
        texts = [" ".join(rng.choice(words[label], 3 + i % 5)) for i, label in enumerate(labels)]
        return Split(texts, labels)

    return Task(
        name="tiny_text",
        modality="text",
        classes=("cat", "engine"),
        licence="MIT",
        provenance="drawn here",
        origin="full",
        train=split(n),
        validation=split(10),
        test=split(10),
    )


def without_adapters(root):
    """Unplug every adapter in place; returns `root`."""
    for parent in list(root.modules()):
        for key, child in list(parent.named_children()):
            if isinstance(child, Adapted):
                setattr(parent, key, child.base)
    return root
