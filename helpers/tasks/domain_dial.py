"""The domain dial: move a 28 x 28 task away from its origin in steps; labels stay the same.

Each step keeps all the information of a picture, since inverting and permuting can be undone: what
changes is only how far the pictures are from those that a network was pretrained on.
"""

import numpy as np

from helpers.errors import UserError
from helpers.tasks.splits import shuffled

SIDE = 28
DIAL_STEPS: dict[float, str] = {
    0.0: "as it is",
    1 / 6: "inverted",
    2 / 6: "inverted, 14-pixel patches permuted",
    3 / 6: "inverted, 7-pixel patches permuted",
    4 / 6: "inverted, 4-pixel patches permuted",
    5 / 6: "inverted, 2-pixel patches permuted",
    1.0: "inverted, every pixel permuted",
}
_PATCH = (0, 0, 14, 7, 4, 2, 1)
_SEED = 28


def apply_dial(images: np.ndarray, dial: float) -> np.ndarray:
    """Return the pictures, uint8 (N, 28, 28, C), moved to a step of DIAL_STEPS.

    The permutation of a step is fixed, moves every patch, and is the same for all pictures.
    Raises UserError for another size, or a dial that is no step (a hundredth off is forgiven).
    """
    step = dial_step(dial)
    if step == 0:
        return images
    if images.ndim != 4 or images.shape[1:3] != (SIDE, SIDE):
        raise UserError(
            f"the dial turns pictures of {SIDE} x {SIDE} pixels, not {images.shape[1:3]}; load the "
            f"task with image_size={SIDE}"
        )
    inverted = 255 - np.asarray(images)
    return inverted if not _PATCH[step] else _permuted(inverted, _PATCH[step])


def dial_step(dial: float) -> int:
    """Return which step (0 ... 6) a dial position is. Raises UserError when it is none."""
    positions = list(DIAL_STEPS)
    nearest = min(range(len(positions)), key=lambda i: abs(positions[i] - dial))
    if not abs(positions[nearest] - dial) < 0.01:
        steps = ", ".join(f"{position:.2f}" for position in positions)
        raise UserError(f"the dial has no position {dial}; use one of {steps}")
    return nearest


def _permuted(images: np.ndarray, patch: int) -> np.ndarray:
    """Move patches of `patch` pixels along one cycle through all of them, so that none stays."""
    n, across, channels = len(images), SIDE // patch, images.shape[3]
    patches = images.reshape(n, across, patch, across, patch, channels)
    patches = patches.transpose(0, 1, 3, 2, 4, 5).reshape(n, across**2, patch, patch, channels)
    cycle = shuffled(across**2, _SEED + patch)
    moved = np.empty_like(patches)
    moved[:, np.roll(cycle, 1)] = patches[:, cycle]
    moved = moved.reshape(n, across, across, patch, patch, channels)
    return np.ascontiguousarray(moved.transpose(0, 1, 3, 2, 4, 5)).reshape(images.shape)
