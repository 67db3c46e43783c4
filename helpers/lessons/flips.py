"""The records of the three flips: what overrides the rules, measured and kept.

`data/results/flips.csv` holds one line per question; whole lines are appended by
`tools/measure/measure_flips.py` and never edited. Its columns are told in `data/README.md`.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from helpers.decision import DEFAULTS
from helpers.display.figures import MAX_SIZE, Picture, figure
from helpers.errors import UserError
from helpers.results.effects import Effect, first_case, gain
from helpers.results.learning_curves import comparable
from helpers.results.runs import load_runs
from helpers.results.schema import COMPARED
from helpers.results.statistics import interval_table, pair, preferred_arms
from helpers.storage.results_file import ResultsFile
from helpers.tasks import TASKS
from helpers.vocabulary import FEATURE_EXTRACTION, FULL_FINE_TUNING, LORA, label_of, style_of

QUESTION = ["flip", "task", "backbone", "variant", "approach", "n_labelled", "n_unlabelled",
            "seed", "dial", "schema"]  # fmt: skip
ARM = ["task", "variant", "approach", "n_labelled", "seed", "dial"]
NUMBERS = ["lr", "val_accuracy", "test_accuracy", "n_test", "pretrain_cpu_seconds",
           "train_cpu_seconds", "bytes_sent", "latency_ms"]  # fmt: skip
COLUMNS = [*QUESTION, *NUMBERS, "created", "git"]
FILE = ResultsFile("flips.csv", COLUMNS, QUESTION)
VARIANTS = {"unlabelled": ("plain", "statistics", "continued"), "local": ("local", "hosted")}
PLACE = ["task", "backbone", "dial", "n_labelled"]
HOSTED_PLACE = [name for name in PLACE if name != "backbone"]
PROBE, NAIVE = FEATURE_EXTRACTION, FULL_FINE_TUNING
LOCAL = (NAIVE, LORA, PROBE)
BETTER = {"color": "#8c510a", "fmt": "h"}  # no approach has this colour and marker
EARLY = " These runs are of a first round that undersold fine-tuning."


def load(flip: str | None = None, path: Path | None = None) -> pd.DataFrame:
    """Each flip's rows of its newest recipe, of one flip or of all; none where there are none.

    A recipe that has not answered all that the last whole one before it did is still being
    measured, and is not read. Raises UserError for a file with other columns, or a flip that is not
    there.
    """
    if flip is not None and flip not in VARIANTS:
        raise UserError(f"there is no flip {flip!r}; choose one of {', '.join(VARIANTS)}")
    table = FILE.load(path)
    asked = table.assign(question=list(map(tuple, table[ARM].to_numpy())))
    wanted = pd.Series(False, index=table.index)
    for _, own in asked.groupby("flip"):
        recipes = [rows for _, rows in own.groupby("schema")]
        whole = recipes[0]
        for rows in recipes[1:]:
            whole = rows if set(rows["question"]) >= set(whole["question"]) else whole
        wanted[whole.index] = True
    wanted &= True if flip is None else table["flip"] == flip
    return table[wanted].reset_index(drop=True)


def early(flip: str, words: str = ", first round of runs") -> str:
    """`words` where a flip has rows of an older recipe than the one that is compared, else ""."""
    rows = load(flip)
    compared = rows["task"].map({name: COMPARED[task.modality] for name, task in TASKS.items()})
    return words if (rows["schema"] < compared).any() else ""


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
    mine = preferred_arms(rows[rows["variant"] == "continued"], PLACE, "approach")
    return pd.concat([mine, naive])


def measured(flip: str, rows: pd.DataFrame | None = None) -> Effect | None:
    """The effect a claim is judged by; None where nothing is recorded.

    unlabelled ("often beats"): the mean gain, over data sets, of continued pretraining and
    then what validation prefers over naive fine-tuning.
    local ("can beat"): the clearest gain, corrected for having looked at all, of a small model
    fully tuned here over a probe on a larger one's embeddings.
    """
    rows = load(flip) if rows is None else rows
    if flip == "unlabelled":
        rows = best_continued(rows)
    # The columns that tests of claims know.
    table = rows.rename(columns={"n_labelled": "n_train"}).assign(image_size=0)
    if table.empty:
        return None
    if flip == "local":  # the sides differ in their backbone: the local one names the situation
        small = table[table["variant"] == "local"]["backbone"]
        table["backbone"] = small.iloc[0] if len(small) else ""
    ours, theirs = ("continued", "plain") if flip == "unlabelled" else ("local", "hosted")
    test = gain if flip == "unlabelled" else first_case
    return test(table, {"arm": "variant", "ours": [ours], "theirs": [theirs]})


def continued_gains(rows: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
    """What continued pretraining adds, `paired`, by approach; "" is the better over naive tuning.

    Which is better validation says (`best_continued`).
    """
    rows = load("unlabelled") if rows is None else rows
    found = {name: paired(rows, ("continued", name), ("plain", name)) for name in (PROBE, NAIVE)}
    better = best_continued(rows).assign(approach=NAIVE)
    return {"": paired(better, ("continued", NAIVE), ("plain", NAIVE)), **found}


def local_gains() -> dict[str, pd.DataFrame]:
    """What `pocket` on this machine gains over the hosted probe, `paired`, by approach.

    Full fine-tuning was recorded with the flip; the runs of the sweep have the probe and LoRA on
    the same draws.
    """
    rows = load("local")
    small = rows[rows["variant"] == "local"]
    recipe = int(rows["schema"].max()) if len(rows) else None
    runs = comparable(load_runs(schema=recipe, backbone="pocket", dial=0.0))
    runs = runs[runs["approach"].isin([PROBE, LORA]) & runs["task"].isin(small["task"])]
    runs = runs[runs["n_train"].isin(small["n_labelled"])].rename(columns={"n_train": "n_labelled"})
    both = pd.concat([rows, runs[[*PLACE, "approach", "seed", "test_accuracy"]]])
    both["variant"] = both["variant"].fillna("local")
    return {name: paired(both, ("local", name), ("hosted", PROBE)) for name in LOCAL}


def plot_gains(gains: Mapping[str, pd.DataFrame], title: str) -> Picture:
    """Draw differences in points with 95 % intervals: a row a place, a marker an approach.

    gains: tables of `paired` by approach; "" is the better of several.
    """
    places = next(iter(gains.values()))[PLACE].sort_values(["task", "n_labelled"])
    rows = [tuple(row) for row in places.itertuples(index=False)]
    height = min(MAX_SIZE[1], 1.6 + 0.38 * len(rows))
    made, ax = figure(title, width=8, height=height)
    for step, (name, own) in enumerate(gains.items()):
        table, label = own.set_index(PLACE), label_of(name) or "the better, over full fine-tuning"
        look = style_of(name) if name else None
        style = {"color": look.colour, "fmt": look.marker} if look else BETTER
        at = [rows.index(place) + 0.22 * (step - (len(gains) - 1) / 2) for place in table.index]
        mean, reach = 100 * table["mean"], 50 * (table["high"] - table["low"])
        ax.errorbar(mean, at, xerr=reach, capsize=3, label=label, **style)
    ax.axvline(0, color="#333333", lw=1)
    ax.set_yticks(range(len(rows)), [_place(*row) for row in rows])
    ax.invert_yaxis()
    ax.set_xlabel("points gained (bar: 95 % interval over draws)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.16), ncols=3, fontsize="small")
    return made


def _place(task: str, backbone: str, dial: float, n_labelled: int) -> str:
    return f"{label_of(task)}{' at the far end' if dial else ''}, {n_labelled:,} labels"


def _counts(table: pd.DataFrame) -> str:
    """In how many places a `paired` table is clearly ahead and clearly behind."""
    ahead, behind = int((table["low"] > 0).sum()), int((table["high"] < 0).sum())
    return f"clearly ahead in **{ahead}** of {len(table)} places and clearly behind in **{behind}**"


def unlabelled_in_words() -> str:
    """Where continued pretraining is ahead, what it took, and how few pictures it had."""
    rows = load("unlabelled")
    gains, tuning = continued_gains(rows), rows[rows["approach"] == NAIVE]
    medians = tuning.groupby("variant")[["pretrain_cpu_seconds", "train_cpu_seconds"]].median()
    before, tuned = medians.at["continued", "pretrain_cpu_seconds"], medians.loc["plain"].iloc[-1]
    seen = rows.loc[rows["variant"] == "continued", "n_unlabelled"]
    return (
        f"Continued pretraining on {seen.min():,} to {seen.max():,} examples is "
        f"{_counts(gains[''])} over naive fine-tuning; under a probe {_counts(gains[PROBE])}. It "
        f"takes **{before / tuned:.0f} times** the processor seconds of the tuning that it is to "
        f"improve. The rule asks for {DEFAULTS.unlabelled:,} unlabelled examples before it speaks."
        + early("unlabelled", EARLY)
    )


def local_in_words() -> str:
    """How each way of training `pocket` here stands to a probe on the hosted network."""
    rows = load("local")
    hosted = rows[rows["variant"] == "hosted"]
    told = [f"*{label_of(name)}* here is {_counts(table)}" for name, table in local_gains().items()]
    delay = rows.groupby("variant")["latency_ms"].min()  # other work was under way
    return (
        f"Beside a probe on {label_of(hosted['backbone'].iloc[0])} behind the door, with `pocket` "
        f"on this machine: {'; '.join(told)}. One answer takes {delay['hosted']:.1f} ms through "
        f"the door and {delay['local']:.1f} ms here, at best, and a million of them send "
        f"{hosted['bytes_sent'].min() / 1e3:.1f} to {hosted['bytes_sent'].max() / 1e3:.1f} GB."
        + early("local", EARLY)
    )


def findings() -> str:
    """What the records say today of the flips, for the notebook's last section."""
    continued, tuned = continued_gains()[""], local_gains()[NAIVE]
    return (
        f"- Continued pretraining is {_counts(continued)} over naive fine-tuning.\n"
        f"- A small network tuned in full is {_counts(tuned)} over a probe on a larger hosted one."
    )
