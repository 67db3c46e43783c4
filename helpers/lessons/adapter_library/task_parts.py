"""What one task adds to a base: its head, and low-rank updates, bottlenecks or weights of its own.

A `Plug` is built from the tensors that `checkpoints.task_state` gives. Each of its parts answers as
the trained model does, bit for bit.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.approaches import TransferModel, add_adapters, freeze
from helpers.approaches.adapter import Adapted
from helpers.backbones import Backbone, clone
from helpers.errors import UserError

BASE = "backbone."  # begins the names of a model's tensors that lie outside the head
BOTTLENECK = ("down.weight", "down.bias", "up.weight", "up.bias")


@dataclass
class LowRank:
    """A LoRA update of one layer: A (rank, in, …), B (out, rank, …), and the scale of both."""

    tensors: tuple[Tensor, ...]  # A and B
    scale: float

    def alone(self, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """The layer's output `y` for inputs `x`, updated: the sums that training ran on."""
        A, B = self.tensors
        if isinstance(layer, nn.Linear):
            return y + self.scale * (x @ A.T @ B.T)
        hidden = F.conv2d(x, A, None, layer.stride, layer.padding, layer.dilation)
        return y + self.scale * F.conv2d(hidden, B)

    def update(self, weight: Tensor) -> Tensor:
        """What merging adds to the layer's weight."""
        A, B = self.tensors
        return self.scale * (B.flatten(1) @ A.flatten(1)).view_as(weight)

    def misfit(self, layer: nn.Module | None) -> bool:
        """Whether the update can't be one of this layer."""
        if not isinstance(layer, nn.Linear | nn.Conv2d) or getattr(layer, "groups", 1) != 1:
            return True
        (out, *wide), (A, B) = layer.weight.shape, self.tensors
        ones = (1,) * (len(wide) - 1)
        return A.shape != (len(A), *wide) or B.shape != (out, len(A), *ones)


@dataclass
class Bottleneck:
    """An adapter behind one layer or block: x + up(relu(down(x)))."""

    tensors: tuple[Tensor, ...]  # weights and biases in the order of BOTTLENECK

    def alone(self, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """The output `y` adapted: the sums that training ran on."""
        apply = F.linear if self.tensors[0].ndim == 2 else F.conv2d
        hidden = torch.relu(apply(y, *self.tensors[:2]))
        return y + apply(hidden, *self.tensors[2:])

    def misfit(self, width: int | None) -> bool:
        """Whether the adapter can't stand behind an output of so many channels or features."""
        down, down_bias, up, up_bias = (tuple(tensor.shape) for tensor in self.tensors)
        ones = (1,) * (len(down) - 2)
        wanted = (down[0], width, *ones), down[:1], (width, down[0], *ones), (width,)
        return (down, down_bias, up, up_bias) != wanted


Part = LowRank | Bottleneck


@dataclass
class Plug:
    """One task's tensors. Names lie below the backbone, such as `stages.1.conv1`.

    parts: what is inserted, by the layer or block it belongs to. own: tensors that replace the
    base's. head: weight (classes, features) and bias.
    """

    head: tuple[Tensor, ...]
    parts: dict[str, Part] = field(default_factory=dict)
    own: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], scale: float = 1.0) -> Plug:
        """Sort a model's `task_state` by what each tensor is; `scale` is LoRA's alpha over rank.

        Raises UserError for a state without a head, or half a part.
        """
        rest = {name.removeprefix(BASE): state[name] for name in state if name.startswith(BASE)}
        parts: dict[str, Part] = {}
        try:
            head = state["head.weight"], state["head.bias"]
            for name in [name for name in rest if name.endswith(".A")]:
                site = name.removesuffix(".A")
                parts[site] = LowRank((rest.pop(name), rest.pop(f"{site}.B")), scale)
            for name in [name for name in rest if name.endswith(".adapter.down.weight")]:
                site = name.removesuffix(".adapter.down.weight")
                held = tuple(rest.pop(f"{site}.adapter.{part}") for part in BOTTLENECK)
                parts[site] = Bottleneck(held)
        except KeyError as error:
            raise UserError(
                f"the task's tensors lack {error.args[0]}; save the task again"
            ) from error
        return cls(head, parts, rest)

    @property
    def tensors(self) -> Iterator[Tensor]:
        """Everything it holds in memory."""
        yield from self.head
        yield from self.own.values()
        for part in self.parts.values():
            yield from part.tensors

    def settings(self, n_stages: int) -> str:
        """What the tensors tell of the approach's settings, as `key=value;key=value`."""
        part = next(iter(self.parts.values()), None)
        if isinstance(part, LowRank):
            rank = len(part.tensors[0])
            return f"rank={rank};alpha={part.scale * rank:g}"
        if part is not None:
            return f"places={len(self.parts)}"
        lowest = min((int(name.split(".")[1]) for name in self.own), default=n_stages)
        return f"top_stages={n_stages - lowest}" if lowest < n_stages else ""

    def move(self, change) -> None:
        """Apply a function such as `lambda t: t.to(device)` to every tensor, in place."""
        self.head = tuple(change(tensor) for tensor in self.head)
        self.own = {name: change(tensor) for name, tensor in self.own.items()}
        for part in self.parts.values():
            part.tensors = tuple(change(tensor) for tensor in part.tensors)

    def misfits(self, base: Backbone, widths: Mapping[str, int]) -> str:
        """The first tensor that does not fit the base, in words; empty where all do.

        widths: outputs behind which an adapter can stand, from `adapter_widths`.
        """
        layers, state = dict(base.named_modules()), base.state_dict()
        weight, bias = self.head
        if (
            weight.ndim != 2
            or weight.shape[1] != base.feature_size
            or bias.shape != weight.shape[:1]
        ):
            return (
                f"its head reads {tuple(weight.shape)[1:]} features, the base {base.feature_size}"
            )
        for name, tensor in self.own.items():
            if name not in state or state[name].shape != tensor.shape:
                return f"the base has no tensor {name} of shape {tuple(tensor.shape)}"
        for site, part in self.parts.items():
            low_rank = isinstance(part, LowRank)
            if part.misfit(layers.get(site)) if low_rank else part.misfit(widths.get(site)):
                return f"what it inserts at {site} does not fit there"
        return ""

    def onto(self, base: Backbone) -> TransferModel:
        """A model of its own, with low-rank updates added to the weights: nothing is inserted.

        Raises UserError for adapters, which can't be merged, since a ReLU lies inside.
        """
        if any(isinstance(part, Bottleneck) for part in self.parts.values()):
            raise UserError("adapters can't be merged into the base; serve the task with `use`")
        backbone = clone(base)
        backbone.load_state_dict(self.own, strict=False)
        layers = dict(backbone.named_modules())
        with torch.no_grad():
            for site, part in self.parts.items():
                layers[site].weight += part.update(layers[site].weight)
        model = TransferModel(backbone, len(self.head[1]))
        model.head.load_state_dict(dict(zip(("weight", "bias"), self.head, strict=True)))
        return freeze(model)


def shared_copy(base: Backbone) -> Backbone:
    """New modules around the very same tensors: no weight is copied, hooks stay on this side."""
    held: Iterable[object] = [*base.parameters(), *base.buffers(), *base.source_head]
    return copy.deepcopy(base, {id(one): one for one in held}).eval()


def adapter_widths(base: Backbone) -> dict[str, int]:
    """Where `add_adapters` puts adapters, and how wide the output is there."""
    adapted = shared_copy(base)
    try:
        add_adapters(adapted)
    except UserError:  # a network without a place for one
        return {}
    return {
        name: len(module.adapter.up.bias)
        for name, module in adapted.named_modules()
        if isinstance(module, Adapted)
    }
