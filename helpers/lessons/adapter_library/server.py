"""One base in memory that serves many tasks, swapped between batches."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from helpers.backbones import Backbone
from helpers.lessons.adapter_library.task_parts import Plug, shared_copy
from helpers.registry import find


class Server(nn.Module):
    """A frozen base and the plugs of its tasks; called with a raw batch, it answers the one in use.

    What tasks insert is added by hooks on layers of a copy that shares the base's tensors, so the
    base itself is neither changed nor copied, and swapping a task is setting one reference.
    """

    def __init__(self, base: Backbone) -> None:
        super().__init__()
        self.base = shared_copy(base)
        self.plugs: dict[str, Plug] = {}
        self.using = ""
        self._answering: Plug | None = None
        self._hooked: set[str] = set()

    def plug_in(self, name: str, plug: Plug) -> None:
        """Hold a task in memory; it must fit the base (`Plug.misfits`)."""
        state = self.base.state_dict()
        device = next(iter(state.values())).device
        plug.move(lambda tensor: tensor.to(device))
        # A kernel is chosen by the layout too, and other kernels round otherwise.
        last = torch.channels_last
        for key, value in plug.own.items():
            if value.ndim == 4 and state[key].is_contiguous(memory_format=last):
                plug.own[key] = value.contiguous(memory_format=last)
        layers = dict(self.base.named_modules())
        for site in plug.parts.keys() - self._hooked:
            layers[site].register_forward_hook(functools.partial(self._hook, site))
            self._hooked.add(site)
        self.plugs[name] = plug

    def unplug(self, name: str) -> None:
        """Forget a task; what is not held is ignored."""
        self.plugs.pop(name, None)
        self.using = "" if self.using == name else self.using

    def use(self, name: str) -> Server:
        """Answer this task from now on. Raises UserError when it isn't plugged in."""
        self._plug(name)
        self.using = name
        return self

    @torch.no_grad()
    def forward(self, batch: Tensor) -> Tensor:
        """Logits (N, classes) of the task in use, for a raw batch."""
        plug = self._plug(self.using)
        state = self.base.prepare(batch)
        self._answering = plug
        try:
            state = functional_call(self.base, plug.own, (state,)) if plug.own else self.base(state)
        finally:
            self._answering = None
        return F.linear(self.base.pool(state), *plug.head)

    def _hook(self, site: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor):
        part = self._answering.parts.get(site) if self._answering else None
        return part.alone(layer, inputs[0], output) if part else None

    def _plug(self, name: str) -> Plug:
        return find("task in memory", name, self.plugs)

    def train(self, mode: bool = True) -> Server:
        """Stay in evaluation mode: the base's statistics belong to every task."""
        return super().train(False)

    def _apply(self, fn, recurse: bool = True) -> Server:
        """Move the plugs along when the base is moved to another device."""
        super()._apply(fn, recurse)
        for plug in self.plugs.values():
            plug.move(fn)
        return self
