"""Text tasks looked into: word counts as the anchor, and how much of a text a network reads."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from torch import nn

from helpers.approaches import Fitted, get_approach
from helpers.backbones import Backbone, load_backbone
from helpers.errors import UserError
from helpers.lessons.pitfalls import verdicts
from helpers.lessons.race import binomial_interval
from helpers.results.learning_curves import LEAST_SEEDS
from helpers.results.statistics import paired_gain
from helpers.tasks import Split, Task, load_task
from helpers.training.examples import Examples
from helpers.training.loop import predict
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION, LORA

ANCHOR = CLASSICAL  # TF-IDF with logistic regression
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


def accuracy_by_length(task: Task, lengths: Iterable[int]) -> pd.DataFrame:
    """A frozen probe and word counts, both given the first tokens of every text alone.

    Columns: approach, tokens (0: the whole text, word counts only), accuracy, low, high (95 % from
    the number of test texts). One draw of training texts, default settings.
    """
    rows = []
    for tokens in lengths:
        backbone = load_backbone("minilm", size=tokens)
        rows.append((FEATURE_EXTRACTION, tokens, _reached(FEATURE_EXTRACTION, backbone, task)))
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


def reachable(
    names: Sequence[str], *, size: int, n_train: int, n_test: int
) -> tuple[Backbone | None, dict[str, Task], str]:
    """(MiniLM, the tasks, a sentence); None and no tasks where one of them is out of reach."""
    try:
        backbone = load_backbone("minilm", size=size)
        tasks = {name: load_task(name, n_train=n_train, n_test=n_test) for name in names}
    except UserError as error:
        return None, {}, f"Out of reach here, so the records stand alone: {error}"
    told = (f"- **{name}**: {task.train.inputs[0][:60]} …" for name, task in tasks.items())
    return backbone, tasks, "\n".join(told)


def in_words(best: pd.DataFrame, runs: pd.DataFrame) -> str:
    """What `best_against_anchor` says of the best approach, and the records of LoRA alone."""
    good, poor = best[best["mean"] >= 0]["task"], best[best["mean"] < 0]["task"]
    told = f"On average over draws the best approach reaches word counts on {len(good)} of "
    told += f"{len(best)} tasks ({', '.join(good) or 'none'})"
    told += f", and not on {', '.join(poor)}." if len(poor) else "."
    for rival, words in ((ANCHOR, "word counts"), (FEATURE_EXTRACTION, "a frozen probe")):
        gains = paired_gain(runs, LORA, rival)
        gains = gains[gains["runs"] >= LEAST_SEEDS]
        ahead, behind, _ = verdicts(gains)
        told += (
            f" Against {words}, LoRA at its default settings is clearly ahead in **{ahead}** and "
            f"clearly behind in **{behind}** of {len(gains)} situations."
        )
    return told


def lengths_in_words(table: pd.DataFrame, share: float, short: int) -> str:
    """What `accuracy_by_length` says; share: of a text's words within its first `short` tokens."""
    at = table.pivot_table(index="tokens", columns="approach", values="accuracy")
    words, probe, most = at[ANCHOR], at[FEATURE_EXTRACTION], max(at.index)
    side = "behind" if words[short] < probe[short] else "not behind"
    return (
        f"{short} tokens are **{share:.0%}** of a post's words. Given only these, word counts go "
        f"from {words[0]:.3f} to **{words[short]:.3f}**, {side} the probe's {probe[short]:.3f}. "
        f"Given {most}, the probe reaches **{probe[most]:.3f}** ({probe[most] - probe[short]:+.3f})"
        f" and word counts {words[most]:.3f} ({words[most] - words[short]:+.3f})."
    )


def answers(model: nn.Module, backbone: Backbone, split: Split) -> np.ndarray:
    """Classes (N,) that a model gives to a split's texts, in one batch after the other."""
    logits = predict(model, Examples.raw(backbone.encode(split.inputs), split.labels))
    return logits.argmax(1).numpy()
