"""Text tasks looked into: word counts as the anchor, and how much of a text a network reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from helpers.approaches import Fitted, get_approach
from helpers.backbones import Backbone, load_backbone
from helpers.comparisons import paired_gain
from helpers.curves import LEAST_SEEDS
from helpers.races import binomial_interval
from helpers.tasks import Split, Task

ANCHOR = "classical"  # TF-IDF with logistic regression
ENDS = 2  # tokens that stand for no word: the encoder's first and last


def largest_whole(runs: pd.DataFrame) -> pd.DataFrame:
    """Rows of each task at its largest size that has most approaches, each on three seeds.

    The cheap approaches of a size are measured first; alone they would answer another question.
    """
    keys = ["task", "n_train", "approach"]
    seeds = runs.groupby(keys, observed=True)["seed"].nunique()
    held = seeds[seeds >= LEAST_SEEDS].groupby(level=["task", "n_train"]).size()
    kept = []
    for task, counts in held.groupby(level="task"):
        size = max(n for (_, n), count in counts.items() if count == counts.max())
        kept.append(runs[(runs["task"] == task) & (runs["n_train"] == size)])
    return pd.concat(kept, ignore_index=True) if kept else runs.iloc[:0]


def best_against_anchor(runs: pd.DataFrame) -> pd.DataFrame:
    """How the best approach of each text task stands beside word counts, at the largest size.

    The best is the one with the highest mean validation accuracy, so that it is not picked by what
    it is judged by. Columns: task, n_train, best, accuracy, anchor (its accuracy), mean, low,
    high (the gain, paired by seed, 95 %), runs.
    """
    rows = []
    for task, own in largest_whole(runs).groupby("task", sort=True):
        means = own.groupby("approach")[["val_accuracy", "test_accuracy"]].mean()
        rivals = means.drop(index=ANCHOR, errors="ignore")
        if ANCHOR not in means.index or rivals.empty:
            continue
        best = rivals["val_accuracy"].idxmax()
        gain = paired_gain(own, best, ANCHOR).iloc[0]
        found = (rivals.loc[best, "test_accuracy"], means.loc[ANCHOR, "test_accuracy"])
        ends = (gain["mean"], gain["low"], gain["high"], gain["runs"])
        rows.append((task, int(own["n_train"].iloc[0]), best, *found, *ends))
    names = ["task", "n_train", "best", "accuracy", "anchor", "mean", "low", "high", "runs"]
    return pd.DataFrame(rows, columns=names)


def cut(backbone: Backbone, texts: Sequence[str], tokens: int) -> list[str]:
    """The words of each text that lie within the first `tokens` tokens, as the backbone counts.

    Texts are taken apart at spaces; a word of which a part lies beyond is left out.
    """
    words = sorted({word for text in texts for word in text.split()})
    counts = (backbone.encode(words) != 0).sum(1) - ENDS
    length = dict(zip(words, counts.tolist(), strict=True))
    kept = []
    for text in texts:
        own = text.split()
        within = np.cumsum([length[word] for word in own]) <= tokens - ENDS
        kept.append(" ".join(own[: int(within.sum())]))
    return kept


def cut_task(backbone: Backbone, task: Task, tokens: int) -> Task:
    """The task with every text cut to its first tokens."""

    def shorter(split: Split) -> Split:
        return Split(cut(backbone, split.inputs, tokens), split.labels)

    parts = {name: shorter(getattr(task, name)) for name in ("train", "validation", "test")}
    return replace(task, **parts)


def accuracy_by_length(task: Task, lengths: Iterable[int], name: str = "minilm") -> pd.DataFrame:
    """A frozen probe and word counts, both given the first tokens of every text alone.

    Columns: approach, tokens (0: the whole text, word counts only), accuracy, low, high (95 % from
    the number of test texts). One draw of training texts, default settings.
    """
    rows = []
    for tokens in lengths:
        backbone = load_backbone(name, size=tokens)
        rows.append(("feature_extraction", tokens, _reached("feature_extraction", backbone, task)))
        rows.append((ANCHOR, tokens, _reached(ANCHOR, None, cut_task(backbone, task, tokens))))
    rows.append((ANCHOR, 0, _reached(ANCHOR, None, task)))
    table = pd.DataFrame(rows, columns=["approach", "tokens", "accuracy"])
    ends = [binomial_interval(accuracy, len(task.test)) for accuracy in table["accuracy"]]
    return table.assign(low=[end[0] for end in ends], high=[end[1] for end in ends])


def _reached(name: str, backbone: Backbone | None, task: Task) -> float:
    approach = get_approach(name)
    config = approach.config(task.modality, len(task.train))
    return approach.fit(backbone, task, config).accuracy(task.test)


def topic_words(fitted: Fitted, classes: Sequence[str], top: int = 5) -> dict[str, list[str]]:
    """The words (no pairs) that speak most for each class in a fitted `classical`."""
    counter, regression = fitted.model[0], fitted.model[-1]
    names = counter.get_feature_names_out()
    single = np.flatnonzero([" " not in name for name in names])
    found = {}
    for row, label in enumerate(regression.classes_):
        # Two classes share one row of weights: those for the second.
        if len(regression.coef_) == 1:
            weights = regression.coef_[0] * (1 if row else -1)
        else:
            weights = regression.coef_[row]
        order = single[np.argsort(-weights[single], kind="stable")[:top]]
        found[classes[int(label)]] = [str(names[i]) for i in order]
    return found


def share_read(backbone: Backbone, texts: Sequence[str], tokens: int) -> float:
    """Mean share of a text's words that lie within its first tokens."""
    read = [len(text.split()) for text in cut(backbone, texts, tokens)]
    whole = [max(1, len(text.split())) for text in texts]
    return float(np.mean(np.array(read) / np.array(whole)))
