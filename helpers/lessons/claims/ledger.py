"""The claims ledger: what the article says, tested on the recorded runs. No verdict is typed."""

import functools
import json
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.errors import UserError
from helpers.lessons import flips
from helpers.lessons.boxes import quoted
from helpers.lessons.claims.filters import select
from helpers.lessons.language_models import forgetting
from helpers.paths import data_dir
from helpers.results import runs as records
from helpers.results.effects import (
    CAN_HAPPEN,
    FAILS,
    HOLDS,
    LEAST_DATA_SETS,
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
from helpers.results.schema import IDENTITY, WITHHELD
from helpers.results.statistics import holm, trains_by_gradient
from helpers.storage.files import read_toml
from helpers.tasks import TASKS
from helpers.vocabulary import FEATURE_EXTRACTION, counted

COUNTED = "7 B"  # the language model whose weights are counted
LEAST_SEEDS = 2  # the second round runs photos at 224 pixels with two
WORDS, SOME = (HOLDS, CAN_HAPPEN, UNDECIDED, UNTESTED, FAILS), f"{HOLDS} for some"
FIGURES = ("verdict", "effect", "low", "high", "unit", "data_sets", "tasks", "runs")
Tables = Callable[[str], pd.DataFrame]  # rows by their name, each table worked out once


@dataclass(frozen=True)
class Verdict:
    """One claim judged.

    verdict: holds, fails, undecided (there are runs, and they can't tell), not tested (there is no
    run), "can happen" (judged by its clearest situation), or "holds for GROUP (k data sets)" where
    the whole does not and a group or part does.
    effect, low, high: with the 95 % interval over data sets, in `unit`; None where there is none.
    Of a claim in several parts these are those of the first that was measured, like the counts:
    data_sets (families of tasks), tasks (networks and steps of the dial apart), runs.
    """

    id: int
    claim: str
    verdict: str
    effect: float | None
    low: float | None
    high: float | None
    unit: str
    data_sets: int
    tasks: int
    runs: int
    note: str
    parts: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class _Found:
    """What a query measures, its word, and the groups for which alone it holds, in words."""

    measured: Effect | None
    word: str
    groups: tuple[str, ...] = ()
    told: str = ""

    @property
    def verdict(self) -> str:
        return f"{HOLDS} for {' and '.join(self.groups)}" if self.groups else self.word

    def as_group(self, name: str) -> list[str]:
        """What holds of it where it is one part of several."""
        if self.groups:
            return [f"{name}, {group}" for group in self.groups]
        return [_named(name, self.measured)] if self.word == HOLDS else []


def load_claims(path: Path | None = None) -> list[dict[str, Any]]:
    """The claims of `data/claims.toml`, in order. Raises UserError for a test that is not there."""
    path = path or data_dir() / "claims.toml"
    listed = read_toml(path).get("claim")
    known = [*TESTS, "count", "flip"]
    if not isinstance(listed, list) or not all(isinstance(claim, dict) for claim in listed):
        raise UserError(f"{path} has no [[claim]] tables; write each claim as one")
    for claim in listed:
        parts = claim.get("parts", [claim])
        if not isinstance(parts, list) or not all(isinstance(query, dict) for query in parts):
            raise UserError(f"{path}: the parts of claim {claim.get('id')} are no tables; mend it")
        for query in parts:
            if query.get("test") not in known:
                raise UserError(
                    f"{path}: claim {claim.get('id')} asks for the test {query.get('test')!r}; "
                    f"there are {', '.join(sorted(known))}"
                )
    return listed


def withdrawn() -> pd.DataFrame:
    """Verdicts that no longer stand: id, schema (of the runs), before, after, cause, why."""
    changed = pd.read_csv(data_dir() / "claims_withdrawn.csv", encoding="utf-8")
    return changed[(changed["cause"] != "wording") & (changed["before"] != UNTESTED)]


def judge_claims(
    runs: pd.DataFrame | None = None, path: Path | None = None, ids: Collection[int] = ()
) -> list[Verdict]:
    """Test every claim of a file (ours when None), or those of `ids`, on the recorded runs.

    runs: loaded when None.
    """
    tables, verdicts = tables_of(records.load_runs() if runs is None else runs), []
    for claim in load_claims(path):
        if ids and claim["id"] not in ids:
            continue
        try:
            verdicts.append(_judged(claim, tables))
        except UserError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"claim {claim.get('id')} cannot be tested ({type(error).__name__}: {error}); "
                "correct its entry in claims.toml"
            ) from error
    return verdicts


def claims_command(*, as_json: bool = False) -> int:
    """Print one line for each claim, or JSON; returns the exit status, 0."""
    verdicts = judge_claims()
    if as_json:
        print(json.dumps([asdict(v) for v in verdicts], indent=2, allow_nan=False))
    else:
        print("\n".join(in_words(verdict) for verdict in verdicts))
    if WITHHELD:
        print(WITHHELD, file=sys.stderr)
    return 0


def verdict_box(*ids: int) -> str:
    """Return a Markdown quotation for a notebook: each claim as the records judge it today.

    Of each its verdict, its effect and what it rests on.
    """
    found = {verdict.id: verdict for verdict in judge_claims(ids=ids)}
    lines = []
    for one in (found[number] for number in ids):
        lines.append(f"- {one.claim} **{one.verdict}**{'.' if one.parts else _figures(one)}")
        lines += [f"  - {about}: **{part.verdict}**{_figures(part)}" for about, part in _parts(one)]
    return quoted("What the records say", lines)


def _parts(verdict: Verdict) -> list[tuple[str, Verdict]]:
    """What each part of a claim is about, and the part as a verdict of its own."""
    return [
        (part["about"], replace(verdict, parts=(), **{key: part[key] for key in FIGURES}))
        for part in verdict.parts
    ]


def _figures(one: Verdict) -> str:
    effect = "" if one.effect is None else f" {effect_in_words(one)} {_unit(one)};"
    if one.verdict == UNTESTED:
        return "."
    rests_on = f"{one.data_sets} data sets, {one.runs:,} runs" if one.runs else "counted"
    return f":{effect} {rests_on}."


def _unit(one: Verdict) -> str:
    """The unit; where groups hold and the whole does not, the figures are the whole's."""
    return one.unit + ("" if one.verdict in WORDS else ", all data sets together")


def ledger_table(verdicts: Sequence[Verdict]) -> str:
    """Return claims as a Markdown table: verdict, effect with its interval, what they rest on.

    A claim in parts has the effect of each, with its own verdict.
    """
    lines = ["| no. | claim | verdict | effect (95 %) | data sets |", "|---|---|---|---|---|"]
    for one in verdicts:
        runs = f" ({one.runs:,} runs)" if one.verdict == UNDECIDED else ""
        told = [f"{about} **{part.verdict}**, {_effect(part)}" for about, part in _parts(one)]
        effect = "; ".join(told) or _effect(one)
        sets = max([one.data_sets, *(part.data_sets for _, part in _parts(one))])
        rests = sets if one.runs or one.verdict == UNTESTED else "counted"
        lines.append(f"| {one.id} | {one.claim} | **{one.verdict}**{runs} | {effect} | {rests} |")
    return "\n".join(lines)


def _effect(one: Verdict) -> str:
    return f"{effect_in_words(one)} {_unit(one)}" if one.effect is not None else "–"


def counts_in_words(verdicts: Sequence[Verdict]) -> str:
    """How many claims have which verdict, "holds for" with all its groups as one."""
    whole = [one.verdict for one in verdicts if one.verdict in WORDS]
    counts = {word: whole.count(word) for word in WORDS} | {SOME: len(verdicts) - len(whole)}
    told = ", ".join(f"{word} {count}" for word, count in counts.items() if count)
    return (
        f"Of {len(verdicts)} claims: {told}. Withdrawn since they were first judged: "
        f"{len(withdrawn())}."
    )


def in_words(verdict: Verdict) -> str:
    """A claim and its verdict on one line."""
    effect = f"{effect_in_words(verdict)} {verdict.unit}; " if verdict.effect is not None else ""
    rests_on = f"{counted(verdict.data_sets, 'data set')}, {verdict.runs:,} runs"
    note = f"; {verdict.note}" if verdict.note else ""
    return f"{verdict.id:2d} {verdict.verdict}: {verdict.claim} [{effect}{rests_on}{note}]"


def effect_in_words(verdict: Verdict) -> str:
    """Such as "0.059 (-0.027 to 0.144)"; without the interval, or a dash, where there is none."""
    ends = [end for end in (verdict.effect, verdict.low, verdict.high) if end is not None]
    largest = max(map(abs, ends), default=0.0)
    digits = 3 if largest < 2 else 1 if largest < 10 else 0
    shown = [_rounded(end, digits) for end in ends]
    return (
        f"{shown[0]} ({shown[1]} to {shown[2]})" if len(shown) == 3 else shown[0] if shown else "–"
    )


def _rounded(end: float, digits: int) -> str:
    """So many digits, or as many as give two that count: a ratio's low end is not 0."""
    least = 1 - math.floor(math.log10(abs(end))) if end else 0
    digits = min(3, max(digits, least))
    return f"{round(end, digits) + 0.0:,.{digits}f}"  # + 0.0: no minus zero


def situations(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with what claims are about: distance, seconds, overfit, forgotten, above_chance.

    seconds: processor seconds of training and of what it prepared, since those of the clock depend
    on what else ran. above_chance: of the frozen probe in the same situation, 0 (always naming the
    largest class) to 1; NaN where the classes of the task were not counted.
    """
    distances = recorded_distances()
    place = ["task", "backbone", "dial", "image_size"]
    known = {key: task_distance(*key, distances) for key in runs.groupby(place).groups}
    found = [known[key] for key in runs[place].itertuples(index=False, name=None)]
    chance = runs["task"].map(recorded_chances())
    made = runs.assign(
        distance=[float("nan") if one is None else one[0] for one in found],
        seconds=runs["train_cpu_seconds"],
        overfit=runs["train_accuracy"] - runs["test_accuracy"],
        kept=runs["source_accuracy_after"],
        forgotten=runs["source_accuracy_before"] - runs["source_accuracy_after"],
        chance=chance.astype(float),
    )
    seconds, accuracy = (made[name].clip(lower=1e-9) for name in ("seconds", "test_accuracy"))
    made["seconds_per_accuracy"] = seconds / accuracy
    frozen = made[made["approach"] == FEATURE_EXTRACTION]
    probe = frozen.groupby(SITUATION, observed=True)["test_accuracy"].mean().rename("probe")
    made = made.join(probe, on=SITUATION)
    return made.assign(above_chance=(made["probe"] - made["chance"]) / (1 - made["chance"]))


def tables_of(runs: pd.DataFrame) -> Tables:
    """Return what gives the rows that a query asks for, "compared" or "decoder"."""

    @functools.cache
    def tables(name: str) -> pd.DataFrame:
        if name == "decoder":
            return forgetting.compared()
        return situations(comparable(_for_every_seed(runs), LEAST_SEEDS))

    return tables


def _for_every_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs, those of a solver on all examples of a task once for every seed (`repeat`).

    Nothing is drawn there, so these are run once; every seed of another approach has its partner.
    """
    pools = runs["task"].map({name: info.train_examples for name, info in TASKS.items()})
    solved = runs[~trains_by_gradient(runs) & (runs["n_train"] == pools)].drop(columns="seed")
    seeds = runs[["task", "n_train", "seed"]].drop_duplicates()
    more = solved.merge(seeds, on=["task", "n_train"]).assign(repeat=True)
    both = pd.concat([runs.assign(repeat=False), more], ignore_index=True)
    return both.drop_duplicates([*IDENTITY], ignore_index=True)  # its own seed stays as it is


def _judged(claim: Mapping[str, Any], tables: Tables) -> Verdict:
    if "flip" in claim:
        claim = claim | {"unit": claim["unit"] + flips.early(claim["flip"])}
    if "parts" not in claim:
        return _verdict(claim, _tested(claim, tables))
    parts = [(part, _tested(part, tables)) for part in claim["parts"]]
    listed = [(part["about"], asdict(_verdict(claim | part, found))) for part, found in parts]
    shown = [{"about": about} | {key: row[key] for key in FIGURES} for about, row in listed]
    # The figures of the first that was measured stand for all.
    query, first = next((one for one in parts if one[1].measured is not None), parts[0])
    made = _verdict(claim | {"unit": query["unit"]}, _all_of(parts, first.measured))
    return replace(made, parts=tuple(shown))


def _all_of(parts: list[tuple[Mapping[str, Any], _Found]], measured: Effect | None) -> _Found:
    """One verdict of several: all must hold; where some do, it says which."""
    verdicts = [found.verdict for _, found in parts]
    told = "; ".join(f"{part['about']}: {found.verdict}" for part, found in parts)
    told += "".join(f"; {found.told}" for _, found in parts if found.told)
    if set(verdicts) == {HOLDS}:
        return _Found(measured, HOLDS, told=told)
    groups = tuple(group for part, found in parts for group in found.as_group(part["about"]))
    word = next((w for w in (FAILS, UNDECIDED, UNTESTED) if w in verdicts), UNDECIDED)
    return _Found(measured, word, groups, told)


def _tested(query: Mapping[str, Any], tables: Tables) -> _Found:
    """What a query measures, and its verdict with the groups of `split` looked into."""
    if query["test"] == "count":
        from helpers.lessons.language_models.counting import ARCHITECTURES, count_lora

        model = next(a for a in ARCHITECTURES if a.name == COUNTED)
        trained, total = count_lora(model)
        note = f"{trained:,} of {total:,} weights, counted exactly ({model.source})"
        fixed = (math.nan, math.nan, 0.0, query["margin"], 0, 0, 0)
        measured = Effect(total / trained, *fixed, note)
        return _Found(measured, judge(measured))
    if query["test"] == "flip":
        measured = flips.measured(query["flip"])
        return _Found(measured, judge(measured))
    rows = tables(query.get("rows", "compared"))
    measured = _measure(query, rows)
    whole = _Found(measured, judge(measured))
    return _looked_into(query, rows, whole) if "split" in query else whole


def _looked_into(query: Mapping[str, Any], rows: pd.DataFrame, whole: _Found) -> _Found:
    """The verdict with those of groups, corrected for having looked into all that could decide."""
    looks = {name: _measure(query, rows, where) for name, where in query["split"].items()}
    looks = {name: found for name, found in looks.items() if found is not None}
    # The whole was looked at as well, and first.
    able = {name: found.p for name, found in {"": whole.measured, **looks}.items() if found}
    able = {name: p for name, p in able.items() if not math.isnan(p)}
    corrected = dict(zip(able, holm(list(able.values())), strict=True))
    words = {name: judge(found, corrected.get(name)) for name, found in looks.items()}
    good = tuple(_named(name, looks[name]) for name, word in words.items() if word == HOLDS)
    told = ", ".join(f"{_named(name, looks[name])} {word}" for name, word in words.items())
    told = f"groups (Holm, looks: {len(able)}): {told}" if looks else ""
    if good and (whole.word != HOLDS or FAILS in words.values()):
        return replace(whole, groups=good, told=f"as a whole: {whole.word}; {told}")
    return replace(whole, told=told)


def _measure(
    query: Mapping[str, Any], rows: pd.DataFrame, group: str | None = None
) -> Effect | None:
    for where in (query.get("where"), group):
        if where is not None and len(rows):
            rows = select(rows, where)
    return TESTS[query["test"]](rows, dict(query)) if len(rows) else None


def _verdict(claim: Mapping[str, Any], found: _Found) -> Verdict:
    measured, note = found.measured, [found.told] if found.told else []
    ends: tuple[float | None, ...] = (None, None, None)
    if measured is None:
        note.append("no recorded run is about it")
    else:
        note += [measured.note] if measured.note else []
        ends = tuple(
            round(end, 4) if math.isfinite(end) else None
            for end in (measured.effect, measured.low, measured.high)
        )
        if found.word == UNDECIDED and measured.data_sets < LEAST_DATA_SETS:
            note.append(f"fewer than {LEAST_DATA_SETS} data sets, so no interval")
    counts = (measured.data_sets, measured.tasks, measured.runs) if measured else (0, 0, 0)
    text = (claim["id"], claim["says"], found.verdict)
    return Verdict(*text, *ends, claim["unit"], *counts, "; ".join(note))


def _named(name: str, measured: Effect) -> str:
    return f"{name} ({counted(measured.data_sets, 'data set')})"
