"""Notebook 03: stages and rates in words, what BatchNorm forgets, remedies, a tiny data set."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from helpers.approaches import TransferModel, get_approach
from helpers.backbones import clone, load_backbone
from helpers.display.figures import Picture, figure
from helpers.display.plots import log_axis
from helpers.experiments.single_run import source_accuracy
from helpers.lessons.photos import lead_in_words
from helpers.results.runs import load_runs
from helpers.results.statistics import interval_table, mean_interval
from helpers.tasks import Task, load_task
from helpers.training.examples import Examples
from helpers.training.loop import History, evaluate, train
from helpers.vocabulary import FULL_FINE_TUNING, label_of

TEST = ("test (points)", "test, 95 % low", "test, 95 % high")  # columns of `running_statistics`


class Tiny(NamedTuple):
    """A training without early stopping: its history, and training accuracy after each epoch."""

    history: History
    train_accuracy: list[float]
    n_validation: int


def by_value(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Means over seeds of `photos.vary`, as one curve for `plot_curves`."""
    return interval_table(rows, [name], "accuracy").assign(task="clothing")


def steps_in_words(rows: pd.DataFrame, name: str) -> str:
    """What each value of `photos.vary` gained over the one before, seed by seed, and its price."""
    wide = rows.pivot(index="seed", columns=name, values="accuracy")
    seconds, values = rows.groupby(name)["seconds"].mean(), list(wide.columns)
    lines = []
    for few, more in zip(values, values[1:], strict=False):
        mean, low, high = (100 * v for v in mean_interval(wide[more] - wide[few]))
        lines.append(
            f"- From {few:g} to {more:g} stages: **{mean:+.1f} points** (95 % interval {low:+.1f} "
            f"to {high:+.1f}), for {seconds[more] / seconds[few]:.1f} times the seconds."
        )
    return "\n".join(lines)


def rates_in_words(rows: pd.DataFrame) -> str:
    """Which rate validation chooses, what it reached on test, and how far the worst lies behind."""
    means = rows.groupby("lr")[["validation", "accuracy"]].mean()
    chosen = means["validation"].idxmax()
    near = means.index[means["accuracy"] >= means["accuracy"].max() - 0.02]
    lost = 100 * (means["accuracy"][chosen] - means["accuracy"].min())
    edges = {means.index.min(): " (the lowest tried)", means.index.max(): " (the highest tried)"}
    return (
        f"Validation chose a rate of **{chosen:g}**{edges.get(chosen, '')}: test accuracy "
        f"**{means['accuracy'][chosen]:.3f}**, {lost:.1f} points above the worst rate. Within two "
        f"points of the best: {near.min():g} to {near.max():g}."
    )


def running_statistics() -> pd.DataFrame:
    """What BatchNorm's running statistics gained over held ones, in points, both at searched rates.

    A row each for task, network and approach of recorded runs: means of validation and test over
    draws, the 95 % interval of test, draw by draw (`TEST`), draws.
    """
    runs, norm = load_runs(), r"norm=(frozen|running);?"
    runs["norm"] = runs["settings"].str.extract(norm)
    runs["other"] = runs["settings"].str.replace(norm, "", regex=True)
    cell = ["task", "backbone", "approach", "n_train", "dial", "image_size", "other"]
    chosen = runs[runs["norm"].notna() & ~runs["sweep"].str.endswith("/tuning")]
    chosen = chosen[[*cell, "norm", "lr"]].drop_duplicates()
    both = chosen.groupby(cell)["norm"].transform("nunique") == 2
    wide = runs.merge(chosen[both]).pivot(  # the first draw is among the trials
        index=[*cell, "seed"], columns="norm", values=["val_accuracy", "test_accuracy"]
    )
    held, running = (wide.xs(name, axis=1, level=1) for name in ("frozen", "running"))
    gains = (100 * (running - held).dropna()).reset_index()
    table = interval_table(gains, cell, "test_accuracy")
    task, network = (table[name].map(label_of) for name in ("task", "backbone"))
    table.insert(0, "task and network", task + " on " + network)
    table["approach"] = table["approach"].map(label_of)
    table["validation (points)"] = interval_table(gains, cell, "val_accuracy")["mean"]
    names = ["task and network", "approach", "validation (points)", *TEST]
    table = table.rename(columns=dict(zip(("mean", "low", "high"), TEST, strict=True)))
    return table[[*names, "runs"]].rename(columns={"runs": "draws"})


def running_in_words(table: pd.DataFrame) -> str:
    """The same in a sentence."""
    mean, low, high = (table[name] for name in TEST)
    up, down = (low > 0).sum(), (high < 0).sum()
    return (
        f"With running statistics test accuracy changed by **{mean.min():+.1f} to "
        f"{mean.max():+.1f} points**, clearly up in {up} and clearly down in {down} of "
        f"{len(table)} comparisons. So no one sign shows; try both on your own validation set."
    )


def plot_finder(rates: Sequence[float], losses: Sequence[float]) -> Picture:
    """Draw the training loss of a run whose rate grew from step to step, as it was and smoothed."""
    made, ax = figure("One run, a rate that grows from step to step", height=3.2)
    ax.plot(rates, losses, ".", color="#bbbbbb", label="each step")
    ax.plot(rates, _smoothed(losses), color="#333333", label="smoothed")
    log_axis(ax)
    ax.set(xlabel="learning rate (log scale)", ylabel="training loss")
    ax.set_ylim(0, 2 * losses[0])  # beyond lies what has diverged
    ax.legend(fontsize="small")
    return made


def finder_in_words(rates: Sequence[float], losses: Sequence[float], swept: pd.DataFrame) -> str:
    """Where the smoothed loss is lowest, a tenth of that, and what validation chose in a sweep.

    swept: from `photos.vary`, by "lr".
    """
    lowest = rates[int(np.argmin(_smoothed(losses)))]
    chosen = swept.groupby("lr")["validation"].mean().idxmax()
    return (
        f"The smoothed loss is lowest at a rate of {lowest:.1g}; ten times below is "
        f"**{lowest / 10:.1g}**. In the sweep validation chose **{chosen:g}**."
    )


def _smoothed(losses: Sequence[float]) -> np.ndarray:
    """Means over nine steps; over fewer at both ends."""
    return pd.Series(losses).rolling(9, center=True, min_periods=1).mean().to_numpy()


def watch(
    model: TransferModel, images: np.ndarray, moments: Iterable[int], n_test: int
) -> dict[int, float]:
    """Accuracy of `pocket` on its old task after so many batches of 32 in training mode."""
    rng, found, moments = np.random.default_rng(0), {}, set(moments)
    pocket = load_backbone("pocket")
    model.train()
    for step in range(max(moments) + 1):
        if step in moments:
            found[step] = source_accuracy(model.backbone, pocket, n_test)
        rows = np.sort(rng.choice(len(images), 32, replace=False))
        with torch.no_grad():
            model.features(torch.from_numpy(np.ascontiguousarray(images[rows])))
    return found


def remedies(
    task: Task, *, lr: float = 3e-3, seeds: Iterable[int] = range(3), epochs: int = 9
) -> str:
    """Full fine-tuning of `pocket`, plain and with two remedies: new and old task, as a table.

    Below it, seed by seed, what each remedy changes.
    """
    ways: dict[str, tuple[float, dict[str, Any]]] = {
        "same rate everywhere": (1.0, {}),
        "falling rates (0.5 a stage)": (0.5, {}),
        "gradual unfreezing": (1.0, {"unfreeze_every": max(1, epochs // 7)}),
    }
    full, pocket, rows = get_approach(FULL_FINE_TUNING), load_backbone("pocket"), []
    for way, (decay, changes) in ways.items():
        for seed in seeds:
            asked = {"lr": lr, "epochs": epochs, "patience": epochs, "seed": seed} | changes
            config = full.config("image", len(task.train), **asked)
            options = full.options(layer_decay=decay, norm="frozen")  # as recorded runs have it
            fitted = full.fit(clone(pocket), task, config, options)
            kept = source_accuracy(fitted.model.backbone, pocket, len(task.test))
            rows.append((way, seed, fitted.accuracy(task.test), kept))
    found = pd.DataFrame(rows, columns=["approach", "seed", "new", "old"])
    table = found.groupby("approach", sort=False)[["new", "old"]].mean()
    lines = [f"| {r.Index} | {r.new:.3f} | {r.old:.3f} |" for r in table.itertuples()]
    head = [f"| at a rate of {lr:g} | new task | old task |", "|---|---|---|"]
    plain, *others = ways
    told = [
        f"- on the {end} task, {lead_in_words(found.assign(accuracy=found[end]), way, plain)}"
        for way in others
        for end in ("old", "new")
    ]
    return "\n".join([*head, *lines, "", *told])


def tune_tiny(n_train: int, *, epochs: int, n_validation: int) -> Tiny:
    """Full fine-tuning of `pocket` on a few pictures of `products_near`, to the last epoch."""
    full = get_approach(FULL_FINE_TUNING)
    tiny = load_task("products_near", n_train=n_train)
    pool = load_task("products_near").validation.take(slice(n_validation))
    seen, unseen = (Examples.raw(split.inputs, split.labels) for split in (tiny.train, pool))
    config = full.config("image", n_train, epochs=epochs, patience=epochs)
    options = full.options(norm="frozen")  # as recorded runs have it
    model = full.build(clone(load_backbone("pocket")), len(tiny.classes), options)
    reached: list[float] = []

    def judge(*_: Any) -> None:
        reached.append(evaluate(model, seen, config)[1])

    history = train(model, seen, unseen, config, on_epoch=judge)
    return Tiny(history, reached, len(unseen))


def overfit_in_words(tiny: Tiny) -> str:
    """Whether validation stalled or dropped, by more than its noise; and what its loss did.

    Of epochs that share the best accuracy, the one whose weights were kept is named.
    """
    accuracy, losses = tiny.history.val_accuracy, tiny.history.val_loss
    kept, last, low = tiny.history.best_epoch, accuracy[-1], min(losses)
    peak = accuracy[kept - 1]
    noise = 2 * (peak * (1 - peak) / tiny.n_validation) ** 0.5
    word = "drops" if peak - last > noise else "stalls"
    return (
        f"Training accuracy ends at **{tiny.train_accuracy[-1]:.3f}**. Validation accuracy peaks "
        f"at {peak:.3f} (epoch {kept}, whose weights were kept) and ends at {last:.3f}: it "
        f"**{word}** (a fall under {noise:.3f} could be noise). Validation *loss* is lowest at "
        f"{low:.3f} (epoch {losses.index(low) + 1}) and ends at {losses[-1]:.3f}, "
        f"{losses[-1] / low - 1:+.0%}."
    )
