"""Measure what `data/results/smollm2_adapted.csv` lacks; stop it at will and start it again.

SmolLM2 is adapted to tweets, by full fine-tuning, its top third alone, LoRA of three ranks, IA³ and
a trained prompt, all with the same updates and batches (columns:
`helpers.lessons.language_models.smollm2_records`). Rates are tried with seed 0, a factor of three
apart, until the best on the new domain's validation text is inside, four at most; what is forgotten
plays no part in the choice. Test texts, of the new domain and of two old ones, are read once before
training and once at the end of a run. bfloat16 where that pays; one thread.

Rows with another number of updates than `STEPS` are left alone: raise it for a larger grid.

`--time` takes a few updates of each approach and says what the whole would take.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from helpers.experiments.costs import TensorMemory
from helpers.experiments.sweeps import next_rate
from helpers.experiments.timing import resting_optimizer
from helpers.lessons.language_models import forgetting
from helpers.lessons.language_models.causal_lm import (
    CausalLM,
    Corpus,
    copied,
    load_causal_lm,
    perplexity,
    read,
    rows_of,
    sample,
    summed_loss,
)
from helpers.lessons.language_models.decoder import plug
from helpers.lessons.language_models.smollm2_records import (
    ADAPTED,
    ARMS,
    BEGINNING,
    DOMAIN,
    MODEL,
    OLD,
)
from helpers.paths import commit
from helpers.runtime import Stopwatch
from helpers.tasks import load_task
from helpers.training.checkpoints import task_bytes
from helpers.training.loop import TrainingDiverged, autocast, bfloat16_pays
from tools.measure.adapting import TuneConfig, Tuned, adapt
from tools.measure.measure_decoder import chosen_lr, measure_missing

STEPS, BATCH, MOST_TRIALS = 400, 2, 4  # batches of rows of 128 tokens
TRAIN_TOKENS, HELD_TOKENS, TEST_TOKENS = 50_000, 1_500, 4_000
AMP = True if bfloat16_pays("text") else None
LADDER = 2  # rates in a factor of ten


@dataclass(frozen=True)
class Cell:
    """One adaptation."""

    approach: str
    rank: int
    lr: float
    seed: int
    role: str

    def row(self) -> dict[str, object]:
        """The columns that say what is asked."""
        place = {"model": MODEL, "source": "+".join(OLD), "domain": DOMAIN, "embeddings": 0}
        return place | vars(self)


def held_rows() -> pd.DataFrame:
    """The recorded lines with this number of updates."""
    rows = ADAPTED.load()
    return rows[rows["steps"] == STEPS]


def recorded(rows: pd.DataFrame) -> set[tuple[object, ...]]:
    """The adaptations whose last line is there: one that was cut off is measured again."""
    last = rows[rows["step"] == rows["steps"]]
    last = last[(last["role"] == "trial") | (last["corpus"] == OLD[-1])]
    return {ADAPTED.question(row) for row in last.to_dict("records")}


def rates(rows: pd.DataFrame, approach: str, rank: int, first: tuple[float, ...]) -> list[float]:
    """The rates asked for by now: three, and one more while the best lies at an edge."""
    own = rows[(rows["approach"] == approach) & (rows["rank"] == rank) & (rows["role"] == "trial")]
    tried = sorted({*first, *own["lr"]})
    best = chosen_lr(rows, DOMAIN, approach, rank, 0)
    at_edge = best in (tried[0], tried[-1])
    if set(tried) <= set(own["lr"]) and len(tried) < MOST_TRIALS and at_edge:
        tried.append(next_rate(best, LADDER, 1 if best == tried[-1] else -1))
    return tried


def cells(arms: Sequence[str] = ()) -> Iterator[Cell]:
    """An arm's trials, then its runs at the rate that they chose. arms: their names, () for all."""
    for approach, rank, first, seeds in ARMS:
        if arms and arm_name(approach, rank) not in arms:
            continue
        asked: set[float] = set()
        while new := sorted(set(rates(held_rows(), approach, rank, first)) - asked):
            yield from (Cell(approach, rank, lr, 0, "trial") for lr in new)
            asked |= set(new)
        rows = held_rows()
        tried = rows[(rows["approach"] == approach) & (rows["rank"] == rank)]["lr"]
        best = chosen_lr(rows, DOMAIN, approach, rank, 0)
        if best is not None and asked <= set(tried):
            yield from (Cell(approach, rank, best, seed, "run") for seed in range(seeds))


def arm_name(approach: str, rank: int) -> str:
    """As the command line has it, such as lora:8."""
    return f"{approach}:{rank}" if rank else approach


@functools.cache
def model() -> CausalLM:
    """SmolLM2 as it comes."""
    return load_causal_lm(MODEL)


@functools.cache
def corpora(domain: str) -> dict[str, Corpus]:
    """Train, validation and test text of a domain; the splits are those of its task."""
    task = load_task(domain)
    wanted = {"train": TRAIN_TOKENS, "validation": HELD_TOKENS, "test": TEST_TOKENS}
    return {name: read(model(), getattr(task, name).inputs, tokens)
            for name, tokens in wanted.items()}  # fmt: skip


def tested(lm: CausalLM, step: int) -> list[dict[str, object]]:
    """Perplexities on the test texts of all domains, and what the model writes."""
    line = " ".join(sample(lm, BEGINNING, tokens=40, seed=1).split())
    found = []
    for corpus, domain in (("new", DOMAIN), *((one, one) for one in OLD)):
        got = perplexity(lm, corpora(domain)["test"], AMP)
        place = {"corpus": corpus, "split": "test", "step": step}
        numbers = {key: getattr(got, key) for key in forgetting.NUMBERS}
        found.append(place | numbers | {"written": line if corpus == "new" else ""})
    return found


@functools.cache
def tested_before() -> list[dict[str, object]]:
    """The same before any training: asked for once."""
    return tested(model(), 0)


@functools.lru_cache(maxsize=MOST_TRIALS)
def trained(approach: str, rank: int, lr: float, seed: int) -> Tuned:
    """One adaptation; the run that takes a trial's rate and seed takes its model too."""
    config = TuneConfig(approach, rank=rank or 8, lr=lr, steps=STEPS, batch_size=BATCH,
                        measured_at=(), seed=seed, amp=AMP)  # fmt: skip
    held = {"new": corpora(DOMAIN)["validation"]}
    return adapt(model(), corpora(DOMAIN)["train"], held, config)


def measure(cell: Cell) -> list[dict[str, object]]:
    """Every line of one adaptation."""
    tuned = trained(cell.approach, cell.rank, cell.lr, cell.seed)
    found = [row | {"split": "validation", "written": ""}
             for row in tuned.history.to_dict("records")]  # fmt: skip
    if cell.role == "run":
        found += [*tested_before(), *tested(tuned.lm, STEPS)]
    names = ("tokens_seen", "trainable_params", "cpu_seconds")
    facts = {name: getattr(tuned, name) for name in names} | {
        "steps": STEPS,
        "precision": "bfloat16" if AMP else "float32",
        "peak_mb": step_peak(cell)[0] / 1e6,
        "stored_bytes": len(task_bytes(tuned.lm.model)),
        "created": now(),
        "git": commit(),
    }
    return [cell.row() | facts | row for row in found]


def diverged(cell: Cell) -> list[dict[str, object]]:
    """The lines of a rate at which training diverged: an answer too, it is none to take."""
    empty = dict.fromkeys(ADAPTED.columns, math.nan) | cell.row()
    empty |= {"steps": STEPS, "step": STEPS, "split": "validation", "precision": "", "written": ""}
    empty |= {"created": now(), "git": commit()}
    return [empty | {"corpus": "new"}]


def now() -> str:
    """When a row is written."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@functools.cache
def _step_peak(approach: str, rank: int) -> tuple[int, float]:
    lm = copied(model())
    lm = plug(lm.model, approach, rank=rank or 8)
    inputs, targets = (part[:BATCH] for part in rows_of(corpora(DOMAIN)["train"], model().context))
    optimizer = resting_optimizer(lm)

    def step() -> None:
        with autocast(inputs.device, AMP):
            loss = summed_loss(lm, inputs, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    with TensorMemory(*lm.parameters(), *lm.buffers(), optimizer.state) as memory:
        step()
    watch = Stopwatch()
    step()
    return memory.peak, watch.cpu_seconds


def step_peak(cell: Cell) -> tuple[int, float]:
    """(bytes at the worst moment of an update, its processor seconds), once training runs."""
    return _step_peak(cell.approach, cell.rank)


def tell_time() -> None:
    """Print seconds of an update for each arm, and the core hours of all that is asked."""
    hours = 0.0
    for approach, rank, first, seeds in ARMS:
        peak, seconds = _step_peak(approach, rank)
        own = (len(first) + 1 + seeds) * STEPS * seconds / 3600  # a rate more than the first three
        hours += own
        print(f"{approach} {rank or ''}: {seconds:.2f} s an update, {peak / 1e6:,.0f} MB, "
              f"{own:.1f} core hours", flush=True)  # fmt: skip
    print(f"together {hours:.1f} core hours, measuring of texts left out")


def measure_or_tell(cell: Cell) -> list[dict[str, object]]:
    """The rows of a cell; where its loss is no longer finite, rows that say so."""
    try:
        return measure(cell)
    except TrainingDiverged as error:
        print(cell, error, flush=True)
        return diverged(cell)


def main() -> None:
    """Measure adaptation by adaptation and print each one's end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only print what is missing")
    parser.add_argument("--time", action="store_true", help="only time a few updates")
    names = [arm_name(approach, rank) for approach, rank, *_ in ARMS]
    parser.add_argument("--arms", nargs="*", choices=names, default=names)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.time:
        return tell_time()
    measure_missing(
        ADAPTED, cells(given.arms), lambda: recorded(held_rows()), measure_or_tell,
        only_list=given.list,
    )  # fmt: skip
    return None


if __name__ == "__main__":
    main()
