"""QLoRA in plain PyTorch: a base that stays in blocks of 4 bits, LoRA on top.

Dettmers et al. 2023 (arXiv 2305.14314). No layer keeps its weight in float32. A layer multiplies
its blocks out when it is asked, forgets the result, and does it again on the way back, since the
gradient of its input needs the weight once more. What is trained is LoRA's small matrices, in
float32. The blocks here are those of the model's file (Q4_1), not the paper's NF4: the idea is the
same, and 5 bits a number are spent against its 4.13.

`data/results/four_bit.csv`, by `tools/measure/measure_four_bit.py`, has a line for each step that
SmolLM2 took under LoRA:

    base                 `dequantised` (float32), or `blocks` as in the file
    rank, batch, seq, turn
    base_bytes           in memory, word vectors among them
    peak_bytes           live tensors at the worst moment of a step
    formula_bytes        what `tools.measure.memory_formula` says of the dequantised base
    gap                  largest difference of the two models' logits
    step_ms              processor milliseconds
    threads, torch, created, git
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor, nn

from helpers.backbones.gguf_file import BLOCK, BLOCK_BYTES, GGUFFile, dequantised, empty_decoder
from helpers.backbones.smollm2 import smollm2_file
from helpers.lessons.language_models.counting import (
    ARCHITECTURES,
    ATTENTION,
    FLOAT32,
    MOMENTS,
    count_lora,
)
from helpers.lessons.language_models.decoder import Shape
from helpers.storage.results_file import ResultsFile

QUESTION = ["base", "rank", "batch", "seq", "turn"]
NUMBERS = ["base_bytes", "peak_bytes", "formula_bytes", "gap", "step_ms"]
FILE = ResultsFile(
    "four_bit.csv", [*QUESTION, *NUMBERS, "threads", "torch", "created", "git"], QUESTION
)
WORDS, LAYERS = "Q8_0", "Q4_1"  # how the file stores word vectors, and the matrices of its layers


class _BlockProduct(torch.autograd.Function):
    """x (…, in) · Wᵀ, W (out, in) in blocks. The backward pass keeps the blocks, and not W."""

    @staticmethod
    def forward(ctx, x: Tensor, blocks: Tensor, kind: str) -> Tensor:
        ctx.save_for_backward(blocks)
        ctx.kind = kind
        return x @ dequantised(blocks, kind).T

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (blocks,) = ctx.saved_tensors
        return gradient @ dequantised(blocks, ctx.kind).to(gradient.dtype), None, None


class BlockLinear(nn.Linear):
    """A frozen linear layer without bias whose weight is kept in blocks (out, bytes), uint8."""

    def __init__(self, blocks: Tensor, kind: str) -> None:
        nn.Module.__init__(self)  # nn.Linear's own would make a weight in float32
        self.register_buffer("blocks", blocks)
        self.register_parameter("bias", None)
        self.kind = kind
        self.out_features = len(blocks)
        self.in_features = blocks.shape[1] // BLOCK_BYTES[kind] * BLOCK

    @property
    def weight(self) -> Tensor:
        """The weight (out, in) in float32, multiplied out anew."""
        return dequantised(self.blocks, self.kind)

    def forward(self, x: Tensor) -> Tensor:
        return _BlockProduct.apply(x, self.blocks, self.kind)


class BlockEmbedding(nn.Module):
    """Word vectors kept in blocks; only the rows that are looked up are multiplied out."""

    def __init__(self, blocks: Tensor, kind: str) -> None:
        super().__init__()
        self.register_buffer("blocks", blocks)
        self.kind = kind

    def forward(self, ids: Tensor) -> Tensor:
        return dequantised(self.blocks[ids], self.kind)


def load_in_blocks(file: GGUFFile | None = None) -> nn.Module:
    """The decoder of a file (SmolLM2's where None) with every matrix in its blocks, all frozen.

    Word vectors and output share their blocks where the file has one matrix for both.
    """
    file = file or smollm2_file()
    decoder = empty_decoder(file.config)
    plain = {name: rows for name, (rows, kind) in file.stored.items() if kind == "F32"}
    decoder.load_state_dict(plain, strict=False, assign=True)
    for name, (blocks, kind) in file.stored.items():
        if kind != "F32":
            made = BlockEmbedding if "embed_tokens" in name else BlockLinear
            decoder.set_submodule(name.removesuffix(".weight"), made(blocks, kind))
    if file.config.tie_word_embeddings:
        words = decoder.model.embed_tokens
        decoder.lm_head = BlockLinear(words.blocks, words.kind)
    return decoder.requires_grad_(False)


def base_bytes(model: nn.Module) -> int:
    """Bytes in memory of what is frozen: weights and blocks, word vectors among them, once each."""
    held = [p for p in model.parameters() if not p.requires_grad] + list(model.buffers())
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in held}.values())


def block_bytes(shape: Shape) -> int:
    """Bytes of a decoder of this shape in blocks: its layers in 4 bits, its word vectors in 8.

    Normalisations stay in float32. Without tying, the output is stored as the word vectors are.
    """
    words = shape.vocabulary * shape.width * (1 if shape.tied else 2)
    keys = shape.width * (shape.key_value_heads or shape.heads) // shape.heads
    layer = 2 * shape.width * (shape.width + keys) + 3 * shape.width * shape.feed_forward
    norms = (2 * shape.layers + 1) * shape.width
    in_four = shape.layers * layer * BLOCK_BYTES[LAYERS]
    return (in_four + words * BLOCK_BYTES[WORDS]) // BLOCK + norms * FLOAT32.weight


def measured(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """The recorded steps on blocks beside those on the dequantised base: a line for each load.

    Columns: batch, seq, base_share, peak_share, time_share (blocks over dequantised, medians),
    base_mb, peak_mb, step_ms (on blocks), formula_error (of the dequantised base's peak) and gap.
    """
    rows = FILE.load() if rows is None else rows
    names = ["base_bytes", "peak_bytes", "step_ms", "formula_bytes", "gap"]
    medians = rows.groupby(["base", "batch", "seq"])[names].median()
    if medians.empty:
        return pd.DataFrame()
    blocks, plain = medians.loc["blocks"], medians.loc["dequantised"]
    made = pd.DataFrame(
        {
            "base_share": blocks["base_bytes"] / plain["base_bytes"],
            "peak_share": blocks["peak_bytes"] / plain["peak_bytes"],
            "time_share": blocks["step_ms"] / plain["step_ms"],
            "base_mb": blocks["base_bytes"] / 1e6,
            "peak_mb": blocks["peak_bytes"] / 1e6,
            "step_ms": blocks["step_ms"],
            "formula_error": plain["formula_bytes"] / plain["peak_bytes"] - 1,
            "gap": blocks["gap"],
        }
    )
    return made.reset_index()


def counted(rank: int = 8, targets: tuple[str, ...] = ATTENTION) -> pd.DataFrame:
    """What QLoRA would hold on models that fit no laptop: a line for each architecture.

    Columns: model, base_gb (in blocks), half_gb, float_gb (the base at 16 and 32 bits), share (of
    float_gb), lora_gb (LoRA in float32 with gradients and moments), training_gb (base in blocks and
    lora_gb; activations are not in it), weight_gb (the largest matrix, multiplied out for a
    moment), source.
    """
    each = FLOAT32.weight + FLOAT32.gradient + MOMENTS * FLOAT32.moment
    made = []
    for one in ARCHITECTURES:
        lora, total = count_lora(one, rank, targets)
        base, whole = block_bytes(one.shape), (total - lora) * FLOAT32.weight
        widest = one.shape.width * max(one.shape.vocabulary, one.shape.feed_forward)
        made.append(
            {
                "model": one.name,
                "base_gb": base / 1e9,
                "half_gb": whole / 2e9,
                "float_gb": whole / 1e9,
                "share": base / whole,
                "lora_gb": lora * each / 1e9,
                "training_gb": (base + lora * each) / 1e9,
                "weight_gb": widest * FLOAT32.weight / 1e9,
                "source": one.source,
            }
        )
    return pd.DataFrame(made)
