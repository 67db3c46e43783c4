"""Figures for the notebooks: tables in, figures out. Nothing is shown, saved or styled globally.

Every function returns a `Picture`, a matplotlib Figure that a notebook shows when it is a cell's
last line, with alt text. Pass `ax=` to draw into one panel of a figure that you made.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from helpers.display.figures import MAX_SIZE, figure, plain_number, set_title
from helpers.vocabulary import looks

PANELS = 6  # of small multiples
# Points from a mark to its name, the nearest first.
AROUND = [(7, 0), (-7, 0), *((right, up) for up in (9, -9, 18, -18, 27) for right in (0, 7, -7))]


def plot_curves(
    table: pd.DataFrame,
    x: str,
    y: str = "mean",
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "test accuracy",
    by: str = "approach",
    band: str = "95 % interval",
    log_x: bool = False,
    chance: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw one line per approach over `x`, with a band from `low` to `high` where they are columns.

    band: what the bands are, named in the legend. chance: accuracy of guessing, a dotted line.
    """
    ax = _axes(ax, title)
    banded = _has_intervals(table)
    for name, look in looks(table[by]).items():
        rows = table[table[by] == name].sort_values(x)
        ax.plot(rows[x], rows[y], color=look.colour, marker=look.marker, label=look.label)
        if banded:
            ax.fill_between(rows[x], rows["low"], rows["high"], color=look.colour, alpha=0.15, lw=0)
    ax.set(xlabel=xlabel or x.replace("_", " "), ylabel=ylabel)
    return _finished(ax, log_x, chance, f"band: {band}" if banded else "")


def plot_race(
    table: pd.DataFrame,
    x: str = "train_seconds",
    *,
    title: str = "",
    xlabel: str = "training time (seconds, log scale)",
    ylabel: str = "test accuracy",
    log_x: bool = True,
    chance: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw each approach as one marker, accuracy against cost: up and to the left is better."""
    ax = _axes(ax, title)
    barred = _has_intervals(table)
    for name, look in looks(table["approach"]).items():
        rows = table[table["approach"] == name]
        reach = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]] if barred else None
        style = {"color": look.colour, "fmt": look.marker, "markersize": 9, "capsize": 3}
        ax.errorbar(rows[x], rows["mean"], yerr=reach, label=look.label, **style)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return _finished(ax, log_x, chance, "bar: 95 % interval" if barred else "")


def plot_bars(
    table: pd.DataFrame,
    y: str = "mean",
    *,
    title: str = "",
    xlabel: str = "test accuracy",
    by: str = "approach",
) -> Figure:
    """Draw one horizontal bar per row of `table`, first row on top, with its interval."""
    ax = _axes(None, title)
    found = looks(table[by])
    places = np.arange(len(table))[::-1]
    reach = None
    if _has_intervals(table):
        reach = np.stack([table[y] - table["low"], table["high"] - table[y]])
        xlabel = f"{xlabel} (bar ends: 95 % interval)"
    colours = [found[name].colour for name in table[by]]
    ax.barh(places, table[y], xerr=reach, color=colours, alpha=0.85, capsize=3, height=0.7)
    ax.set_yticks(places, [found[name].label for name in table[by]])
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(xlabel)
    return ax.figure


def small_multiples(
    table: pd.DataFrame,
    by: str,
    *,
    title: str,
    mark: tuple[str, float],
) -> Figure:
    """Draw one panel of learning curves for each value of `by`, six at most, with one legend.

    table: from `statistics.summarise`. mark: name and x of a dashed line in each panel.
    """
    names = list(dict.fromkeys(table[by]))[:PANELS]
    columns = {1: 1, 2: 2, 4: 2}.get(len(names), 3)
    rows = -(-len(names) // columns)
    height = min(MAX_SIZE[1], 0.6 + 2.2 * rows)
    made, axes = figure(title, width=8, height=height, rows=rows, columns=columns, squeeze=False)
    entries: dict[str, Any] = {}
    for ax, name in zip_longest(axes.ravel(), names):
        if name is None:
            ax.set_visible(False)
            continue
        own = table[table[by] == name]
        plot_curves(own, "n_train", log_x=True, ax=ax)
        ax.set_title(str(name), loc="left", size="medium")
        ax.set(xlabel="", ylabel="test accuracy" if ax.get_subplotspec().is_first_col() else "")
        low, high = ax.get_ylim()
        ax.set_ylim(max(0.0, low), min(1.0, high))  # a t interval may leave the scale
        ax.axvline(mark[1], color="#333333", ls="--", lw=1)
        ax.set_xlabel(f"{mark[0]} {mark[1]:,.0f}", size="small")
        lines, labels = ax.get_legend_handles_labels()
        entries |= dict(zip(labels, lines, strict=True))
        ax.get_legend().remove()
        mark_sizes(ax, table["n_train"], size="small")
    where = {"loc": "outside lower center", "ncols": 4, "fontsize": "small", "frameon": False}
    made.legend(entries.values(), entries, title="training examples (log scale)", **where)
    return made


def mark_sizes(ax: Axes, sizes: Iterable[int], **style: Any) -> None:
    """Mark these numbers of examples on a logarithmic axis, and nothing between them."""
    sizes = sorted(set(sizes))
    ax.set_xticks(sizes, [f"{n:,}" for n in sizes], **style)
    ax.minorticks_off()


def plot_history(
    history: Any, *, title: str = "", chance: float | None = None, train_accuracy: Sequence = ()
) -> Figure:
    """Draw a training history: losses on the left, accuracy on the right.

    history: has the lists `train_loss`, `val_loss`, `val_accuracy`, and `best_epoch`, counted
    from 1 (0: the weights before training). train_accuracy: one an epoch, where it was measured.
    """
    made, (left, right) = figure(title, width=8.0, height=3.2, columns=2)
    epochs = range(1, len(history.train_loss) + 1)
    left.plot(epochs, history.train_loss, color="#333333", marker="o", label="training")
    left.plot(epochs, history.val_loss, color="#d55e00", marker="s", label="validation")
    if train_accuracy:
        right.plot(epochs, train_accuracy, color="#333333", marker="o", label="training")
    right.plot(epochs, history.val_accuracy, color="#d55e00", marker="s", label="validation")
    right.axvline(history.best_epoch, color="#7f7f7f", ls="--", label="weights kept")
    _chance(right, chance)
    for panel, ylabel in ((left, "loss (cross-entropy)"), (right, "accuracy")):
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.set(xlabel="epoch", ylabel=ylabel)
        panel.legend(fontsize="small", frameon=False)
    return made


def image_grid(
    images: Sequence[Any], titles: Sequence[str] = (), *, title: str = "", columns: int = 8
) -> Figure:
    """Draw images side by side. images: (H, W), (H, W, 1) or (H, W, 3), uint8 or 0–1 floats."""
    columns = max(1, min(columns, len(images)))
    rows = max(1, -(-len(images) // columns))
    height = min(MAX_SIZE[1], 0.4 * bool(title) + rows * (8.0 / columns + 0.25))
    made, axes = figure(title, width=8.0, height=height, rows=rows, columns=columns, squeeze=False)
    for ax, image, name in zip_longest(axes.ravel(), images, titles[: len(images)]):
        ax.set_axis_off()
        if image is None:
            ax.set_visible(False)
            continue
        pixels = np.squeeze(np.asarray(image))
        top = 255 if pixels.dtype == np.uint8 else 1.0
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=top)
        ax.set_title(name or "", loc="center", weight="normal", size="small")
    made.alt = ". ".join(part for part in (title, ", ".join(titles)) if part)
    return made


def _axes(ax: Axes | None, title: str) -> Axes:
    if ax is None:
        return figure(title, width=MAX_SIZE[0])[1]
    if title:
        set_title(ax, title)
    return ax


def _has_intervals(table: pd.DataFrame) -> bool:
    """Tell whether some row has one: a mean of a single run has none."""
    return {"low", "high"} <= set(table.columns) and bool(table["low"].notna().any())


def log_axis(ax: Axes) -> None:
    """Make the x axis of what is drawn logarithmic, with plain numbers: 0.5, and not 5e-01."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    # Over a few decades the powers of ten are enough, over one they are too few.
    steps = (1.0,) if high / low > 300 else (1.0, 2.0, 5.0)
    ax.xaxis.set_major_locator(LogLocator(subs=steps))
    ax.xaxis.set_major_formatter(plain_number)
    ax.xaxis.set_minor_formatter(NullFormatter())


def _chance(ax: Axes, chance: float | None) -> None:
    if chance is not None:
        ax.axhline(chance, color="#7f7f7f", ls=":", label="guessing")


def _finished(ax: Axes, log_x: bool, chance: float | None, title: str) -> Figure:
    """The axis, the line of guessing, and a legend beside the axes, where it covers no point."""
    if log_x:
        log_axis(ax)
    _chance(ax, chance)
    legend_beside(ax, title)
    return ax.figure


def legend_beside(ax: Axes, title: str = "") -> None:
    """Name what is drawn beside the axes, again where something was added."""
    place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    ax.legend(title=title or None, fontsize="small", title_fontsize="small", frameon=False, **place)


def name_marks(ax: Axes, names: Sequence[str], x: Sequence[float], y: Sequence[float]) -> None:
    """Write a name beside each mark, where it covers no other name and no other mark.

    To be called last, when limits and scales stand: boxes are in pixels. A name for which nothing
    is free stands at the last place of AROUND.
    """
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    ax.figure.get_layout_engine().execute(ax.figure)
    ax.figure.set_layout_engine("none")  # names lie inside, and once is enough
    inside = ax.get_window_extent()
    places = list(zip(x, y, strict=True))
    marks = ax.transData.transform(places)
    taken = [Bbox.from_bounds(left - 5, low - 5, 10, 10) for left, low in marks]
    for name, place in zip(names, places, strict=True):
        words = {"textcoords": "offset points", "va": "center", "size": "x-small"}
        text = ax.annotate(name, place, (0, 0), **words)
        for right, up in AROUND:
            text.xyann = right, up
            text.set_ha("left" if right > 0 else "right" if right < 0 else "center")
            box = text.get_window_extent(renderer)
            if inside.x0 < box.x0 and box.x1 < inside.x1 and not box.count_overlaps(taken):
                break
        taken.append(box)
