"""Notebook 11: both flips that can be tried here and now, on few labels and several draws."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from helpers.approaches.feature_extraction import STRENGTHS
from helpers.backbones import Backbone, clone, load_backbone
from helpers.decision import DEFAULTS, Situation, unlabelled_is_many
from helpers.display.figures import Picture
from helpers.display.plots import plot_curves
from helpers.lessons.flips import LOCAL
from helpers.lessons.hosted_model.client import hosted
from helpers.lessons.photos import fit_live, lead, lead_in_words, linear_model
from helpers.lessons.unlabelled_data import (
    PretextConfig,
    contrast,
    refresh_statistics,
)
from helpers.tasks import Task, load_task
from helpers.vocabulary import FEATURE_EXTRACTION

PLAIN, STATISTICS = "as it came", "fresh statistics alone"
HOSTED, CHANGED = "hosted probe", "hosted probe, after the provider's change"
LARGER = "efficientnet_lite0"
TESTED = 400  # test pictures


def drawn(task: str, n_labelled: int, draws: int) -> list[Task]:
    """So many draws of labelled pictures, with validation and the same test pictures."""
    return [load_task(task, n_train=n_labelled, n_test=TESTED, seed=seed) for seed in range(draws)]


def continued(
    base: Backbone, images: np.ndarray, sizes: Iterable[int], config: PretextConfig
) -> dict[str | int, Backbone]:
    """The network as it came, with fresh statistics, and continued on so many of the pictures."""
    anew = refresh_statistics(base, images, config).backbone
    grown = {size: contrast(base, images[:size], config).backbone for size in sizes}
    return {PLAIN: base, STATISTICS: anew, **grown}


def probes(
    networks: dict[str | int, Backbone], task: str, labels: Iterable[int], draws: int
) -> pd.DataFrame:
    """A probe's test accuracy on each network: approach (its name), labelled, seed, accuracy.

    Draws are shared, so networks compare draw by draw.
    """
    rows = []
    for n in labels:
        for seed, part in enumerate(drawn(task, n, draws)):
            for name, network in networks.items():
                fitted = fit_live(FEATURE_EXTRACTION, clone(network), part, seed, epochs=1)
                rows.append((name, n, seed, fitted.accuracy(part.test)))
    return pd.DataFrame(rows, columns=["approach", "labelled", "seed", "accuracy"])


def plot_unlabelled(rows: pd.DataFrame) -> Picture:
    """Points that `probes` gain over the network as it came, by unlabelled pictures."""
    found = []
    for n, own in rows.groupby("labelled"):
        for size in (name for name in own["approach"].unique() if not isinstance(name, str)):
            ends = (100 * value for value in lead(own, size, PLAIN))
            found.append((f"{n} labels", size, *ends))
    table = pd.DataFrame(found, columns=["labels", "size", "mean", "low", "high"])
    words = {"xlabel": "unlabelled pictures", "ylabel": "points gained"}
    title = "What unlabelled pictures add to a probe"
    made = plot_curves(table, "size", title=title, by="labels", log_x=True, **words)
    ax = made.axes[0]
    ax.axvline(DEFAULTS.unlabelled, color="#333333", ls="--", lw=1)
    place = {"transform": ax.get_xaxis_transform(), "ha": "right", "size": "small"}
    ax.text(0.97 * DEFAULTS.unlabelled, 0.02, "the rule\nspeaks from here", **place)
    return made


def surprise(rows: pd.DataFrame) -> str:
    """What the fewest unlabelled pictures gained already, beside what the rule asks for."""
    few = rows[rows["labelled"] == rows["labelled"].min()]
    least = min(name for name in few["approach"] if not isinstance(name, str))
    mean, low, high = (100 * value for value in lead(few, least, PLAIN))
    clear = "already gained" if low > 0 else "came out at"
    return (
        f"With {few['labelled'].iloc[0]} labels, **{least:,}** unlabelled pictures {clear} "
        f"**{mean:+.1f} points** (95 % interval {low:+.1f} to {high:+.1f}). The rule asks for "
        f"**{DEFAULTS.unlabelled:,}**, and says nothing before. The control, in which no weight "
        f"moved: {lead_in_words(few, STATISTICS, PLAIN)}"
    )


def rule_and_gain(rows: pd.DataFrame, labelled: int, unlabelled: int) -> str:
    """What the rule says of so many unlabelled pictures, and what a probe gained with them here."""
    many = unlabelled_is_many(Situation(labelled, "very distant", unlabelled=unlabelled))
    rule = "first continue pretraining" if many else "nothing about pretraining"
    own = rows[rows["labelled"] == labelled]
    told = "not measured"
    if unlabelled in set(own["approach"]):
        mean, low, high = (100 * value for value in lead(own, unlabelled, PLAIN))
        told = f"{mean:+.1f} points ({low:+.1f} to {high:+.1f})"
    asked = f"{labelled} labels, {unlabelled:,} pictures without a label"
    return f"{asked}\nthe rule says: {rule}\ngained: {told}"


def duel(
    task: str, n_labelled: int, draws: int, sides: tuple[int, int], epochs: int
) -> pd.DataFrame:
    """Test accuracy of what is trained here beside a probe on hosted embeddings.

    All are trained as in `photos.live_race`; probes choose their strength on validation. sides:
    pixels that the provider feeds its network, at training and later. Columns: approach (HOSTED,
    CHANGED: the same probe later, or one of LOCAL on `pocket`), seed and accuracy.
    """
    small, rows, parts = load_backbone("pocket"), [], drawn(task, n_labelled, draws)
    test = parts[0].test
    with hosted(load_backbone(LARGER, size=sides[0])) as client:
        known = [[client.embed(half.inputs) for half in (p.train, p.validation)] for p in parts]
        then = client.embed(test.inputs)
    with hosted(load_backbone(LARGER, size=sides[1])) as client:
        later = client.embed(test.inputs)
    for seed, (part, (seen, held)) in enumerate(zip(parts, known, strict=True)):
        models = [linear_model(strength).fit(seen, part.train.labels) for strength in STRENGTHS]
        scores = [model.score(held, part.validation.labels) for model in models]
        probe = models[int(np.argmax(scores))]
        rows += [(HOSTED, seed, probe.score(then, test.labels)),
                 (CHANGED, seed, probe.score(later, test.labels))]  # fmt: skip
        for name in LOCAL:
            fitted = fit_live(name, clone(small), part, seed, epochs)
            rows.append((name, seed, fitted.accuracy(test)))
    return pd.DataFrame(rows, columns=["approach", "seed", "accuracy"])


def duel_in_words(rows: pd.DataFrame) -> str:
    """What each way of training here gains over the hosted probe."""
    return "\n".join(f"- {lead_in_words(rows, name, HOSTED)}" for name in LOCAL)


def change_in_words(rows: pd.DataFrame) -> str:
    """What the provider's change did to a probe that nobody touched."""
    return lead_in_words(rows, CHANGED, HOSTED)
