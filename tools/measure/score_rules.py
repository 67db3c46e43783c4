"""Try every rule on the situations measured here and published, for regret.csv, regret_paired.csv.

    python -m tools.measure.score_rules [--schema N] [--runs FILE] [--print-only]

The article's rules apart and together, with two fallbacks that are ours, the 2x2, always-X for
every X, a constant per modality, a small hierarchical model, and the answer that ships. Nobody sees
the data set that it is asked about. On published cases the answer that ships knows our records
alone; the others learn from other published data sets. Nothing is trained: everything is read.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.decision import (
    DEFAULTS,
    Situation,
    Thresholds,
    distance_word,
    ruled,
    size_word,
)
from helpers.paths import results_dir
from helpers.results import runs as records
from helpers.results.learning_curves import measured_curves
from helpers.results.rule_cases import (
    ALL,
    ARTICLE,
    CONSTANT,
    MEASURED,
    published_table,
    situations,
)
from helpers.results.schema import COMPARED
from tools.measure import hierarchical, rival_rules
from tools.measure.rival_rules import RULES, Seen

COLUMNS = [
    "evidence", "rule", "part", "mean_regret", "low", "high", "worst_regret", "mean_train_seconds",
    "data_sets", "situations",
]  # fmt: skip
HIERARCHICAL = "hierarchical"
PARTS = ("R1", "R2", "R3", "R4", "fallback", ALL)


def transferred(table: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """The answer that ships, from our situations alone, on published ones: as `score`, apart."""
    seen = Seen(own)
    return rival_rules.ask(table, lambda _: seen, {MEASURED: RULES[MEASURED]}, True)


def picks_of(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """What every rule picks in each situation, by evidence: own and published."""
    table, _ = situations(measured_curves(runs))
    rules = RULES | {HIERARCHICAL: hierarchical.rule}
    own = [rival_rules.score(table, rules, apart=True)]
    if len(rival_rules.cases(table)) > 1 and table["family"].nunique() > 1:
        own.append(refit(table)[0])
    published = published_table()
    learning = {name: rule for name, rule in rules.items() if name != MEASURED}
    others = [
        rival_rules.score(published, learning, apart=True),
        transferred(published, table),
    ]
    return {"own": pd.concat(own), "published": pd.concat(others)}


def regret_table(picks: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The table that is stored: by evidence and part, the rule that gives up least first."""
    parts = []
    for evidence, rows in picks.items():
        made = rival_rules.standing(rows, ["rule", "part"]).assign(evidence=evidence)
        made["part"] = pd.Categorical(made["part"], PARTS)
        parts.append(made.sort_values(["part", "mean_regret", "mean_train_seconds"], kind="stable"))
    table = pd.concat(parts, ignore_index=True)[COLUMNS]
    return table.astype({"part": str}).round(5)


def told_by_others_alone(table: pd.DataFrame) -> pd.DataFrame:
    """What each approach gives up where nothing was measured here, from `published_table`.

    Columns: where, rule (always that approach, where it was tried), then those of `standing`.
    """
    places = {
        "large language models": table["llm"],
        "100,000 examples or more": table["n_train"] >= 100_000,
        "tested on shifted data": table["domain"] == "shifted",
    }
    parts = [
        rival_rules.standing(rows.assign(rule=rows["approach"])).assign(where=name)
        for name, rows in ((name, table[kept]) for name, kept in places.items())
    ]
    made = pd.concat(parts, ignore_index=True).drop(columns="mean_train_seconds")
    return made[["where", *made.columns.drop("where")]]


def against(picks: pd.DataFrame, rule: str = MEASURED) -> pd.DataFrame:
    """How much less a rule gives up than each other, where both named what was tried.

    picks: of one part. One row each other rule: rule, less (mean), low and high (over data sets),
    data_sets, situations.
    """
    ours = picks[picks["rule"] == rule].set_index("case")["regret"]
    others = picks[(picks["rule"] != rule) & picks["case"].isin(ours.index)]
    others = others.assign(less=others["regret"] - others["case"].map(ours))
    made = [
        (name, own["less"].mean(), *rival_rules.interval(own, "less"), own["family"].nunique())
        for name, own in others.groupby("rule", sort=False)
    ]
    table = pd.DataFrame(made, columns=["rule", "less", "low", "high", "data_sets"])
    return table.assign(situations=table["rule"].map(others["rule"].value_counts()))


def paired_table(picks: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What is stored beside it: how much more each rule gives up than two others, where both chose.

    Columns: evidence, rule, beside (the other), more (mean), low and high (over data sets),
    data_sets, situations.
    """
    made = [
        against(rows[rows["part"] == ALL], beside).assign(evidence=evidence, beside=beside)
        for evidence, rows in picks.items()
        for beside in (MEASURED, CONSTANT)
    ]
    names = ["evidence", "rule", "beside", "more", "low", "high", "data_sets", "situations"]
    return pd.concat(made, ignore_index=True).rename(columns={"less": "more"})[names].round(5)


def swept(table: pd.DataFrame) -> pd.DataFrame:
    """The article's rules with one threshold moved at a time, where what they name was tried.

    Columns: threshold, value, mean_regret, low and high (over data sets), data_sets, and R1 to R4:
    the mean regret of each alone, NaN where it is never scored.
    """
    regrets = table.set_index(["case", "approach"])["regret"]
    asked, rows = rival_rules.cases(table), []
    for name, value in ((name, value) for name, values in TRIED.items() for value in values):
        moved = _moved(name, value)
        picks = [
            (part, case.family, regrets.get((case.case, approach)))
            for case in asked
            for part, approach in case.parts(moved).items()
        ]
        own = pd.DataFrame(picks, columns=["part", "family", "regret"]).dropna()
        low, high = rival_rules.interval(own, "regret")
        row = {"threshold": name, "value": value, "mean_regret": own["regret"].mean()}
        row |= {"low": low, "high": high, "data_sets": own["family"].nunique()}
        alone = own.groupby("part")["regret"].mean().to_dict()
        rows.append(row | {part: alone.get(part, np.nan) for part in ("R1", "R2", "R3", "R4")})
    return pd.DataFrame(rows)


def _moved(name: str, value: float) -> Thresholds:
    """The defaults with one threshold moved, and the other of its pair out of its way."""
    t = DEFAULTS
    beside = {
        "small": {"large": max(t.large, int(value) + 1)},
        "large": {"small": min(t.small, int(value) - 1)},
        "distant": {"very_distant": max(t.very_distant, value + 0.01)},
        "very_distant": {"distant": min(t.distant, value - 0.01)},
    }
    return replace(t, **{name: value} | beside[name])


# What is tried for each threshold of the article's rules; between the sizes that are measured.
TRIED = {
    "small": (25, 100, 400, 2_000, 5_000, 40_000),
    "large": (2_000, 5_000, 40_000, 100_000, 400_000),
    "distant": (0.1, 0.2, 1 / 3, 0.45, 0.6, 0.75),
    "very_distant": (0.3, 0.45, 0.6, 2 / 3, 0.8, 0.95, 1.0),
}


def threshold_grid() -> list[Thresholds]:
    """Every valid combination of the thresholds that are tried, nearest to the defaults first."""
    made = [
        Thresholds(**dict(zip(TRIED, values, strict=True)))
        for values in product(*TRIED.values())
        if values[0] < values[1] and values[2] < values[3]
    ]
    return sorted(made, key=_steps)


def _steps(other: Thresholds) -> float:
    t = DEFAULTS
    sizes = abs(np.log(other.small / t.small)) + abs(np.log(other.large / t.large))
    return sizes + abs(other.distant - t.distant) + abs(other.very_distant - t.very_distant)


def _by_words() -> dict[tuple[str, str], str]:
    """The article's answer for each pair of a size's and a distance's word, asked of `ruled`."""
    t = DEFAULTS
    sizes = {size_word(n): n for n in (t.small - 1, t.small, t.large)}
    distances = {distance_word(d): d for d in (0.0, t.distant, t.very_distant)}
    return {
        (size, distance): ruled(Situation(n, d)).approach
        for (size, n), (distance, d) in product(sizes.items(), distances.items())
    }


def refit(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Thresholds], Thresholds]:
    """Choose the article's thresholds on all data sets but one, and score the choice on that one.

    Returns the picks, the thresholds by data set left out, and those that fit all data sets best.
    Ties go to the thresholds nearest to the defaults. Needs every fact and every answer tried.
    """
    grid, asked = threshold_grid(), rival_rules.cases(table)
    wide = table.pivot(index="case", columns="approach", values="regret")
    answers = _by_words()

    def named(case: rival_rules.Case, t: Thresholds) -> str:
        return answers[size_word(case.n_train, t), distance_word(case.distance, t)]

    given = np.array([[named(case, t) for case in asked] for t in grid])
    places = wide.columns.get_indexer(given.ravel()).reshape(given.shape)
    found = wide.loc[[c.case for c in asked]].to_numpy()[np.arange(len(asked)), places]
    families = np.array([case.family for case in asked])
    chosen = {f: int(found[:, families != f].mean(axis=1).argmin()) for f in dict.fromkeys(families)
              if (families != f).any()}  # fmt: skip
    rows = [
        {"case": case.case, "approach": given[chosen[case.family], place]}
        for place, case in enumerate(asked)
        if case.family in chosen
    ]
    picks = pd.DataFrame(rows).assign(rule=ARTICLE + " (refitted)", part=ALL)
    picks = picks.merge(table, on=["case", "approach"], how="left", validate="one_to_one")
    return picks, {f: grid[i] for f, i in chosen.items()}, grid[int(found.mean(axis=1).argmin())]


def main(arguments: list[str] | None = None) -> None:
    """Write the table and print it, with the answer that ships against each other rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schema", type=int, help="whose rows are tried: those compared")
    parser.add_argument("--runs", type=Path, help="another file of runs")
    parser.add_argument("--print-only", action="store_true", help="leave both tables as they are")
    asked = parser.parse_args(arguments)
    runs = records.load_runs(asked.runs, schema=asked.schema or COMPARED)
    picks = picks_of(runs)
    table = regret_table(picks)
    if not asked.print_only:
        for name, made in (("regret", table), ("regret_paired", paired_table(picks))):
            made.to_csv(results_dir() / f"{name}.csv", index=False, lineterminator="\n")
    print(table.to_string(index=False))
    for evidence, rows in picks.items():
        print(f"\n{evidence}: what each gives up more than the answer that ships, where both chose")
        print(against(rows[rows["part"] == ALL]).round(4).to_string(index=False))
    held = measured_curves(runs)
    for evidence, own in (
        ("own", situations(held)[0]),
        ("published", published_table()),
    ):
        print(f"\n{evidence}: the article's rules with one threshold moved")
        print(swept(own).round(4).to_string(index=False))
    print("\npublished alone: where nothing was measured here")
    print(told_by_others_alone(published_table()).round(4).to_string(index=False))
    _, by_data_set, best = refit(situations(held)[0])
    print(f"\nown: thresholds that fit all data sets best: {best}")
    print(pd.Series(by_data_set.values()).value_counts().to_string())


if __name__ == "__main__":
    main()
