"""Decoders built from a `transformers` configuration.

A decoder is a stack of layers that predicts the next token (Llama's layout, Touvron et al. 2023,
arXiv 2302.13971).
"""

from dataclasses import dataclass

import torch
from torch import nn

from helpers.errors import UserError

IA3, PROMPT_TUNING = "ia3", "prompt_tuning"  # of the `peft` library


@dataclass(frozen=True)
class Shape:
    """Widths and layers of a decoder. Word vectors are shared with the output unless untied."""

    width: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int = 8192
    key_value_heads: int = 0  # 0: as many as heads
    tied: bool = True
    context: int = 1024  # positions


def build_decoder(shape: Shape, *, seed: int | None = 0, device: str = "cpu") -> nn.Module:
    """A `LlamaForCausalLM` with random weights in evaluation mode.

    seed: None draws from the global generator. device: "meta" takes no memory at all.
    Raises UserError where the heads do not divide the width.
    """
    if shape.width % shape.heads:
        raise UserError(f"{shape.heads} heads do not divide a width of {shape.width}")
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads or shape.heads,
        intermediate_size=shape.feed_forward,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=shape.context,
        use_cache=False,
        pad_token_id=None,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]), torch.device(device):
        if seed is not None:
            torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()
