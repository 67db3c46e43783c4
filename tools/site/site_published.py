"""The page of published evidence: what the tables of others say, source by source."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import pandas as pd

from helpers.decision import DEFAULTS, Thresholds
from helpers.results.published.cases import APPROACHES, comparable_cases, regret_points
from helpers.results.published.schema import CONTEXT, DOMAINS, GRADES, IDENTITY, METRICS, REASONS
from helpers.results.published.sums import (
    average_scores,
    full_minus_linear,
    size_bands,
    standings,
)
from helpers.results.published.tables import Published, load_published
from helpers.vocabulary import DISTANCE_OF, FEATURE_EXTRACTION, FULL_FINE_TUNING, label_of, style_of
from tools.measure.rival_rules import literal_rules
from tools.site.site_tables import plain, table_of

PAGE = "published"
OPENING = """# What have others published?

Tables from papers and repositories reach where two processor cores don't: {smallest:,} to
{largest:,} training examples, networks of up to {billions:,.0f} billion parameters. Below stand
{figures:,} figures from {sources} sources, each as it was printed. **They are no runs of ours and
are never pooled with them:** others chose the data, the recipes and the settings, and often tuned
one approach better than another. `python -m helpers published` says the same in a terminal.

A **case** is what one source measured of two or more of our approaches with the same network, data
set and size; there are {cases}. Where an approach was run in several forms, such as ranks of LoRA,
its score in a case is their median. What an approach is called in the source, and why some figures
must not be compared, stands in the [files](data/README.md#published).
"""
SUMS = """## What they say together

Full fine-tuning minus a linear model on the frozen features of the same network, in points, by what
the data are about. "Linear first" is the share of cases in which the frozen network scores higher.
A case is not a data set: one set counts once for each network and pretraining.
"""
SUMS_SIZE = "The same for the medical pictures of MedMNIST+, by training examples:"
SUMS_SET = "For SimCLR and BYOL, by data set:"
SUMS_VTAB = "Mean accuracy on VTAB-1k, 1,000 labels a task, as V-PETL Bench lists it:"
SUMS_RULE = """What the article's rules give up, each on the cases that meet its conditions by our
judgement of the distance. "Scored" are those whose source tried what the rule asks for; where there
is none, nobody here has published what would test the rule.
"""
PUBLISHED_FILES = "data/published"
WIDE = 8  # rows above which a source's table is folded


def published_page(published: Published | None = None) -> str:
    """Return the page in MyST Markdown; links to files are relative to the repository."""
    published = published or load_published()
    cases = comparable_cases(published)
    parts = [_opening(published, cases), *_overview(published, cases), *_sums(cases)]
    for key in _order(published, cases):
        parts += _source(key, published, cases[cases["source"] == key])
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _opening(published: Published, cases: pd.DataFrame) -> str:
    figures = published.figures
    return OPENING.format(
        smallest=int(figures["n_train"].min()),
        largest=int(figures["n_train"].max()),
        billions=figures["params_m"].max() / 1000,
        figures=len(figures),
        sources=len(published.sources),
        cases=len(cases),
    )


def _order(published: Published, cases: pd.DataFrame) -> list[str]:
    """Sources with most cases first."""
    counts = cases["source"].value_counts()
    return sorted(published.sources.index, key=lambda key: (-counts.get(key, 0), key))


def _overview(published: Published, cases: pd.DataFrame) -> Iterator[str]:
    yield "## The sources"
    counts = cases["source"].value_counts()
    lines = ["| source | grade | figures | cases | about |", "|---|---|---|---|---|"]
    for key in _order(published, cases):
        own = published.figures[published.figures["source"] == key]
        source = published.sources.loc[key]
        about = ", ".join(sorted(set(own["domain"]), key=list(DOMAINS).index))
        link = f"[{source['title']}](#{_anchor(key)})"
        lines.append(
            f"| {link} | {source['grade']} | {len(own)} | {counts.get(key, 0)} | {about} |"
        )
    yield "\n".join(lines)
    yield "\n".join(f"- **{plain(grade)}**: {meaning}" for grade, meaning in GRADES.items())


def _sums(cases: pd.DataFrame) -> Iterator[str]:
    yield SUMS
    yield _gains(full_minus_linear(cases, "domain"), list(DOMAINS))
    yield SUMS_SIZE
    yield _gains(full_minus_linear(_of(cases, "medmnistplus"), size_bands((5_000, 20_000))))
    yield SUMS_SET
    both = cases[cases["source"].isin(["simclr_chen2020", "byol_grill2020"])]
    yield _gains(full_minus_linear(both, "data_set").sort_values("mean"))
    yield SUMS_VTAB
    vtab = _of(cases, "vpetl_bench")
    yield table_of(
        average_scores(vtab[vtab["data_set"].str.match("VTAB-1k/")]).rename(columns=label_of), 1
    )
    yield SUMS_RULE
    scored = rule_regret(cases)
    always = f"always_{FULL_FINE_TUNING}"
    rules = scored.groupby("rule").agg(
        says=("approach", "first"), matching=("case", "size"), scored=("matched", "sum"),
        gives_up=("regret", "mean"),
    )  # fmt: skip
    rules["says"] = rules["says"].map(label_of)
    rules["full fine-tuning there"] = scored[scored["matched"]].groupby("rule")[always].mean()
    shown = rules.rename(columns={"gives_up": "gives up, points"})
    yield table_of(shown, 1, whole=["matching", "scored"])


def rule_regret(cases: pd.DataFrame, thresholds: Thresholds = DEFAULTS) -> pd.DataFrame:
    """Return what the article's rules give up: one row a rule and case that matches it.

    Columns: case (its index), rule, approach (what the rule says), matched (True where the source
    tried that), regret (points below the case's best; NaN where not tried, or not in points), and
    `always_X` for every approach X, the same case's regret of X (NaN where not tried).
    """
    regret = regret_points(cases)
    rows = [
        {"case": place, "rule": rule, "approach": approach, "regret": regret.at[place, approach]}
        for place, case in cases.iterrows()
        for rule, approach in _matching(case, thresholds)
    ]
    table = pd.DataFrame(rows, columns=["case", "rule", "approach", "regret"])
    table.insert(3, "matched", table["regret"].notna())
    return table.join(regret.add_prefix("always_"), on="case")


def _matching(case: pd.Series, thresholds: Thresholds) -> list[tuple[str, str]]:
    """The rules whose conditions a case meets, with what each answers."""
    size = None if pd.isna(case["n_train"]) else int(case["n_train"])
    distance = DISTANCE_OF.get(case["distance"])
    return literal_rules(size, distance, case["llm"] == "yes", thresholds)


def _of(cases: pd.DataFrame, source: str) -> pd.DataFrame:
    return cases[cases["source"] == source]


def _gains(table: pd.DataFrame, order: list[str] | None = None) -> str:
    """A table of `full_minus_linear`, its shares in percent."""
    if order:
        table = table.loc[[name for name in order if name in table.index]]
    shown = table.rename(columns={"data_sets": "data sets", "linear_first": "linear first, %"})
    shown["linear first, %"] = (100 * shown["linear first, %"]).round()
    return table_of(shown, 1, whole=["cases", "data sets", "linear first, %"])


def _anchor(key: str) -> str:
    """The place of a source on the page."""
    return f"source-{key.replace('_', '-')}"


def _source(key: str, published: Published, cases: pd.DataFrame) -> Iterator[str]:
    source = published.sources.loc[key]
    own = published.figures[published.figures["source"] == key]
    yield f"({_anchor(key)})=\n## {source['title']}"
    yield f"{source['citation']}. [{source['link'].partition('//')[2]}]({source['link']})"
    facts = [
        f"**Grade {plain(source['grade'])}**, {GRADES[source['grade']]}.",
        f"**Read from** {source['read_from']}: {source['how_read']}.",
        f"**Licence:** {source['licence']}.",
        f"**Mind:** {source['caveat']}",
        f"**Figures:** {len(own)} in [{key}.csv]({PUBLISHED_FILES}/{key}.csv){_left_out(own)}.",
    ]
    yield "\n".join(f"- {fact}" for fact in facts)
    if len(cases):
        yield from _said(cases)
    else:
        yield "No case: no two of our approaches stand side by side here."
        yield _folded(_figures(own), "All figures")
    costs = any(METRICS[name].role == "cost" for name in own["metric"].unique())
    if costs and len(cases):
        yield _folded(_costs(key, published), "What it cost and kept, run by run")


def _left_out(figures: pd.DataFrame) -> str:
    """How many figures are not compared, and why."""
    counts = figures.loc[figures["use"] == CONTEXT, "reason"].value_counts()
    said = "; ".join(f"{count} not compared ({REASONS[why]})" for why, count in counts.items())
    return f"; {said}" if said else ""


def _said(cases: pd.DataFrame) -> Iterator[str]:
    """What a source says: how approaches stand over its cases, then the cases."""
    table = standings(cases)
    if len(table):
        shown = table.assign(first=(100 * table["first"]).round()).rename(
            columns={"data_sets": "data sets", "first": "first in, %", "regret": "points below"}
        )
        yield table_of(shown.rename(index=label_of), 1, whole=["cases", "data sets", "first in, %"])
    both = full_minus_linear(cases, "source")
    if len(both) and len(cases) > 1:
        gain = both.iloc[0]
        yield (
            f"{label_of(FULL_FINE_TUNING).capitalize()} minus {label_of(FEATURE_EXTRACTION)}: "
            f"{gain['mean']:+.1f} points on average over {gain['cases']:.0f} cases, median "
            f"{gain['median']:+.1f}."
        )
    yield _folded(_cases(cases), f"The cases ({len(cases)})")


def _cases(cases: pd.DataFrame) -> pd.DataFrame:
    """One row a case, with a column for what any of them has."""
    shown = cases.dropna(axis=1, how="all")
    scores = {name: style_of(name).short for name in APPROACHES if name in shown}
    facts = ["data_set", "network", "pretraining", "comparison", "n_train", "metric"]
    told = [name for name in facts if name in shown and _tells(shown, name)]
    return shown[[*told, *scores]].rename(columns=scores)


def _tells(cases: pd.DataFrame, name: str) -> bool:
    """Tell whether a column is worth its room: what is alike throughout is not, but for these."""
    return name in ("data_set", "network", "n_train", "metric") or cases[name].nunique() > 1


def _figures(figures: pd.DataFrame) -> pd.DataFrame:
    facts = ["data_set", "network", "n_train", "printed", "metric", "value", "spread"]
    return figures[facts].dropna(axis=1, how="all")


def configurations(published: Published) -> pd.DataFrame:
    """Return one row for each approach as it was run, where a source states what it cost or kept.

    Columns: `schema.IDENTITY` but for the metric, approach, and a column for each metric that such
    a source has (seconds, memory, megabytes, forgetting, and the score itself), NaN where it lacks.
    """
    rows = published.compared
    roles = rows["metric"].map(lambda name: METRICS[name].role)
    rows = rows[rows["source"].isin(rows.loc[roles == "cost", "source"])]
    by = [name for name in IDENTITY if name not in ("metric", "tested_on")]
    wide = (
        rows.groupby([*by, "approach", "metric"], dropna=False)["value"].first().unstack("metric")
    )
    return wide.reset_index().rename_axis(columns=None)


def _costs(key: str, published: Published) -> pd.DataFrame:
    rows = configurations(published)
    rows = rows[rows["source"] == key].dropna(axis=1, how="all")
    numbers = [name for name in METRICS if name in rows]
    asked = [name for name in numbers if METRICS[name].role in ("cost", "kept")]
    rows = rows.dropna(subset=asked, how="all").dropna(axis=1, how="all")
    return rows[["data_set", "network", "printed", *(name for name in numbers if name in rows)]]


def _folded(table: pd.DataFrame, summary: str) -> str:
    """A table by its data sets, behind a heading that opens it where it is long."""
    shown = table.rename(columns={"n_train": "examples", "data_set": "data set"})
    shown = shown.rename(columns={name: metric.title for name, metric in METRICS.items()})
    if "metric" in shown:
        shown["metric"] = shown["metric"].map(lambda name: METRICS[name].title)
    html = table_of(shown.set_index("data set"), 2, whole=["examples"])
    opened = "" if len(table) > WIDE else " open"
    return f"<details{opened}><summary>{escape(summary)}</summary>\n{html}\n</details>"
