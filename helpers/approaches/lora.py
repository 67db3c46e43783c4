"""LoRA: a frozen layer plus a trained matrix of low rank (Hu et al. 2021, arXiv 2106.09685)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from helpers.approaches.base import Approach, Options, register_approach
from helpers.approaches.model import TransferModel, freeze
from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.vocabulary import LORA


class _LowRank(nn.Module):
    """A frozen layer, and a trained update of its weight W: (alpha / rank) · B A.

    A (rank, in, …) is random and B (out, rank, …) zero, so that it starts as the layer it wraps.
    """

    def __init__(self, base: nn.Linear | nn.Conv2d, rank: int, alpha: float) -> None:
        super().__init__()
        out, *wide = base.weight.shape
        self.base = freeze(base)
        self.A = nn.Parameter(torch.empty(rank, *wide))
        self.B = nn.Parameter(torch.zeros(out, rank, *[1] * (len(wide) - 1)))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.scale = alpha / rank

    def merged(self) -> nn.Linear | nn.Conv2d:
        """The wrapped layer with the update added to its weight: no cost at inference."""
        with torch.no_grad():
            update = self.B.flatten(1) @ self.A.flatten(1)
            self.base.weight += self.scale * update.view_as(self.base.weight)
        return self.base


class LoRALinear(_LowRank):
    """y = W x + (alpha / rank) · B A x, with A (rank, in) and B (out, rank)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + x @ self.A.T @ (self.scale * self.B).T


class LoRAConv2d(_LowRank):
    """The same for a convolution: A keeps its kernel and stride, B is a 1×1 convolution."""

    def forward(self, x: Tensor) -> Tensor:
        base = self.base
        hidden = nn.functional.conv2d(x, self.A, None, base.stride, base.padding, base.dilation)
        return base(x) + nn.functional.conv2d(hidden, self.scale * self.B)


LoRALayer = LoRALinear | LoRAConv2d


def add_lora(root: nn.Module, rank: int, alpha: float, targets: tuple[str, ...] = ()) -> int:
    """Wrap layers below `root` in place; returns how many.

    targets: endings of layer names, such as ("query", "value"); empty: every linear layer and
        every plain convolution with one group (depthwise ones have no rank to lower). One of a
        class of its own, such as timm's that pads by itself (EfficientNet-Lite's stem), is left.

    Raises UserError when nothing matches or the rank is not positive.
    """
    if rank < 1:
        raise UserError(f"LoRA's rank must be at least 1; got {rank}")
    sites = [
        (parent, key, layer)
        for parent_name, parent in list(root.named_modules())
        for key, layer in list(parent.named_children())
        if not isinstance(parent, LoRALayer)
        and (not targets or f"{parent_name}.{key}".endswith(targets))
        # A subclass of Conv2d may pad in its own way, so its A would not line up.
        and (isinstance(layer, nn.Linear) or (type(layer) is nn.Conv2d and layer.groups == 1))
    ]
    if not sites:
        raise UserError(
            f"no linear layer or convolution is named {' or '.join(targets) or 'at all'}"
        )
    for parent, key, layer in sites:
        wrap = LoRALinear if isinstance(layer, nn.Linear) else LoRAConv2d
        setattr(parent, key, wrap(layer, rank, alpha))
    return len(sites)


def lora_layers(root: nn.Module) -> Iterator[tuple[nn.Module, str, LoRALayer]]:
    """Each (parent, attribute, LoRA layer) below `root`."""
    for parent in list(root.modules()):
        for key, layer in list(parent.named_children()):
            if isinstance(layer, LoRALayer):
                yield parent, key, layer


def merge_lora(root: nn.Module) -> nn.Module:
    """Add every update to its weight and remove the wrappers, in place."""
    for parent, key, layer in lora_layers(root):
        setattr(parent, key, layer.merged())
    return root


def remove_lora(root: nn.Module) -> nn.Module:
    """Unplug every update: the base is bit for bit what it was."""
    for parent, key, layer in lora_layers(root):
        setattr(parent, key, layer.base)
    return root


@dataclass(frozen=True)
class LoRAOptions(Options):
    """Size and place of the low-rank matrices."""

    rank: int = 8
    alpha: float = 16.0
    targets: str = ""  # layer-name endings joined by +, such as query+value; empty: all


class LoRA(Approach):
    """Low-rank updates in every layer that can take one (helpers.approaches.lora)."""

    name = LORA
    summary = "Freeze the base, add a trained low-rank matrix to its layers."
    options = LoRAOptions
    inserts_layers = merges_into_base = True
    stored = "low-rank updates and a head on the frozen backbone"
    learning_rates = {"image": (1e-3, 3e-3, 1e-2), "text": (3e-4, 1e-3, 3e-3)}
    trials = {"image": (1e-3, 3e-3, 1e-2), "text": (1e-3, 3e-3, 1e-2)}
    epochs = 12

    def build(self, backbone: Backbone, n_classes: int, options: LoRAOptions) -> TransferModel:
        freeze(backbone)
        targets = tuple(filter(None, options.targets.split("+")))
        add_lora(backbone.stages, options.rank, options.alpha, targets)
        return TransferModel(backbone, n_classes)


register_approach(LoRA())
