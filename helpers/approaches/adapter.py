"""Bottleneck adapters between frozen layers (Houlsby et al. 2019, arXiv 1902.00751)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from helpers.approaches.base import Approach, Options, register_approach
from helpers.approaches.model import TransferModel, freeze
from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.vocabulary import ADAPTER


class Adapter(nn.Module):
    """x + up(relu(down(x))) along the feature axis; `up` starts at zero, so it starts as x.

    Linear layers for (…, width), 1×1 convolutions for (N, width, H, W). The bottleneck between them
    is `width // reduction` wide, and 4 at least.
    """

    def __init__(self, width: int, reduction: int, convolutional: bool) -> None:
        super().__init__()
        hidden = max(4, width // reduction)
        layer = partial(nn.Conv2d, kernel_size=1) if convolutional else nn.Linear
        self.down, self.up = layer(width, hidden), layer(hidden, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(torch.relu(self.down(x)))


class Adapted(nn.Module):
    """A frozen layer followed by its adapter."""

    def __init__(self, base: nn.Module, adapter: Adapter) -> None:
        super().__init__()
        self.base, self.adapter = base, adapter

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Tensor:
        return self.adapter(self.base(*args, **kwargs))


def add_adapters(backbone: Backbone, reduction: int = 8) -> int:
    """Insert adapters in place; returns how many.

    Transformers: after each layer's attention output and after its feed-forward output, before
    the residual sum, as Houlsby et al. do. Convolutional networks: after every residual or
    inverted-residual block.

    Raises UserError when the backbone offers no place for one.
    """
    if reduction < 1:
        raise UserError(f"an adapter's reduction must be at least 1; got {reduction}")
    sites = list(_sites(backbone))
    if not sites:
        raise UserError(f"{backbone.name}: found no layer to put an adapter after")
    for parent, key, layer, width, convolutional in sites:
        setattr(parent, key, Adapted(layer, Adapter(width, reduction, convolutional)))
    return len(sites)


def _sites(backbone: Backbone) -> Iterator[tuple[nn.Module, str, nn.Module, int, bool]]:
    """(parent, attribute, layer, its output width, convolutional?) of each place."""
    if backbone.modality == "text":
        for name, parent in backbone.stages.named_modules():
            if name.endswith("output") and isinstance(getattr(parent, "dense", None), nn.Linear):
                yield parent, "dense", parent.dense, parent.dense.out_features, False
        return
    for parent in list(backbone.stages.modules()):
        for key, block in list(parent.named_children()):
            if _is_block(block):
                token = isinstance(_last_layer(block), nn.Linear)
                layer = _last_layer(block)
                width = layer.out_features if token else layer.out_channels
                width = getattr(block, "out_channels", width)  # where it joins several layers
                yield parent, key, block, width, not token


def _is_block(module: nn.Module) -> bool:
    """A composite with its own forward (a residual block), not a plain container or layer."""
    plain = (nn.Sequential, nn.ModuleList)
    if isinstance(module, plain) or not any(module.children()):
        return False
    name = type(module).__name__.lower()
    kinds = ("block", "residual", "bottleneck", "separable", "fire")
    return any(kind in name for kind in kinds) and _last_layer(module) is not None


def _last_layer(module: nn.Module) -> nn.Linear | nn.Conv2d | None:
    """The layer that sets a block's output width: its last one off the shortcut."""
    layers = [
        part
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear | nn.Conv2d)
        and not any(skip in name for skip in ("shortcut", "downsample", "se.", "fc1_gate"))
    ]
    return layers[-1] if layers else None


@dataclass(frozen=True)
class AdapterOptions(Options):
    """Size of the bottlenecks."""

    reduction: int = 8  # width of the base over width of the bottleneck


class Adapters(Approach):
    """Bottleneck layers between frozen blocks (helpers.approaches.adapter)."""

    name = ADAPTER
    summary = "Freeze the base, train small bottleneck layers between its blocks."
    options = AdapterOptions
    inserts_layers = True
    stored = "adapters and a head on the frozen backbone"
    learning_rates = {"image": (1e-3, 3e-3, 1e-2), "text": (3e-4, 1e-3, 3e-3)}
    trials = {"image": (1e-3, 3e-3, 1e-2), "text": (1e-3, 3e-3, 1e-2)}
    epochs = 12

    def build(self, backbone: Backbone, n_classes: int, options: AdapterOptions) -> TransferModel:
        freeze(backbone)
        add_adapters(backbone, options.reduction)
        return TransferModel(backbone, n_classes)


register_approach(Adapters())
