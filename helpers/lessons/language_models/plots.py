"""Figures of the language model notebook: methods by cost and memory, text tasks, shelves at
scale.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.display.figures import figure
from helpers.vocabulary import CLASSICAL, FULL_FINE_TUNING, LORA, label_of, ordered, style_of

DASHES = ("-", "--", ":", "-.")
PARTS = {
    "weight_bytes": ("weights", "#7f7f7f"),
    "optimizer_bytes": ("optimizer state", "#e69f00"),
    "passing_bytes": ("gradients and activations at the worst moment", "#56b4e9"),
}


def strokes(table: pd.DataFrame, name: str) -> dict[str, dict[str, str]]:
    """What matplotlib draws each method with; column `name` of `table` tells them apart, in order.

    An approach keeps its colour and marker, its settings differ in dash and fill.
    """
    seen: dict[str, int] = {}
    found = {}
    for approach, words in table[["approach", name]].drop_duplicates().to_numpy():
        place = seen[approach] = seen.get(approach, -1) + 1
        look = style_of(approach)
        fill = (look.colour, "white", "black")[place % 3]
        dash = DASHES[place % len(DASHES)]
        found[words] = {"color": look.colour, "marker": look.marker, "ls": dash, "mfc": fill}
    return found


def plot_ratios(
    table: pd.DataFrame,
    title: str = "",
    *,
    ylabel: str = "step time over full fine-tuning's",
    columns: Iterable[tuple[int, int]] | None = None,
) -> Figure:
    """Draw ratios over model size, a panel for each batch, with their intervals; below 1 it pays.

    table: from `break_even.ratios`. columns: the (batch, seq) to draw; None: the first two.
    """
    found = list(dict.fromkeys(zip(table["batch"], table["seq"], strict=True)))
    shown = list(columns or found)[:2]
    made, axes = figure(title, width=8.0, height=4.4, columns=len(shown), sharey=True,
                        squeeze=False)  # fmt: skip
    for ax, (batch, seq) in zip(axes[0], shown, strict=True):
        own = table[(table["batch"] == batch) & (table["seq"] == seq)]
        for method, stroke in strokes(table, "method").items():
            rows = own[own["method"] == method].sort_values("base_params")
            # A single turn has no interval; nothing is drawn for it.
            ends = [(rows["mean"] - rows[end]).abs().fillna(0) for end in ("low", "high")]
            ax.errorbar(rows["base_params"], rows["mean"], ends, label=method, capsize=3, **stroke)
        ax.axhline(1.0, color="#000000", lw=1)
        ax.set_xscale("log")
        ticks = sorted(set(own["base_params"]))
        ax.set_xticks(ticks, [f"{size / 1e6:,.0f}" for size in ticks], size="small")
        ax.minorticks_off()
        ax.set_title(f"{batch} × {seq} tokens a step", loc="left", size="medium")
        ax.set_xlabel("million parameters of the base (log scale)")
    axes[0][0].set_ylabel(ylabel)
    axes[0][0].set_ylim(bottom=0)
    varies = bool((table["high"] > table["low"] * (1 + 1e-9)).any())  # bytes do not
    _legend(made, axes[0][0], columns=3, title="bar: 95 % interval" if varies else "")
    return made


def plot_memory(table: pd.DataFrame, title: str = "", *, unit: float = 1e6) -> Figure:
    """Draw one stacked bar for each method, first row on top, and what was counted as a mark.

    table: rows of `break_even.summary` of one model and batch. unit: bytes of the axis,
    1e6 for megabytes or 1e9 for gigabytes.
    """
    made, ax = figure(title, width=8.0, height=1.6 + 0.4 * max(3, len(table)))
    places = list(range(len(table)))[::-1]
    left = pd.Series(0.0, index=table.index)
    for name, (words, colour) in PARTS.items():
        ax.barh(places, table[name] / unit, left=left, color=colour, label=words, height=0.7)
        left += table[name] / unit
    ax.plot(table["peak_bytes"] / unit, places, "k|", markersize=16, mew=2, label="counted peak")
    ax.set_yticks(places, table["method"])
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("megabytes of a training step" if unit == 1e6 else "gigabytes of a training step")
    _legend(made, ax, columns=2)
    return made


def plot_learning_forgetting(table: pd.DataFrame, title: str = "") -> Figure:
    """Draw the new domain on the left and the old one on the right, over training steps.

    table: rows of one domain: approach, arm, corpus, step, mean, low and high.
    """
    made, axes = figure(title, width=8.0, height=4.0, columns=2)
    names = (("new", "the new domain: learning"), ("old", "the old domain: forgetting"))
    for ax, (corpus, words) in zip(axes, names, strict=True):
        own = table[table["corpus"] == corpus]
        for arm, stroke in strokes(table, "arm").items():
            rows = own[own["arm"] == arm].sort_values("step")
            ax.plot(rows["step"], rows["mean"], label=arm, **stroke)
            band = {"color": stroke["color"], "alpha": 0.15, "lw": 0}
            ax.fill_between(rows["step"], rows["low"], rows["high"], **band)
        ax.set_title(words, loc="left", size="medium")
        ax.set_xlabel("training steps")
    axes[0].set_ylabel("bits per byte (lower is better)")
    _legend(made, axes[0], columns=3, title="band: 95 % interval over seeds")
    return made


def plot_tradeoff(table: pd.DataFrame, title: str = "") -> Figure:
    """Draw what each arm learned against what it forgot, with both intervals: down, right is best.

    table: rows of `forgetting.tally` of one domain.
    """
    made, ax = figure(title, width=7.0, height=4.0)
    for arm, stroke in strokes(table, "arm").items():
        row = table[table["arm"] == arm].iloc[0]
        across, up = (
            [[row[name] - row[f"{name}_low"]], [row[f"{name}_high"] - row[name]]]
            for name in ("learned", "forgotten")
        )
        mark = stroke | {"ls": "none", "markersize": 9, "capsize": 3}
        ax.errorbar(row["learned"], row["forgotten"], up, across, label=arm, **mark)
    ax.axhline(0.0, color="#7f7f7f", lw=1)
    ax.set_xlabel("learned on the new domain (bits per byte saved)")
    ax.set_ylabel("forgotten on the old one (bits per byte lost)")
    small = {"title_fontsize": "small", "fontsize": "small", "frameon": False}
    ax.legend(title="bars: 95 % interval over seeds", **small)
    return made


def _legend(made: Figure, ax: Axes, *, columns: int, title: str = "") -> None:
    """One legend below all panels, where it covers no point."""
    handles, labels = ax.get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize="small",
                title=title or None, title_fontsize="small", frameon=False)  # fmt: skip


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
