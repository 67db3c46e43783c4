"""QLoRA in plain PyTorch: a base that stays in blocks of 4 bits, LoRA on top.

Dettmers et al. 2023 (arXiv 2305.14314). No layer keeps its weight in float32. A layer multiplies
its blocks out when it is asked, forgets the result, and does it again on the way back, since the
gradient of its input needs the weight once more. What is trained is LoRA's small matrices, in
float32. The blocks here are those of the model's file (Q4_1), not the paper's NF4: the idea is the
same, and 5 bits a number are spent against its 4.13.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from helpers.backbones.gguf_file import BLOCK, BLOCK_BYTES, GGUFFile, dequantised, empty_decoder
from helpers.backbones.smollm2 import smollm2_file


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
