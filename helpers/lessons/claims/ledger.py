"""The claims ledger: what the article says, tested on the recorded runs. No verdict is typed."""

from __future__ import annotations

import json
import math
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.lessons import flips
from helpers.lessons.language_models import forgetting
from helpers.paths import data_dir
from helpers.results import runs as records
from helpers.results.effects import (
    FAILS,
    HOLDS,
    SITUATION,
    TESTS,
    UNDECIDED,
    UNTESTED,
    Effect,
    judge,
)
from helpers.results.learning_curves import (
    comparable,
    recorded_chances,
    recorded_distances,
    task_distance,
)
from helpers.results.schema import PROVISIONAL
from helpers.vocabulary import FEATURE_EXTRACTION

COUNTED = "7 B"  # the language model whose weights are counted


@dataclass(frozen=True)
class Verdict:
    """One claim judged. `verdict`: holds, holds when …, fails, or not tested.

    effect, low, high: with their 95 % interval, in `unit`; None where nothing was measured. Of a
    claim in several parts these are the first part's. tasks, runs: what it rests on.
    """

    id: int
    claim: str
    verdict: str
    effect: float | None
    low: float | None
    high: float | None
    unit: str
    tasks: int
    runs: int
    note: str
    parts: tuple[dict[str, Any], ...] = field(default=())


def load_claims() -> list[dict[str, Any]]:
    """The claims of `data/claims.toml`, in order. Raises UserError for a test that is not there."""
    path = data_dir() / "claims.toml"
    listed = tomllib.loads(path.read_text(encoding="utf-8"))["claim"]
    known = {*TESTS, "count", "flip"}
    for claim in listed:
        for query in claim.get("parts", [claim]):
            if query.get("test") not in known:
                raise UserError(
                    f"{path}: claim {claim.get('id')} asks for the test {query.get('test')!r}; "
                    f"there are {', '.join(sorted(known))}"
                )
    return listed


def judge_claims(runs: pd.DataFrame | None = None) -> list[Verdict]:
    """Test every claim on the recorded runs (loaded when None)."""
    tables = _Tables(records.load_runs() if runs is None else runs)
    return [_judged(claim, tables) for claim in load_claims()]


def claims_command(*, as_json: bool = False) -> int:
    """Print one line for each claim, or JSON; returns the exit status, 0."""
    verdicts = judge_claims()
    if as_json:
        print(json.dumps([asdict(v) for v in verdicts], indent=2, allow_nan=False))
    else:
        print("\n".join(in_words(verdict) for verdict in verdicts))
    if PROVISIONAL:
        print(PROVISIONAL, file=sys.stderr)
    return 0


def in_words(verdict: Verdict) -> str:
    """A claim and its verdict on one line."""
    line = f"{verdict.id:2d} {verdict.verdict}: {verdict.claim}"
    if verdict.effect is None:
        return f"{line} [{verdict.note}; 0 tasks, 0 runs]"
    ends = [_digits(end) for end in (verdict.effect, verdict.low, verdict.high)]
    effect = f"{ends[0]} ({ends[1]} to {ends[2]}) {verdict.unit}"
    return f"{line} [{effect}; {verdict.tasks} tasks, {verdict.runs} runs; {verdict.note}]"


def situations(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with what claims are about: distance, seconds, overfit, forgotten, above_chance.

    seconds: processor seconds of training and of what it prepared, since those of the clock depend
    on what else ran. above_chance: of the frozen probe in the same situation, 0 (always naming the
    largest class) to 1; NaN where the classes of the task were not counted.
    """
    distances = recorded_distances()
    keys = zip(runs["task"], runs["backbone"], runs["dial"], strict=True)
    known = [task_distance(*key, distances) for key in keys]
    chance = runs["task"].map(recorded_chances())
    made = runs.assign(
        distance=np.array(known, dtype=float),
        seconds=runs["train_cpu_seconds"],
        overfit=runs["train_accuracy"] - runs["test_accuracy"],
        kept=runs["source_accuracy_after"],
        forgotten=runs["source_accuracy_before"] - runs["source_accuracy_after"],
        chance=chance.astype(float),
    )
    made["log_cost_less_log_accuracy"] = np.log(made["seconds"].clip(lower=1e-9)) - np.log(
        made["test_accuracy"].clip(lower=1e-9)
    )
    frozen = made[made["approach"] == FEATURE_EXTRACTION]
    probe = frozen.groupby(SITUATION, observed=True)["test_accuracy"].mean().rename("probe")
    made = made.join(probe, on=SITUATION)
    return made.assign(above_chance=(made["probe"] - made["chance"]) / (1 - made["chance"]))


class _Tables:
    """The rows that queries ask for, each worked out once."""

    def __init__(self, runs: pd.DataFrame) -> None:
        self.runs = runs
        self._made: dict[str, pd.DataFrame] = {}

    def get(self, name: str) -> pd.DataFrame:
        if name == "decoder" and name not in self._made:
            self._made[name] = forgetting.compared()
        if name not in self._made:
            plain = self.runs["sweep"].str.removesuffix("/tuning") == name
            rows = comparable(self.runs) if name == "compared" else self.runs[plain]
            self._made[name] = situations(rows)
        return self._made[name]


def _judged(claim: Mapping[str, Any], tables: _Tables) -> Verdict:
    if "parts" not in claim:
        return _verdict(claim, *_tested(claim, tables))
    parts = [(part, *_tested(part, tables)) for part in claim["parts"]]
    first, measured, _ = parts[0]
    words = {part["about"]: verdict for part, _, verdict in parts}
    told = "; ".join(f"{about}: {verdict}" for about, verdict in words.items())
    made = _verdict(claim | {"unit": first["unit"]}, measured, _all_of(words), told)
    listed = [asdict(_verdict(claim | part, found, said)) for part, found, said in parts]
    kept = ("verdict", "effect", "low", "high", "unit", "tasks", "runs")
    shown = [
        {"about": part["about"]} | {key: row[key] for key in kept}
        for (part, *_), row in zip(parts, listed, strict=True)
    ]
    return replace(made, parts=tuple(shown))


def _all_of(words: Mapping[str, str]) -> str:
    """One verdict of several: all must hold; where some do, it says which."""
    good = [about for about, verdict in words.items() if verdict == HOLDS]
    if len(good) == len(words):
        return HOLDS
    if good:
        return f"holds when it is about {' and '.join(good)} alone"
    return FAILS if FAILS in words.values() else next(iter(words.values()))


def _tested(query: Mapping[str, Any], tables: _Tables) -> tuple[Effect | None, str]:
    """What a query measures, and its verdict with the groups of `split` looked into."""
    if query["test"] == "count":
        measured = _counted()
        return measured, _state(measured, query)
    if query["test"] == "flip":
        measured = flips.measured(query["flip"])
        return measured, _state(measured, query)
    rows = tables.get(query.get("rows", "compared"))
    measured = _measure(query, rows)
    state = _state(measured, query)
    groups = {
        name: _state(_measure(query, rows.query(where) if len(rows) else rows), query)
        for name, where in query.get("split", {}).items()
    }
    good = [name for name, found in groups.items() if found == HOLDS]
    if good and (state != HOLDS or FAILS in groups.values()):
        return measured, f"holds when it is {' or '.join(good)}"
    return measured, state


def _measure(query: Mapping[str, Any], rows: pd.DataFrame) -> Effect | None:
    if "where" in query and len(rows):
        rows = rows.query(query["where"])
    return TESTS[query["test"]](rows, dict(query)) if len(rows) else None


def _state(measured: Effect | None, query: Mapping[str, Any]) -> str:
    """holds above the margin, fails below it, undecided where the interval spans it."""
    if measured is None:
        return UNTESTED
    margin = query.get("margin", 1.0 if query["test"] == "ratio" else 0.0)
    if query["test"] == "share" and measured.effect >= margin:
        return HOLDS  # a claim of "almost always" is about the share itself
    return judge(measured, margin)


def _verdict(
    claim: Mapping[str, Any], measured: Effect | None, verdict: str, told: str = ""
) -> Verdict:
    undecided = verdict == UNDECIDED
    note = [told] if told else []
    if measured is None:
        note.append("no recorded run is about it")
        effects = (None, None, None)
    else:
        note += [measured.note] if measured.note else []
        effects = tuple(
            round(end, 4) if math.isfinite(end) else None
            for end in (measured.effect, measured.low, measured.high)
        )
    note += ["undecided: the interval spans the margin"] if undecided else []
    return Verdict(
        claim["id"],
        claim["says"],
        UNTESTED if undecided else verdict,
        *effects,
        claim["unit"],
        measured.tasks if measured else 0,
        measured.runs if measured else 0,
        "; ".join(note),
    )


def _counted() -> Effect:
    from helpers.lessons.language_models.counting import ARCHITECTURES, count_lora

    model = next(a for a in ARCHITECTURES if a.name == COUNTED)
    trained, total = count_lora(model)
    note = f"{trained:,} of {total:,} weights, counted exactly ({model.source})"
    return Effect(total / trained, total / trained, total / trained, 0, 0, note)


def _digits(value: float | None) -> str:
    return "no bound" if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"
