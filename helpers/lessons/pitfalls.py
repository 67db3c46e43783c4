"""What common mistakes cost, worked out: choosing on the test set, trusting one seed, copies."""

from functools import partial

import numpy as np
import pandas as pd
from scipy import ndimage

from helpers.errors import UserError
from helpers.results.statistics import SITUATION, paired_gain, smallest_visible_gain
from helpers.training import linear

__all__ = ["ahead_of", "linear_probe", "one_seed", "optimism", "shifted_copies",
           "smallest_visible_gain", "verdicts"]  # fmt: skip
LEAST_SEEDS = 3
linear_probe = partial(linear.linear_probe, steps=1_000)


def optimism(
    right: np.ndarray, n: int, tried: int, *, repeats: int = 200, seed: int = 0
) -> tuple[float, float, float]:
    """What picking the best of several models on a test set adds to its accuracy there.

    right: bool (models, examples), who gets what right. Again and again, n examples serve as the
    test set and `tried` models compete on it; the winner's accuracy there minus its accuracy on
    all other examples is the optimism. Returns (mean, low, high), where low and high hold the
    middle 95 % of the repeats, so they tell what may happen to one team. Raises UserError where
    there are not as many models or, with some to spare, examples.
    """
    models, examples = right.shape
    if not 1 <= tried <= models or not 1 <= n < examples:
        raise UserError(
            f"{tried} of {models} models on {n} of {examples} examples can't be drawn: "
            "ask for fewer of both, and for one at least"
        )
    rng = np.random.default_rng(seed)
    gaps = np.empty(repeats)
    for repeat in range(repeats):
        rows = rng.permutation(examples)
        chosen = rng.permutation(models)[:tried]
        seen = right[chosen][:, rows[:n]].mean(1)
        best = chosen[seen.argmax()]
        gaps[repeat] = seen.max() - right[best, rows[n:]].mean()
    return (float(gaps.mean()), *(float(end) for end in np.quantile(gaps, (0.025, 0.975))))


def one_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """What a single seed names the winner, beside the mean over seeds: a row for each of both.

    runs: one variant of each approach in a situation (`learning_curves.comparable`). Only seeds
    that every approach of a situation has count, and situations that have three of them. Columns:
    SITUATION, `seed`, `best` (by mean accuracy), `named` (by this seed alone) and `regret`, what
    the named one's mean lies below the best's.
    """
    rows = []
    for place, own in runs.groupby(list(SITUATION), observed=True):
        wide = own.pivot(index="seed", columns="approach", values="test_accuracy").dropna()
        if len(wide) < LEAST_SEEDS or wide.shape[1] < 2:
            continue
        means = wide.mean()
        best = means.idxmax()
        for seed, named in wide.idxmax(axis=1).items():
            rows.append((*place, seed, best, named, float(means[best] - means[named])))
    return pd.DataFrame(rows, columns=[*SITUATION, "seed", "best", "named", "regret"])


def ahead_of(runs: pd.DataFrame, approach: str, baseline: str) -> pd.DataFrame:
    """`paired_gain` of all situations with three seeds or more, lowest gain first."""
    gains = paired_gain(runs, approach, baseline, by=SITUATION)
    return gains[gains["runs"] >= LEAST_SEEDS].sort_values("mean").reset_index(drop=True)


def verdicts(gains: pd.DataFrame) -> tuple[int, int, int]:
    """How many gains lie clearly above zero, clearly below, and too close to call."""
    above, below = int((gains["low"] > 0).sum()), int((gains["high"] < 0).sum())
    return above, below, len(gains) - above - below


def shifted_copies(
    images: np.ndarray, labels: np.ndarray, copies: int, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each picture several times, moved by up to a pixel: what augmenting before a split does.

    images: uint8 (N, H, W, C). Returns images (N·copies, H, W, C), labels and `source`, both
    int64 (N·copies,), the row each copy was made from.
    """
    rng = np.random.default_rng(seed)
    source = np.repeat(np.arange(len(labels)), copies)
    moved = np.empty((len(source), *images.shape[1:]), dtype=np.uint8)
    for row, origin in enumerate(source):
        by = (*rng.uniform(-1, 1, 2), 0)
        moved[row] = np.clip(ndimage.shift(images[origin].astype(float), by, order=1), 0, 255)
    return moved, labels[source], source
