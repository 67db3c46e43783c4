"""The situations that rules which choose an approach are tried on, own or published.

A row is an approach in a situation; its regret is what choosing it gives up there: the best mean
accuracy of the situation minus its own. The rules are in `tools.measure.rival_rules`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.results.learning_curves import Measured, whole_situations
from helpers.results.published.cases import APPROACHES, comparable_cases
from helpers.results.published.tables import Published
from helpers.results.statistics import regret
from helpers.vocabulary import DISTANCE_OF

# The article's rules leave gaps; what fills them is ours. The first fallback is the cheapest
# credible approach, the second what the article says of size: freeze, or tune few parameters.
ARTICLE, EFFICIENT = "article", "article, or parameter-efficient"
FOLK, MEASURED, CONSTANT = "folk 2x2", "measured", "constant per modality"
ALL = "all"
# What is known of a situation before anything is trained; family: its data set.
FACTS = ("task", "backbone", "n_train", "dial", "image_size", "modality", "distance", "family",
         "llm", "case")  # fmt: skip


def situations(held: Measured) -> tuple[pd.DataFrame, int]:
    """The recorded situations that have at least the approaches of WHOLE, and how many have not.

    One row for each situation and approach: FACTS, `mean` (test accuracy, on equal seeds),
    `seconds` (median processor seconds of preparation and training), `seeds`, `best` and `regret`.
    Raises UserError where none has them.
    """
    table = held.situations.assign(llm=False)
    whole = whole_situations(table)
    if whole.empty:
        raise UserError("no situation has the approaches to compare yet; run the sweeps")
    return regret(whole, ["case"]), table["case"].nunique() - whole["case"].nunique()


def published_table(published: Published | None = None) -> pd.DataFrame:
    """The published cases whose scores have points, with the columns of `situations` and domain.

    `seconds` are NaN: sources hardly state them. Pixels and the dial don't apply.
    """
    found = comparable_cases(published)
    found = found[found["points"]]
    facts = found.assign(
        case=found.index,
        task=found["data_set"],
        backbone=found["network"],
        dial=0.0,
        image_size=0,
        distance=found["distance"].map(DISTANCE_OF),
        family=found["data_set"],
        llm=found["llm"] == "yes",
        seconds=np.nan,
    )
    kept = [*FACTS, "domain", "seconds"]
    long = facts.melt(kept, list(APPROACHES), "approach", "score").dropna(subset="score")
    long["mean"] = long.pop("score") / 100
    return regret(long.sort_values("case", kind="stable", ignore_index=True), ["case"])
