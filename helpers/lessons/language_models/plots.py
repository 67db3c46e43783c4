"""The figure of the language model notebook: ways to classify, task by task."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers.display.figures import figure
from helpers.vocabulary import style_of

ASKED = "#8c510a"  # prompts are no approach, and have no colour of theirs
NO_TRAINING = ("zero_shot", "few_shot")


def plot_ways(table: pd.DataFrame, title: str = "") -> Figure:
    """Draw a panel for each task, every recorded way with its interval, the best at a line.

    table: from `smollm2_records.at_size`. A way that a task lacks leaves its row empty.
    """
    ways = list(dict.fromkeys(table["way"]))[::-1]
    tasks = list(dict.fromkeys(table["task"]))
    made, axes = figure(title, width=8.0, height=3.4, columns=len(tasks), sharey=True,
                        squeeze=False)  # fmt: skip
    for ax, task in zip(axes[0], tasks, strict=True):
        own = table[table["task"] == task]
        for row in own.itertuples():
            style = {"color": ASKED, "fmt": "D"}
            if row.approach not in NO_TRAINING:
                style = {
                    "color": style_of(row.approach).colour,
                    "fmt": style_of(row.approach).marker,
                }
            half = np.nan_to_num([[row.mean - row.low], [row.high - row.mean]])
            ax.errorbar(row.mean, ways.index(row.way), xerr=half, ms=7, capsize=3, **style)
        ax.axvline(own["mean"].max(), color="#333333", lw=1, ls=":", zorder=0)
        ax.set_title(task, loc="left", size="medium")
        ax.set_ylim(-0.6, len(ways) - 0.4)
        ax.set_xlim(right=min(1.02, ax.get_xlim()[1]))  # a t interval may leave the scale
    axes[0][0].set_yticks(range(len(ways)), ways)
    axes[0][len(tasks) // 2].set_xlabel("test accuracy (bars: 95 % interval)")
    return made
