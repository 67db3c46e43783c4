"""Language models that fit no laptop, counted: parameters exactly, bytes by formula.

Parameters are counted on PyTorch's meta device, where a tensor has a shape and no memory.
"""

from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch

from helpers.approaches import freeze
from helpers.approaches.lora import add_lora
from helpers.backbones.gguf_file import BLOCK, BLOCK_BYTES
from helpers.experiments.costs import count_parameters
from helpers.lessons.language_models.decoder import Shape, build_decoder
from helpers.vocabulary import FULL_FINE_TUNING, LORA

ATTENTION = ("q_proj", "v_proj")  # where Hu et al. 2021 put LoRA
MOMENTS = 2  # numbers that AdamW keeps for each trained one
HALF, WHOLE = 2, 4  # bytes of a number in 16 and in 32 bits
QLORA = "qlora"
WORDS, LAYERS = "Q8_0", "Q4_1"  # how SmolLM2's file stores word vectors, and its layers


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


def count_lora(architecture: Architecture, rank: int = 8) -> tuple[int, int]:
    """(trainable, total) parameters of a decoder with LoRA on its attention; no memory is taken."""
    model = build_decoder(architecture.shape, device="meta")
    with torch.device("meta"):
        add_lora(freeze(model).base_model, rank, 2.0 * rank, ATTENTION)
    return count_parameters(model)


def training_bytes(trainable: int, total: int, *, mixed: bool = False) -> int:
    """Bytes that training holds besides activations: weights, gradients, optimizer state.

    total: the base's parameters and whatever was inserted. mixed: 16-bit weights and gradients,
    32-bit moments, and a 32-bit copy of each weight that is trained (Micikevicius et al. 2018,
    arXiv 1710.03740); else float32 throughout, as every step measured here. Activations depend on
    batch and length and are in `tools.measure.memory_formula`.
    """
    number, copy = (HALF, WHOLE) if mixed else (WHOLE, 0)
    return total * number + trainable * (number + MOMENTS * WHOLE + copy)


def block_bytes(shape: Shape) -> int:
    """Bytes of a decoder of this shape in blocks: its layers in 4 bits, its word vectors in 8.

    Normalisations stay in float32. Without tying, the output is stored as the word vectors are.
    """
    words = shape.vocabulary * shape.width * (1 if shape.tied else 2)
    keys = shape.width * (shape.key_value_heads or shape.heads) // shape.heads
    layer = 2 * shape.width * (shape.width + keys) + 3 * shape.width * shape.feed_forward
    norms = (2 * shape.layers + 1) * shape.width
    in_four = shape.layers * layer * BLOCK_BYTES[LAYERS]
    return (in_four + words * BLOCK_BYTES[WORDS]) // BLOCK + norms * WHOLE


def at_scale() -> pd.DataFrame:
    """What each architecture takes: three rows, for full fine-tuning, LoRA of rank 8 and QLoRA.

    Columns: model, approach, trainable (parameters), base_gb (frozen or not), training_gb
    (gradients and AdamW's moments too; activations not), task_mb (what a task adds to the disk).
    Full fine-tuning and LoRA in mixed precision; QLoRA keeps the base in blocks and trains LoRA in
    float32, as `tools.measure.four_bit` does.
    """
    rows = []
    for one in ARCHITECTURES:
        lora, total = count_lora(one)
        base, blocks = total - lora, block_bytes(one.shape)
        for approach, moving, held, training, stored in (
            (FULL_FINE_TUNING, base, base * HALF, training_bytes(base, base, mixed=True), HALF),
            (LORA, lora, base * HALF, training_bytes(lora, total, mixed=True), HALF),
            (QLORA, lora, blocks, blocks + training_bytes(lora, lora), WHOLE),
        ):
            gigabytes = held / 1e9, training / 1e9
            rows.append((one.name, approach, moving, *gigabytes, moving * stored / 1e6))
    columns = ["model", "approach", "trainable", "base_gb", "training_gb", "task_mb"]
    return pd.DataFrame(rows, columns=columns)


def scale_shown() -> pd.DataFrame:
    """`at_scale` for readers: a line for each model, gigabytes to train and megabytes of a task."""
    table = at_scale()
    names = {FULL_FINE_TUNING: "full", LORA: "LoRA", QLORA: "QLoRA"}
    table["how"] = table["approach"].map(names)
    memory, files = (
        table.pivot_table(index="model", columns="how", values=name, sort=False)
        for name in ("training_gb", "task_mb")
    )
    shown = memory.add_suffix(", GB to train").round(1)
    shown["a full copy, GB"] = (files["full"] / 1e3).round(1)
    shown["a LoRA file, MB"] = files["LoRA"].round(1)
    return shown.rename_axis(columns=None)


def files_in_words() -> str:
    """How many times a task's LoRA file goes into a full copy, from the smallest model on."""
    table = scale_shown()
    times = 1e3 * table["a full copy, GB"] / table["a LoRA file, MB"]
    told = ", ".join(f"**{number:,.0f} times** with {name}" for name, number in times.items())
    return f"A full copy is larger than a LoRA file: {told} weights."
