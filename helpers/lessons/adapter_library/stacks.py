"""Low-rank updates of all tasks in memory, stacked by layer, so that a batch need not copy them.

Gathering twenty tasks' factors anew at every layer took as long as the products they are for. Here
the stack is the only copy: a task's own tensors become views of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from helpers.lessons.adapter_library.task_parts import Factors, LowRank, Plug


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
