"""What a training step costs by each method on decoders of growing size, measured in turns.

All methods of a size share one set of random weights, and every turn takes one step of each, so a
busy moment of the machine meets them alike. Weights do not matter to time or memory, and the rate
is zero, so that they stay as they are.
"""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from helpers.approaches.lora import lora_layers
from helpers.experiments.costs import TensorMemory, count_parameters
from helpers.experiments.timing import resting_optimizer, timed_ms
from helpers.lessons.language_models.counting import ATTENTION
from helpers.lessons.language_models.decoder import Shape, build_decoder, plug
from helpers.training.checkpoints import task_state
from helpers.training.loop import trainable
from helpers.vocabulary import ADAPTER, FULL_FINE_TUNING, LORA, PARTIAL_FINE_TUNING
from tools.measure.memory_formula import Method, step_memory

METHODS = (
    Method(FULL_FINE_TUNING),
    Method(PARTIAL_FINE_TUNING),
    Method(LORA, rank=8, targets=ATTENTION),
    Method(LORA, rank=8),
    Method(LORA, rank=64),
    Method(ADAPTER, reduction=8),
)
MODELS = {
    "1M": Shape(128, 4, 4, 384, 1024),  # as `tiny` is
    "5M": Shape(256, 4, 4, 688),
    "20M": Shape(512, 5, 8, 1376),
    "60M": Shape(640, 11, 10, 1728),
    "110M": Shape(768, 15, 12, 2048),
    "350M": Shape(1024, 27, 16, 2816),
    "1B": Shape(2048, 19, 32, 5632),
}


@dataclass
class Variant:
    """A decoder made ready for a method, on weights that it shares, with its optimizer."""

    method: Method
    model: nn.Module
    optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = resting_optimizer(self.model)

    def step(self, ids: Tensor) -> None:
        """Forward, backward and AdamW step on token ids (N, L); each predicts the one after it."""
        wanted = ids[:, 1:].flatten()
        # No name for the logits: they would outlive the loss, and take memory while it goes back.
        loss = F.cross_entropy(self.model(input_ids=ids[:, :-1]).logits.flatten(0, 1), wanted)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def variant_of(base: nn.Module, method: Method) -> Variant:
    """The base with what `method` inserts and trains; the weights are shared, not copied."""
    own = {id(one): nn.Parameter(one.detach()) for one in base.parameters()}
    return Variant(method, plug(copy.deepcopy(base, own), method.approach, **method.settings))


def token_ids(shape: Shape, batch: int, seq: int) -> Tensor:
    """Random ids (batch, seq + 1): inputs, and the token after the last."""
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, shape.vocabulary, (batch, seq + 1), generator=draw)


def step_peak(variant: Variant, ids: Tensor) -> int:
    """Peak bytes of a step once training runs: weights, moments, gradients, activations.

    The second step is looked at, because AdamW makes its moments at the end of the first.
    """
    variant.step(ids)
    held = [*variant.model.parameters(), *variant.model.buffers(), *_moments(variant)]
    with TensorMemory(*held, ids) as memory:
        variant.step(ids)
    return memory.peak


def optimizer_bytes(variant: Variant) -> int:
    """Bytes of AdamW's state as it is, after a step."""
    return sum(tensor.nbytes for tensor in _moments(variant))


def checkpoint_bytes(variant: Variant) -> int:
    """Bytes on disk of what the method trained: written as safetensors, looked at, removed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task.safetensors"
        save_file(task_state(variant.model), path)
        return path.stat().st_size


def memory_row(shape: Shape, variant: Variant, ids: Tensor) -> dict[str, float]:
    """What does not change from turn to turn: parameters, bytes, and the formula beside them."""
    batch, seq = ids.shape[0], ids.shape[1] - 1
    peak = step_peak(variant, ids)
    formula = step_memory(shape, variant.method, batch, seq)
    moving, total = count_parameters(variant.model)
    return {
        "trainable_params": moving,
        "total_params": total,
        "weight_bytes": sum(p.nbytes for p in variant.model.parameters()),
        "gradient_bytes": sum(p.nbytes for p in trainable(variant.model)),
        "optimizer_bytes": optimizer_bytes(variant),
        "passing_bytes": formula.passing,
        "peak_bytes": peak,
        "formula_bytes": formula.peak,
        "formula_error": formula.peak / peak - 1,
        "checkpoint_bytes": checkpoint_bytes(variant),
    }


def latencies_ms(variant: Variant, ids: Tensor) -> tuple[float, float]:
    """(merged, unmerged) processor milliseconds of one forward pass.

    LoRA is merged for real, on the shared weights, which its B of zeros leaves as they are, and
    unplugged again. Adapters can't be merged, since a ReLU lies inside; others insert nothing.
    """
    model, inputs = variant.model.eval(), ids[:, :-1]
    with torch.inference_mode():
        unmerged = timed_ms(lambda: model(input_ids=inputs))[0]
    sites = list(lora_layers(model))
    if not sites:
        return unmerged, unmerged
    for parent, key, layer in sites:
        setattr(parent, key, layer.merged())
    with torch.inference_mode():
        merged = timed_ms(lambda: model(input_ids=inputs))[0]
    for parent, key, layer in sites:
        setattr(parent, key, layer)
    return merged, unmerged


def measure(
    shape: Shape,
    methods: tuple[Method, ...],
    *,
    batch: int,
    seq: int,
    turns: int,
    latency: bool = True,
    base: nn.Module | None = None,
) -> Iterator[dict[str, float]]:
    """Yield one row for each turn and method: memory, and the milliseconds of that turn.

    Two steps of each come first, untimed. latency: False leaves forward passes out (NaN). base: a
    decoder of this shape to use, so that several calls share it.
    """
    base = build_decoder(shape) if base is None else base
    variants, ids = [variant_of(base, method) for method in methods], token_ids(shape, batch, seq)
    fixed = [memory_row(shape, variant, ids) for variant in variants]
    for turn in range(turns):
        for variant, row in zip(variants, fixed, strict=True):
            variant.model.train()
            cpu, wall = timed_ms(lambda chosen=variant: chosen.step(ids))
            merged, unmerged = latencies_ms(variant, ids) if latency else (math.nan, math.nan)
            yield {
                "approach": variant.method.approach,
                "setting": variant.method.setting,
                "batch": batch,
                "seq": seq,
                "turn": turn,
                **row,
                "step_ms": cpu,
                "step_wall_ms": wall,
                "merged_ms": merged,
                "unmerged_ms": unmerged,
            }


def _moments(variant: Variant) -> list[Tensor]:
    states = variant.optimizer.state.values()
    return [value for state in states for value in state.values() if isinstance(value, Tensor)]
