"""Photos of clothing on an ImageNet network, live: a race short enough to wait for."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.approaches import APPROACHES, flatten_pixels, get_approach, parse_options
from helpers.approaches.base import Fitted
from helpers.approaches.feature_extraction import STRENGTHS, fit_probe
from helpers.backbones import Backbone, clone, load_backbone
from helpers.display.figures import Picture, figure
from helpers.errors import UserError
from helpers.registry import find
from helpers.results.learning_curves import comparable, level
from helpers.results.runs import load_runs
from helpers.results.schema import SCHEMA, recipe_in_words
from helpers.results.statistics import interval_table, mean_interval
from helpers.runtime import Stopwatch
from helpers.tasks import TASKS, Split, Task, load_task
from helpers.training import subset_features
from helpers.training.feature_cache import Prefix
from helpers.training.loop import TrainingDiverged
from helpers.vocabulary import (
    CLASSICAL,
    FEATURE_EXTRACTION,
    PARTIAL_FINE_TUNING,
    SHIPPED,
    counted,
    label_of,
    looks,
)

PHOTOS, NETWORK, SIDE = "clothing", "efficientnet_lite0", 128
RANDOM = "random_weights"  # the frozen network as it was before its pretraining, with a probe
GUESSING = "guessing"
WAIT_FOR = (CLASSICAL, RANDOM, FEATURE_EXTRACTION, PARTIAL_FINE_TUNING)
EPOCHS = 10  # of what trains by steps


def entrants() -> list[str]:
    """Whom one can wait for, and every approach that was registered beside the shipped ones."""
    return [*WAIT_FOR, *(name for name in APPROACHES if name not in SHIPPED)]


def live_race(
    task: str = PHOTOS,
    backbone: str = NETWORK,
    *,
    names: Iterable[str] = (),
    n_train: int = 200,
    seeds: Iterable[int] = range(3),
    epochs: int = EPOCHS,
    n_test: int | None = None,
) -> pd.DataFrame:
    """Train each of `names` (`entrants()` if empty) once per seed, which draws other photos.

    Probes choose their strength on validation; what trains by steps has the middle rate of its
    trials and BatchNorm's statistics as pretrained. Columns: approach, seed, n_train, accuracy (on
    the test split) and seconds, processor seconds of features and training. Features are kept, so a
    second call is faster; `seconds` says what they cost when they were computed.
    Raises UserError for a task that isn't there, or that isn't one of pictures.
    """
    info = find("task", task, TASKS)
    if info.modality != "image":
        raise UserError(f"this race is for pictures, and {task!r} holds {info.modality}s")
    size = SIDE if info.image_size > SIDE // 2 else None
    pretrained, fresh = (load_backbone(backbone, pretrained=p, size=size) for p in (True, False))
    rows = []
    for seed in seeds:
        data = load_task(
            task, n_train=n_train, seed=seed, image_size=pretrained.recipe.size, n_test=n_test
        )
        for name in names or entrants():
            known = name != RANDOM and get_approach(name).uses_pretrained
            fitted = fit_live(name, clone(pretrained if known else fresh), data, seed, epochs)
            seconds = fitted.prepare_cpu_seconds + fitted.history.cpu_seconds
            rows.append((name, seed, n_train, fitted.accuracy(data.test), seconds))
    return pd.DataFrame(rows, columns=["approach", "seed", "n_train", "accuracy", "seconds"])


def fit_live(
    name: str, backbone: Backbone, data: Task, seed: int, epochs: int, **changes: Any
) -> Fitted:
    """Train one entrant of `live_race`. changes: lr, or options such as top_stages."""
    approach = get_approach(FEATURE_EXTRACTION if name == RANDOM else name)
    rate = changes.pop("lr", approach.trials["image"][1])
    steps = epochs if approach.uses_network else None
    config = approach.config(
        "image", len(data.train), seed=seed, lr=rate, epochs=steps, patience=steps
    )
    options = parse_options(approach.options, approach.protocol_settings.get("image", ""))
    if approach.name == FEATURE_EXTRACTION:
        return fit_probe(approach, backbone, data, STRENGTHS, config, options)
    return approach.fit(backbone, data, config, replace(options, **changes))


def vary(name: str, values: Iterable[float], *, n_train: int, epochs: int = EPOCHS, **held: Any):
    """Partial fine-tuning of the photos with one thing varied: `top_stages` (0: a probe) or `lr`.

    held: what else differs from `live_race`, for all; seeds (three). Columns: `name`, seed,
    accuracy (test), validation and seconds. Training that diverged counts as guessing.
    """
    base, rows = load_backbone(NETWORK, size=SIDE), []
    for seed in held.pop("seeds", range(3)):
        data = load_task(PHOTOS, n_train=n_train, seed=seed, image_size=SIDE)
        for value in values:
            probe = name == "top_stages" and value == 0
            changes = {} if probe else held | {name: value}
            entrant = FEATURE_EXTRACTION if probe else PARTIAL_FINE_TUNING
            try:
                fitted = fit_live(entrant, clone(base), data, seed, epochs, **changes)
            except TrainingDiverged:
                rows.append((value, seed, guessing(data.test.labels), 0.0, math.nan))
                continue
            seconds = fitted.prepare_cpu_seconds + fitted.history.cpu_seconds
            scores = fitted.accuracy(data.test), fitted.history.best[0]
            rows.append((value, seed, *scores, seconds))
    return pd.DataFrame(rows, columns=[name, "seed", "accuracy", "validation", "seconds"])


def standings(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of `live_race` with their 95 % interval, and mean seconds; best first."""
    table = interval_table(rows, ["approach"], "accuracy")
    table["seconds"] = table["approach"].map(rows.groupby("approach")["seconds"].mean())
    return table.sort_values("mean", ascending=False, ignore_index=True)


def guessing(labels: np.ndarray) -> float:
    """Accuracy of naming the largest class each time."""
    return np.bincount(labels).max() / len(labels)


def lead(rows: pd.DataFrame, ours: str, theirs: str) -> tuple[float, float, float]:
    """How far one entrant is ahead of another, seed by seed: mean, and the 95 % interval."""
    return mean_interval(_leads(rows, ours, theirs))


def _leads(rows: pd.DataFrame, ours: str, theirs: str) -> pd.Series:
    """The leads of the seeds that both have."""
    wide = rows.pivot(index="seed", columns="approach", values="accuracy")
    return (wide[ours] - wide[theirs]).dropna()


def lead_in_words(rows: pd.DataFrame, ours: str, theirs: str) -> str:
    """`lead` as a sentence, in points; it says so where the interval spans zero."""
    mean, low, high = (100 * value for value in lead(rows, ours, theirs))
    seeds = len(_leads(rows, ours, theirs))
    told = f"**{mean:+.1f} points** (95 % interval {low:+.1f} to {high:+.1f}, {seeds} seeds)"
    unsure = "" if low > 0 or high < 0 else ", which may be luck"
    return f"*{label_of(ours)}* against *{label_of(theirs)}*: {told}{unsure}."


def recorded(
    n_train: int, *, task: str = PHOTOS, backbone: str = NETWORK, side: int = SIDE
) -> pd.DataFrame:
    """The second round's runs in one situation, with `accuracy` for `lead`."""
    runs = comparable(load_runs(schema=SCHEMA, task=task, backbone=backbone, dial=0.0), 1)
    runs = runs[(runs["n_train"] == n_train) & (runs["image_size"] == side)]
    return runs.assign(accuracy=runs["test_accuracy"])


def recorded_beside(n_train: int, *approaches: str) -> str:
    """What the records say of approaches on these photos, and how they were trained."""
    runs = recorded(n_train)
    lines = [_recorded(runs, approach, n_train) for approach in approaches]
    return "\n\n".join([*lines, recipe_in_words({"image": SCHEMA})])


def _recorded(runs: pd.DataFrame, approach: str, n_train: int) -> str:
    """The mean of one approach, and its lead over the frozen network where three seeds bound it."""
    own = runs.loc[runs["approach"] == approach, "accuracy"]
    told = f"*{label_of(approach)}* on {n_train:,} of these photos at {SIDE} pixels"
    if own.empty:
        return f"{told} is not recorded yet."
    mean = level(runs.pivot_table("accuracy", index="seed", columns="approach"))[approach]
    rests_on = f"{counted(len(own), 'seed')}, corrected for how easy its draw was)."
    if len(own) > 2:
        _, low, high = mean_interval(own)
        rests_on = f"95 % interval {low:.3f} to {high:.3f}, {counted(len(own), 'seed')}); "
        rests_on += lead_in_words(runs, approach, FEATURE_EXTRACTION)
    return f"{told}, recorded: **{mean:.3f}** ({rests_on}"


def beside_records(
    live: tuple[float, float, float], moved: str = "partial fine-tuning", n_train: int = 200
) -> str:
    """What `moved` gained over freezing, live (a `lead`), and partial fine-tuning as recorded."""
    mean, low, high = (100 * value for value in live)
    told = "gained nothing clear" if low <= 0 <= high else f"changed accuracy by {mean:+.1f} points"
    mean, low, high = (
        100 * value for value in lead(recorded(n_train), PARTIAL_FINE_TUNING, FEATURE_EXTRACTION)
    )
    return (
        f"Live, in a few epochs at one rate, {moved} {told} against freezing. Recorded on the same "
        "photos, mirrored and cropped, with at least 400 updates and a searched rate, partial "
        f"fine-tuning has **{mean:+.1f} points** ({low:+.1f} to {high:+.1f})."
    )


def features(backbone: Backbone, split: Split) -> Prefix:
    """Frozen features of a split, (N, width); photos that any earlier call had are not run again.

    Its seconds are those of this call.
    """
    part = subset_features.Pool(split).part(np.arange(len(split)))
    return subset_features.prefix(backbone, part, backbone.n_stages)


def timed_fit(X: np.ndarray, y: np.ndarray) -> float:
    """Processor seconds that fitting `linear_model` takes."""
    watch = Stopwatch()
    linear_model().fit(X, y)
    return watch.cpu_seconds


def most_confused(truth: np.ndarray, said: np.ndarray, classes: Iterable[str]) -> pd.DataFrame:
    """Pairs of classes by how often one was taken for the other, both ways together.

    Most often first; columns: one, other (in the order of their names), times.
    """
    names = np.array(list(classes))
    wrong = np.sort(np.stack([names[truth], names[said]], axis=1)[truth != said], axis=1)
    counts = pd.DataFrame(wrong, columns=["one", "other"]).value_counts().reset_index(name="times")
    order = {"ascending": [False, True, True], "ignore_index": True}
    return counts.sort_values(["times", "one", "other"], **order)


def plot_confusion(truth: np.ndarray, said: np.ndarray, classes: Sequence[str]) -> Picture:
    """What each class was called, in per cent of its examples: a row for each right class."""
    shares = confusion_matrix(truth, said, labels=range(len(classes)), normalize="true")
    first, *_ = most_confused(truth, said, classes).itertuples()
    title = f"Most often: {first.one} and {first.other}, {first.times} times, both ways together"
    made, ax = figure(title, width=7.0, height=4.6)
    ax.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        ink = "white" if share > 0.5 else "black"
        words = f"{100 * share:.0f}" if share else ""
        ax.text(column, row, words, ha="center", va="center", size="small", color=ink)
    ax.set_xticks(range(len(classes)), classes, rotation=40, ha="right")
    ax.set_yticks(range(len(classes)), classes)
    ax.grid(visible=False)
    ax.set(xlabel="called (% of the row)", ylabel="right")
    return made


def balance_in_words(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    classes: Sequence[str],
) -> str:
    """Accuracy and the mean over classes of `linear_model`, as it is and with weighted classes.

    train, test: features (N, width) and labels. Weighted, each class counts alike in training. Of
    the most and the least common class it tells how many test photos are found.
    """
    counts = np.bincount(train[1], minlength=len(classes))
    most, least = counts.argmax(), counts.argmin()
    lines = [f"Of {len(train[1])} training photos {counts[most]} show a {classes[most]} and "
             f"{counts[least]} a {classes[least]}.\n"]  # fmt: skip
    for words, weights in (("as they come", None), ("classes weighted alike", "balanced")):
        model = linear_model().set_params(logisticregression__class_weight=weights)
        said = model.fit(*train).predict(test[0])
        alike = balanced_accuracy_score(test[1], said)
        found = (f"{np.sum((said == label) & (test[1] == label))} of {np.sum(test[1] == label)} "
                 f"test photos of {classes[label]} found" for label in (most, least))  # fmt: skip
        lines.append(f"- {words}: accuracy **{np.mean(said == test[1]):.3f}**, mean over classes "
                     f"**{alike:.3f}**; {', '.join(found)}")  # fmt: skip
    return "\n".join(lines)


def linear_model(strength: float = 0.01) -> Pipeline:
    """Logistic regression on standardised columns, solved to its optimum by L-BFGS."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1_000))


def controls(names: Iterable[str], *, n_train: int, n_test: int, draws: int = 3) -> pd.DataFrame:
    """`linear_model` on pixels, on features of random weights and on pretrained ones.

    Each draw trains on other examples of a pool half as large again. Columns: task, approach, seed,
    accuracy; guessing names the largest class of the test split.
    """
    networks = {
        RANDOM: load_backbone(NETWORK, pretrained=False, size=SIDE),
        FEATURE_EXTRACTION: load_backbone(NETWORK, size=SIDE),
    }
    rows = []
    for name in names:
        pool = load_task(name, n_train=n_train * 3 // 2, image_size=SIDE, n_test=n_test)
        described = {CLASSICAL: [flatten_pixels(part.inputs) for part in (pool.train, pool.test)]}
        for way, network in networks.items():
            described[way] = [features(network, part).arrays[0] for part in (pool.train, pool.test)]
        for seed in range(draws):
            drawn = np.random.default_rng(seed).permutation(len(pool.train))[:n_train]
            for way, (X, unseen) in described.items():
                model = linear_model().fit(X[drawn], pool.train.labels[drawn])
                rows.append((name, way, seed, model.score(unseen, pool.test.labels)))
            rows.append((name, GUESSING, seed, guessing(pool.test.labels)))
    return pd.DataFrame(rows, columns=["task", "approach", "seed", "accuracy"])


def plot_controls(rows: pd.DataFrame, title: str) -> Picture:
    """One group of markers for each task of `controls`, with 95 % intervals over draws."""
    table = interval_table(rows, ["task", "approach"], "accuracy", sort=False)
    tasks, ways = list(dict.fromkeys(rows["task"])), list(dict.fromkeys(rows["approach"]))
    made, ax = figure(title, width=8.0)
    for place, (way, look) in enumerate(looks(ways).items()):
        own = table[table["approach"] == way]
        at = np.arange(len(tasks)) + 0.14 * (place - (len(ways) - 1) / 2)
        reach = (own["high"] - own["mean"]).fillna(0)
        style = {"color": look.colour, "fmt": look.marker, "capsize": 3, "label": look.label}
        ax.errorbar(at, own["mean"], yerr=reach, **style)
    ax.set_xticks(range(len(tasks)), [label_of(task) for task in tasks])
    ax.set(ylabel="test accuracy (bars: 95 % interval over draws)", ylim=(0, 1.02))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return made


def passed(rows: pd.DataFrame, control: str) -> list[str]:
    """Tasks of `controls` on which the pretrained features are clearly ahead of a control."""
    tasks = dict.fromkeys(rows["task"])
    return [t for t in tasks if lead(rows[rows["task"] == t], FEATURE_EXTRACTION, control)[1] > 0]


def controls_in_words(rows: pd.DataFrame) -> str:
    """On how many tasks of `controls` the easy test is passed, and on how many the fair one."""
    number, easy = rows["task"].nunique(), passed(rows, GUESSING)
    fair = [name for name in passed(rows, CLASSICAL) if name in passed(rows, RANDOM)]
    names = ", ".join(label_of(name) for name in fair) or "none"
    misled = [label_of(name) for name in easy if name not in fair]
    verdict = (
        f"Guessing is too easy an opponent on {', '.join(misled)}."
        if misled
        else "So guessing misleads on none of these; the box at the top has the records."
    )
    return (
        f"Clearly above guessing: **{len(easy)} of {number}** tasks. Clearly above raw pixels "
        f"*and* random weights: **{len(fair)}** ({names}). {verdict}"
    )
