"""One base in memory that serves many tasks, swapped between batches."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from helpers.approaches import TransferModel
from helpers.backbones import Backbone
from helpers.lessons.adapter_library.task_parts import BASE, Plug, frame, shared_copy
from helpers.registry import find


class Server(nn.Module):
    """A frozen base and the plugs of its tasks; called with a raw batch, it answers the one in use.

    What tasks insert runs beside layers of copies that share the base's tensors, so the base itself
    is neither changed nor copied. Tasks of one kind share a copy: to swap them is to set one
    reference.
    """

    def __init__(self, base: Backbone) -> None:
        super().__init__()
        self.base = shared_copy(base)
        self.plugs: dict[str, Plug] = {}
        self.using = ""
        self._frames: dict[Hashable, TransferModel] = {}

    def plug_in(self, name: str, plug: Plug) -> None:
        """Hold a task in memory; it must fit the base (`Plug.misfit`)."""
        state = {BASE + key: value for key, value in self.base.state_dict().items()}
        device = next(iter(state.values())).device
        plug.move(lambda tensor: tensor.to(device))
        # A kernel is chosen by the layout too, and other kernels round otherwise.
        last = torch.channels_last
        for key, value in plug.state.items():
            if value.ndim == 4 and key in state and state[key].is_contiguous(memory_format=last):
                plug.state[key] = value.contiguous(memory_format=last)
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

    def frame(self, plug: Plug) -> TransferModel:
        """The layers that a task's tensors run through, the same for all tasks of its kind."""
        places = plug.places
        if places not in self._frames:
            self._frames[places] = frame(shared_copy(self.base), plug)
        return self._frames[places]

    @torch.no_grad()
    def forward(self, batch: Tensor) -> Tensor:
        """Logits (N, classes) of the task in use, for a raw batch."""
        plug = self._plug(self.using)
        return functional_call(self.frame(plug), plug.state, (batch,))

    def _plug(self, name: str) -> Plug:
        return find("task in memory", name, self.plugs)

    def train(self, mode: bool = True) -> Server:
        """Stay in evaluation mode: the base's statistics belong to every task."""
        return super().train(False)

    def _apply(self, fn, recurse: bool = True) -> Server:
        """Move the plugs along when the base is moved to another device."""
        super()._apply(fn, recurse)
        self._frames.clear()  # they share the base's tensors, which are others now
        for plug in self.plugs.values():
            plug.move(fn)
        return self
