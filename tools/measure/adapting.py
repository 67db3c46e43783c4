"""Adapting a causal language model to a new domain while the old one is watched."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from helpers.errors import UserError
from helpers.experiments.costs import count_parameters
from helpers.lessons.language_models.causal_lm import (
    IGNORED,
    CausalLM,
    Corpus,
    copied,
    perplexity,
    rows_of,
    summed_loss,
)
from helpers.lessons.language_models.decoder import plug
from helpers.runtime import Stopwatch, keep_freed_memory
from helpers.training.loop import (
    TrainConfig,
    TrainingDiverged,
    autocast,
    parameter_groups,
    rise_and_fall,
    trainable,
    update,
)
from helpers.vocabulary import LORA


@dataclass(frozen=True)
class TuneConfig:
    """Settings of one adaptation, checked when built."""

    approach: str = LORA  # one of helpers.lessons.language_models.decoder.APPROACHES
    rank: int = 8  # of LoRA; trained word vectors of prompt tuning
    targets: tuple[str, ...] = ()  # of LoRA: endings of layer names; empty: every linear layer
    embeddings: bool = False  # word vectors move too, where the approach would freeze them
    lr: float = 3e-3  # peak; a linear rise over the first tenth of the steps, then a cosine to zero
    steps: int = 150
    batch_size: int = 8  # rows of `context` tokens
    measured_at: tuple[int, ...] = (10, 25, 50, 100)  # steps, besides 0 and the last
    seed: int = 0
    amp: bool | None = None  # bfloat16 in training and measuring, as in `helpers.training.loop`

    def __post_init__(self) -> None:
        for name in ("lr", "steps", "batch_size"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} must be positive; got {getattr(self, name)!r}")


@dataclass
class Tuned:
    """An adapted copy, and how it got there.

    history: one row for each measured step and each corpus held out: step, corpus, loss (nats per
    token), per_token, per_word, bits_per_byte. losses: of every training step.
    """

    lm: CausalLM
    history: pd.DataFrame
    losses: list[float] = field(default_factory=list)
    trainable_params: int = 0
    total_params: int = 0
    tokens_seen: int = 0
    cpu_seconds: float = 0.0  # of training alone, without the measuring


def adapt(lm: CausalLM, train: Corpus, held: Mapping[str, Corpus], config: TuneConfig) -> Tuned:
    """Train a copy of `lm` on `train`, measuring every corpus of `held` on the way.

    The model given stays as it is. Rows are shuffled anew in each pass over the text; the same seed
    gives the same weights. There is no early stopping: the way itself is what is looked at.

    Raises TrainingDiverged when the loss is no longer finite, UserError for an unknown approach.
    """
    keep_freed_memory()
    made = copied(lm)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        plugged = plug(made.model, config.approach, rank=config.rank, targets=config.targets,
                       embeddings=config.embeddings)  # fmt: skip
        made = replace(made, model=plugged)
    tuned = Tuned(made, pd.DataFrame())
    tuned.trainable_params, tuned.total_params = count_parameters(made.model)
    stops = {0, config.steps, *(step for step in config.measured_at if step < config.steps)}
    found = []
    for step in _descend(made.model, *rows_of(train, lm.context), config, tuned):
        for name, corpus in held.items() if step in stops else ():
            got = perplexity(made, corpus, config.amp)
            keys = ("loss", "per_token", "per_word", "bits_per_byte")
            numbers = {key: getattr(got, key) for key in keys}
            found.append({"step": step, "corpus": name} | numbers)
    tuned.history = pd.DataFrame(found)
    made.model.eval()
    return tuned


def _descend(
    model: nn.Module, inputs: Tensor, targets: Tensor, config: TuneConfig, tuned: Tuned
) -> Iterator[int]:
    """Yield the number of the step before the first one and after each; `tuned` says what it took.

    Its steps, rates and groups are those of `helpers.training.loop`. What surrounds them differs: a
    text has neither epochs nor classes to stop by, and it is watched between the steps.
    """
    settings = TrainConfig(lr=config.lr, epochs=1, batch_size=config.batch_size)
    optimizer = torch.optim.AdamW(parameter_groups(model, settings), fused=True)
    schedule = rise_and_fall(optimizer, config.steps, settings.warmup)
    moving = trainable(model)
    rng, pool = np.random.default_rng(config.seed), np.empty(0, dtype=np.int64)
    yield 0
    for step in range(1, config.steps + 1):
        while len(pool) < config.batch_size:  # shuffled anew in each pass over the text
            pool = np.concatenate([pool, rng.permutation(len(inputs))])
        rows, pool = torch.from_numpy(pool[: config.batch_size]), pool[config.batch_size :]
        watch = Stopwatch()
        model.train()
        wanted = targets[rows]
        count = int((wanted != IGNORED).sum())
        with autocast(wanted.device, config.amp):
            loss = summed_loss(model, inputs[rows], wanted) / count
        update(loss, moving, optimizer, schedule, settings.clip_norm)
        tuned.losses.append(float(loss.detach()))
        tuned.tokens_seen += count
        if not math.isfinite(tuned.losses[-1]):
            raise TrainingDiverged(
                f"the loss became {tuned.losses[-1]} in step {step} at learning rate "
                f"{config.lr:g}; try a rate ten times lower"
            )
        tuned.cpu_seconds += watch.cpu_seconds
        yield step
