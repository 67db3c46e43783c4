"""How sure an answer is, in one word.

An answer is right where the approach that it names lies within WITHIN of the best, and the word
follows the chance of that: of a look a plain rate, of a race what its measurements leave open. What
the words are worth is counted over data held out from the records, for a look by
`tools.measure.score_looks`, for a race by `tools.measure.table_advisor`: a promise that nobody has
counted is told as such.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from helpers.paths import results_dir
from helpers.results.evidence import CLEAR, CLOSE
from helpers.results.expected_regret import WITHIN
from helpers.tasks import family

LEANING = "leaning"
SURE_ENOUGH = {CLEAR: 0.95, LEANING: 0.6}  # the least chance of being right
FILE = "advisor_table.csv"
LOOKS = "looks.csv"
LOOK, RACE = "look", "race"


def verdict_of(chance: float) -> str:
    """The word for a chance of being right."""
    for verdict, least in SURE_ENOUGH.items():
        if chance >= least:
            return verdict
    return CLOSE


def rate_of_looks(modality: str, exclude: Sequence[str] = ()) -> float:
    """How often a look at data held out from the records was right, for one kind of data.

    One more is counted on either side, since they are few. On held-out data nothing that hung on
    the approach or on the data told more. With 25 looks the rate is right on average (0.62 stated,
    0.64 seen) and tells these apart no better than a coin (log loss 0.74 and 0.69).
    exclude: recorded tasks whose families have no say.
    """
    return smoothed_rate(_scored(LOOK), modality, {family(task) for task in exclude})


def smoothed_rate(looks: pd.DataFrame, modality: str, gone: Collection[str]) -> float:
    """The same, of scored looks with the columns modality, task and regret_points."""
    rows = looks[(looks["modality"] == modality) & ~looks["task"].map(family).isin(gone)]
    return (int(_right(rows).sum()) + 1) / (len(rows) + 2)


def kept(verdict: str, kind: str) -> Mapping[str, Any] | None:
    """How many held-out answers of a kind (look, race) had this verdict, and how many were right.

    None where none was scored.
    """
    rows = _scored(kind)
    rows = rows[rows["verdict"] == verdict].dropna(subset="regret_points")
    if rows.empty:
        return None
    right = int(_right(rows).sum())
    return {"right": right, "cases": len(rows), "within_points": 100 * WITHIN}


def _scored(kind: str) -> pd.DataFrame:
    """The held-out answers of a kind that were scored; none where the file is not there."""
    path = results_dir() / (LOOKS if kind == LOOK else FILE)
    if not path.exists():
        return pd.DataFrame(columns=["answer", "verdict", "modality", "task", "regret_points"])
    rows = pd.read_csv(path, encoding="utf-8")
    return rows[rows["answer"] == kind]


def _right(rows: pd.DataFrame) -> pd.Series:
    return rows["regret_points"] <= 100 * WITHIN + 1e-9
