"""The races that are short enough to wait for: small tasks and backbones of the registries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from helpers.backbones import BACKBONES
from helpers.display.figures import Picture, figure
from helpers.errors import UserError
from helpers.experiments.single_run import RunConfig, run
from helpers.lessons.race import race_table
from helpers.tasks import TASKS
from helpers.vocabulary import looks

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
