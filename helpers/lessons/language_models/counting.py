"""Language models that fit no laptop, counted: parameters exactly, bytes by formula.

Parameters are counted on PyTorch's meta device, where a tensor has a shape and no memory.
"""

from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch

from helpers.experiments.costs import count_parameters
from helpers.lessons.language_models.decoder import Shape, build_decoder, plug
from helpers.vocabulary import FULL_FINE_TUNING, LORA

ATTENTION = ("q_proj", "v_proj")  # where Hu et al. 2021 put LoRA
MOMENTS = 2  # numbers that AdamW keeps for each trained one
TASKS = 100


@dataclass(frozen=True)
class Architecture:
    """A public decoder: its shape, written out from its paper."""

    name: str
    shape: Shape
    source: str


_published = partial(Shape, vocabulary=32_000, tied=False)
ARCHITECTURES = (
    Architecture(
        "1.1 B", _published(2048, 22, 32, 5632, key_value_heads=4), "TinyLlama, arXiv 2401.02385"
    ),
    Architecture("7 B", _published(4096, 32, 32, 11_008), "Llama 2, arXiv 2307.09288"),
    Architecture(
        "70 B", _published(8192, 80, 64, 28_672, key_value_heads=8), "Llama 2, arXiv 2307.09288"
    ),
)


@dataclass(frozen=True)
class Precision:
    """Bytes of each number. Default: float32 throughout, as every step measured here.

    `MIXED` keeps 16-bit weights and gradients and 32-bit moments, and a 32-bit copy of each
    weight that is trained (Micikevicius et al. 2018, arXiv 1710.03740).
    """

    weight: int = 4
    gradient: int = 4
    moment: int = 4
    master: int = 0  # copy of a trained weight
    stored: int = 4  # on disk


FLOAT32 = Precision()
MIXED = Precision(weight=2, gradient=2, moment=4, master=4, stored=2)


def count_lora(
    architecture: Architecture, rank: int = 8, targets: tuple[str, ...] = ATTENTION
) -> tuple[int, int]:
    """(trainable, total) parameters of a decoder with LoRA on its attention; no memory is taken."""
    model = build_decoder(architecture.shape, device="meta")
    with torch.device("meta"):
        return count_parameters(plug(model, LORA, rank=rank, targets=targets))


def training_bytes(trainable: int, total: int, precision: Precision = FLOAT32) -> int:
    """Bytes that training holds besides activations: weights, gradients, optimizer state.

    total: the base's parameters and whatever was inserted. Activations depend on batch and length
    and are in `tools.measure.memory_formula`.
    """
    moving = precision.gradient + MOMENTS * precision.moment + precision.master
    return total * precision.weight + trainable * moving


def at_scale(rank: int = 8, *, precision: Precision = FLOAT32, tasks: int = TASKS) -> pd.DataFrame:
    """What full fine-tuning and LoRA take on each architecture: two rows for each.

    Columns: model, approach, trainable (parameters), total, gradient_gb, optimizer_gb (moments and
    copies of trained weights), training_gb (weights too; activations not), task_mb (what one task
    adds to the disk), tasks_gb (`tasks` of them, and for LoRA the base once), source.
    """
    each, made = precision, []
    for one in ARCHITECTURES:
        lora, total = count_lora(one, rank)
        base = total - lora
        for approach, moving in ((FULL_FINE_TUNING, base), (LORA, lora)):
            shared = base if approach == LORA else 0
            whole = total if approach == LORA else base
            made.append(
                {
                    "model": one.name,
                    "approach": approach,
                    "trainable": moving,
                    "total": whole,
                    "gradient_gb": moving * each.gradient / 1e9,
                    "optimizer_gb": moving * (MOMENTS * each.moment + each.master) / 1e9,
                    "training_gb": training_bytes(moving, whole, each) / 1e9,
                    "task_mb": moving * each.stored / 1e6,
                    "tasks_gb": (tasks * moving + shared) * each.stored / 1e9,
                    "source": one.source,
                }
            )
    return pd.DataFrame(made)
