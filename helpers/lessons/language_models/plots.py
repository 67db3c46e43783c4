"""Figures of the language model notebook: methods by cost and memory, text tasks, shelves at
scale.
"""

import pandas as pd
from matplotlib.figure import Figure

from helpers.display.figures import figure
from helpers.vocabulary import style_of

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
