"""`smollm2`: SmolLM2-135M-Instruct, a decoder that people use, from a GGUF file of 4-bit weights.

Its weight matrices have 4 bits a number (Q4_1), its word vectors 8 (Q8_0). What is loaded are those
numbers multiplied out, not the weights that the authors trained: the rounding is in them.
"""

import functools

import torch
from torch import Tensor, nn

from helpers.backbones.base import Backbone, BackboneInfo, Recipe, register_backbone
from helpers.backbones.gguf_file import PADDING, GGUFFile, load_decoder
from helpers.backbones.minilm import MeanPool, token_ids
from helpers.storage.install import asset_path

ROUNDED = "its weights are the 4-bit ones of the file, dequantised, and not the original"
PRETRAINED_ON = f"2 trillion tokens of web text, code and mathematics, then instructions; {ROUNDED}"
DEFAULT_LENGTH = 64


@functools.cache
def smollm2_file() -> GGUFFile:
    """The asset's file, read once; fetched first where it is not there."""
    return GGUFFile(next(asset_path("smollm2").rglob("*.gguf")))


class WordStage(nn.Module):
    """Token ids (N,L), 0 = padding at the end -> (hidden (N,L,width), mask (N,L) of bool)."""

    def __init__(self, words: nn.Embedding) -> None:
        super().__init__()
        self.words = words

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        return self.words(ids), ids != PADDING


class DecoderStage(nn.Module):
    """One decoder layer on (hidden, mask). A token sees those before it alone, so no padding."""

    def __init__(self, layer: nn.Module, rotary: nn.Module) -> None:
        super().__init__()
        self.layer, self.rotary = layer, rotary

    def forward(self, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        hidden, mask = state
        places = torch.arange(hidden.shape[1], device=hidden.device)[None]
        turned = self.rotary(hidden, places)
        return self.layer(hidden, position_ids=places, position_embeddings=turned), mask


class NormStage(nn.Module):
    """The last normalisation, on (hidden, mask)."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return self.norm(state[0]), state[1]


def build_smollm2(pretrained: bool, size: int | None = None) -> Backbone:
    """SmolLM2-135M: word vectors, thirty layers 576 wide and a normalisation, offline."""
    from transformers import LlamaModel

    file = smollm2_file()
    decoder = load_decoder(file).model if pretrained else LlamaModel(file.config)
    tokenizer = file.tokenizer()
    layers = [DecoderStage(layer, decoder.rotary_emb) for layer in decoder.layers]
    return Backbone(
        "smollm2",
        "text",
        [WordStage(decoder.embed_tokens), *layers, NormStage(decoder.norm)],
        MeanPool(),
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
