"""One base in memory that serves many tasks: swapped between batches, or mixed within one.

The low-rank updates of all tasks lie stacked by layer, so that a batch need not copy them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from helpers.backbones import Backbone, State
from helpers.errors import UserError
from helpers.lessons.adapter_library.task_parts import (
    Bottleneck,
    Factors,
    LowRank,
    Plug,
    shared_copy,
)
from helpers.registry import find
from helpers.runtime import keep_freed_memory


class Stacks:
    """One tensor of A, of B and of scales for each layer at which all updates have one shape."""

    def __init__(self, plugs: Iterable[Plug]) -> None:
        self._layers: dict[str, tuple[dict[LowRank, int], Factors]] = {}
        parts: dict[str, list[LowRank]] = {}
        for plug in plugs:
            for site, part in plug.parts.items():
                if isinstance(part, LowRank):
                    parts.setdefault(site, []).append(part)
        for site, own in parts.items():
            if len({(part.A.shape, part.B.shape) for part in own}) == 1:
                self._layers[site] = ({part: i for i, part in enumerate(own)}, _stacked(own))

    def factors(self, site: str, parts: Sequence[LowRank | None]) -> Factors | None:
        """Factors of `parts` in their order; None where one has no update here, or another shape.

        Nothing is copied where they are all that is stacked here, in its order.
        """
        if site not in self._layers or any(part is None for part in parts):
            return None
        places, factors = self._layers[site]
        wanted = [places[part] for part in parts]
        if wanted == list(range(len(places))):
            return factors
        rows = torch.tensor(wanted, device=factors[0].device)
        return tuple(tensor[rows] for tensor in factors)


def _stacked(parts: Sequence[LowRank]) -> Factors:
    """The parts' tensors in one, each part's own then being a view of it."""
    A, B = torch.stack([part.A for part in parts]), torch.stack([part.B for part in parts])
    for i, part in enumerate(parts):
        part.A, part.B = A[i], B[i]
    scale: Tensor = A.new_tensor([part.scale for part in parts]).view(-1, 1, 1)
    return A, B, scale


@dataclass(frozen=True)
class Mix:
    """Whose rows a batch holds: `rows` (N,) index into `plugs`, in rising order."""

    plugs: tuple[Plug, ...]
    rows: Tensor
    stacks: Stacks | None = None

    def first(self, count: int) -> Mix:
        """The same for the first `count` rows."""
        return replace(self, rows=self.rows[:count])

    def of(self, plugs: tuple[Plug, ...]) -> Mix:
        """The same for the first plugs alone, whose rows these are."""
        return replace(self, plugs=plugs)

    @functools.cached_property
    def even(self) -> bool:
        """Whether every task has as many rows as any other."""
        counts = torch.bincount(self.rows, minlength=len(self.plugs))
        return bool((counts == counts[0]).all()) and len(self.rows) > 0

    def change(self, site: str, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """A layer's output with what each row's task inserts there."""
        parts = [plug.parts.get(site) for plug in self.plugs]
        if len(parts) == 1:
            return parts[0].alone(layer, x, y) if parts[0] else y
        low_rank = [part if isinstance(part, LowRank) else None for part in parts]
        if any(low_rank):
            y = LowRank.mixed(self._factors(site, layer, low_rank), layer, x, y)
        bottlenecks = [part if isinstance(part, Bottleneck) else None for part in parts]
        if any(bottlenecks):
            y = Bottleneck.mixed(bottlenecks, self.rows, layer, x, y)
        return y

    def _factors(self, site: str, layer: nn.Module, parts: list[LowRank | None]) -> Factors:
        """One entry for each task where tasks have equal shares, else one for each row."""
        found = self.stacks.factors(site, parts) if self.stacks else None
        if found is None:
            return LowRank.gathered(parts, self.rows)
        one_each = len(self.rows) == len(parts)
        if self.even and (one_each or isinstance(layer, nn.Linear)):
            return found
        return tuple(tensor[self.rows] for tensor in found)


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
        self._mix: Mix | None = None
        self._stacks: Stacks | None = None  # None: to be made from what is plugged in
        self._hooked: set[str] = set()

    def plug_in(self, name: str, plug: Plug) -> None:
        """Hold a task in memory; it must fit the base (`Plug.misfits`)."""
        state = self.base.state_dict()
        device = next(iter(state.values())).device
        plug.move(lambda tensor: tensor.to(device))
        # A kernel is chosen by the layout too, and other kernels round otherwise.
        plug.own = {key: _laid_out_as(value, state[key]) for key, value in plug.own.items()}
        layers = dict(self.base.named_modules())
        for site in plug.parts.keys() - self._hooked:
            layers[site].register_forward_hook(functools.partial(self._hook, site))
            self._hooked.add(site)
        self.plugs[name] = plug
        self._stacks = None

    def unplug(self, name: str) -> None:
        """Forget a task; what is not held is ignored."""
        self._stacks = None if self.plugs.pop(name, None) else self._stacks
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
        with self._mixing(Mix((plug,), torch.zeros(len(batch), dtype=torch.long))):
            state = functional_call(self.base, plug.own, (state,)) if plug.own else self.base(state)
        return F.linear(self.base.pool(state), *plug.head)

    @torch.inference_mode()
    def predict(self, batch: Tensor, tasks: Sequence[str]) -> list[Tensor]:
        """Logits (classes,) of every row for its own task, rows of many tasks in one pass.

        Rows run through the base together until a stage that is their task's own (tuned copies);
        from there on they run by task. Equal to serving them one by one, but for rounding.
        Raises UserError for an empty batch, or another number of tasks than of rows.
        """
        if len(tasks) != len(batch) or not len(tasks):
            raise UserError(f"a batch of {len(batch)} needs a task for each row; got {len(tasks)}")
        keep_freed_memory()
        plugs = {name: self._plug(name) for name in sorted(set(tasks))}
        if self._stacks is None and len(plugs) > 1:
            self._stacks = Stacks(self.plugs[name] for name in sorted(self.plugs))
        n_stages = self.base.n_stages
        # Rows that leave the shared pass first stand last, tasks in one piece.
        leaves = {name: plug.first_own_stage(n_stages) for name, plug in plugs.items()}
        names = sorted(plugs, key=lambda name: (-leaves[name], name))
        order = sorted(range(len(tasks)), key=lambda row: names.index(tasks[row]))
        rows = torch.tensor([names.index(tasks[row]) for row in order], device=batch.device)
        mix = Mix(tuple(plugs[name] for name in names), rows, self._stacks)
        state = self.base.prepare(batch[torch.tensor(order, device=batch.device)])
        features = self._features(state, mix, [leaves[name] for name in names])
        answers: list[Tensor] = [features] * len(tasks)
        for place, name in enumerate(names):
            here = (rows == place).nonzero().flatten()
            logits = F.linear(features[here], *plugs[name].head)
            for row, logit in zip(here.tolist(), logits, strict=True):
                answers[order[row]] = logit
        return answers

    def _features(self, state: State, mix: Mix, leaves: list[int]) -> Tensor:
        """Pooled features, the pass shared as long as it can be. Rows are sorted as `leaves` is."""
        apart: list[Tensor] = []
        place = len(leaves)
        for stage in range(self.base.n_stages):
            while place and leaves[place - 1] == stage:
                place -= 1
                count = int((mix.rows < place).sum())
                apart.append(self._alone(_cut(state, count, None), mix.plugs[place], stage))
                state, mix = _cut(state, 0, count), mix.first(count)
            if not place:
                break
            with self._mixing(mix.of(mix.plugs[:place])):
                state = self.base(state, start=stage, stop=stage + 1)
        shared = [self.base.pool(state)] if place else []
        return torch.cat([*shared, *reversed(apart)])

    def _alone(self, state: State, plug: Plug, start: int) -> Tensor:
        """Pooled features of rows of one task from a stage on."""
        rows = torch.zeros(len(state[0] if isinstance(state, tuple) else state), dtype=torch.long)
        with self._mixing(Mix((plug,), rows)):
            state = functional_call(self.base, plug.own, (state,), {"start": start})
        return self.base.pool(state)

    @contextmanager
    def _mixing(self, mix: Mix) -> Iterator[None]:
        self._mix = mix
        try:
            yield
        finally:
            self._mix = None

    def _hook(self, site: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor):
        return self._mix.change(site, layer, inputs[0], output) if self._mix else None

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
        self._stacks = None
        return self


def _cut(state: State, start: int, stop: int | None) -> State:
    """Some consecutive rows of what flows between stages."""
    if isinstance(state, tuple):
        return tuple(part[start:stop] for part in state)
    return state[start:stop]


def _laid_out_as(tensor: Tensor, model: Tensor) -> Tensor:
    """The tensor in the memory layout of another of its shape."""
    if tensor.ndim != 4 or not model.is_contiguous(memory_format=torch.channels_last):
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)
