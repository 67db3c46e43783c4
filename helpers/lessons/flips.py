"""The records of the three flips: what overrides the rules, measured and kept.

`data/results/flips.csv` holds one line per question; whole lines are appended by
`tools/measure/measure_flips.py` and never edited. Its columns:

    flip                 unlabelled, or local
    task, backbone       as in runs.csv; of a hosted model the backbone that the service holds
    variant              unlabelled: plain (the backbone as it came), statistics (BatchNorm's taken
                         anew, no weight moved), continued (pretrained on without labels);
                         local: local (on this machine), hosted (embeddings over HTTP)
    approach             how it was trained on the labels
    n_labelled           training examples with labels, drawn with `seed`
    n_unlabelled         examples that continued pretraining saw, labels unread; 0 without it
    seed, dial, lr       as in runs.csv; lr is the best of the approach's three on validation
    val_accuracy, test_accuracy, n_test
    pretrain_cpu_seconds continued pretraining alone, processor seconds over threads
    train_cpu_seconds    training on the labels and the features it needs, likewise; a hosted
                         model's own seconds are its owner's and not counted
    bytes_sent           body of one request for one prediction; 0: nothing leaves
    latency_ms           one prediction, the HTTP trip included; median of 30
    created, git         when, and the commit the code was at
"""

import math
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.display.figures import figure, set_title
from helpers.errors import UserError
from helpers.results.effects import (
    CAN_HAPPEN,
    FAILS,
    HOLDS,
    UNDECIDED,
    UNTESTED,
    Effect,
    first_case,
    gain,
    judge,
)
from helpers.results.schema import COMPARED
from helpers.results.statistics import interval_table, pair
from helpers.storage.results_file import ResultsFile
from helpers.vocabulary import FEATURE_EXTRACTION, FULL_FINE_TUNING, style_of

QUESTION = ["flip", "task", "backbone", "variant", "approach", "n_labelled", "n_unlabelled",
            "seed", "dial", "schema"]  # fmt: skip
NUMBERS = ["lr", "val_accuracy", "test_accuracy", "n_test", "pretrain_cpu_seconds",
           "train_cpu_seconds", "bytes_sent", "latency_ms"]  # fmt: skip
COLUMNS = [*QUESTION, *NUMBERS, "created", "git"]
FILE = ResultsFile("flips.csv", COLUMNS, QUESTION)
VARIANTS = {"unlabelled": ("plain", "statistics", "continued"), "local": ("local", "hosted")}
PLACE = ["task", "backbone", "dial", "n_labelled"]
HOSTED_PLACE = [name for name in PLACE if name != "backbone"]
PROBE, NAIVE = FEATURE_EXTRACTION, FULL_FINE_TUNING
SENTENCES = {
    UNTESTED: "Not recorded yet.",
    HOLDS: "It holds on these records.",
    CAN_HAPPEN: "It can happen: clear somewhere on these records.",
    FAILS: "It fails on these records.",
    UNDECIDED: "Undecided on these records.",
}


def load(flip: str | None = None, path: Path | None = None) -> pd.DataFrame:
    """The rows of the recipe that is compared, of one flip or of all; none where there are none.

    Raises UserError for a file with other columns, or a flip that is not there.
    """
    if flip is not None and flip not in VARIANTS:
        raise UserError(f"there is no flip {flip!r}; choose one of {', '.join(VARIANTS)}")
    table = FILE.load(path)
    table = table[table["schema"] == COMPARED].reset_index(drop=True)
    return table if flip is None else table[table["flip"] == flip].reset_index(drop=True)


def arms(rows: pd.DataFrame) -> pd.DataFrame:
    """One line for each arm (place, variant, approach): mean accuracy, interval, what it cost.

    Columns: those of PLACE, variant, approach, arm (in words), mean, low, high (95 % by Student's
    t over seeds), runs, and the medians of cpu_seconds (pretraining and training), bytes_sent,
    latency_ms.
    """
    by = [*PLACE, "variant", "approach"]
    rows = rows.assign(cpu_seconds=rows["pretrain_cpu_seconds"] + rows["train_cpu_seconds"])
    costs = rows.groupby(by)[["cpu_seconds", "bytes_sent", "latency_ms"]].median()
    table = interval_table(rows, by, "test_accuracy")
    words = [_arm(*one) for one in zip(table["variant"], table["approach"], strict=True)]
    table.insert(len(by), "arm", words)
    return table.join(costs, on=by)


def _arm(variant: str, approach: str) -> str:
    words = {PROBE: "probe", NAIVE: "fine-tuning"}.get(approach, approach.replace("_", " "))
    before = {"statistics": "new statistics, ", "continued": "continued, "}
    before |= {"hosted": "hosted ", "local": "local "}
    return before.get(variant, "") + words


def paired(rows: pd.DataFrame, ours: tuple[str, str], theirs: tuple[str, str]) -> pd.DataFrame:
    """How much one (variant, approach) lies above another, seed by seed: a line for each place.

    Columns: those of PLACE, mean, low, high (95 % by Student's t) and runs.
    """
    sides = [rows[(rows["variant"] == v) & (rows["approach"] == a)] for v, a in (ours, theirs)]
    # Hosted and local arms run on different backbones: ours names the place.
    shared = [*PLACE, "seed"] if ours[0] in VARIANTS["unlabelled"] else [*HOSTED_PLACE, "seed"]
    both = pair(*sides, shared, ["test_accuracy"])
    both["gain"] = both["test_accuracy"] - both["test_accuracy_theirs"]
    return interval_table(both, PLACE, "gain")


def best_continued(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of flip `unlabelled` with the continued arm that validation prefers in each place.

    Who goes on pretraining still has to pick probe or fine-tuning; picked by test accuracy the
    comparison with naive fine-tuning would be rigged. Only these and the naive rows are returned.
    """
    naive = rows[(rows["variant"] == "plain") & (rows["approach"] == NAIVE)]
    mine = rows[rows["variant"] == "continued"]
    means = mine.groupby([*PLACE, "approach"])["val_accuracy"].mean().reset_index()
    best = means.sort_values([*PLACE, "val_accuracy", "approach"]).drop_duplicates(
        PLACE, keep="last"
    )
    return pd.concat([mine.merge(best[[*PLACE, "approach"]], on=[*PLACE, "approach"]), naive])


def measured(flip: str, rows: pd.DataFrame | None = None) -> Effect | None:
    """The effect a claim is judged by; None where nothing is recorded.

    unlabelled ("often beats"): the mean gain, over data sets, of continued pretraining and
    then what validation prefers over naive fine-tuning.
    local ("can beat"): the clearest gain, corrected for having looked at all, of a small model
    fully tuned here over a probe on a larger one's embeddings.
    """
    table = _compared(flip, rows)
    if table.empty:
        return None
    ours, theirs = ("continued", "plain") if flip == "unlabelled" else ("local", "hosted")
    test = gain if flip == "unlabelled" else first_case
    return test(table, {"arm": "variant", "ours": [ours], "theirs": [theirs]})


def _compared(flip: str, rows: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of both sides, with the columns that tests of claims know."""
    rows = load(flip) if rows is None else rows
    if flip == "unlabelled":
        rows = best_continued(rows)
    table = rows.rename(columns={"n_labelled": "n_train"}).assign(image_size=0)
    if flip == "local":  # the sides differ in their backbone: the local one names the situation
        small = table[table["variant"] == "local"]["backbone"]
        table["backbone"] = small.iloc[0] if len(small) else ""
    return table


def over_naive(rows: pd.DataFrame) -> pd.DataFrame:
    """`paired` gains of continued pretraining, then what validation prefers, over fine-tuning."""
    kept = best_continued(rows)
    return paired(kept.assign(approach=NAIVE), ("continued", NAIVE), ("plain", NAIVE))


def verdict(found: Effect | None) -> str:
    """The claim in one sentence, from the interval alone."""
    return SENTENCES[judge(found)]


def in_words(found: Effect, against: str) -> str:
    """An effect with its interval, where it has one, and what it rests on."""
    ends = "" if math.isnan(found.low) else f"{found.low:+.3f} to {found.high:+.3f}; "
    ends += f"{found.note}; " if found.note else ""
    rests_on = f"{found.data_sets} data sets, {found.runs} rows"
    return f"{found.effect:+.3f} accuracy {against} ({ends}{rests_on})."


def told(table: pd.DataFrame) -> str:
    """Where a `paired` table is clearly ahead, clearly behind and too close to call, in words."""
    table = table.reset_index()
    sides = {
        "clearly ahead": table[table["low"] > 0],
        "clearly behind": table[table["high"] < 0],
        "too close to call": table[~(table["low"] > 0) & ~(table["high"] < 0)],
    }
    return "; ".join(f"{words}: {_places(rows)}" for words, rows in sides.items())


def _places(rows: pd.DataFrame) -> str:
    found = []
    for (task, dial), own in rows.groupby(["task", "dial"], sort=True):
        where = f"{task} at dial {dial:.2g}" if dial else str(task)
        found.append(f"{where} ({', '.join(f'{n:,}' for n in sorted(own['n_labelled']))} labels)")
    return ", ".join(found) if found else "nowhere"


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
