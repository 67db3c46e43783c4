"""Continued pretraining of a text encoder: words are left out of unlabelled texts and predicted.

Masked words as of Devlin et al. 2019 (arXiv 1810.04805), predicted through the encoder's own word
vectors.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.lessons.unlabelled_data import (
    Continued,
    PretextConfig,
    descend,
    movable_copy,
)

MASKED = 0.15  # share of the words that are to be predicted


def mask_words(
    ids: Tensor, rng: np.random.Generator, mask: int, special: tuple[int, ...], vocabulary: int
) -> tuple[Tensor, Tensor]:
    """Choose words to predict: (ids with most of them hidden, the chosen places, both (N, L)).

    Of the chosen 15 %, eight in ten become the mask, one in ten a random word, one in ten stays;
    padding (0) and special ids are never chosen.
    """
    word = ids != 0
    for one in special:
        word &= ids != one
    chosen = torch.from_numpy(rng.random(ids.shape) < MASKED) & word
    fate = torch.from_numpy(rng.random(ids.shape))
    random_ids = torch.from_numpy(rng.integers(1, vocabulary, ids.shape)).to(ids.dtype)
    hidden = torch.where(chosen & (fate < 0.8), torch.tensor(mask, dtype=ids.dtype), ids)
    return torch.where(chosen & (fate >= 0.9), random_ids, hidden), chosen


class WordHead(nn.Module):
    """Hidden states (M, width) → scores of every word (M, vocabulary), as BERT's head does it.

    The last layer is the encoder's own table of word vectors, which stays frozen: untied it
    would be half as large as the encoder.
    """

    def __init__(self, words: Tensor) -> None:
        super().__init__()
        width = words.shape[1]
        self.dense, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(len(words)))
        self.words = (words.detach(),)  # outside the module tree: it belongs to the encoder

    def forward(self, hidden: Tensor) -> Tensor:
        return F.linear(self.norm(F.gelu(self.dense(hidden))), self.words[0], self.bias)


def predict_words(backbone: Backbone, texts: list[str], config: PretextConfig) -> Continued:
    """Go on pretraining a text encoder on unlabelled texts: predict words that are left out.

    The layers move, the embeddings stay: they are the output's too. The backbone given stays as it
    is. Raises UserError for another modality, or a tokenizer without BERT's [MASK].
    """
    made = movable_copy(backbone, texts, "text")
    probe = made.backbone.encode(["[MASK]"])[0].tolist()
    if len(probe) != 3:
        raise UserError(f"{backbone.name}: its tokenizer doesn't know [MASK]; use a BERT encoder")
    begin, mask, end = probe
    words = made.backbone.stages[0].embeddings.word_embeddings.weight
    ids = torch.from_numpy(made.backbone.encode(texts))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        made.backbone.stages[0].requires_grad_(False)
        head = WordHead(words)
        moving = [p for p in made.backbone.parameters() if p.requires_grad]

        def loss(rows: np.ndarray, rng: np.random.Generator) -> Tensor:
            batch = made.backbone.prepare(ids[torch.from_numpy(rows)])
            shown, chosen = mask_words(batch, rng, mask, (begin, end), len(words))
            if not chosen.any():
                chosen[:, 1] = True  # a batch of very short texts: predict each first word
            hidden, _ = made.backbone(shown)
            return F.cross_entropy(head(hidden[chosen]), batch[chosen])

        made = descend(made, [*moving, *head.parameters()], loss, len(texts), config)
    made.backbone.stages[0].requires_grad_(True)
    return made
