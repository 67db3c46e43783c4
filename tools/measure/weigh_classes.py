"""Weigh how much the number of classes should count when the records speak of own data.

    python -m tools.measure.weigh_classes

Every recorded situation is foreseen from the other families of tasks, with several values of
`Weights.class_factor`: how likely the gains are that were seen there (mean log-likelihood, the
higher the better), and what the approach that would be named gives up, in points. Families count
alike. `helpers.results.expected_regret` takes the likeliest.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import multivariate_t
from tqdm import tqdm

from helpers.advisor.prior.accuracies import cheapest_near
from helpers.advisor.prior.gains import BASE, recorded_gains
from helpers.decision import Situation
from helpers.results import expected_regret, runs
from helpers.results.learning_curves import Curve, Measured, measured_curves

FACTORS = (1.1, 1.2, 1.35, 1.5, 2.0, 3.0, 4.0, 8.0, 1e9)  # the last: classes do not count
LEAST = 8  # approaches: situations with fewer are still being measured
NOISE = 0.02  # variance of a measured gain, log-odds: three to five seeds


def log_likelihood(
    curve: Curve, size: int, held: Measured, weights: expected_regret.Weights
) -> float:
    """How likely the gains seen in a situation are, foreseen from `held`."""
    means = logit(curve.accuracy[size].dropna().mean().clip(0.01, 0.99))
    asked = Situation(size, curve.distance, curve.modality)
    n_classes = expected_regret.classes_of(curve.task)
    gains = recorded_gains(asked, held, curve.backbone, n_classes, weights)
    names = [name for name in gains.names if name in means]
    places = [gains.names.index(name) for name in names]
    spread = gains.covariance[np.ix_(places, places)] + NOISE * np.eye(len(names))
    seen = means[names] - means[BASE]
    return multivariate_t.logpdf(seen, gains.mean[places], spread, gains.freedom)


def given_up(curve: Curve, size: int, held: Measured, weights: expected_regret.Weights) -> float:
    """Points below the best of the approach that would be named from `held`."""
    means = curve.accuracy[size].dropna().mean()
    asked = Situation(size, curve.distance, curve.modality)
    n_classes = expected_regret.classes_of(curve.task)
    table = expected_regret.expected_regret(
        asked, held, sorted(means.index), curve.backbone, weights, n_classes
    )
    seconds = curve.costs[size]["cpu_seconds"].to_dict()
    return 100 * float(means.max() - means[cheapest_near(table["regret"], seconds)])


def main() -> None:
    """Print a table with a row for each factor."""
    held = measured_curves(runs.load_runs())
    asked = [(c, n) for c in held.curves for n in c.accuracy if len(c.accuracy[n].columns) >= LEAST]
    rows = []
    for factor in tqdm(FACTORS):
        weights = replace(expected_regret.WEIGHTS, class_factor=factor)
        for curve, size in asked:
            rest = held.without(curve.family)
            place = {"factor": factor, "modality": curve.modality, "family": curve.family}
            place |= {"task": curve.task, "backbone": curve.backbone, "n_train": size}
            found = (
                function(curve, size, rest, weights) for function in (log_likelihood, given_up)
            )
            rows.append(place | dict(zip(("log_likelihood", "points"), found, strict=True)))
    told = ["log_likelihood", "points"]
    families = pd.DataFrame(rows).groupby(["factor", "modality", "backbone", "family"])[told].mean()
    print(families.groupby(["factor", "modality"]).mean().unstack().round(2).to_string())
    print(families.groupby("factor").mean().round(3).to_string())
    likely = families["log_likelihood"].unstack("factor")
    for one in sorted(set(likely.index.get_level_values("family"))):
        print(f"likeliest without {one}: {likely.drop(one, level='family').mean().idxmax():g}")


if __name__ == "__main__":
    main()
