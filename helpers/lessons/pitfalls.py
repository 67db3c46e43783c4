"""What common mistakes cost, worked out: choosing on the test set, trusting one seed, copies."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from scipy import ndimage

from helpers.approaches import TransferModel
from helpers.backbones import Backbone
from helpers.display.figures import Picture, figure
from helpers.errors import UserError
from helpers.lessons.fine_tuning import watch
from helpers.results.statistics import SITUATION
from helpers.results.statistics import smallest_visible_gain as smallest_visible_gain
from helpers.tasks import Task
from helpers.training import linear
from helpers.training.feature_cache import extract_features

LEAST_SEEDS = 3
linear_probe = partial(linear.linear_probe, steps=1_000)


def optimism(
    right: np.ndarray, n: int, tried: int, *, repeats: int = 200
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
    rng = np.random.default_rng(0)
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


def shifted_copies(
    images: np.ndarray, labels: np.ndarray, copies: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each picture several times, moved by up to a pixel: what augmenting before a split does.

    images: uint8 (N, H, W, C). Returns images (N·copies, H, W, C), labels and `source`, both
    int64 (N·copies,), the row each copy was made from.
    """
    rng = np.random.default_rng(0)
    source = np.repeat(np.arange(len(labels)), copies)
    moved = np.empty((len(source), *images.shape[1:]), dtype=np.uint8)
    for row, origin in enumerate(source):
        by = (*rng.uniform(-1, 1, 2), 0)
        moved[row] = np.clip(ndimage.shift(images[origin].astype(float), by, order=1), 0, 255)
    return moved, labels[source], source


def optimism_in_words(right: np.ndarray, n: int) -> str:
    """`optimism` of the best of all models on n test examples, as a sentence."""
    gap, low, high = optimism(right, n, len(right))
    return (
        f"The best of {len(right)} on {n} test pictures scores **{100 * gap:+.1f} points** more "
        f"there than on pictures nobody chose by (nineteen teams in twenty: {100 * low:+.1f} to "
        f"{100 * high:+.1f})."
    )


def plot_optimism(right: np.ndarray, n: int) -> Picture:
    """Draw `optimism` on n test examples by the number of models that were tried."""
    tried = [k for k in (1, 2, 5, 10, 20, 40) if k <= len(right)]
    rows = 100 * np.array([optimism(right, n, k) for k in tried])
    made, ax = figure(f"The best of several on {n} test pictures", height=3.6)
    ax.fill_between(tried, rows[:, 1], rows[:, 2], color="#333333", alpha=0.15, lw=0)
    ax.plot(tried, rows[:, 0], color="#333333", marker="o")
    ax.axhline(0, color="#333333", lw=0.8)
    ax.set(xscale="log", xlabel="models tried on the test set (log scale)", ylim=(-15, 20))
    ax.set_xticks(tried, tried)
    ax.set(ylabel="reported minus true (points)")
    return made


def after_training_mode(
    ways: Mapping[str, Backbone], foreign: Task, batches: int, n_test: int
) -> str:
    """What `pocket` still knows of its classes after batches in training mode, no weight moved.

    ways: copies of it that were frozen in several ways. n_test: pictures of the source.
    """
    lines = []
    for name, backbone in ways.items():
        model = TransferModel(backbone, 2)
        kept = watch(model, foreign.train.inputs, (batches,), n_test)[batches]
        lines.append(f"- `{name}`: **{kept:.3f}**")
    return f"On its own classes, after {batches} batches of {foreign.name}:\n\n" + "\n".join(lines)


def one_seed_in_words(crowned: pd.DataFrame) -> str:
    """How often `one_seed` crowns another than the mean does, and what that costs."""
    lost = 100 * crowned[crowned["best"] != crowned["named"]]["regret"]
    places = crowned.groupby(list(SITUATION)).ngroups
    share = f"{len(lost) / len(crowned):.0%}"
    return (
        f"Of {len(crowned)} single seeds in {places} situations **{share}** name another winner "
        "than the mean over seeds does. Following such a seed costs "
        f"{lost.mean():.1f} points on average and {lost.max():.1f} at worst."
    )


def leak_in_words(
    backbone: Backbone, task: Task, few: int, held_out: tuple[np.ndarray, np.ndarray], draws: int
) -> str:
    """What a probe scores where copies of `few` pictures are split by copy, by picture, and truly.

    held_out: features and labels of test pictures. draws: splits that are averaged.
    """
    labels = task.train.labels[:few]
    pictures, labels, source = shifted_copies(task.train.inputs[:few], labels, copies=5)
    Z, rng = extract_features(backbone, pictures), np.random.default_rng(0)
    scores = {"split after copying": [], "split before copying": [], "the real test": []}
    for _ in range(draws):
        leaky = rng.permutation(len(labels)) < len(labels) // 5
        clean = np.isin(source, rng.permutation(few)[: few // 5])
        for name, held in (("split after copying", leaky), ("split before copying", clean)):
            probe = linear_probe().fit(Z[~held], labels[~held])
            scores[name].append(probe.score(Z[held], labels[held]))
        scores["the real test"].append(probe.score(*held_out))
    return "\n".join(f"- {name}: **{np.mean(found):.3f}**" for name, found in scores.items())
