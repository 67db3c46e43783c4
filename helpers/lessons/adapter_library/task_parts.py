"""What one task adds to a base: its head, and low-rank updates, bottlenecks or weights of its own.

A `Plug` holds the tensors that `checkpoints.task_state` gives. `frame` builds the layers that they
run through, the very ones that training ran on, so that a task answers as it did, bit for bit.
"""

import copy
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from helpers.approaches import LoRAConv2d, LoRALinear, TransferModel, add_adapters, freeze
from helpers.approaches.adapter import Adapted
from helpers.backbones import Backbone
from helpers.errors import UserError

BASE = "backbone."  # begins the names of a model's tensors that lie outside the head
HEAD = ("head.weight", "head.bias")
INSERTED = re.compile(r".+\.(?:[AB]|adapter\.(?:down|up)\.(?:weight|bias))")
BOTTLENECK = ".adapter.down.weight"  # ends the name of an adapter's first tensor


@dataclass
class Plug:
    """One task's tensors by the names that they have in its model, such as `head.bias`.

    scale: LoRA's alpha over its rank. Raises UserError for tensors without a head.
    """

    state: dict[str, Tensor]
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name in HEAD:
            if name not in self.state:
                raise UserError(f"the task's tensors lack {name}; save the task again")

    @property
    def head(self) -> tuple[Tensor, ...]:
        """Weight (classes, features) and bias (classes,)."""
        return tuple(self.state[name] for name in HEAD)

    @property
    def own(self) -> set[str]:
        """Names, below the backbone, of the tensors that replace the base's."""
        return {n.removeprefix(BASE) for n in self.state if n not in HEAD and not _inserted(n)}

    @property
    def places(self) -> frozenset:
        """What tasks have alike that run through the same layers: what is inserted, and where."""
        found = ((name, tuple(t.shape)) for name, t in self.state.items() if _inserted(name))
        return frozenset([*found, self.scale])

    @property
    def bottlenecks(self) -> int:
        """How many adapters it inserts."""
        return sum(name.endswith(BOTTLENECK) for name in self.state)

    def settings(self, n_stages: int) -> str:
        """What the tensors tell of the approach's settings, as `key=value;key=value`."""
        for name, tensor in self.state.items():
            if name.endswith(".A"):
                return f"rank={len(tensor)};alpha={self.scale * len(tensor):g}"
        if self.bottlenecks:
            return f"places={self.bottlenecks}"
        lowest = min((int(name.split(".")[1]) for name in self.own), default=n_stages)
        return f"top_stages={n_stages - lowest}" if lowest < n_stages else ""

    def move(self, change: Callable[[Tensor], Tensor]) -> None:
        """Apply a function such as `lambda t: t.to(device)` to every tensor, in place."""
        self.state = {name: change(tensor) for name, tensor in self.state.items()}

    def misfit(self, model: TransferModel) -> str:
        """The first tensor that does not fit a model of `frame`, in words; empty where all do."""
        (weight, bias), size = self.head, model.head.in_features
        if weight.shape != (len(bias), size) or bias.ndim != 1:
            return f"its head reads {tuple(weight.shape)[1:]} features, the base {size}"
        places = model.state_dict() | dict(zip(HEAD, self.head, strict=True))
        for name, tensor in self.state.items():
            if name not in places or places[name].shape != tensor.shape:
                return f"there is no place for its tensor {name} of shape {tuple(tensor.shape)}"
        lacking = [name for name in places if _inserted(name) and name not in self.state]
        return f"its tensors lack {lacking[0]}" if lacking else ""


def _inserted(name: str) -> bool:
    return INSERTED.fullmatch(name) is not None


def frame(base: Backbone, plug: Plug) -> TransferModel:
    """A frozen model with the layers that a task inserts, and nothing in them yet.

    base: is built into the model; give a copy. Where it has no such layer none is made, which
    `Plug.misfit` tells. Raises UserError for adapters where the base has no place for any.
    """
    with torch.random.fork_rng(devices=[]):  # layers begin with random weights
        layers = dict(base.named_modules())
        for name, A in plug.state.items():
            site = name.removeprefix(BASE).removesuffix(".A")
            layer, (parent, _, key) = layers.get(site), site.rpartition(".")
            plain = isinstance(layer, nn.Linear | nn.Conv2d) and getattr(layer, "groups", 1) == 1
            if name.endswith(".A") and plain:
                wrap = LoRALinear if isinstance(layer, nn.Linear) else LoRAConv2d
                setattr(layers[parent], key, made := wrap(layer, len(A), alpha=1.0))
                made.scale = plug.scale
        if plug.bottlenecks:
            _adapt(base, plug)
        return freeze(TransferModel(base, len(plug.head[1])))


def _adapt(base: Backbone, plug: Plug) -> None:
    """Insert the adapters that a task has, each as wide as its tensors are."""
    add_adapters(base)
    for site, part in list(base.named_modules()):
        if isinstance(part, Adapted):
            adapter, first = part.adapter, plug.state.get(f"{BASE}{site}{BOTTLENECK}")
            if first is None:
                parent, _, key = site.rpartition(".")
                setattr(base.get_submodule(parent), key, part.base)
                continue
            width, also = len(adapter.up.bias), {} if first.ndim == 2 else {"kernel_size": 1}
            adapter.down = type(adapter.down)(width, len(first), **also)
            adapter.up = type(adapter.up)(len(first), width, **also)


def shared_copy(base: Backbone) -> Backbone:
    """New modules around the very same numbers: no weight is copied, changes stay on this side."""
    held: dict[int, object] = {id(p): nn.Parameter(p.data, False) for p in base.parameters()}
    kept: Iterable[object] = [*base.buffers(), *base.source_head]
    return copy.deepcopy(base, held | {id(one): one for one in kept}).eval()
