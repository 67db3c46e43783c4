"""One live race: single runs as a table, with the interval their test split allows; in words.

Tracks are the races that are short enough to wait for: small tasks and backbones of the registries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from scipy.stats import binomtest

from helpers.backbones import BACKBONES
from helpers.display.figures import Picture, figure
from helpers.errors import UserError
from helpers.experiments.single_run import RunConfig, run
from helpers.results.statistics import summarise
from helpers.tasks import TASKS
from helpers.vocabulary import looks

MIN_SEEDS = 3  # below, a t interval over seeds is wider than the scale it stands on


def binomial_interval(accuracy: float, n: int) -> tuple[float, float]:
    """95 % interval for an accuracy seen on n test examples (Wilson 1927, JASA 22:209).

    It says how far another test split of that size could have moved the accuracy; the luck of the
    training draw and of the start, which only more seeds show, is not in it.
    """
    interval = binomtest(round(accuracy * n), n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def race_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Runs of `single_run.run` as a table for `plot_race`, best accuracy first.

    Adds `mean` (the test accuracy), `low` and `high` (`binomial_interval`) and `seconds`
    (`with_seconds`). Raises UserError where an approach stands twice.
    """
    table = with_seconds(pd.DataFrame(list(rows)))
    if table["approach"].duplicated().any():
        raise UserError("an approach stands twice in this race; use records.summarise for seeds")
    pairs = [
        binomial_interval(accuracy, n)
        for accuracy, n in zip(table["test_accuracy"], table["n_test"], strict=True)
    ]
    table["mean"] = table["test_accuracy"]
    table[["low", "high"]] = pd.DataFrame(pairs, index=table.index)
    return table.sort_values(["mean", "seconds"], ascending=[False, True], ignore_index=True)


def recorded_race(runs: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Recorded runs of one race at its largest size, and a sentence on what the bars say.

    Means over seeds with their t interval where each approach has three seeds or more; else the
    runs of the first seed, with the interval that their test split allows.
    """
    if runs.empty:
        return pd.DataFrame(columns=[*runs.columns, "mean", "seconds"]), "Nothing is recorded yet."
    runs = runs[runs["n_train"] == runs["n_train"].max()]
    fewest = runs.groupby("approach")["seed"].nunique().min()
    if fewest >= MIN_SEEDS:
        words = "Each bar is a 95 % interval for the mean over seeds, which draw other training"
        words += f" examples, other starts and other batches ({fewest} or more for each approach)."
        return with_seconds(summarise(runs)).reset_index(drop=True), words
    first = runs[runs["seed"] == runs["seed"].min()]
    words = f"Fewer than {MIN_SEEDS} seeds are recorded for some approach, so this is one seed's "
    words += (
        f"race; a bar says what another {first['n_test'].iloc[0]} test photos could have shown."
    )
    return race_table(first.to_dict("records")), words


def with_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `seconds`: preparation (frozen features, a first probe) and training."""
    return table.assign(seconds=table["prepare_seconds"] + table["train_seconds"])


def contenders(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that are not clearly behind the best one, cheapest in seconds first.

    Clearly behind: the row's interval ends below the best row's. A single run per seed has no
    interval (NaN), and then only the best itself is left.
    """
    best = table.loc[table["mean"].idxmax()]
    near = (table["high"] >= best["low"]) | (table.index == best.name)
    return table[near].sort_values("seconds")


def race_in_words(table: pd.DataFrame) -> str:
    """Say in Markdown who won, who came too close to call, and which of these is cheapest."""
    if table.empty:
        return "No run of this race has been recorded yet."
    # In italics, since the name of one approach has a comma in it.
    labels = {name: f"*{look.label}*" for name, look in looks(table["approach"]).items()}
    best, near = table.loc[table["mean"].idxmax()], contenders(table)
    said = [f"First came {labels[best.approach]} with {_accuracy(best)}."]
    if pd.isna(best["low"]):
        return f"{said[0]} That is a single run without an interval: the order can't be called."
    others = [labels[name] for name in near["approach"] if name != best.approach]
    if not others:
        return f"{said[0]} No other approach comes within its interval."
    cheap = near.iloc[0]
    said.append(f"Too close to it to call: {', '.join(others)}.")
    if cheap.approach == best.approach:
        said.append(f"Of these the winner is also the cheapest: {_seconds(best)}.")
    else:
        said.append(
            f"The cheapest of these is {labels[cheap.approach]} with {cheap['mean']:.3f}: "
            f"{_seconds(cheap)}, where the winner took {_seconds(best)}."
        )
    return " ".join(said)


def _seconds(row: pd.Series) -> str:
    return f"{row['seconds']:,.0f} s" if row["seconds"] >= 10 else f"{row['seconds']:.2g} s"


def _accuracy(row: pd.Series) -> str:
    if pd.isna(row["low"]):
        return f"{row['mean']:.3f}"
    return f"{row['mean']:.3f} (95 % interval {row['low']:.3f} to {row['high']:.3f})"


LIVE_PIXELS = 32  # side of the pictures, and of what a backbone reads, that one can wait for


def live_tracks() -> list[tuple[str, str]]:
    """Pairs (task, backbone) of at most `LIVE_PIXELS`, but none whose pretraining saw the task."""
    tasks = [t for t in TASKS.values() if t.modality == "image" and t.image_size <= LIVE_PIXELS]
    small = [
        b for b in BACKBONES.values() if b.modality == "image" and b.default_size <= LIVE_PIXELS
    ]
    return [(t.name, b.name) for t in tasks for b in small if t.name not in b.overlaps]


def race_tracks(
    tracks: Iterable[tuple[str, str]],
    approaches: Sequence[str],
    n_train: int,
    *,
    n_test: int | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Race the approaches on every track; returns one table and what could not be run, in words.

    The table has the columns of `race_table`, `track` ("backbone on task") and `chance`. A track
    whose data or weights are out of reach, or that has too few examples, is left out and named.
    """
    tables, missing = [], []
    for task, backbone in tracks:
        track = f"{backbone} on {task}"
        try:
            configs = [RunConfig(task, backbone, name, n_train) for name in approaches]
            table = race_table(run(config, n_test=n_test) for config in configs)
        except UserError as error:
            missing.append(f"{track}: {error}")
            continue
        tables.append(table.assign(track=track, chance=1 / len(TASKS[task].classes)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(), missing


def plot_tracks(table: pd.DataFrame, title: str) -> Picture:
    """One row for each track of `race_tracks`, one marker with its interval for each approach."""
    tracks = list(dict.fromkeys(table["track"]))
    made, ax = figure(title, width=8.0, height=min(5.0, 1.3 + 0.55 * len(tracks)))
    found = looks(table["approach"])
    for place, (name, look) in enumerate(found.items()):
        rows = table[table["approach"] == name]
        lift = 0.14 * (place - (len(found) - 1) / 2)
        at = [tracks.index(track) + lift for track in rows["track"]]
        reach = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        style = {"color": look.colour, "fmt": look.marker, "markersize": 8, "capsize": 3}
        ax.errorbar(rows["mean"], at, xerr=reach, label=look.label, **style)
    once = table.drop_duplicates("track")
    ax.plot(once["chance"], range(len(tracks)), "|", color="#595959", ms=14, label="guessing")
    ax.set(xlabel="test accuracy (bars: 95 % intervals)", xlim=(0.0, 1.0))
    ax.set_ylim(len(tracks) - 0.5, -0.5)
    ax.set_yticks(range(len(tracks)), tracks)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small", frameon=False)
    return made
