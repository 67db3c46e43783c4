"""Figures of the text tasks: approaches beside word counts, and shelves of tasks at scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.display.figures import figure
from helpers.vocabulary import CLASSICAL, FULL_FINE_TUNING, LORA, label_of, ordered, style_of

PANELS = 3  # beside each other, at most


def plot_texts(table: pd.DataFrame, tasks: Sequence[str], title: str = "") -> Figure:
    """Draw a panel for each task: every approach with its interval, word counts as a line.

    table: from `statistics.summarise`, one size. An approach that a task lacks leaves its row
    empty.
    """
    order = ordered(table["approach"])[::-1]
    rows, columns = -(-len(tasks) // PANELS), min(PANELS, len(tasks))
    made, axes = figure(title, width=8, height=3.6 if rows == 1 else 5.0, rows=rows,
                        columns=columns, sharey=True, squeeze=False)  # fmt: skip
    for ax, task in zip(axes.flat, tasks, strict=False):
        _draw_task(ax, table[table["task"] == task], order)
        ax.set_title(task, loc="left", size="medium")
        ax.set_ylim(-0.7, len(order) - 0.3)
        ax.set_yticks(range(len(order)), [label_of(name) for name in order])
    for ax in axes.flat[len(tasks) :]:
        ax.set_axis_off()
    axes[-1][columns // 2].set_xlabel("test accuracy (bars: 95 % interval)")
    return made


def _draw_task(ax: Axes, own: pd.DataFrame, order: Sequence[str]) -> None:
    for row in own.itertuples():
        look, half = style_of(row.approach), np.nan_to_num(row.high - row.mean)
        ax.errorbar(row.mean, order.index(row.approach), xerr=half, fmt=look.marker,
                    color=look.colour, ms=7, capsize=3)  # fmt: skip
        if row.approach == CLASSICAL:
            ax.axvline(row.mean, color=look.colour, lw=2, alpha=0.5, zorder=0)


def plot_lengths(table: pd.DataFrame, title: str = "") -> Figure:
    """Draw accuracy over the tokens read, for both readers, and word counts on whole texts.

    table: from `text_tasks.accuracy_by_length`.
    """
    made, ax = figure(title, height=3.6)
    for approach, own in table[table["tokens"] > 0].groupby("approach", sort=False):
        look = style_of(approach)
        label = "word counts" if approach == CLASSICAL else "a frozen probe"
        ax.plot(own["tokens"], own["accuracy"], f"{look.marker}-", color=look.colour, label=label)
        ax.fill_between(own["tokens"], own["low"], own["high"], color=look.colour, alpha=0.15, lw=0)
    whole = table[table["tokens"] == 0]["accuracy"].iloc[0]
    look = style_of(CLASSICAL)
    ax.axhline(whole, color=look.colour, ls=":", label="word counts, whole texts")
    ticks = sorted(set(table["tokens"]) - {0})
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set(xlabel="first tokens of each text that are read (log scale)",
           ylabel="test accuracy (bands: 95 %)")  # fmt: skip
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return made


def plot_shelf(table: pd.DataFrame, title: str = "") -> Figure:
    """Draw what a shelf of tasks weighs: full copies against one base and its LoRA files.

    table: from `counting.at_scale`.
    """
    made, ax = figure(title, width=7.5, height=3.2)
    wide = table.pivot(index="model", columns="approach", values="tasks_gb")
    wide = wide.reindex(list(dict.fromkeys(table["model"]))[::-1])
    for name, shift in ((FULL_FINE_TUNING, 0.2), (LORA, -0.2)):
        label = "full copies" if name == FULL_FINE_TUNING else "one base and a LoRA file each"
        ax.barh(np.arange(len(wide)) + shift, wide[name], 0.38, label=label,
                color=style_of(name).colour)  # fmt: skip
    for place, (_, row) in enumerate(wide.iterrows()):
        ax.annotate(f"{row[FULL_FINE_TUNING] / row[LORA]:.3g} times smaller",
                    (row[LORA], place - 0.2), (5, 0), textcoords="offset points",
                    va="center", size="small")  # fmt: skip
    ax.set_yticks(range(len(wide)), list(wide.index))
    ax.set(xscale="log", xlabel="gigabytes on the disk (log scale)", xlim=(1, 1e6))
    ax.grid(visible=False, axis="y")
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)
    return made
