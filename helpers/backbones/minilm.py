"""`minilm` and other BERT-like encoders, cut into embeddings and layers."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from helpers.backbones.base import Backbone, BackboneInfo, Recipe, Stage, register_backbone
from helpers.errors import UserError
from helpers.storage.install import asset_path

PRETRAINED_ON = "English web text, then 1 billion sentence pairs (all-MiniLM-L6-v2)"
DEFAULT_LENGTH = 64
LISTS_KEPT = 12  # of texts with their token ids: three splits of four tasks, some megabytes


def _embedded(ids: Tensor, embeddings: nn.Module) -> tuple[Tensor, Tensor]:
    """Token ids (N,L), 0 = padding → (hidden (N,L,width), mask (N,L) of bool)."""
    return embeddings(input_ids=ids), ids != 0


def _through_layer(state: tuple[Tensor, Tensor], layer: nn.Module) -> tuple[Tensor, Tensor]:
    """One transformer layer on (hidden, mask)."""
    hidden, mask = state
    # Attention adds this to its scores: nothing for words, −∞ (nearly) for padding.
    bias = torch.zeros_like(mask, dtype=hidden.dtype)
    bias = bias.masked_fill(~mask, torch.finfo(hidden.dtype).min)[:, None, None, :]
    output = layer(hidden, attention_mask=bias)
    return (output[0] if isinstance(output, tuple) else output), mask


def mean_pool(state: tuple[Tensor, Tensor]) -> Tensor:
    """(hidden (N,L,width), mask) → mean over the words (N,width), as Sentence-BERT pools."""
    hidden, mask = state
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


def make_tokenizer(path: str | Path) -> Callable[[list[str], int], np.ndarray]:
    """A function (texts, longest) → token ids (int32 N,L), padded with zeros.

    Each list of texts is tokenised once: the ids of the last few lists are kept, because a run
    asks for the same split several times and each new model for the same tasks.

    Raises UserError when the tokenizer pads with another id than 0 (BERT's).
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(path))
    if tokenizer.pad_token_id != 0:
        raise UserError(f"{path}: padding id is {tokenizer.pad_token_id}; only 0 is supported")

    kept = lru_cache(LISTS_KEPT)(partial(token_ids, tokenizer))
    return lambda texts, longest: kept(tuple(texts), longest).copy()  # nobody writes into it


def token_ids(tokenizer: Any, texts: Sequence[str], longest: int) -> np.ndarray:
    """Token ids (int32 N,L) of texts cut to `longest` tokens, padded with zeros."""
    rows = tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
    ids = np.zeros((len(rows), max(map(len, rows), default=1)), dtype=np.int32)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    return ids


def encoder_backbone(name: str, model: nn.Module, path: str | Path, size: int | None) -> Backbone:
    """Cut a BERT-like encoder (`embeddings` and `encoder.layer`) into a Backbone."""
    layers = getattr(getattr(model, "encoder", None), "layer", None)
    if layers is None or not hasattr(model, "embeddings"):
        raise UserError(
            f"{name}: only encoders with `embeddings` and `encoder.layer` (BERT, RoBERTa, MiniLM) "
            f"can be cut into stages; this is {type(model).__name__}"
        )
    return Backbone(
        name,
        "text",
        [
            Stage(_embedded, embeddings=model.embeddings),
            *(Stage(_through_layer, layer=layer) for layer in layers),
        ],
        mean_pool,
        model.config.hidden_size,
        Recipe(size=size or DEFAULT_LENGTH),
        tokenizer=make_tokenizer(path),
    )


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep transformers from reporting the pooler that we leave out, and from a bar for 0.1 s."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def build_minilm(pretrained: bool, size: int | None = None) -> Backbone:
    """all-MiniLM-L6-v2: embeddings and six layers, 384 wide, 22.6 M parameters, offline."""
    from transformers import AutoConfig, AutoModel

    path = next(asset_path("minilm").rglob("config.json")).parent
    config = AutoConfig.from_pretrained(path)
    if pretrained:
        with _quietly():
            model = AutoModel.from_pretrained(path, config=config, add_pooling_layer=False)
    else:
        model = AutoModel.from_config(config, add_pooling_layer=False)
    return encoder_backbone("minilm", model.float(), path, size)


register_backbone(
    BackboneInfo(
        name="minilm",
        label="MiniLM",
        modality="text",
        build=build_minilm,
        pretrained_on=PRETRAINED_ON,
        licence="Apache-2.0",
        default_size=DEFAULT_LENGTH,
        # A billion sentence pairs are out of reach: mails on many subjects stand for them.
        stand_in="newsgroups",
        advised=True,
        relative_cost=40.0,
    )
)
