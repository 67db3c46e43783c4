"""The explorer's first state as a picture, for pages that have no kernel."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd

from helpers.decision import Decision
from helpers.display.explorer.settings import Point, headline
from helpers.display.figures import Picture, figure
from helpers.results.evidence import Evidence
from helpers.results.learning_curves import Curve
from helpers.results.statistics import interval_half_width
from helpers.vocabulary import label_of, looks


def still(point: Point, ruled: Decision, found: Evidence, curves: Sequence[Curve]) -> Picture:
    """Draw both verdicts and up to three curves, with the asked number of examples marked."""
    columns = max(1, len(curves[:3]))
    made, axes = figure(width=8.0, height=3.9, columns=columns, squeeze=False)
    title = "\n".join(textwrap.fill(told, 95) for told in headline(ruled, found))
    made.suptitle(title, x=0.01, ha="left", size=10, weight="bold")
    for ax, curve in zip(axes[0], curves, strict=False):
        _panel(ax, curve, point.examples)
    if not curves:
        axes[0, 0].set_axis_off()
    names = {name for curve in curves[:3] for table in curve.accuracy.values() for name in table}
    handles = [
        axes[0, 0].plot([], [], color=look.colour, marker=look.marker, label=look.label)[0]
        for look in looks(names).values()
    ]
    if handles:
        made.legend(handles=handles, loc="outside lower center", ncols=4, fontsize="small")
    made.alt = " ".join(headline(ruled, found))
    return made


def _panel(ax, curve: Curve, examples: int) -> None:
    names = {name for table in curve.accuracy.values() for name in table}
    for name, look in looks(names).items():
        rows = _rows(curve, name)
        if rows.empty:
            continue
        ax.plot(rows.index, rows["mean"], color=look.colour, marker=look.marker, ms=5)
        ax.fill_between(rows.index, rows["low"], rows["high"], color=look.colour, alpha=0.12, lw=0)
    ax.axvline(examples, color="#1a1d21", ls="--", lw=1)
    ax.set_xscale("log")
    sizes = sorted(curve.accuracy)
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.minorticks_off()
    dialled = f", dial {curve.dial:.2f}" if curve.dial else ""
    ax.set_title(f"{label_of(curve.task)}{dialled}\non {curve.backbone}", size="small")
    ax.set_xlabel("examples (log scale)", size="small")
    if ax.get_subplotspec().is_first_col():
        ax.set_ylabel("test accuracy")


def _rows(curve: Curve, name: str) -> pd.DataFrame:
    """Mean and 95 % interval by size."""
    columns = {size: table[name] for size, table in curve.accuracy.items() if name in table}
    own = pd.DataFrame(columns).agg(["mean", "std", "count"]).T if columns else pd.DataFrame()
    if own.empty:
        return own
    half = interval_half_width(own["std"], own["count"])
    return own.assign(low=own["mean"] - half, high=own["mean"] + half).sort_index()
