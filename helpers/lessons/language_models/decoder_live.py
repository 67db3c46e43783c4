"""One short adaptation of a decoder, live, in the form that the figures of the records take."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from helpers.lessons.language_models.causal_lm import CausalLM, read
from helpers.lessons.language_models.tuning import TuneConfig, Tuned, adapt
from helpers.tasks import Task
from helpers.vocabulary import LORA


def adapt_briefly(
    lm: CausalLM,
    domains: Mapping[str, Task],
    approach: str,
    *,
    lr: float,
    steps: int,
    tokens: int,
) -> Tuned:
    """Adapt a copy to `domains["new"]`, watching its validation texts and those of `["old"]`.

    tokens: how many of each are watched, at six moments. A look at how it is done: one run, at a
    rate that was not tuned.
    """
    stops = tuple(range(0, steps, max(1, steps // 5)))
    config = TuneConfig(approach, lr=lr, steps=steps, measured_at=stops)
    held = {name: read(lm, domains[name].validation.inputs, tokens) for name in ("new", "old")}
    return adapt(lm, read(lm, domains["new"].train.inputs), held, config)


def as_curves(approach: str, tuned: Tuned) -> pd.DataFrame:
    """One adaptation's history as `forgetting.curves` has many, without an interval."""
    mean = tuned.history["bits_per_byte"]
    words = approach.replace("_", " ").replace("fine tuning", "fine-tuning")
    arm = f"LoRA rank {TuneConfig().rank}" if approach == LORA else words
    return tuned.history.assign(approach=approach, arm=arm, mean=mean, low=mean, high=mean, runs=1)
