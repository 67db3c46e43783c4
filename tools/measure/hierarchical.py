"""A small hierarchical model of gains, as a competitor in the trial of the rules.

What an approach gains over the frozen probe, on the logit scale, is the sum of its mean, its slopes
over log n and distance, its deviation in the modality, and random effects of the data set and the
network. That is a ridge regression: a random effect of variance v under noise of variance s is a
coefficient with the penalty s / v. Slopes are shrunk too. The penalty was not tuned: 1 lets a data
set differ as much as two runs of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import logit

from helpers.vocabulary import FEATURE_EXTRACTION
from tools.measure.rival_rules import Case, Seen

PENALTY = 1.0
FREE = 1e-3  # of an approach's own mean: next to nothing, so that the equations can be solved


def rule(case: Case, seen: Seen, penalty: float = PENALTY) -> Sequence[str]:
    """The approaches by the gain that the model foresees here, the highest first."""
    if (model := seen.cached.get(("hierarchical", penalty))) is None:
        model = seen.cached["hierarchical", penalty] = _fitted(seen.table, penalty)
    facts = {"n_train": case.n_train, "distance": case.distance, "modality": case.modality,
             "family": case.family, "backbone": case.backbone}  # fmt: skip
    names = sorted({name for name, *_ in model})
    gains = {FEATURE_EXTRACTION: 0.0}
    for name in names:
        gains[name] = sum(model.get(term, 0.0) * x for term, x in _terms(name, facts).items())
    return sorted(gains, key=gains.__getitem__, reverse=True)


def _terms(approach: str, facts: dict) -> dict[tuple[str, ...], float]:
    """The model's terms of one approach in a situation, with their values.

    What a source doesn't state is taken as the middle: 1,000 examples, a distance of one half.
    """
    size, distance = facts["n_train"], facts["distance"]
    return {
        (approach,): 1.0,
        (approach, "log n"): 0.0 if size is None or np.isnan(size) else np.log10(size / 1_000),
        (approach, "distance"): (
            0.0 if distance is None or np.isnan(distance) else 2 * distance - 1
        ),
        (approach, "modality", facts["modality"]): 1.0,
        (approach, "data set", facts["family"]): 1.0,
        (approach, "network", facts["backbone"]): 1.0,
    }


def _fitted(table: pd.DataFrame, penalty: float) -> dict[tuple[str, ...], float]:
    """Coefficients by term, from the situations that have the probe."""
    odds = table.assign(odds=logit(table["mean"].clip(0.01, 0.99)))
    probe = odds[odds["approach"] == FEATURE_EXTRACTION].set_index("case")["odds"]
    others = odds[odds["case"].isin(probe.index) & (odds["approach"] != FEATURE_EXTRACTION)]
    gains = (others["odds"] - others["case"].map(probe)).to_numpy()
    kept = ["approach", "n_train", "distance", "modality", "family", "backbone"]
    facts = others[kept].to_dict("records")
    rows = [_terms(row["approach"], row) for row in facts]
    names = sorted({name for row in rows for name in row})
    places = {name: place for place, name in enumerate(names)}
    design = np.zeros((len(rows), len(names)))
    for line, row in enumerate(rows):
        for name, value in row.items():
            design[line, places[name]] = value
    penalties = np.diag([FREE if len(name) == 1 else penalty for name in names])
    found = np.linalg.solve(design.T @ design + penalties, design.T @ gains)
    return dict(zip(names, found, strict=True))
