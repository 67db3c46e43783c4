"""Counting parameters of language models that fit no laptop: on PyTorch's meta device, exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from helpers.approaches.lora import add_lora
from helpers.approaches.model import freeze
from helpers.costs import count_parameters

ATTENTION = ("q_proj", "v_proj")  # where Hu et al. 2021 put LoRA


@dataclass(frozen=True)
class Architecture:
    """Public figures of a decoder: widths and layers, written out from its paper."""

    name: str
    width: int
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int
    vocabulary: int
    source: str


ARCHITECTURES = (
    Architecture("1.1 B", 2048, 22, 32, 4, 5632, 32_000, "TinyLlama, arXiv 2401.02385"),
    Architecture("7 B", 4096, 32, 32, 32, 11_008, 32_000, "Llama 2, arXiv 2307.09288"),
    Architecture("70 B", 8192, 80, 64, 8, 28_672, 32_000, "Llama 2, arXiv 2307.09288"),
)


def count_lora(
    architecture: Architecture, rank: int = 8, targets: tuple[str, ...] = ATTENTION
) -> tuple[int, int]:
    """(trainable, total) parameters of a decoder with LoRA on its attention; no memory is taken."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=architecture.width,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        num_key_value_heads=architecture.key_value_heads,
        intermediate_size=architecture.feed_forward,
        vocab_size=architecture.vocabulary,
    )
    with torch.device("meta"):
        model = freeze(LlamaForCausalLM(config))
        add_lora(model, rank, alpha=2 * rank, targets=targets)
    return count_parameters(model)
