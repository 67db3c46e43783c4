"""What distances foretell, from the records: for notebook 07."""

from functools import cache
from itertools import permutations

import numpy as np
import pandas as pd

from helpers.display.figures import Picture, figure
from helpers.display.plots import log_axis, name_marks
from helpers.experiments.domain_distance import SIGNS, beside, gains_by_distance
from helpers.results.learning_curves import DISTANCES_FILE, comparable, on_equal_seeds
from helpers.results.runs import load_runs
from helpers.results.statistics import interval_table, paired_gain
from helpers.vocabulary import (
    FEATURE_EXTRACTION,
    FROM_SCRATCH,
    FULL_FINE_TUNING,
    LORA,
    PARTIAL_FINE_TUNING,
    label_of,
    looks,
)

DIALLED = "products_near"  # the task that the dial moves away from pocket's pretraining
TUNED = (FULL_FINE_TUNING, LORA, PARTIAL_FINE_TUNING)
SHOWN = 200  # training examples whose correlations are shown
LUCK = 0.05  # of so strong a rank correlation, either way
EXACT = 7  # points up to which every order is tried


@cache
def runs() -> pd.DataFrame:
    """Return the recorded runs that compare approaches on equal terms."""
    return comparable(load_runs())


def on_the_dial() -> pd.DataFrame:
    """Return the recorded runs of the task that the dial moves, on pocket."""
    return runs()[(runs()["task"] == DIALLED) & (runs()["backbone"] == "pocket")]


def dial_curves() -> pd.DataFrame:
    """Return means on equal seeds by dial, n_train and approach, for sizes with several steps."""
    own, place = on_the_dial(), ["dial", "n_train"]
    table = interval_table(own, [*place, "approach"], "test_accuracy")
    table = on_equal_seeds(table, own, place)
    return table[table.groupby("n_train")["dial"].transform("nunique") > 1]


def worth_of_pretraining() -> pd.DataFrame:
    """Return what full fine-tuning gains over the same network from scratch along the dial.

    `paired_gain` by dial and n_train, in points, where more than one seed has both.
    """
    table = paired_gain(on_the_dial(), FULL_FINE_TUNING, FROM_SCRATCH)
    ends = ["mean", "low", "high"]
    return table[table["runs"] > 1].assign(**{name: 100 * table[name] for name in ends})


def plot_worth() -> Picture:
    """Draw what pretraining is worth along the dial, a line for each number of examples."""
    made, ax = figure("What pretraining is worth along the dial", height=3.6)
    table = worth_of_pretraining()
    for place, (n, look) in enumerate(looks(table["n_train"]).items()):
        own = table[table["n_train"] == n]
        beside = own["dial"] + 0.015 * place  # bars on one place would cover each other
        ax.errorbar(beside, own["mean"], [own["mean"] - own["low"], own["high"] - own["mean"]],
                    color=look.colour, marker=look.marker, capsize=2,
                    label=f"{n:,} examples")  # fmt: skip
    ax.axhline(0, color="#333333", lw=1)
    ax.set(xlabel="dial", ylabel="full fine-tuning minus scratch (points)")
    ax.legend()
    return made


def worth_sentence() -> str:
    """Say what pretraining is worth at both ends of the dial, a line for each size."""
    said = []
    for n, own in worth_of_pretraining().groupby("n_train"):
        own = own.sort_values("dial").set_index("dial")
        clear = own.index[(own["low"] > 0).cumprod().astype(bool)]
        told = [
            f"{row['mean']:+.1f} points ({row['low']:+.1f} to {row['high']:+.1f}) at dial {dial:g}"
            for dial, row in own.iloc[[0, -1]].iterrows()
        ]
        ends = f"up to dial {clear[-1]:g}" if len(clear) else "nowhere"
        ends = "at dial 0 alone" if len(clear) == 1 else ends
        said.append(f"- **{n:,} examples:** {', '.join(told)}. Clearly above zero {ends}.")
    return "\n".join(said)


@cache
def gains(approach: str) -> pd.DataFrame:
    """Return what an approach gains over the frozen probe, with the scores of each place."""
    return beside(DISTANCES_FILE.load(), paired_gain(runs(), approach, FEATURE_EXTRACTION))


def plot_gains(approach: str, n_train: int) -> Picture:
    """Draw the gain of an approach over the probe by distance, a mark for each place."""
    rows = gains(approach)
    rows = rows[rows["n_train"] == n_train]
    made, ax = figure(f"{label_of(approach)} minus the probe, {n_train:,} examples", height=3.6)
    # Of every network that is recorded, so that a slider does not change their colours.
    for backbone, look in looks(sorted(runs()["backbone"].unique())).items():
        own = rows[rows["backbone"] == backbone]
        if len(own):
            marks = {"marker": look.marker, "color": look.colour, "label": look.label}
            ax.plot(own["frechet"], 100 * own["mean"], ls="", alpha=0.8, **marks)
    ax.axhline(0, color="#333333", lw=1)
    log_axis(ax)
    ax.set(xlabel="Fréchet distance (log scale)", ylabel="gain (points)")
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    steps = [f", dial {dial:g}" if dial else "" for dial in rows["dial"]]
    names = [label_of(task) + step for task, step in zip(rows["task"], steps, strict=True)]
    name_marks(ax, names, rows["frechet"], 100 * rows["mean"])
    return made


def sizes() -> list[int]:
    """Return the numbers of examples at which some approach has a gain beside a distance."""
    return sorted({int(n) for name in TUNED for n in gains(name)["n_train"]})


@cache
def needed_correlation(points: int) -> float:
    """Return the rank correlation that so many points reach by luck at most one time in twenty.

    Either way, over all orders of the ranks, or 50,000 drawn ones where there are too many. NaN
    where even a perfect one is that likely.
    """
    ranks = np.arange(points) - (points - 1) / 2
    if points <= EXACT:
        orders = np.array(list(permutations(ranks)))
    else:
        orders = np.random.default_rng(0).permuted(np.tile(ranks, (50_000, 1)), axis=1)
    found = np.sort(np.abs(orders @ ranks / (ranks @ ranks)).round(9))[::-1]
    for value in np.unique(found):
        if (found >= value).mean() <= LUCK:
            return float(value)
    return float("nan")


def foretold() -> pd.DataFrame:
    """Return how well each score ranks the gains with 200 examples, beside what luck needs.

    Index: approach and network. Columns: places, needed (`needed_correlation`), then the rank
    correlation of each score. Networks with fewer than four places are left out.
    """
    found = pd.concat(
        gains_by_distance(gains(name)).assign(approach=label_of(name)) for name in TUNED
    )
    found = found[found["n_train"] == SHOWN].dropna(subset="frechet")
    found["needed"] = found["places"].map(needed_correlation)
    return found.set_index(["approach", "backbone"])[["places", "needed", *SIGNS]]


def foretold_sentence() -> str:
    """Count the correlations that are more than luck."""
    table = foretold()
    beyond = table[list(SIGNS)].ge(table["needed"] - 1e-9, axis=0)
    by = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in beyond.sum().items())
    return (
        f"More than luck, in the direction that the advice says: **{beyond.to_numpy().sum()} of "
        f"{beyond.size}** correlations ({by}). Luck alone would give about "
        f"{LUCK / 2 * beyond.size:.1f}."
    )
