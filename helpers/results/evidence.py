"""What the records say near a situation: accuracies with intervals, and what to take.

What to take is the same for every situation of a modality, where nothing limits it: what gave up
least over all data sets (`helpers.results.expected_regret`). Whether it is the best near by as
well, the nearest curves say: they are read at the asked number of examples, seed by seed, and
approaches are compared on the same curves and seeds. Intervals cover the luck of the seed on these
tasks; another task may lie outside of them.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from helpers.decision import TITLES, Reason, ReasonKind, Situation, decide
from helpers.results import runs as records
from helpers.results.expected_regret import MARGIN, expected_regret, recommended
from helpers.results.larger_pictures import larger_words, nearest_larger, recorded_larger
from helpers.results.learning_curves import (
    REACH_DISTANCE,
    WHOLE,
    CurveKey,
    Measured,
    Reading,
    level,
    nearest,
    training_minutes,
)
from helpers.results.learning_curves import measured_curves as measured
from helpers.results.published.cases import comparable_cases, near_situation
from helpers.results.published.sums import standings
from helpers.results.schema import COMPARED, withheld
from helpers.results.statistics import t_half_width
from helpers.vocabulary import ADAPTER, CLASSICAL, KINDS, SHIPPED, counted, phrase_of

# What answers with the backbone and a head alone; LoRA is merged.
PLAIN_NETWORK = frozenset(SHIPPED) - {ADAPTER, CLASSICAL}
CLEAR, CLOSE, NONE = "clear", "too close to call", "no evidence"
_RECIPES = {1: "the first recipe", 2: "the second recipe"}


@dataclass(frozen=True)
class Candidate:
    """One approach as measured near a situation: means over the curves, costs as medians."""

    approach: str
    accuracy: float
    low: float
    high: float
    train_seconds: float
    stored_mb: float
    latency_ms: float
    runs: int


@dataclass(frozen=True)
class Evidence:
    """The measured answer. `take` is empty where there is no evidence.

    lean: what all measured situations together point to, near or not; it is there without evidence
    near by, too, unless nothing of this kind is measured. curves: those it was read from, nearest
    first.
    """

    verdict: str
    take: str
    candidates: tuple[Candidate, ...]  # best accuracy first
    reasons: tuple[Reason, ...]
    lean: str = ""
    curves: tuple[CurveKey, ...] = ()


def evidence_near(situation: Situation, runs: pd.DataFrame | Measured | None = None) -> Evidence:
    """Read the records near a situation. Approaches over its budget or latency are left out.

    The verdict is "clear" where the best approach near by lies above every other by more than the
    interval of their difference, and all measured situations together point to it as well. Else it
    is "too close to call": take what is expected to give up the least, or a clearly cheaper one.
    It is "no evidence" where too little is recorded near.

    runs: the records, loaded when None; `learning_curves.measured_curves(runs)` made once answers
    many questions faster.
    """
    if situation.llm:
        return _nothing("no large language model has been measured here")
    held = _held(runs)
    readings = nearest(situation, held)
    if not readings and not COMPARED[situation.modality]:
        return _nothing(
            f"the records of {KINDS[situation.modality]} are withheld until a fair round is whole"
        )
    if not readings:
        return _nothing(
            f"no {situation.modality} task within {REACH_DISTANCE} of distance "
            f"{situation.distance:.2f} was measured near {situation.examples:,} examples",
            _lean(situation, held, None),
        )
    names = [name for name in readings[0].costs if all(name in r.costs for r in readings)]
    means = pd.concat([level(reading.accuracy) for reading in readings], axis=1).mean(axis=1)
    made = (_candidate(name, means[name], readings) for name in names)
    found = sorted(made, key=lambda c: (-c.accuracy, c.train_seconds))
    minutes = {c.approach: training_minutes(c.approach, readings) for c in found}
    fitting = [c for c in found if situation.allows(minutes[c.approach], c.latency_ms)]
    where = "; ".join(reading.name for reading in readings)
    recipe = next(curve.recipe for curve in held.curves if curve.key == readings[0].key)
    lacking = ", ".join(title for name, title in TITLES.items() if name not in names)
    told = (
        f"Measured near here, at {situation.examples:,} examples, by {_RECIPES[recipe]}: {where}. "
        "Intervals are over seeds on these; another task may lie outside of them."
        + (f" Not measured there, so not compared: {lacking}." if lacking else "")
    )
    reasons = [Reason(ReasonKind.SOURCE, told)]
    if len(fitting) < len(found):
        gone = ", ".join(phrase_of(c.approach) for c in found if c not in fitting)
        told = f"Over the budget or the latency as measured, so left out: {gone}."
        reasons.append(Reason(ReasonKind.OVER_LIMITS, told))
    if len(fitting) < 2:
        return _nothing("fewer than two measured approaches fit the budget and the latency")
    lean = _lean(situation, held, [c.approach for c in fitting])
    return _judge(fitting, readings, reasons, lean)


def _held(runs: pd.DataFrame | Measured | None) -> Measured:
    if isinstance(runs, Measured):
        return runs
    return measured(records.load_runs() if runs is None else runs)


@dataclass(frozen=True)
class _Lean:
    """What all measured situations point to. `best` gives up least, `take` is cheapest near it."""

    best: str
    take: str
    regret: float
    families: int


def _lean(situation: Situation, held: Measured, names: list[str] | None) -> _Lean | None:
    """Without names: among all approaches, and only where nothing limits them."""
    if names is None and (situation.budget_minutes, situation.latency_ms) != (None, None):
        return None
    table = expected_regret(situation.modality, held, names)
    if table.empty:
        return None
    take = recommended(table)
    regret, families = table.loc[take, ["regret", "families"]]
    return _Lean(str(table.index[0]), take, float(regret), int(families))


def among(candidates: Sequence[Candidate]) -> str:
    """Say of a clear lead how many were compared, where not even all of WHOLE were; else ""."""
    whole = {candidate.approach for candidate in candidates} >= WHOLE
    return "" if whole else f" among the {len(candidates)} that were compared"


def _judge(
    candidates: list[Candidate], readings: list[Reading], reasons: list[Reason], lean: _Lean | None
) -> Evidence:
    read = tuple(reading.key for reading in readings)
    best, *others = candidates
    gains = {c.approach: _difference(best.approach, c.approach, readings) for c in others}
    tied = [c for c in others if not gains[c.approach][1] > 0]
    named, ends = phrase_of(best.approach), f"{best.low:.3f} to {best.high:.3f}"
    told = f"{named} reaches {best.accuracy:.3f} ({ends})"
    if not tied and (lean is None or lean.best == best.approach):
        runner = min(gains.values(), key=lambda gain: gain[0])
        told = (
            f"Clear{among(candidates)}: {told}, {100 * runner[0]:.1f} points above the next "
            f"({100 * runner[1]:.1f} to {100 * runner[2]:.1f})."
        )
        reasons.append(Reason(ReasonKind.COMPARISON, told))
        name = best.approach
        return Evidence(CLEAR, name, tuple(candidates), tuple(reasons), name, read)
    by_name = {c.approach: c for c in candidates}
    cheapest = min([best, *tied], key=lambda c: (c.train_seconds, c.approach))
    take = by_name[lean.take] if lean else cheapest
    alike = ", ".join(phrase_of(c.approach) for c in tied)
    rest = f"the records near by can't tell it from {alike}" if tied else "other tasks disagree"
    reasons.append(Reason(ReasonKind.COMPARISON, f"Too close to call: {told}, and {rest}."))
    reasons.append(Reason(ReasonKind.CHOICE, _advice(take, lean)))
    name = take.approach
    return Evidence(CLOSE, name, tuple(candidates), tuple(reasons), name, read)


def _advice(take: Candidate, lean: _Lean | None) -> str:
    costs = f"{phrase_of(take.approach)} ({take.accuracy:.3f}, {take.train_seconds:.1f} s)"
    if lean is None:
        return f"So take the cheapest of them, {costs}."
    return (
        "So take what gives up the least over everything measured, or what is clearly cheaper and "
        f"within {100 * MARGIN:.1f} points of that: {costs}, expected {100 * lean.regret:.1f} "
        f"points below the best ({counted(lean.families, 'data set')})."
    )


def _nothing(why: str, lean: _Lean | None = None) -> Evidence:
    reasons = [Reason(ReasonKind.ABSENCE, f"No evidence: {why}.")]
    if lean is not None:
        title = phrase_of(lean.take)
        told = (
            f"What is measured farther off leans to {title}, which gives up the least there or "
            f"is clearly cheaper ({counted(lean.families, 'data set')}), so measure it against a "
            "frozen probe first."
        )
        reasons.append(Reason(ReasonKind.LEAN, told))
    return Evidence(NONE, "", (), tuple(reasons), lean.take if lean else "")


def _candidate(name: str, mean: float, readings: list[Reading]) -> Candidate:
    _, low, high = _over_curves([(r.accuracy[name].dropna(), r.noise) for r in readings])
    mean, half = float(mean), (high - low) / 2
    costs = pd.concat([reading.costs[name] for reading in readings], axis=1).median(axis=1)
    runs = sum(reading.runs[name] for reading in readings)
    shown = [float(costs[key]) for key in ("train_seconds", "stored_mb")]
    shown.append(float(np.median([_latency(name, reading) for reading in readings])))
    return Candidate(name, mean, mean - half, mean + half, *shown, runs)


def _latency(name: str, reading: Reading) -> float:
    """Over all approaches that serve the same network: between these it differs by noise alone."""
    alike = PLAIN_NETWORK.intersection(reading.costs) if name in PLAIN_NETWORK else [name]
    return float(np.median([reading.costs[one]["latency_ms"] for one in alike]))


def _difference(first: str, second: str, readings: list[Reading]) -> tuple[float, float, float]:
    """How far `first` lies above `second`: mean, low, high, paired by curve and seed."""
    pairs = [(r.accuracy[first] - r.accuracy[second]).dropna() for r in readings]
    if min(len(pair) for pair in pairs) < 1:
        return 0.0, -np.inf, np.inf
    # Two runs have twice the variance of one.
    noises = [np.sqrt(2) * reading.noise for reading in readings]
    return _over_curves(list(zip(pairs, noises, strict=True)))


def _over_curves(curves: list[tuple[pd.Series, float]]) -> tuple[float, float, float]:
    """Mean of the curves' means and its 95 % t interval over seeds (Welch 1947 for the freedom).

    curves: values by seed, and the deviation that is usual: it counts where there are fewer than
    three values, which show next to nothing of theirs.
    """
    mean = float(np.mean([values.mean() for values, _ in curves]))
    shown = [len(values) >= 3 for values, _ in curves]
    parts = np.array([
        (values.var() if own else noise**2) / len(values)
        for (values, noise), own in zip(curves, shown, strict=True)
    ])  # fmt: skip
    if not parts.sum() > 0:
        return mean, mean, mean
    freedoms = [len(values) - 1 if own else np.inf
                for (values, _), own in zip(curves, shown, strict=True)]  # fmt: skip
    spent = sum(part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True))
    freedom = parts.sum() ** 2 / spent if spent else np.inf
    half = float(t_half_width(np.sqrt(parts.sum()) / len(curves), freedom))
    return mean, mean - half, mean + half


def both_answers(
    situation: Situation, runs: pd.DataFrame | Measured | None = None
) -> dict[str, Any]:
    """Return the rule's answer beside the measured one, as `decide --json` prints them.

    Keys: approach and rule (the article's), reasons (the rule's, then the records', what is
    published, and of pictures what larger ones gained), flips (those applied, then the changes that
    would change the answer), verdict and candidates (measured), sources (`_sources`).
    """
    held = _held(runs)
    ruled, measured = decide(situation), evidence_near(situation, held)
    cases = near_situation(_published(), situation)
    pixels = [_pixels_words(situation, held)] if situation.modality == "image" else []
    reasons = [reason.text for reason in (*ruled.reasons, *measured.reasons)]
    return {
        "approach": ruled.approach,
        "rule": ruled.rule,
        "reasons": [*reasons, *_gap(ruled.approach, measured), *_published_words(cases), *pixels],
        "flips": [asdict(flip) for flip in ruled.flips],
        "verdict": measured.verdict,
        "candidates": [_rounded(candidate) for candidate in measured.candidates],
        "sources": _sources(measured, held, cases),
    }


def _pixels_words(situation: Situation, held: Measured) -> str:
    """What larger pictures gained near by; the records are searched for it once."""
    cells = held.worked_out.get(recorded_larger) or recorded_larger()
    held.worked_out[recorded_larger] = cells
    return larger_words(nearest_larger(cells, situation.distance), pixels=0)


@lru_cache(maxsize=1)
def _published() -> pd.DataFrame:
    return comparable_cases()


def _published_words(cases: pd.DataFrame) -> list[str]:
    """What is published near by, in a sentence; none where nothing is."""
    table = standings(cases) if len(cases) else pd.DataFrame()
    if table.empty:
        return []
    told = "; ".join(
        f"{phrase_of(row['approach'])} {row['regret']:.1f} points below the best on average, "
        f"{counted(row['cases'], 'case')}"
        for row in table.sort_values("regret").reset_index().to_dict("records")
    )
    sources = ", ".join(sorted(cases["source"].unique()))
    tried = counted(cases["data_set"].nunique(), "data set")
    return [
        f"Published near here, by others and with other networks (never pooled with our records): "
        f"{told}. Each over the cases that tried it, of {tried} "
        f"({sources}; python -m helpers published shows them)."
    ]


def _sources(measured: Evidence, held: Measured, cases: pd.DataFrame) -> dict[str, Any]:
    """What stands behind the answer.

    recipe: the schema of the records that were read, None where there are none. records: the curves
    near by, with the pixels a side (for texts the tokens) that the network read. published: the
    cases near by, with where they stand.
    """
    recipes = {curve.key: curve.recipe for curve in held.curves}
    facts = ["source", "comparison", "data_set", "network", "pretraining", "n_train", "grade"]
    cases = cases.astype({"n_train": int})  # near in size, so stated
    return {
        "recipe": recipes[measured.curves[0]] if measured.curves else None,
        "records": [key._asdict() for key in measured.curves],
        "published": json.loads(cases[facts].to_json(orient="records")),
    }


def decide_command(*, as_json: bool = False, **situation: Any) -> int:
    """Print the answer for a situation, in words or as JSON; returns the exit status, 0.

    situation: the fields of `Situation`. Raises UserError for an impossible one.
    """
    asked = Situation(**situation)
    made = both_answers(asked)
    print(json.dumps(made, indent=2, allow_nan=False) if as_json else _words(made))
    if warning := withheld({asked.modality: COMPARED[asked.modality]}):
        print(warning, file=sys.stderr)
    return 0


def _gap(approach: str, measured: Evidence) -> list[str]:
    """How the rule's approach fares where the records have it."""
    by_name = {candidate.approach: candidate for candidate in measured.candidates}
    if approach not in by_name:
        return [f"{TITLES[approach]} is not among what was measured."] if by_name else []
    best, own = measured.candidates[0], by_name[approach]
    points = 100 * (best.accuracy - own.accuracy)
    return [
        f"The rule's answer reached {own.accuracy:.3f} there, {points:.1f} points below the best, "
        f"in {own.train_seconds:.1f} s against {best.train_seconds:.1f} s."
    ]


def _rounded(candidate: Candidate) -> dict[str, Any]:
    """Four digits after the point for accuracies, four in all for costs."""
    row = asdict(candidate)
    row |= {key: round(row[key], 4) for key in ("accuracy", "low", "high")}
    costs = ("train_seconds", "stored_mb", "latency_ms")
    return row | {key: float(f"{row[key]:.4g}") for key in costs}


def _words(made: dict[str, Any]) -> str:
    lines = [f"{TITLES[made['approach']]} ({made['rule']})", ""]
    lines += [f"  {reason}" for reason in made["reasons"]]
    if made["candidates"]:
        lines += ["", f"Measured ({made['verdict']}):"]
        lines += [f"  {'approach':25}{'accuracy':>9}  {'95 % interval':16}{'train s':>9}"
                  f"{'stored MB':>11}{'latency ms':>12}{'runs':>6}"]  # fmt: skip
    for row in made["candidates"]:
        interval = f"{row['low']:.3f} to {row['high']:.3f}"
        lines.append(
            f"  {phrase_of(row['approach']):25}{row['accuracy']:9.3f}  "
            f"{interval:16}{row['train_seconds']:9.1f}{row['stored_mb']:11.2f}"
            f"{row['latency_ms']:12.2f}{row['runs']:6d}"
        )
    lines += ["", "What would change the rule's answer:"]
    lines += [f"  {flip['why']}" for flip in made["flips"] if not flip["applied"]]
    return "\n".join(lines)
