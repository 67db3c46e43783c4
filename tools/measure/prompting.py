"""Classifying by prompt: the model is asked in words, and no weight moves.

The text is followed by the beginning of an answer; each class has a word, and the class whose word
the model holds likelier as the next one is the answer (Brown et al. 2020, arXiv 2005.14165).
Zero-shot shows the text alone, few-shot some labelled ones before it. A model prefers some words
whatever the text is; `calibrated` takes away what it says of texts on average, for which no label
is needed (Zhou et al. 2024, arXiv 2309.17249).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from helpers.errors import UserError
from helpers.lessons.language_models.causal_lm import CausalLM
from helpers.runtime import keep_freed_memory
from helpers.tasks import Split
from helpers.training.loop import autocast

TOKENS = 64  # of a text, as the other approaches read
ROWS = 8  # texts at once: each has its own copy of what was read before


@dataclass(frozen=True)
class Prompt:
    """How a task is put. opening: the question. text, answer: what stands before each.

    words: one for each class, in the order of the task's classes; their first tokens differ.
    """

    opening: str
    text: str
    answer: str
    words: tuple[str, ...]

    def shown(self, text: str, label: int | None = None) -> str:
        """A text with the beginning of its answer, or with the whole one."""
        word = "" if label is None else f" {self.words[label]}"
        return f"\n\n{self.text}: {' '.join(text.split())}\n{self.answer}:{word}"


_MOOD = ("negative", "positive")
_NEWS = ("acquisition", "oil", "earnings", "grain", "interest", "currency", "shipping", "trade")
PROMPTS = {
    "tweets": Prompt(
        "Who wrote the tweet, Hillary or Donald?", "Tweet", "Author", ("Hillary", "Donald")
    ),
    "product_reviews": Prompt("Is the review negative or positive?", "Review", "Mood", _MOOD),
    "film_reviews": Prompt("Is the review negative or positive?", "Review", "Mood", _MOOD),
    "posts": Prompt("Is the post negative or positive?", "Post", "Mood", _MOOD),
    "reuters8": Prompt(
        f"What is the news about? One of: {', '.join(_NEWS)}.", "News", "Topic", _NEWS
    ),
}


def drawn(train: Split, per_class: int, seed: int) -> list[tuple[str, int]]:
    """Labelled texts to show, `per_class` of each class, mixed; the same seed draws the same."""
    rng = np.random.default_rng(seed)
    classes = np.unique(train.labels)
    rows = [rng.permutation(np.flatnonzero(train.labels == one))[:per_class] for one in classes]
    order = rng.permutation(np.concatenate(rows))
    return [(train.inputs[row], int(train.labels[row])) for row in order]


@torch.inference_mode()
def word_scores(
    lm: CausalLM,
    prompt: Prompt,
    texts: Sequence[str],
    examples: Sequence[tuple[str, int]] = (),
    *,
    amp: bool | None = None,
) -> Tensor:
    """Log probabilities (N, classes) of the classes' words among each other.

    What stands before every text is read once and its keys and values are kept. amp: bfloat16, as
    in `helpers.training.loop`. Raises UserError where two classes' words begin alike.
    """
    keep_freed_memory()
    first = [lm.encode(f" {word}")[0] for word in prompt.words]
    if len(set(first)) < len(first):
        words = ", ".join(prompt.words)
        raise UserError(f"two of the words {words} begin with the same token; change one")
    body, words = lm.model.eval().base_model, lm.model.get_output_embeddings().weight[first]
    shown = [prompt.shown(_cut(lm, text), label) for text, label in examples]
    before = prompt.opening + "".join(shown)
    scores = []
    with autocast(words.device, amp):
        ids = torch.tensor([[lm.end, *lm.encode(before)]])
        read = body(input_ids=ids, use_cache=True).past_key_values
        for start in range(0, len(texts), ROWS):
            rows = [lm.encode(prompt.shown(_cut(lm, text))) for text in texts[start : start + ROWS]]
            lengths = torch.tensor([len(row) for row in rows])
            padded = torch.full((len(rows), int(lengths.max())), lm.end)
            for place, row in enumerate(rows):
                padded[place, : len(row)] = torch.tensor(row)
            kept = copy.deepcopy(read)
            kept.batch_repeat_interleave(len(rows))
            hidden = body(input_ids=padded, past_key_values=kept, use_cache=True).last_hidden_state
            last = hidden[torch.arange(len(rows)), lengths - 1].float()
            scores.append((last @ words.T).log_softmax(1))
    return torch.cat(scores)


def _cut(lm: CausalLM, text: str) -> str:
    """The first tokens of a text."""
    return lm.decode(lm.encode(text)[:TOKENS])


def calibrated(scores: Tensor, unlabelled: Tensor) -> Tensor:
    """Scores (N, classes) less what the model says of other, unlabelled texts on average."""
    return scores - unlabelled.mean(0)
