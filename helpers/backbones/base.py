"""What every pretrained model offers: ordered stages, an input recipe, pooled features."""

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.errors import UserError
from helpers.registry import find
from helpers.vocabulary import describe

USUAL_COST = 80.0  # relative seconds per example of an ImageNet-sized network
State = Tensor | tuple[Tensor, ...]
"""What flows between stages: one tensor, or a tuple of tensors with the batch first."""


@dataclass(frozen=True)
class Recipe:
    """How inputs must look. Wrong values here cost accuracy silently, so they are data.

    size: side of the square image in pixels, or the longest token sequence.
    channels: 1 or 3 for images, 0 for text.
    mean, std: per channel, on images scaled to 0..1.
    """

    size: int
    channels: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


class Backbone(nn.Module):
    """A pretrained model cut into ordered stages, without its classifier.

    `forward(state, start, stop)` runs `stages[start:stop]`; `prepare` turns a raw batch
    (uint8 images N,H,W,C or token ids N,L) into the first stage's input, and `pool` turns
    the last stage's output into features (N, feature_size).
    """

    def __init__(
        self,
        name: str,
        modality: str,
        stages: list[nn.Module],
        pool: Callable[[State], Tensor],
        feature_size: int,
        recipe: Recipe,
        *,
        tokenizer: Callable[[list[str], int], np.ndarray] | None = None,
        source_head: nn.Linear | None = None,
    ) -> None:
        super().__init__()
        self.name, self.modality, self.recipe = name, modality, recipe
        self.stages = nn.ModuleList(stages)
        self.pooling = pool
        self.feature_size = feature_size
        self.tokenizer = tokenizer
        self.pretrained_on = ""  # of a registered one, what its entry says
        # The classifier the pretraining used, kept outside the module tree: it is never tuned
        # or stored with a task; forgetting is measured through it.
        self.source_head = (source_head,)

    @property
    def n_stages(self) -> int:
        return len(self.stages)

    def encode(self, inputs: np.ndarray | list[str]) -> np.ndarray:
        """Raw inputs as an array that batches can be cut from.

        Images pass through untouched (uint8 N,H,W,C, memory-mapped ones stay so); texts become
        token ids (int32 N,L, padded with zeros).
        """
        if self.modality == "text":
            if self.tokenizer is None or not isinstance(inputs, list):
                raise UserError(f"{self.name} reads texts; got {type(inputs).__name__}")
            return self.tokenizer(inputs, self.recipe.size)
        if not isinstance(inputs, np.ndarray) or inputs.ndim != 4 or inputs.dtype != np.uint8:
            raise UserError(f"{self.name} reads images as a uint8 array (N, H, W, channels)")
        return inputs

    def prepare(self, batch: Tensor) -> State:
        """Raw batch → first stage's input: float images (N,C,H,W) normalised, or token ids."""
        if self.modality == "text":
            # A batch is as long as its longest text, not as the longest of the data set.
            return batch[:, : max(1, int((batch != 0).sum(1).max()))].long()
        return prepare_images(batch, self.recipe)

    def forward(self, state: State, start: int = 0, stop: int | None = None) -> State:
        for stage in self.stages[start:stop]:
            state = stage(state)
        return state

    def pool(self, state: State) -> Tensor:
        """Features (N, feature_size) of the last stage's output."""
        return self.pooling(state)


def prepare_images(batch: Tensor, recipe: Recipe) -> Tensor:
    """uint8 (N,H,W,C) → float32 (N,channels,size,size), normalised; channels-last in memory.

    Grey images are repeated for a three-channel model; colour images are reduced to luminance
    (ITU-R BT.601 weights) for a grey one.
    """
    images = batch.permute(0, 3, 1, 2).float() / 255
    if images.shape[1] == 3 and recipe.channels == 1:
        weights = images.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        images = (images * weights).sum(1, keepdim=True)
    if images.shape[-2:] != (recipe.size, recipe.size):
        shrinks = images.shape[-1] > recipe.size
        images = F.interpolate(
            images, size=(recipe.size, recipe.size), mode="bilinear", antialias=shrinks
        )
    mean = images.new_tensor(recipe.mean).view(1, -1, 1, 1)
    std = images.new_tensor(recipe.std).view(1, -1, 1, 1)
    images = (images - mean) / std  # one grey channel broadcasts to three here
    return images.contiguous(memory_format=torch.channels_last)


class Stage(nn.Module):
    """A function of modules and a state as a stage: `function(state, **modules)`.

    Each module is registered by its name here, so that its weights are found under it.
    """

    def __init__(self, function: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, state: Any) -> Any:
        return self.function(state, **dict(self.named_children()))


class GlobalAveragePool(nn.Module):
    """(N,C,H,W) → (N,C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


@dataclass(frozen=True)
class BackboneInfo:
    """One registry entry. `build(pretrained, size)` returns the Backbone.

    default_size: pixels a side, or tokens, where a run names none. advised_size: the same for the
        advisor, where it is another. native_size: what the network was trained at, where a run
        that names none is given less. advised: whether the advisor takes this backbone for its
        modality where none is named.
    overlaps: tasks whose data the pretraining saw: no fair targets.
    source_task: the task that holds the pretraining data, to measure forgetting and distances with.
    stand_in: where the pretraining data are out of reach, the task that stands for them when
        distances are measured.
    relative_cost: rough seconds per training example beside `pocket`'s; orders runs.
    label, colour, marker: of figures; what is empty is chosen there (`helpers.vocabulary`).
    """

    name: str
    modality: str
    build: Callable[[bool, int | None], Backbone]
    pretrained_on: str
    licence: str
    default_size: int
    overlaps: tuple[str, ...] = field(default=())
    source_task: str = ""
    stand_in: str = ""
    advised: bool = False
    advised_size: int = 0
    native_size: int = 0
    relative_cost: float = USUAL_COST
    label: str = ""
    colour: str = ""
    marker: str = ""


BACKBONES: dict[str, BackboneInfo] = {}
PREFIXES: dict[str, Callable[[str, bool, int | None], Backbone]] = {}


def register_backbone(info: BackboneInfo) -> BackboneInfo:
    """Add a backbone; notebooks, sweeps and the advisor find it by name."""
    for other in BACKBONES.values() if info.advised else ():
        if other.advised and other.modality == info.modality and other.name != info.name:
            raise UserError(
                f"the advisor takes {other.name} for {info.modality}s already; leave `advised` out "
                f"of {info.name}"
            )
    BACKBONES[info.name] = info
    describe(info.name, label=info.label, colour=info.colour, marker=info.marker)
    return info


def advised_backbone(modality: str) -> str:
    """Return the backbone that the advisor takes where none is named.

    Raises UserError where no backbone of this modality says that it is.
    """
    for info in BACKBONES.values():
        if info.advised and info.modality == modality:
            return info.name
    raise UserError(f"no registered backbone is the advisor's for {modality}s; name one")


def source_task_of(name: str) -> str:
    """Return the task that holds a backbone's pretraining data; "" where none does."""
    return BACKBONES[name].source_task if name in BACKBONES else ""


def reference_of(name: str) -> str:
    """Return the task that distances from a backbone's pretraining are measured to; "" for none."""
    info = BACKBONES.get(name)
    return (info.source_task or info.stand_in) if info else ""


def relative_cost_of(name: str) -> float:
    """Return a backbone's rough cost beside `pocket`; the usual one where nothing is known."""
    return BACKBONES[name].relative_cost if name in BACKBONES else USUAL_COST


def load_backbone(
    name: str, *, pretrained: bool = True, size: int | None = None, seed: int = 0
) -> Backbone:
    """A backbone by registry name, or `timm:NAME`, `torchvision:NAME`, `hf:NAME`.

    size: image side in pixels or longest token sequence; the backbone's default when None.
    seed: draws the weights when `pretrained` is False; the global generator is left as it was.

    Raises UserError for an unknown name, or when weights can't be reached.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        prefix, colon, rest = name.partition(":")
        if colon and prefix in PREFIXES:
            backbone = PREFIXES[prefix](rest, pretrained, size)
        else:
            hubs = ", ".join(f"{prefix}:NAME" for prefix in sorted(PREFIXES))
            info = find("backbone", name, BACKBONES, also=hubs)
            backbone = info.build(pretrained, size)
            backbone.pretrained_on = info.pretrained_on
    if backbone.modality == "image":
        backbone = backbone.to(memory_format=torch.channels_last)
    return backbone.eval()


def weights_hash(state: Mapping[str, Tensor], about: str = "") -> str:
    """Hash of named tensors, with their shapes and types, and of what else matters: 16 hex digits.

    Equal weights have equal hashes in any order and on any device.
    """
    digest = hashlib.blake2b(about.encode(), digest_size=8)
    for name, value in sorted(state.items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def clone(backbone: Backbone) -> Backbone:
    """An independent copy, so that one download or read serves several approaches."""
    return copy.deepcopy(backbone)
