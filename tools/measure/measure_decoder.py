"""Measure what `data/results/decoder.csv` lacks; stop it at will and start it again.

The decoder `tiny`, pretrained on newsgroup posts, is adapted to another domain by full fine-tuning
and by LoRA, with and without its word vectors, with the same steps and batches (columns:
`helpers.lessons.language_models.forgetting`). Each arm gets four learning rates with seed 0, and
the one that foresees the new domain's validation text best at its end is used with every seed; what
is forgotten plays no part in the choice. Test texts are read once before training and once at the
end of a run. One thread.
"""

from __future__ import annotations

import argparse
import datetime
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch

from helpers.errors import UserError
from helpers.lessons.language_models import forgetting as records
from helpers.lessons.language_models.causal_lm import (
    CausalLM,
    Corpus,
    load_causal_lm,
    perplexity,
    read,
)
from helpers.paths import commit
from helpers.storage.results_file import ResultsFile
from helpers.tasks import Task, load_task
from tools.measure.adapting import TuneConfig, adapt

MODEL, SOURCE = "tiny", "newsgroups"
DOMAINS = ("tweets", "reuters8")
# (approach, rank, do word vectors move too)
ARMS = (("full_fine_tuning", 0, 0), ("lora", 2, 0), ("lora", 16, 0), ("lora", 16, 1))
RATES = {"full_fine_tuning": (1e-3, 3e-3, 1e-2, 3e-2), "lora": (3e-3, 1e-2, 3e-2, 1e-1)}
SEEDS = 3
STEPS, BATCH = 100, 8  # of 128 tokens
TRAIN_TOKENS, HELD_TOKENS, TEST_TOKENS = 100_000, 6_000, 15_000


def chosen_lr(
    rows: pd.DataFrame, domain: str, approach: str, rank: int, embeddings: int
) -> float | None:
    """The rate whose trial foresees the new domain's validation text best at its end.

    None where nothing was tried.
    """
    own = rows[(rows["role"] == "trial") & (rows["corpus"] == "new") & (rows["split"] != "test")]
    for name, value in zip(records.ARM, (domain, approach, rank, embeddings), strict=True):
        own = own[own[name] == value]
    own = own[own["step"] == own["steps"]]
    return None if own.empty else float(own.sort_values(["loss", "lr"])["lr"].iloc[0])


def recorded() -> set[tuple[object, ...]]:
    """The adaptations whose last line is there: one that was cut off is measured again."""
    rows = records.load()
    last = rows[(rows["step"] == rows["steps"]) & (rows["corpus"] == "old")]
    last = last[(last["role"] == "trial") | (last["split"] == "test")]
    return {records.FILE.question(row) for row in last.to_dict("records")}


@dataclass(frozen=True)
class Cell:
    """One adaptation."""

    domain: str
    approach: str
    rank: int
    embeddings: int
    lr: float
    seed: int
    role: str

    def row(self) -> dict[str, object]:
        """The columns that say what is asked."""
        return {"model": MODEL, "source": SOURCE} | vars(self)


def cells(domains: Sequence[str]) -> Iterator[Cell]:
    """The adaptations to these domains: an arm's trials before its runs, which take their rate.

    Where an arm's trials are not recorded yet, its runs are left out.
    """
    for domain in domains:
        for arm in ARMS:
            for lr in RATES[arm[0]]:
                yield Cell(domain, *arm, lr, 0, "trial")
        for seed in range(SEEDS):
            for arm in ARMS:
                lr = chosen_lr(records.load(), domain, *arm)
                if lr is not None:
                    yield Cell(domain, *arm, lr, seed, "run")


@functools.cache
def model() -> CausalLM:
    """The decoder as it ships."""
    return load_causal_lm(MODEL)


@functools.cache
def corpora(domain: str) -> dict[str, Corpus]:
    """Train, validation and test text of a domain; the splits are those of its task."""
    task: Task = load_task(domain)
    wanted = {"train": TRAIN_TOKENS, "validation": HELD_TOKENS, "test": TEST_TOKENS}
    return {name: read(model(), getattr(task, name).inputs, tokens)
            for name, tokens in wanted.items()}  # fmt: skip


def tested(lm: CausalLM, domain: str, step: int) -> list[dict[str, object]]:
    """Perplexities on the test texts of both domains."""
    found = []
    for corpus, name in (("new", domain), ("old", SOURCE)):
        got = perplexity(lm, corpora(name)["test"])
        found.append({"corpus": corpus, "split": "test", "step": step}
                     | {key: getattr(got, key) for key in records.NUMBERS})  # fmt: skip
    return found


@functools.cache
def tested_before(domain: str) -> list[dict[str, object]]:
    """The same before any training: asked for once."""
    return tested(model(), domain, 0)


def measure(cell: Cell) -> list[dict[str, object]]:
    """Every line of one adaptation."""
    config = TuneConfig(cell.approach, rank=cell.rank or 8, embeddings=bool(cell.embeddings),
                        lr=cell.lr, steps=STEPS, batch_size=BATCH, measured_at=(10, 30, 60),
                        seed=cell.seed)  # fmt: skip
    if cell.role == "trial":
        config = replace(config, measured_at=())
    held = {"new": corpora(cell.domain)["validation"], "old": corpora(SOURCE)["validation"]}
    tuned = adapt(model(), corpora(cell.domain)["train"], held, config)
    found = [row | {"split": "validation"} for row in tuned.history.to_dict("records")]
    if cell.role == "run":
        found += [*tested_before(cell.domain), *tested(tuned.lm, cell.domain, STEPS)]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    names = ("tokens_seen", "trainable_params", "cpu_seconds")
    facts = {name: getattr(tuned, name) for name in names}
    facts |= {"steps": STEPS, "created": now, "git": commit()}
    return [cell.row() | facts | row for row in found]


def measure_missing(
    file: ResultsFile,
    cells: Iterable[Any],
    recorded: Callable[[], set[tuple[object, ...]]],
    measure: Callable[[Any], list[dict[str, Any]]],
    *,
    only_list: bool,
) -> None:
    """Measure each cell that is not recorded, append its rows and print how it ended.

    cells: with a `row` each; the next is asked for when the one before is recorded, because its
    learning rate may hang on it. A cell that fails is told and left out. only_list: measure none.
    """
    for cell in cells:
        if file.question(cell.row()) in recorded():
            continue
        if only_list:
            print(cell)
            continue
        try:
            rows = measure(cell)
        except UserError as error:
            print(cell, error, flush=True)
            continue
        for row in rows:
            file.append(row)
        last = {row["corpus"]: row["bits_per_byte"] for row in rows}
        told = ", ".join(f"{name} {value:.3f}" for name, value in last.items())
        print(cell, told, "bits per byte", flush=True)


def main() -> None:
    """Measure adaptation by adaptation and print each one's end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only print what is missing")
    parser.add_argument("--domains", nargs="*", choices=DOMAINS, default=DOMAINS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    measure_missing(records.FILE, cells(given.domains), recorded, measure, only_list=given.list)


if __name__ == "__main__":
    main()
