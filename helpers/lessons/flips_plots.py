"""Bars of the arms of a flip: an approach keeps its colour, a variant its strength."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.display.figures import figure, set_title
from helpers.vocabulary import style_of

STRENGTH = {"plain": 0.4, "statistics": 0.2, "hosted": 0.85}  # of any other variant: 0.85


def plot_arms(
    table: pd.DataFrame,
    title: str = "",
    *,
    xlabel: str = "test accuracy",
    band: str = "line: 95 % interval",
    named: bool = True,
    ax: Axes | None = None,
) -> Figure:
    """Draw one bar per row, first row on top: `mean`, with `low` to `high` where they are there.

    table: rows with approach, variant, arm (the words beside the bar) and mean. named: False leaves
    the words out, for a panel beside another.
    """
    if ax is None:
        ax = figure("", width=8.0, height=0.9 + 0.4 * max(3, len(table)))[1]
    set_title(ax, title)
    rows = table.to_dict("records")
    for place, row in zip(range(len(rows))[::-1], rows, strict=True):
        look, strength = style_of(row["approach"]), STRENGTH.get(row["variant"], 0.85)
        ax.barh(place, row["mean"], color=look.colour, alpha=strength, height=0.7)
        if pd.notna(row.get("low")):
            ends = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
            ax.errorbar(row["mean"], place, xerr=ends, color="#000000", capsize=3, lw=1.2)
    ax.set_yticks(range(len(rows))[::-1], [row["arm"] if named else "" for row in rows])
    ax.grid(visible=False, axis="y")
    barred = {"low", "high"} <= set(table.columns) and bool(table["low"].notna().any())
    ax.set(xlim=(0, 1), xlabel=f"{xlabel} ({band})" if barred and band else xlabel)
    return ax.figure
