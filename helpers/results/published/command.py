"""`python -m helpers published`: the sources, or what they say near a situation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from helpers.decision import distance_word
from helpers.registry import find
from helpers.results.published.cases import APPROACHES, FACTOR, FACTS, comparable_cases, near
from helpers.results.published.schema import CASE, DOMAINS, GRADES, METRICS
from helpers.results.published.sums import standings
from helpers.results.published.tables import Published, load_published
from helpers.vocabulary import label_of, parse_distance, style_of

MOST_LINES = 30  # cases in words; `--json` has all
APART = (
    "Numbers that others published, by recipes of their own: they stand beside the runs recorded "
    "here and are never pooled with them."
)


def published_command(
    *,
    examples: int | None = None,
    modality: str | None = None,
    distance: str | None = None,
    llm: bool = False,
    domain: str | None = None,
    data_set: str | None = None,
    as_json: bool = False,
) -> int:
    """Print the sources, or with any part of a situation what they say near it; returns 0.

    Raises UserError for a domain or data set that is not there, and an impossible distance.
    """
    published = load_published()
    asked = {
        "examples": examples,
        "modality": modality,
        "distance": None if distance is None else str(distance_word(parse_distance(distance))),
        "llm": "yes" if llm else None,
        "domain": _known("domain", domain, DOMAINS),
        "data_set": _known("data set", data_set, published.data_sets.index),
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    made = near_situation(published, **asked) if asked else all_sources(published)
    words = _near_words if asked else _source_words
    print(json.dumps(made, indent=2, allow_nan=False) if as_json else "\n".join(words(made)))
    return 0


def _known(kind: str, name: str | None, names: Iterable[str]) -> str | None:
    """Return the name, if one was given, where it is known."""
    return None if name is None else find(kind, name, dict.fromkeys(names, name))


def all_sources(published: Published) -> dict[str, Any]:
    """Return every source with its grade, its numbers of figures and cases, and what they cover.

    Keys: evidence ("published"), figures, cases, grades, sources (each with the columns of
    `sources.csv`, figures, context, cases, modalities, domains and smallest and largest n_train).
    """
    cases = comparable_cases(published)
    counts = cases["source"].value_counts()
    rows = []
    for key, source in published.sources.iterrows():
        own = published.figures[published.figures["source"] == key]
        sizes = own["n_train"].dropna()
        rows.append(
            {"key": key, **source}
            | {"figures": len(own), "context": int((own["reason"] != "").sum())}
            | {"cases": int(counts.get(key, 0))}
            | {name: sorted(set(own[one])) for name, one in _COVERED.items()}
            | {"n_train": [int(sizes.min()), int(sizes.max())] if len(sizes) else []}
        )
    return {
        "evidence": "published",
        "figures": len(published.figures),
        "cases": len(cases),
        "grades": GRADES,
        "sources": sorted(rows, key=lambda row: (-row["cases"], row["key"])),
    }


_COVERED = {"modalities": "modality", "domains": "domain"}


def near_situation(published: Published, **asked: Any) -> dict[str, Any]:
    """Return what published tables say near a situation; asked: as `cases.near`.

    Keys: evidence ("published"), near (what was asked, with the factor), approaches (each over the
    cases that have it: approach, cases, data_sets, first, the share of these cases in which it
    scores highest, and regret, its mean points below the highest), cases (each with its facts and
    scores; by size, where one was asked for), sources (title, citation, link, grade and caveat of
    each that is named).
    """
    found = near(comparable_cases(published), **asked)
    if "examples" in asked:
        found = found.loc[(found["n_train"] / asked["examples"]).sort_values().index]
    named = published.sources.loc[found["source"].unique()]
    kept = ["title", "citation", "link", "grade", "caveat"]
    table = standings(found).reset_index().round({"first": 4, "regret": 2})
    return {
        "evidence": "published",
        "near": asked | ({"factor": FACTOR} if "examples" in asked else {}),
        "approaches": json.loads(table.to_json(orient="records")),
        "cases": [_case(row) for _, row in found.iterrows()],
        "sources": {key: dict(row[kept]) for key, row in named.iterrows()},
    }


def _case(row: pd.Series) -> dict[str, Any]:
    """A case as JSON has it: null where a size is not stated."""
    facts = {name: row[name] for name in (*CASE, *FACTS)}
    facts["n_train"] = None if pd.isna(row["n_train"]) else int(row["n_train"])
    scores = {name: round(float(row[name]), 4) for name in APPROACHES if pd.notna(row[name])}
    return facts | {"scores": scores}


def _source_words(made: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{made['figures']:,} published figures from {len(made['sources'])} sources; "
        f"{made['cases']} cases have two or more of our approaches side by side."
    )
    yield from (APART, "")
    yield f"{'source':24}{'grade':7}{'figures':>7}{'cases':>7}  what"
    for row in made["sources"]:
        covered = ", ".join(row["modalities"])
        sizes = " to ".join(f"{size:,}" for size in dict.fromkeys(row["n_train"]))
        what = f"{row['title']}: {covered}" + (f", {sizes} examples" if sizes else "")
        yield f"{row['key']:24}{row['grade']:7}{row['figures']:7}{row['cases']:7}  {what}"
    yield ""
    yield from (f"{grade:3} {meaning}" for grade, meaning in made["grades"].items())


def _near_words(made: dict[str, Any]) -> Iterator[str]:
    asked = dict(made["near"])
    factor = asked.pop("factor", None)
    told = [f"{asked.pop('examples'):,} examples (within a factor of {factor:g})"] if factor else []
    told += [f"{name.replace('_', ' ')} {value}" for name, value in asked.items()]
    yield f"Published near {', '.join(told)}: {len(made['cases'])} cases."
    if not made["cases"]:
        yield "Nothing: ask for less, or see all sources without options."
        return
    yield from (APART, "")
    heads = f"{'cases':>6}{'data sets':>11}{'first in':>10}{'points below the best':>23}"
    yield f"{'approach':24}{heads}"
    for row in made["approaches"]:
        counts = f"{row['cases']:6}{row['data_sets']:11}{100 * row['first']:8.0f} %"
        yield f"{label_of(row['approach']):24}{counts}{row['regret']:23.1f}"
    yield from ("Each approach over the cases that have it; read rows beside each other below.", "")
    yield f"{'source':24}{'data set':32}{'network':22}{'examples':>10}  scores"
    for row in made["cases"][:MOST_LINES]:
        size = "not said" if row["n_train"] is None else f"{row['n_train']:,}"
        scores = " · ".join(f"{style_of(k).short} {v:g}" for k, v in row["scores"].items())
        if row["metric"] != "accuracy":
            scores += f" ({METRICS[row['metric']].title})"
        yield f"{row['source']:24}{row['data_set']:32}{row['network']:22}{size:>10}  {scores}"
    if len(made["cases"]) > MOST_LINES:
        yield f"… and {len(made['cases']) - MOST_LINES} more: --json lists all."
    yield ""
    for key, row in made["sources"].items():
        yield f"{key} (grade {row['grade']}): {row['citation']}. {row['caveat']}"
