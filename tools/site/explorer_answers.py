"""Every answer of the explorer over its lattice, worked out once and said once.

Texts, lists and answers that come again are stored one time and pointed to by their place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import joblib
import pandas as pd

from helpers.decision import FALLBACK, Decision, Reason, ReasonKind, decide, distance_word
from helpers.display.explorer.cards import source_last
from helpers.display.explorer.elsewhere import (
    Reach,
    compared_cases,
    published_near,
    published_words,
)
from helpers.display.explorer.settings import Axes, Point, headline, shown_curves
from helpers.results.evidence import CLEAR, CLOSE, NONE, Candidate, Evidence, evidence_near
from helpers.results.learning_curves import Measured, nearest, training_minutes
from helpers.results.published.cases import APPROACHES
from helpers.results.published.tables import load_published
from helpers.vocabulary import APPROACH_STYLE, DISTANCE_OF, MODALITIES, DistanceWord, style_of

KINDS = (("image", False), ("text", False), ("text", True))  # modality, large language model
VERDICTS = (CLEAR, CLOSE, NONE)
RULES = ("R1", "R2", "R3", "R4", FALLBACK)
# What a rule's answer says of the number of examples and the distance is the same for every kind.
HEAD_KINDS = (ReasonKind.SIZE, ReasonKind.DISTANCE)
SWITCHES = tuple(itertools.product((False, True), repeat=2))  # unlabelled data, local only


def place_of(approach: str) -> int:
    """Return an approach's place in the page's list of approaches, which is `APPROACH_STYLE`'s."""
    return list(APPROACH_STYLE).index(approach)


class ValueTable:
    """Values, each held once; `put` returns a value's place."""

    def __init__(self) -> None:
        self.places: dict[Any, int] = {}

    def put(self, value: Any) -> int:
        """Return the place of a hashable value, new or known."""
        return self.places.setdefault(value, len(self.places))

    def values(self) -> list[Any]:
        """Return the values in the order of their places."""
        return list(self.places)


def worked_out(held: Measured, axes: Axes, workers: int = 1) -> dict[str, Any]:
    """Return the page's answers as lists of numbers and texts, ready for JSON.

    Rows are looked up by the places on the axes, the first axis slowest:
    `heads`: examples, distance; `rules`: examples, distance, kind, a budget (no, yes), then tasks,
    unlabelled, local; `found`: examples, distance, modality, then budget, latency;
    `near`: examples, distance, modality; `elsewhere`: examples, word of distance, kind. Both kinds
    of rows are held once in `rows`. A rule's reasons stand in `reasons` as (kind, place of the
    text).
    """
    texts, rows = ValueTable(), ValueTable()
    texts.put("")
    made = _rules(axes, texts, rows) | _measured(held, axes, workers, texts, rows)
    made |= _published(axes, texts)
    return made | {"texts": texts.values(), "rows": rows.values()}


class _Reasons(ValueTable):
    """Reasons, each held once as its kind and the place of its text."""

    def __init__(self, texts: ValueTable) -> None:
        super().__init__()
        self.texts = texts

    def put_all(self, reasons: Iterable[Reason]) -> tuple[int, ...]:
        """Return the places of some reasons, in their order."""
        return tuple(self.put((reason.kind, self.texts.put(reason.text))) for reason in reasons)


def _rules(axes: Axes, texts: ValueTable, rows: ValueTable) -> dict[str, Any]:
    """What the rule says. It asks whether there is a budget, not for how much, nor for latency."""
    heads, places, decisions, lists, flips = [], [], ValueTable(), ValueTable(), ValueTable()
    reasons = _Reasons(texts)
    limits = (None, next(limit for limit in axes.budget_minutes if limit is not None))
    for examples, distance in itertools.product(axes.examples, axes.distance):
        first = decide(Point(examples, distance).situation())
        heads.append(reasons.put_all(r for r in first.reasons if r.kind in HEAD_KINDS))
        for (modality, llm), limit in itertools.product(KINDS, limits):
            row = []
            for tasks, (unlabelled, local) in itertools.product(axes.tasks, SWITCHES):
                told = decide(
                    Point(
                        examples, distance, limit, None, tasks, modality, llm, unlabelled, local
                    ).situation()
                )
                row.append(decisions.put(_decision(told, texts, reasons, lists, flips)))
            places.append(rows.put(tuple(row)))
    return {
        "heads": heads,
        "rules": places,
        "decisions": decisions.values(),
        "reasons": reasons.values(),
        "lists": lists.values(),
        "flips": flips.values(),
    }


def _decision(
    told: Decision, texts: ValueTable, reasons: _Reasons, lists: ValueTable, flips: ValueTable
) -> tuple[int, ...]:
    """Approach, rule, reasons but those in `heads`, flips, headline, what to do before."""
    turned = [
        flips.put((texts.put(f.name), int(f.applied), place_of(f.approach),
                   texts.put(f.why)))
        for f in told.flips
    ]  # fmt: skip
    nothing = Evidence(NONE, "", (), ())
    return (
        place_of(told.approach),
        RULES.index(told.rule),
        lists.put(reasons.put_all(r for r in told.reasons if r.kind not in HEAD_KINDS)),
        lists.put(tuple(turned)),
        texts.put(headline(told, nothing)[0]),
        texts.put(told.first),
    )


def _measured(
    held: Measured, axes: Axes, workers: int, texts: ValueTable, rows: ValueTable
) -> dict[str, Any]:
    """What the records say, with the curves that are shown beside it."""
    asked = list(itertools.product(axes.examples, axes.distance, MODALITIES))
    parts = _chunks(asked, workers)
    done = joblib.Parallel(n_jobs=workers)(
        joblib.delayed(_answers)(held, axes, part) for part in parts
    )
    answers, candidates, near, found = ValueTable(), ValueTable(), [], []
    for (modality_row, several), (examples, distance, modality) in zip(
        itertools.chain.from_iterable(done), asked, strict=True
    ):
        at = [answers.put(_evidence(one, texts, candidates)) for one in several]
        found.append(rows.put(tuple(at[place] for place in modality_row)))
        point = Point(examples, distance, modality=modality)
        near.append(rows.put(_near(point, several[0], held)))
    language = evidence_near(Point(modality="text", llm=True).situation(), held)
    return {
        "found": found,
        "near": near,
        "language": answers.put(_evidence(language, texts, candidates)),
        "answers": answers.values(),
        "candidates": candidates.values(),
    }


def _published(axes: Axes, texts: ValueTable) -> dict[str, Any]:
    """What is published: `elsewhere` points into `published`, whose cases stand in `cases`.

    An answer: verdict, what gives up least (-1: nothing), reach, standings, cases, its sentence.
    """
    answers, held, words = ValueTable(), ValueTable(), list(DistanceWord)
    places = []
    for examples, word, (modality, llm) in itertools.product(axes.examples, words, KINDS):
        told = published_near(
            Point(examples, DISTANCE_OF[word], modality=modality, llm=llm).situation()
        )
        rows = tuple(
            (place_of(s.approach), s.cases, s.data_sets, round(s.first, 4), round(s.regret, 2))
            for s in told.standings
        )
        cases = tuple(held.put(case) for case in told.cases)
        take = place_of(told.take) if told.take else -1
        said = texts.put(published_words(told))
        reach = list(Reach).index(told.reach)
        places.append(answers.put((VERDICTS.index(told.verdict), take, reach, rows, cases, said)))
    cases = compared_cases().loc[held.values()]
    sources = load_published().sources.loc[sorted(set(cases["source"]))]
    return {
        "elsewhere": places,
        "words_of_distance": [words.index(distance_word(d)) for d in axes.distance],
        "published": answers.values(),
        "cases": [_case(row) for _, row in cases.iterrows()],
        "citations": sources["citation"].to_dict(),
    }


def _case(row: pd.Series) -> tuple[Any, ...]:
    """Source, data set, network, examples, distance in a word, and the scores in words."""
    scores = {name: row[name] for name in APPROACHES if pd.notna(row[name])}
    told = " · ".join(f"{style_of(name).short} {score:g}" for name, score in scores.items())
    return (*row[["source", "data_set", "network"]], int(row["n_train"]), row["distance"], told)


def _near(point: Point, free: Evidence, held: Measured) -> tuple[int, ...]:
    """Whether the answer was read from the curves (0 or 1), then their places."""
    places, read = shown_curves(point.situation(), free, held)
    return (int(read), *places)


def _answers(
    held: Measured, axes: Axes, asked: Iterable[tuple[int, float, str]]
) -> list[tuple[list[int], list[Evidence]]]:
    """For each point without limits: which answer under which limits, and the answers.

    The first answer is the one without limits. Limits matter through what fits them alone, so
    each set of fitting approaches is asked for once. So does the distance, through the curves that
    are near: distances that read the same ones have the same answers.
    """
    made, read = [], {}
    for examples, distance, modality in asked:
        free = Point(examples, distance, modality=modality)
        near = nearest(free.situation(), held)
        same = (examples, modality, tuple(reading.key for reading in near))
        if near and same in read:
            made.append(read[same])
            continue
        several = [evidence_near(free.situation(), held)]
        known: dict[Any, int] = {frozenset(c.approach for c in several[0].candidates): 0}
        spent = {
            c.approach: (training_minutes(c.approach, near), c.latency_ms)
            for c in several[0].candidates
        }
        row = []
        for minutes, latency in itertools.product(axes.budget_minutes, axes.latency_ms):
            limited = (minutes, latency) != (None, None)
            asked_for = Point(examples, distance, minutes, latency, modality=modality).situation()
            key = frozenset(name for name, costs in spent.items() if asked_for.allows(*costs))
            key = key if len(key) > 1 else frozenset({"too few"} if limited else key)
            if key not in known:
                told = evidence_near(asked_for, held)
                if told.candidates and {c.approach for c in told.candidates} != key:
                    raise RuntimeError(f"other approaches fit {asked_for} than were worked out")
                known[key] = len(several)
                several.append(told)
            row.append(known[key] if limited else 0)
        read[same] = (row, several)
        made.append(read[same])
    return made


def _evidence(told: Evidence, texts: ValueTable, candidates: ValueTable) -> tuple[Any, ...]:
    """Verdict, what to take (-1: nothing), lean (-1), candidates, reasons as shown, headline."""
    nothing = decide(Point().situation())
    return (
        VERDICTS.index(told.verdict),
        place_of(told.take) if told.take else -1,
        place_of(told.lean) if told.lean else -1,
        tuple(candidates.put(_candidate(c)) for c in told.candidates),
        tuple(texts.put(reason.text) for reason in source_last(told.reasons)),
        texts.put(headline(nothing, told)[1]),
    )


def _candidate(candidate: Candidate) -> tuple[float, ...]:
    """Four digits after the point for accuracies, four in all for costs, as `decide` prints."""
    row = asdict(candidate)
    accuracies = (round(row[key], 4) for key in ("accuracy", "low", "high"))
    costs = (float(f"{row[key]:.4g}") for key in ("train_seconds", "stored_mb", "latency_ms"))
    return (place_of(candidate.approach), *accuracies, *costs, candidate.runs)


def _chunks(items: Sequence[Any], workers: int) -> list[Sequence[Any]]:
    """Cut into parts of about equal length, in order, several for each worker."""
    size = max(1, len(items) // (4 * workers))
    return [items[start : start + size] for start in range(0, len(items), size)]
