"""Continued pretraining without labels, on two views of each picture.

A pretrained backbone goes in, a changed copy comes out, and no label is looked at: the contrastive
loss NT-Xent of SimCLR (Chen et al. 2020, arXiv 2002.05709). The cheapest step of all moves no
weight: BatchNorm's statistics are taken anew (Li et al. 2016, arXiv 1603.04779). Texts go on with
masked words (`tools.measure.masked_words`).
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from helpers.approaches.model import unfreeze
from helpers.backbones import Backbone, clone
from helpers.errors import UserError
from helpers.runtime import Stopwatch, keep_freed_memory
from helpers.training.loop import rise_and_fall, update

PROJECTION = 64  # numbers that two views are compared in; thrown away afterwards


@dataclass(frozen=True)
class PretextConfig:
    """Settings of continued pretraining, checked when built."""

    steps: int = 80  # batches
    batch_size: int = 128
    lr: float = 1e-3  # peak; a linear rise over the first tenth, then a cosine to zero
    temperature: float = 0.2  # of the contrastive loss
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "lr", "temperature"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} must be positive; got {getattr(self, name)!r}")
        if self.batch_size < 2:
            raise UserError(f"batch_size must be 2 or more; got {self.batch_size!r}")


@dataclass
class Continued:
    """A backbone that was trained on without labels, in evaluation mode, and what it took."""

    backbone: Backbone
    losses: list[float] = field(default_factory=list)  # one a step
    examples_seen: int = 0
    cpu_seconds: float = 0.0


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """The contrastive loss: find each view's partner among all the other views of the batch.

    first, second: projections (N, D); row i of both is one picture. Cross-entropy over cosine
    similarities divided by the temperature, a view's own place left out.
    """
    views = F.normalize(torch.cat([first, second]), dim=1)
    similar = views @ views.T / temperature
    similar = similar.masked_fill(torch.eye(len(views), dtype=torch.bool), -torch.inf)
    partners = torch.arange(len(views)).roll(len(first))
    return F.cross_entropy(similar, partners)


def random_view(images: Tensor, rng: np.random.Generator) -> Tensor:
    """One random view of each picture (N,C,H,W): turned, scaled, moved; toned; with pixels out.

    Up to 15 degrees, 0.7 to 1.1 of the side, a seventh of it moved; contrast 0.6 to 1.4,
    brightness ±0.3 standard deviations; three pixels in ten set to the mean.
    """
    n = len(images)
    scale, turn = rng.uniform(0.7, 1.1, n), np.deg2rad(rng.uniform(-15, 15, n))
    matrix = np.zeros((n, 2, 3), dtype=np.float32)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale * np.cos(turn)
    matrix[:, 1, 0] = scale * np.sin(turn)
    matrix[:, 0, 1] = -matrix[:, 1, 0]
    matrix[:, :, 2] = rng.uniform(-0.15, 0.15, (n, 2))
    grid = F.affine_grid(torch.from_numpy(matrix), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    contrast, brightness = rng.uniform(0.6, 1.4, n), rng.uniform(-0.3, 0.3, n)
    toned = moved * _column(contrast) + _column(brightness)
    kept = torch.from_numpy(rng.random((n, 1, *images.shape[2:])) > 0.3)
    return toned * kept


def _column(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).view(-1, 1, 1, 1)


def contrast(backbone: Backbone, images: np.ndarray, config: PretextConfig) -> Continued:
    """Go on pretraining on unlabelled pictures (uint8 N,H,W,C) with the contrastive loss.

    The backbone given stays as it is. All weights and BatchNorm's statistics of the copy move,
    also where the original is frozen.

    Raises UserError for another modality or fewer pictures than two.
    """
    made = movable_copy(backbone, images, "image")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        width = made.backbone.feature_size
        projector = nn.Sequential(
            nn.Linear(width, 2 * width), nn.BatchNorm1d(2 * width), nn.ReLU(),
            nn.Linear(2 * width, PROJECTION),
        )  # fmt: skip
        moving = [*made.backbone.parameters(), *projector.parameters()]

        def loss(rows: np.ndarray, rng: np.random.Generator) -> Tensor:
            batch = torch.from_numpy(np.ascontiguousarray(images[rows]))
            pictures = made.backbone.prepare(batch)
            views = torch.cat([random_view(pictures, rng), random_view(pictures, rng)])
            found = projector(made.backbone.pool(made.backbone(views)))
            return nt_xent(found[: len(rows)], found[len(rows) :], config.temperature)

        return descend(made, moving, loss, len(images), config)


def refresh_statistics(backbone: Backbone, images: np.ndarray, config: PretextConfig) -> Continued:
    """Only take BatchNorm's mean and variance anew, as averages over unlabelled pictures.

    No weight moves: what this gains was never a matter of learning. One pass over the pictures,
    at most steps · batch_size of them.
    """
    made = movable_copy(backbone, images, "image")
    watch, order = Stopwatch(), np.random.default_rng(config.seed).permutation(len(images))
    batches = _cut(order, config.batch_size)[: config.steps]
    shown = (torch.from_numpy(np.ascontiguousarray(images[rows])) for rows in batches)
    update_bn(map(made.backbone.prepare, shown), made.backbone)
    made.examples_seen = sum(map(len, batches))
    return _finished(made, watch)


def movable_copy(backbone: Backbone, inputs: np.ndarray | list[str], modality: str) -> Continued:
    """A copy that may move from end to end, in training mode."""
    if backbone.modality != modality:
        raise UserError(
            f"{backbone.name} reads {backbone.modality}s; this pretext is for {modality}s"
        )
    backbone.encode(inputs[:1])  # raises for inputs of the wrong kind
    if len(inputs) < 2:
        raise UserError(f"continued pretraining needs 2 inputs or more; got {len(inputs)}")
    keep_freed_memory()
    return Continued(unfreeze(clone(backbone)).train())


def descend(made: Continued, moving: list, loss, n: int, config: PretextConfig) -> Continued:
    """AdamW on `loss(rows, rng)` for so many steps; the same seed gives the same weights.

    Its steps and rates are those of `helpers.training.loop`. What differs is what surrounds them:
    there are neither labels nor a validation score here to stop by or to choose weights by.
    """
    optimizer = torch.optim.AdamW(
        moving, lr=config.lr, weight_decay=config.weight_decay, fused=True
    )
    schedule = rise_and_fall(optimizer, config.steps)
    rng = np.random.default_rng(config.seed)
    watch = Stopwatch()
    batches: list[np.ndarray] = []
    for _ in range(config.steps):
        batches = batches or _cut(rng.permutation(n), config.batch_size)  # anew in each pass
        rows = batches.pop(0)
        value = loss(rows, rng)
        update(value, moving, optimizer, schedule)
        made.losses.append(float(value.detach()))
        made.examples_seen += len(rows)
    if not math.isfinite(made.losses[-1]):
        raise UserError(f"the loss became {made.losses[-1]}; try a rate below {config.lr:g}")
    return _finished(made, watch)


def _cut(order: np.ndarray, size: int) -> list[np.ndarray]:
    """Batches of `size`; a smaller last one is left out, unless it is all there is."""
    whole = len(order) // size
    return np.split(order[: whole * size], whole) if whole else [order]


def _finished(made: Continued, watch: Stopwatch) -> Continued:
    made.cpu_seconds = watch.cpu_seconds
    made.backbone.eval()
    return made
