"""Rules that choose an approach before training, tried on the same situations, own or published.

A rule sees the facts of a situation and what was found on OTHER data sets, and names approaches in
the order in which it would take them; the first that was tried there counts. What it gives up is
the regret: the best mean accuracy there minus that of its pick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from helpers.decision import DEFAULTS, FALLBACK, Situation, Thresholds, ruled
from helpers.results.expected_regret import mean_regret, recommended
from helpers.results.rule_cases import ALL, ARTICLE, CONSTANT, EFFICIENT, FACTS, FOLK, MEASURED
from helpers.results.statistics import CONFIDENCE
from helpers.vocabulary import (
    ADAPTER,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    LORA,
    PARTIAL_FINE_TUNING,
    SHIPPED,
)

LEAST_DATA_SETS = 3  # for an interval over data sets
DRAWS = 4_000  # of the bootstrap over data sets


@dataclass(frozen=True)
class Case:
    """The facts of a situation that are known before anything is trained.

    family: its data set. n_train and distance are None where a source doesn't state them.
    """

    task: str
    backbone: str
    n_train: int | None
    dial: float
    image_size: int
    modality: str
    distance: float | None
    family: str
    llm: bool = False
    case: int = 0

    @property
    def situation(self) -> Situation | None:
        """What `decide` is asked, which knows texts and pictures; None where facts lack."""
        if self.n_train is None or self.distance is None:
            return None
        modality = "text" if self.llm or self.modality == "text" else "image"
        return Situation(self.n_train, self.distance, modality, llm=self.llm)

    def parts(self, thresholds: Thresholds = DEFAULTS) -> dict[str, str]:
        """The article's rules that match literally, each asked alone, with what each answers.

        Where none does and size and distance are known, the fallback, which is ours.
        """
        found = dict(literal_rules(self.n_train, self.distance, self.llm, thresholds))
        asked = self.situation
        if not found and asked is not None:
            found[FALLBACK] = ruled(asked, thresholds).approach
        return found


@dataclass(frozen=True)
class Seen:
    """What was found on other data sets: a row each situation and approach."""

    table: pd.DataFrame
    cached: dict[Any, Any] = field(default_factory=dict)

    def expected(self, modality: str) -> pd.DataFrame:
        """Expected regrets in a modality; over everything where nothing of it was seen."""
        if modality not in self.cached:
            own = self.table[self.table["modality"] == modality]
            self.cached[modality] = mean_regret(own if len(own) else self.table)
        return self.cached[modality]


def literal_rules(
    examples: int | None, distance: float | None, llm: bool, thresholds: Thresholds = DEFAULTS
) -> list[tuple[str, str]]:
    """Return the article's rules whose conditions a case meets, with what each answers.

    Each rule is asked alone, so that R2 matches every large language model, of whatever size; the
    fallback is ours and is not among them. A rule that asks for size or distance matches no case
    that does not state it (None). Accuracy comes first (no budget), as in published tables.
    """
    found = [("R2", LORA)] if llm else []
    if examples is not None and distance is not None:
        decision = ruled(Situation(examples, distance), thresholds)
        if decision.rule != FALLBACK:
            found.append((decision.rule, decision.approach))
    return found


Rule = Callable[[Case, Seen], Sequence[str]]


def article(case: Case, seen: Seen, thresholds: Thresholds = DEFAULTS) -> Sequence[str]:
    """The article's four ordered rules, with the fallback where none matches."""
    if case.situation is None:
        return [LORA] if case.llm else []
    return [ruled(case.situation, thresholds).approach]


def parameter_efficient(case: Case, seen: Seen) -> Sequence[str]:
    """The same, but where no rule matches LoRA or an adapter."""
    return [LORA, ADAPTER] if FALLBACK in case.parts() else article(case, seen)


# Small or large data, similar or different domain, as taught in Stanford's CS231n notes on
# transfer learning (https://cs231n.github.io/transfer-learning/): a linear classifier on the top
# features; fine-tuning through the whole network; a classifier on earlier activations, for which
# tuning the upper layers on frozen lower ones stands here; all layers, from pretrained weights.
TWO_BY_TWO = {
    ("small", "similar"): FEATURE_EXTRACTION,
    ("large", "similar"): FULL_FINE_TUNING,
    ("small", "different"): PARTIAL_FINE_TUNING,
    ("large", "different"): FULL_FINE_TUNING,
}


def folk(case: Case, seen: Seen, thresholds: Thresholds = DEFAULTS) -> Sequence[str]:
    """The 2x2 rule; it names no thresholds, so the article's for small and distant are taken."""
    if case.situation is None:
        return []
    size = "small" if case.n_train < thresholds.small else "large"
    distance = "similar" if case.distance < thresholds.distant else "different"
    return [TWO_BY_TWO[size, distance]]


def always(name: str, case: Case, seen: Seen) -> Sequence[str]:
    """One approach, whatever the situation."""
    return [name]


def constant(case: Case, seen: Seen) -> Sequence[str]:
    """What gave up least in this modality, whatever the size, the distance and the network."""
    return list(seen.expected(case.modality).index)


def measured_answer(case: Case, seen: Seen) -> Sequence[str]:
    """What ships: the constant, or the cheapest of those that are expected to do as well."""
    table = seen.expected(case.modality)
    return [] if table.empty else [recommended(table), *table.index]


RULES: dict[str, Rule] = {
    MEASURED: measured_answer,
    CONSTANT: constant,
    ARTICLE: article,
    EFFICIENT: parameter_efficient,
    FOLK: folk,
    **{f"always {name}": partial(always, name) for name in SHIPPED},
}


def cases(table: pd.DataFrame) -> list[Case]:
    """Return the situations of a table as cases, in its order."""
    rows = table[list(FACTS)].drop_duplicates("case").to_dict("records")
    made = []
    for row in rows:
        size, distance = row.pop("n_train"), row.pop("distance")
        row["n_train"] = None if pd.isna(size) else int(size)
        made.append(Case(**row, distance=None if pd.isna(distance) else distance))
    return made


def score(
    table: pd.DataFrame, rules: Mapping[str, Rule] | None = None, *, apart: bool = False
) -> pd.DataFrame:
    """Ask every rule in every situation; returns the rows it picked, with `rule` and `part`.

    table: from `situations`, or another with its columns. A rule learns from it, as what ships
    does, and never sees the data set that it is asked about. Where nothing that it names was tried
    it has no row. part: "all"; with `apart` also each of the
    article's rules that matches (there the article is asked for that rule alone), or "fallback".
    """
    seen = {name: Seen(table[table["family"] != name]) for name in table["family"].unique()}
    return ask(table, lambda case: seen[case.family], RULES if rules is None else rules, apart)


def ask(
    table: pd.DataFrame, seen: Callable[[Case], Seen], rules: Mapping[str, Rule], apart: bool
) -> pd.DataFrame:
    """The same, with what is known on other data sets for each case."""
    tried = table.groupby("case")["approach"].agg(set)
    rows = []
    for case in cases(table):
        parts = case.parts() if apart else {}
        for name, rule in rules.items():
            named = rule(case, seen(case))
            for part in (*parts, ALL):
                literal = name in (ARTICLE, EFFICIENT) and part not in (ALL, FALLBACK)
                wanted = [parts[part]] if literal else named
                found = next((one for one in wanted if one in tried[case.case]), None)
                if found is not None:
                    rows.append((name, part, case.case, found))
    picks = pd.DataFrame(rows, columns=["rule", "part", "case", "approach"])
    return picks.merge(table, on=["case", "approach"], how="left", validate="many_to_one")


def standing(picks: pd.DataFrame, by: Sequence[str] = ("rule",)) -> pd.DataFrame:
    """One row per rule (or other columns of the picks), lowest mean regret first.

    Columns: those of `by`, mean_regret, low and high (95 % percentile interval over bootstrap draws
    of whole data sets; NaN for fewer than three), worst_regret, mean_train_seconds (processor
    seconds of preparation and training), data_sets, situations.
    """
    groups = picks.groupby(list(by), sort=False)
    table = groups.agg(
        mean_regret=("regret", "mean"),
        worst_regret=("regret", "max"),
        mean_train_seconds=("seconds", "mean"),
        data_sets=("family", "nunique"),
        situations=("regret", "size"),
    )
    ends = [interval(own, "regret") for _, own in groups]
    table.insert(1, "low", [low for low, _ in ends])
    table.insert(2, "high", [high for _, high in ends])
    return table.sort_values(["mean_regret", "mean_train_seconds"]).reset_index()


def interval(picks: pd.DataFrame, value: str) -> tuple[float, float]:
    """Percentile interval (2.5 to 97.5 %) of a mean, drawing data sets anew; NaN of too few.

    Situations of one data set resemble each other, so data sets are drawn whole.
    """
    groups = picks.groupby("family")[value].agg(["sum", "count"])
    if len(groups) < LEAST_DATA_SETS:
        return np.nan, np.nan
    sums, counts = groups["sum"].to_numpy(), groups["count"].to_numpy()
    return bootstrap_interval(pooled_mean, sums, counts, draws=DRAWS)


def bootstrap_interval(
    statistic: Callable[..., np.ndarray], *clusters: np.ndarray, draws: int, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of a statistic, drawing whole clusters anew with replacement.

    What resembles each other (situations of one data set) is one cluster, and varies as one (Efron
    and Tibshirani 1993). clusters: arrays (N,), one entry for each cluster, such as sums and
    counts; statistic: takes them drawn, each (draws, N), and returns (draws,). A draw that gives
    NaN is left out, which `scipy.stats.bootstrap` can't do. Seeded: equal clusters give equal ends.
    """
    size = len(clusters[0])
    drawn = np.random.default_rng(seed).integers(size, size=(draws, size))
    values = statistic(*(cluster[drawn] for cluster in clusters))
    low, high = np.nanquantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def pooled_mean(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over all members of drawn clusters, (…, N) each to (…): for `bootstrap_interval`."""
    return sums.sum(-1) / counts.sum(-1)
