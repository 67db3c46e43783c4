"""Measure what `data/results/break_even.csv` lacks; stop it at will and start it again.

One training step by full and partial fine-tuning, LoRA and adapters on decoders with random
weights, from a million parameters to a billion, in turns (columns:
`helpers.lessons.language_models.break_even`). A method whose step would need more than
`--gigabytes` by the formula is left out, and said so. One thread, so that processor time and the
clock agree on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from helpers.lessons.language_models import break_even as records
from helpers.lessons.language_models.decoder import build_decoder
from helpers.paths import commit
from helpers.runtime import keep_freed_memory
from tools.measure.memory_formula import Method, step_memory
from tools.measure.step_costs import METHODS, MODELS, measure

FEWER = tuple(method for method in METHODS if method.rank != 64)  # where a step takes seconds
TURNS = {"1M": 10, "5M": 8, "20M": 6, "60M": 5, "110M": 4, "350M": 3, "1B": 3}
BATCHED = ("1M", "5M", "20M")
HEAVY = (*BATCHED, "60M")
LARGE = ("350M", "1B")


@dataclass(frozen=True)
class Group:
    """What is measured together: a model on batches of one size, by every method that fits."""

    model: str
    batch: int
    seq: int

    def methods(self, limit: float) -> list[Method]:
        """The methods whose step fits into `limit` bytes."""
        wanted = FEWER if self.model in LARGE else METHODS
        shape = MODELS[self.model]
        return [m for m in wanted if step_memory(shape, m, self.batch, self.seq).peak <= limit]

    def missing(self, known: set, limit: float) -> list[int]:
        """Turns of which some method is not recorded."""
        turns = TURNS[self.model]
        turns = max(3, turns // 2) if self.batch * self.seq > 1000 else turns
        return [turn for turn in range(turns)
                if any(records.FILE.question(self.asked(m, turn)) not in known
                       for m in self.methods(limit))]  # fmt: skip

    def asked(self, method: Method, turn: int) -> dict[str, object]:
        """The columns that say what is asked."""
        return {"model": self.model, "approach": method.approach, "setting": method.setting,
                "batch": self.batch, "seq": self.seq, "turn": turn}  # fmt: skip


def groups() -> Iterator[Group]:
    """All groups, the small models first."""
    for model in MODELS:
        yield Group(model, 1, 32)
        if model != "1B":  # a step on long texts would take ten seconds there
            yield Group(model, 1, 128)
        if model in BATCHED:
            yield Group(model, 4, 32)
        if model in HEAVY:
            yield Group(model, 8, 128)


def main() -> None:
    """Measure group by group and print each line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only print what is missing")
    parser.add_argument("--gigabytes", type=float, default=9.5, help="memory a step may take")
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    given = parser.parse_args()
    limit, known = given.gigabytes * 1e9, records.FILE.recorded()
    left = [group for group in groups()
            if group.model in given.models and group.missing(known, limit)]  # fmt: skip
    if given.list:
        print("\n".join(f"{group}: turns {group.missing(known, limit)}" for group in left))
        return
    torch.set_num_threads(1)
    keep_freed_memory()
    base, held = None, ""
    for group in left:
        if group.model != held:
            base = None  # frees the last one first
            base, held = build_decoder(MODELS[group.model]), group.model
        _measure(group, base, known, limit)


def _measure(group: Group, base: torch.nn.Module, known: set, limit: float) -> None:
    started, methods = time.perf_counter(), group.methods(limit)
    skipped = (len(FEWER) if group.model in LARGE else len(METHODS)) - len(methods)
    missing = group.missing(known, limit)
    forward = group.seq <= 32 or (group.batch == 1 and group.model not in LARGE)
    for row in measure(MODELS[group.model], tuple(methods), batch=group.batch, seq=group.seq,
                       turns=len(missing), latency=forward, base=base):  # fmt: skip
        row |= {"model": group.model, "turn": missing[row["turn"]]}
        if records.FILE.question(row) in known:
            continue
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        facts = {"threads": torch.get_num_threads(), "torch": torch.__version__, "created": now}
        records.FILE.append(row | facts | {"git": commit()})
    print(group, f"{len(missing)} turns, {len(methods)} methods ({skipped} too large)",
          f"[{time.perf_counter() - started:.0f} s]", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
