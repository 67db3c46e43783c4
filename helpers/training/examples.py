"""Labelled examples that batches are cut from: raw, or cached as what a frozen prefix gave."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from helpers.errors import UserError

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Examples:
    """Inputs and labels of one split.

    views: one or more versions of the inputs; each a tuple of arrays with N rows. Raw inputs are
        one array (uint8 images N,H,W,C or token ids N,L). Cached ones are what a stage returned:
        float images lie as N,H,W,C (channels-last, so that a batch needs no transposing copy).
        Several views hold several augmented versions; epoch e trains on view e mod V.
    labels: int64 (N,).
    """

    views: tuple[Arrays, ...]
    labels: np.ndarray

    def __post_init__(self) -> None:
        if any(len(array) != len(self.labels) for view in self.views for array in view):
            raise UserError(f"inputs and {len(self.labels)} labels differ in length")

    @classmethod
    def raw(cls, inputs: np.ndarray, labels: np.ndarray) -> Examples:
        """One view of raw inputs."""
        return cls(((inputs,),), labels)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray | None:
        """Words in each text, or None for images and pooled features."""
        array = self.views[0][-1]
        is_text = array.ndim == 2 and array.dtype in (np.int32, np.int64, np.bool_)
        return (array != 0).sum(1) if is_text else None

    def batch(
        self, rows: np.ndarray, device: torch.device, view: int = 0
    ) -> tuple[Tensor | tuple[Tensor, ...], Tensor]:
        """The rows' inputs and labels on `device`."""
        arrays = [np.ascontiguousarray(a[rows]) for a in self.views[view % len(self.views)]]
        tensors = [torch.from_numpy(array) for array in arrays]
        if len(tensors) == 2:  # (hidden, mask) of a text encoder: cut what is padding for all
            longest = max(1, int(tensors[1].sum(1).max()))
            tensors = [tensor[:, :longest] for tensor in tensors]
        tensors = [t.to(device, non_blocking=True) for t in tensors]
        if tensors[0].ndim == 4 and tensors[0].is_floating_point():
            tensors[0] = tensors[0].permute(0, 3, 1, 2)
        labels = torch.from_numpy(self.labels[rows]).to(device, non_blocking=True)
        return (tensors[0] if len(tensors) == 1 else tuple(tensors)), labels


def batches(
    examples: Examples, batch_size: int, generator: np.random.Generator | None = None
) -> Iterator[np.ndarray]:
    """Row numbers of each batch: shuffled with a generator, in order without one.

    Texts of like length share a batch (shuffled pools of sixteen batches are sorted), because a
    batch costs what its longest text costs. All batches are as large as each other to within one
    example, so that no small remainder unsettles BatchNorm's statistics or one step's gradient.
    """
    n = len(examples)
    order = generator.permutation(n) if generator is not None else np.arange(n)
    lengths = examples.lengths
    if lengths is not None and generator is not None:
        pool = 16 * batch_size
        chunks = [order[i : i + pool] for i in range(0, n, pool)]
        order = np.concatenate([c[np.argsort(lengths[c], kind="stable")] for c in chunks])
    parts = np.array_split(order, math.ceil(n / batch_size)) if n else []
    if lengths is not None and generator is not None:
        parts = [parts[i] for i in generator.permutation(len(parts))]
    return iter(parts)
