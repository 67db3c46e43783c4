"""Published cases: what one source measured of two or more of our approaches on equal terms."""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.decision import Situation, distance_word
from helpers.results.published.schema import CASE, METRICS
from helpers.results.published.tables import Published, load_published
from helpers.results.runs import matching
from helpers.vocabulary import CLASSICAL, SHIPPED, DistanceWord

APPROACHES = tuple(name for name in SHIPPED if name != CLASSICAL)
FROM_RANDOM = "none"  # pretraining of a network that starts from random weights
FACTOR = 3.0  # training examples may differ by so much; the records' reach beyond their ends
FACTS = ["modality", "domain", "distance", "llm", "grade"]


def comparable_cases(published: Published | None = None) -> pd.DataFrame:
    """Return one row a case: its facts, and the score of each of our approaches (NaN: not tried).

    A case is one data set, size, network and pretraining in one set of runs of one source, by the
    metric that is the task's score, with two or more of our approaches. Where a source ran an
    approach in several forms (ranks, widths, numbers of layers), its score is their median: nobody
    knows beforehand which form is best. A network from random weights stands in the case of every
    pretraining of the same network. `points` tells whether scores are in hundredths.

    Index: 0 to the number of cases. Columns: `schema.CASE`, modality, domain, distance, llm, grade,
    points, and `APPROACHES`.
    """
    published = published or load_published()
    rows = published.compared
    scores = rows["metric"].map(lambda name: METRICS[name].role == "score")
    rows = rows[scores & rows["approach"].isin(APPROACHES)]
    by = [*CASE, *FACTS]
    pretrained = rows[rows["pretraining"] != FROM_RANDOM]
    table = _scores(pretrained, by)
    shared = [name for name in by if name != "pretraining"]
    random = _scores(rows[rows["pretraining"] == FROM_RANDOM], shared)
    joined = table.reset_index().merge(
        random.reset_index(), on=shared, how="left", suffixes=("", " at random")
    )
    for name in APPROACHES:
        joined[name] = joined[name].fillna(joined.pop(f"{name} at random"))
    cases = joined[joined[list(APPROACHES)].notna().sum(axis=1) >= 2].reset_index(drop=True)
    cases.insert(len(by), "points", cases["metric"].map(lambda name: METRICS[name].points))
    return cases


def _scores(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Median score by case, a column an approach."""
    medians = rows.groupby([*by, "approach"], dropna=False)["value"].median()
    return medians.unstack("approach").reindex(columns=APPROACHES)


def regret_points(cases: pd.DataFrame) -> pd.DataFrame:
    """Return how far each approach lies below the case's best, in points; NaN where not in points.

    The best is the best of our approaches that the case has.
    """
    scores = cases[list(APPROACHES)].where(cases["points"])
    return scores.rsub(scores.max(axis=1), axis=0)


def near(cases: pd.DataFrame, *, examples: int | None = None, **facts: object) -> pd.DataFrame:
    """Return the cases near a situation.

    Near is: the same facts (columns of the cases; None asks nothing), and a number of training
    examples that differs by at most FACTOR. A case whose size or fact is not stated is not near.
    """
    cases = matching(cases, **facts)
    if examples is None:
        return cases
    return cases[np.abs(np.log(cases["n_train"] / examples)) <= np.log(FACTOR) + 1e-9]


def near_situation(cases: pd.DataFrame, situation: Situation, *, steps: int = 0) -> pd.DataFrame:
    """Return the cases of the situation's kind of data and model, near in size and in distance.

    Published distances are words, and they are ours. steps: how many words a case may lie away.
    Those of a large language model are hardly ever judged, so that any distance is near there.
    """
    facts = {"modality": situation.modality, "llm": "yes" if situation.llm else "no"}
    alike = near(cases, examples=situation.examples, **facts)
    if situation.llm:
        return alike
    words = list(DistanceWord)
    place = words.index(distance_word(situation.distance))
    return alike[alike["distance"].isin(words[max(0, place - steps) : place + steps + 1])]
