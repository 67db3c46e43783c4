"""Augmentations of raw image batches, by name, so that a record can say which was on."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.errors import UserError

Augment = Callable[[Tensor, np.random.Generator], Tensor]


def mirror(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Left-right flip of a random half of the images (N,H,W,C)."""
    return _where(batch, batch.flip(2), rng)


def flips(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Left-right and up-down flips: for pictures without an upright, such as solar cells."""
    mirrored = mirror(batch, rng)
    return _where(mirrored, mirrored.flip(1), rng)


def shift(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Move each image by up to a sixteenth of its side; the border repeats its edge."""
    side = batch.shape[1]
    reach = max(1, side // 16)
    offsets = torch.from_numpy(rng.integers(-reach, reach + 1, (len(batch), 2)))
    base = torch.arange(side)
    rows = (base + offsets[:, :1]).clamp(0, side - 1)
    columns = (base + offsets[:, 1:]).clamp(0, batch.shape[2] - 1)
    index = torch.arange(len(batch))[:, None, None]
    return batch[index, rows[:, :, None], columns[:, None, :]]


def crop(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """A random window of 80 to 100 % of each image's sides, scaled back to the whole (N,H,W,C)."""
    n = len(batch)
    scale = torch.from_numpy(rng.uniform(0.8, 1.0, n)).float()
    reach = (1 - scale)[:, None] * torch.from_numpy(rng.uniform(-1, 1, (n, 2))).float()
    affine = torch.zeros(n, 2, 3)
    affine[:, 0, 0] = affine[:, 1, 1] = scale
    affine[:, :, 2] = reach
    images = batch.permute(0, 3, 1, 2).float()
    grid = F.affine_grid(affine, list(images.shape), align_corners=False).to(batch.device)
    windows = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return windows.round().to(batch.dtype).permute(0, 2, 3, 1)


def _where(batch: Tensor, changed: Tensor, rng: np.random.Generator) -> Tensor:
    pick = torch.from_numpy(rng.random(len(batch)) < 0.5).to(batch.device)
    return torch.where(pick.view(-1, 1, 1, 1), changed, batch)


AUGMENTATIONS: dict[str, Augment] = {"mirror": mirror, "flips": flips, "shift": shift, "crop": crop}


def get_augment(names: str) -> Augment | None:
    """`"mirror+shift"` → one function that applies both; `""` → None."""
    parts = [part for part in names.split("+") if part]
    unknown = [part for part in parts if part not in AUGMENTATIONS]
    if unknown:
        known = ", ".join(AUGMENTATIONS)
        raise UserError(f"unknown augmentation {unknown[0]!r}; known: {known}, joined by +")

    def apply(batch: Tensor, rng: np.random.Generator) -> Tensor:
        for part in parts:
            batch = AUGMENTATIONS[part](batch, rng)
        return batch

    return apply if parts else None
