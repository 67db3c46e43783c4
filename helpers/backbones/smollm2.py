"""`smollm2`: SmolLM2-135M-Instruct, a decoder that people use, from a GGUF file of 4-bit weights.

Its weight matrices have 4 bits a number (Q4_1), its word vectors 8 (Q8_0). What is loaded are those
numbers multiplied out, not the weights that the authors trained: the rounding is in them.
"""

import functools

import torch
from torch import Tensor, nn

from helpers.backbones.base import Backbone, BackboneInfo, Recipe, Stage, register_backbone
from helpers.backbones.gguf_file import PADDING, GGUFFile, load_decoder
from helpers.backbones.minilm import mean_pool, token_ids
from helpers.storage.install import asset_path

ROUNDED = "its weights are the 4-bit ones of the file, dequantised, and not the original"
PRETRAINED_ON = f"2 trillion tokens of web text, code and mathematics, then instructions; {ROUNDED}"
DEFAULT_LENGTH = 64


@functools.cache
def smollm2_file() -> GGUFFile:
    """The asset's file, read once; fetched first where it is not there."""
    return GGUFFile(next(asset_path("smollm2").rglob("*.gguf")))


def _embedded(ids: Tensor, words: nn.Embedding) -> tuple[Tensor, Tensor]:
    """Token ids (N,L), 0 = padding at the end -> (hidden (N,L,width), mask (N,L) of bool)."""
    return words(ids), ids != PADDING


def _through_layer(
    state: tuple[Tensor, Tensor], layer: nn.Module, rotary: nn.Module
) -> tuple[Tensor, Tensor]:
    """One decoder layer on (hidden, mask). A token sees those before it alone, so no padding."""
    hidden, mask = state
    places = torch.arange(hidden.shape[1], device=hidden.device)[None]
    return layer(hidden, position_ids=places, position_embeddings=rotary(hidden, places)), mask


def _normalised(state: tuple[Tensor, Tensor], norm: nn.Module) -> tuple[Tensor, Tensor]:
    """The last normalisation, on (hidden, mask)."""
    return norm(state[0]), state[1]


def build_smollm2(pretrained: bool, size: int | None = None) -> Backbone:
    """SmolLM2-135M: word vectors, thirty layers 576 wide and a normalisation, offline."""
    from transformers import LlamaModel

    file = smollm2_file()
    decoder = load_decoder(file).model if pretrained else LlamaModel(file.config)
    tokenizer = file.tokenizer()
    layers = [
        Stage(_through_layer, layer=layer, rotary=decoder.rotary_emb) for layer in decoder.layers
    ]
    return Backbone(
        "smollm2",
        "text",
        [
            Stage(_embedded, words=decoder.embed_tokens),
            *layers,
            Stage(_normalised, norm=decoder.norm),
        ],
        mean_pool,
        file.config.hidden_size,
        Recipe(size=size or DEFAULT_LENGTH),
        # A function: clones share it, and with it the tokenizer. PADDING is 0.
        tokenizer=lambda texts, longest: token_ids(tokenizer, texts, longest),
    )


register_backbone(
    BackboneInfo(
        name="smollm2",
        label="SmolLM2",
        modality="text",
        build=build_smollm2,
        pretrained_on=PRETRAINED_ON,
        licence="Apache-2.0",
        default_size=DEFAULT_LENGTH,
        # Two trillion tokens are out of reach: mails on many subjects stand for them.
        stand_in="newsgroups",
        relative_cost=250.0,
    )
)
