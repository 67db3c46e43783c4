"""Rules that choose an approach before training, scored by regret on the same recorded situations.

A rule sees the facts of a situation and the records of OTHER families of tasks, and names an
approach. What it gives up is the regret: the best mean accuracy recorded there minus its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from helpers.decision import DEFAULTS, Situation, Thresholds, decide, distance_word, size_word
from helpers.errors import UserError
from helpers.results.evidence import evidence_near
from helpers.results.expected_regret import (
    WEIGHTS,
    Weights,
    cheapest_credible,
    expected_regret,
)
from helpers.results.learning_curves import LEAST_SEEDS, Curve, Measured
from helpers.results.statistics import SITUATION, bootstrap_interval, pooled_mean, regret
from helpers.vocabulary import FEATURE_EXTRACTION, FULL_FINE_TUNING, PARTIAL_FINE_TUNING, SHIPPED

ARTICLE, FOLK, MEASURED = "article", "folk 2x2", "measured"
REFITTED = " (refitted)"
DRAWS = 4_000  # of the bootstrap over families


@dataclass(frozen=True)
class Case:
    """The facts of a recorded situation that are known before anything is trained."""

    task: str
    backbone: str
    n_train: int
    dial: float
    image_size: int
    modality: str
    distance: float
    family: str

    @property
    def situation(self) -> Situation:
        """What `decide` and `evidence` are asked."""
        return Situation(self.n_train, self.distance, self.modality)


OF_CURVE = [field.name for field in fields(Case) if field.name != "n_train"]
Rule = Callable[[Case, Measured], str]


def article(case: Case, others: Measured, thresholds: Thresholds = DEFAULTS) -> str:
    """The article's four ordered rules, with the fallback where none matches."""
    return decide(case.situation, thresholds).approach


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


def folk(case: Case, others: Measured, thresholds: Thresholds = DEFAULTS) -> str:
    """The 2x2 rule; it names no thresholds, so the article's for small and distant are taken."""
    size = "small" if case.n_train < thresholds.small else "large"
    distance = "similar" if case.distance < thresholds.distant else "different"
    return TWO_BY_TWO[size, distance]


def always(name: str, case: Case, others: Measured) -> str:
    """One approach, whatever the situation."""
    return name


def measured_answer(case: Case, others: Measured) -> str:
    """What `evidence` takes or, with nothing near, leans to; the article's where neither is."""
    found = evidence_near(case.situation, others, backbone=case.backbone)
    return found.take or found.lean or article(case, others)


def pooled(case: Case, others: Measured, weights: Weights = WEIGHTS) -> str:
    """The pooled part of the measured answer alone, to see what each of its weights is worth."""
    table = expected_regret(case.situation, others, None, case.backbone, weights)
    return article(case, others) if table.empty else cheapest_credible(table, weights.margin)


RULES: dict[str, Rule] = {
    MEASURED: measured_answer,
    ARTICLE: article,
    FOLK: folk,
    **{f"always {name}": partial(always, name) for name in SHIPPED},
}


def situations(held: Measured) -> tuple[pd.DataFrame, int]:
    """The situations that have every approach on three common seeds, and how many have not.

    One row for each situation and approach: the facts of a `Case`, `mean` (test accuracy over the
    common seeds), `seconds` (median processor seconds of preparation and training), `seeds`,
    `best` and `regret`. Where one backbone was measured at several picture sizes, the size with
    most situations is kept.
    """
    rows, lacking = [], 0
    for curve in _one_size(held.curves):
        for size, accuracy in sorted(curve.accuracy.items()):
            common = accuracy.reindex(columns=list(SHIPPED)).dropna()
            if len(common) < LEAST_SEEDS:
                lacking += 1
                continue
            facts = {name: getattr(curve, name) for name in OF_CURVE}
            facts |= {"n_train": size, "seeds": len(common)}
            seconds = curve.costs[size]["cpu_seconds"]
            means = common.mean()
            rows += [
                facts | {"approach": name, "mean": means[name], "seconds": seconds[name]}
                for name in SHIPPED
            ]
    if not rows:
        raise UserError("no situation has every approach on three seeds yet; run the sweeps")
    return regret(pd.DataFrame(rows)), lacking


def _one_size(curves: Iterable[Curve]) -> list[Curve]:
    curves = list(curves)
    sizes = pd.Series([(c.backbone, c.image_size) for c in curves for _ in c.accuracy])
    most = dict(reversed(sizes.value_counts().index))
    return [curve for curve in curves if curve.image_size == most[curve.backbone]]


def cases(table: pd.DataFrame) -> list[Case]:
    """Return the situations of a table as cases, in its order."""
    facts = table[list(Case.__dataclass_fields__)].drop_duplicates()
    return [Case(**row) for row in facts.to_dict("records")]


def score(
    table: pd.DataFrame, held: Measured, rules: Mapping[str, Rule] | None = None
) -> pd.DataFrame:
    """Ask every rule in every situation; returns the rows it picked, with the rule's name.

    table: from `situations`. A rule gets the records without the family of the situation it is
    asked about, so that it never sees the task, nor another that is made of the same data.
    """
    keys, rows = [*SITUATION, "approach"], []
    others = {name: held.without(name) for name in table["family"].unique()}
    for case in cases(table):
        facts = asdict(case)
        for name, rule in (RULES if rules is None else rules).items():
            picked = rule(case, others[case.family])
            rows.append({"rule": name, "approach": picked} | {k: facts[k] for k in SITUATION})
    return pd.DataFrame(rows).merge(table, on=keys, how="left", validate="many_to_one")


def standing(picks: pd.DataFrame) -> pd.DataFrame:
    """One row per rule, lowest mean regret first.

    Columns: rule, mean_regret and worst_regret over situations, mean_train_seconds (processor
    seconds of preparation and training), tasks, situations, low and high (95 % percentile interval
    of the mean regret, over bootstrap draws of whole families), families.
    """
    groups = picks.groupby("rule", sort=False)
    table = groups.agg(
        mean_regret=("regret", "mean"),
        worst_regret=("regret", "max"),
        mean_train_seconds=("seconds", "mean"),
        tasks=("task", "nunique"),
        situations=("task", "size"),
    )
    table[["low", "high"]] = [family_interval(own) for _, own in groups]
    table["families"] = groups["family"].nunique()
    table = table.sort_values(["mean_regret", "mean_train_seconds"])
    return table.reset_index()


def family_interval(picks: pd.DataFrame) -> tuple[float, float]:
    """Percentile interval (2.5 to 97.5 %) of the mean regret, drawing families anew.

    Situations of one family resemble each other, so families are drawn whole.
    """
    groups = picks.groupby("family")["regret"].agg(["sum", "count"])
    sums, counts = groups["sum"].to_numpy(), groups["count"].to_numpy()
    return bootstrap_interval(pooled_mean, sums, counts, draws=DRAWS)


SMALL = (25, 100, 400, 2_000, 5_000, 40_000)  # between the sizes that the grids measure
LARGE = (100, 400, 2_000, 5_000, 40_000, 100_000)
DISTANT = (0.1, 0.2, 1 / 3, 0.45, 0.6, 0.75)
VERY_DISTANT = (0.3, 0.45, 0.6, 2 / 3, 0.8, 0.95, 1.0)


def threshold_grid() -> list[Thresholds]:
    """Every valid combination of the thresholds that are tried in refitting."""
    return [
        Thresholds(small, large, distant, very)
        for small, large, distant, very in product(SMALL, LARGE, DISTANT, VERY_DISTANT)
        if small < large and distant < very
    ]


def by_words() -> dict[tuple[str, str], str]:
    """The article's answer for each pair of a size's and a distance's word, asked of `decide`."""
    t = DEFAULTS
    sizes = {size_word(n): n for n in (t.small - 1, t.small, t.large)}
    distances = {distance_word(d): d for d in (0.0, t.distant, t.very_distant)}
    return {
        (size, distance): decide(Situation(n, d)).approach
        for (size, n), (distance, d) in product(sizes.items(), distances.items())
    }


def refit(
    table: pd.DataFrame, rule: str = ARTICLE
) -> tuple[pd.DataFrame, dict[str, Thresholds], Thresholds]:
    """Choose a rule's thresholds on all families but one, and score the choice on that one.

    rule: the article's or the 2x2. Returns the picks, the thresholds by family left out, and those
    that fit all families best. Ties go to the thresholds nearest to the defaults.
    """
    grid, asked = _nearest_first(threshold_grid()), cases(table)
    answers = by_words()
    wide = table.pivot(index=[*SITUATION], columns="approach", values="regret")
    keys = [tuple(getattr(case, name) for name in SITUATION) for case in asked]
    given = np.array([[_answer(rule, case, t, answers) for case in asked] for t in grid])
    places = wide.columns.get_indexer(given.ravel()).reshape(given.shape)
    found = wide.loc[keys].to_numpy()[np.arange(len(asked)), places]
    families = np.array([case.family for case in asked])
    chosen = {f: int(found[:, families != f].mean(axis=1).argmin()) for f in dict.fromkeys(families)
              if (families != f).any()}  # fmt: skip
    rows = [
        dict(zip(SITUATION, key, strict=True)) | {"approach": given[chosen[case.family], place]}
        for place, (key, case) in enumerate(zip(keys, asked, strict=True))
        if case.family in chosen
    ]
    picks = pd.DataFrame(rows).assign(rule=rule + REFITTED)
    picks = picks.merge(table, on=[*SITUATION, "approach"], how="left", validate="one_to_one")
    return picks, {f: grid[i] for f, i in chosen.items()}, grid[int(found.mean(axis=1).argmin())]


def _answer(rule: str, case: Case, t: Thresholds, answers: Mapping[tuple[str, str], str]) -> str:
    if rule == FOLK:
        return folk(case, Measured(()), t)
    return answers[size_word(case.n_train, t), distance_word(case.distance, t)]


def _nearest_first(grid: list[Thresholds]) -> list[Thresholds]:
    t = DEFAULTS

    def steps(other: Thresholds) -> float:
        sizes = abs(np.log(other.small / t.small)) + abs(np.log(other.large / t.large))
        return sizes + abs(other.distant - t.distant) + abs(other.very_distant - t.very_distant)

    return sorted(grid, key=steps)
