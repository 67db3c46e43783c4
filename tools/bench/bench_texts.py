"""Measure how texts are read, for data/results/bench.csv.

tokenised_once     1,000 newsgroup texts as token ids: seconds the first time / when asked again
batched_by_length  a pass of MiniLM over tweets: seconds in batches as drawn / of like length
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from helpers.backbones import Backbone, load_backbone
from helpers.tasks import load_task
from helpers.training.examples import Examples, batches
from tools.bench.timing import compare, geometric, seconds

REPEATS, TEXTS, TOKENS, BATCH = 5, 256, 64, 32


def tokenised_once() -> tuple[float, float, float, str]:
    """Tokenising a list of texts against finding its ids again."""
    texts, ratios = load_task("newsgroups", n_train=1_000).train.inputs, []
    backbone = load_backbone("minilm")
    for repeat in range(REPEATS):
        own = [f"{repeat} {text}" for text in texts]  # a list that was not seen before
        first = seconds(lambda own=own: backbone.encode(own))
        ratios.append(first / seconds(lambda own=own: backbone.encode(own)))
    what = f"1,000 newsgroup texts as token ids: seconds the first time ({first:.2f}) / again"
    return *geometric(ratios), what


@torch.inference_mode()
def read(backbone: Backbone, examples: Examples, parts: Iterable[np.ndarray]) -> int:
    """Run the encoder over batches; returns the tokens it was given, padding included."""
    tokens = 0
    for rows in parts:
        ids, _ = examples.batch(rows, torch.device("cpu"))
        prepared = backbone.prepare(ids)
        tokens += prepared.numel()
        backbone(prepared)
    return tokens


def batched_by_length() -> tuple[float, float, float, str]:
    """A pass over shuffled batches against one over batches of texts of like length."""
    train = load_task("tweets", n_train=TEXTS).train
    backbone = load_backbone("minilm", size=TOKENS)
    examples = Examples.raw(backbone.encode(train.inputs), train.labels)
    given = {}

    def drawn() -> None:
        order = np.random.default_rng(0).permutation(TEXTS)
        parts = [order[i : i + BATCH] for i in range(0, TEXTS, BATCH)]
        given["drawn"] = read(backbone, examples, parts)

    def sorted_pools() -> None:
        parts = batches(examples, BATCH, np.random.default_rng(0))
        given["sorted"] = read(backbone, examples, parts)

    ratio = compare(drawn, sorted_pools, REPEATS)
    words = int((examples.lengths).sum())
    what = (
        f"{TEXTS} tweets of {words:,} tokens through MiniLM: seconds in batches as drawn "
        f"({given['drawn']:,} tokens with padding) / by length ({given['sorted']:,})"
    )
    return *ratio, what
