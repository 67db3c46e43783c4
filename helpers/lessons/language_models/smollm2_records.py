"""What was measured with SmolLM2: adapted to a domain, and classified with. Rows, never edited.

`data/README.md` tells the columns of `smollm2_adapted.csv`, `smollm2_classified.csv` and
`four_bit.csv`. What is asked stands here too, so that what lacks can be told.
"""

from pathlib import Path

import pandas as pd

from helpers.backbones.smollm2 import ROUNDED
from helpers.lessons.language_models import forgetting
from helpers.lessons.language_models.counting import scale_shown
from helpers.lessons.language_models.decoder import IA3, PROMPT_TUNING
from helpers.lessons.language_models.published_scale import (
    LONGEST,
    code_and_mathematics,
    three_billion,
)
from helpers.results.statistics import interval_table, wilson_interval
from helpers.storage.results_file import ResultsFile
from helpers.vocabulary import (
    CLASSICAL,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    LORA,
    PARTIAL_FINE_TUNING,
    label_of,
)

MODEL, DOMAIN, OLD = "smollm2", "tweets", ("newsgroups", "excerpts")
# Adapted: (approach, rank, first rates, seeds); a trained prompt's rank is its length in tokens.
ARMS = (
    (FULL_FINE_TUNING, 0, (1e-5, 3e-5, 1e-4), 3),
    (LORA, 8, (3e-4, 1e-3, 3e-3), 3),
    (PROMPT_TUNING, 16, (3e-3, 1e-2, 3e-2), 1),
    (PARTIAL_FINE_TUNING, 0, (3e-5, 1e-4, 3e-4), 1),
    (LORA, 32, (3e-4, 1e-3, 3e-3), 1),
    (LORA, 2, (3e-4, 1e-3, 3e-3), 1),
    (IA3, 0, (3e-3, 1e-2, 3e-2), 1),
)
TASKS, SIZES = ("product_reviews", "tweets", "reuters8"), (200, 1_000)
MINILM, NONE, ZERO_SHOT, FEW_SHOT = "minilm", "none", "zero_shot", "few_shot"
# Classified: how each (model, approach) is called. Those of SMALL are asked at the smaller size.
WAYS = {
    (NONE, CLASSICAL): "word counts",
    (MODEL, ZERO_SHOT): "SmolLM2 asked, no example",
    (MODEL, FEW_SHOT): "SmolLM2 asked, with examples",
    (MINILM, FEATURE_EXTRACTION): "MiniLM, probe",
    (MODEL, FEATURE_EXTRACTION): "SmolLM2, probe",
    (MODEL, LORA): "SmolLM2, LoRA",
    (MODEL, FULL_FINE_TUNING): "SmolLM2, all weights",
}
SMALL = (FEW_SHOT, LORA, FULL_FINE_TUNING)
PROMPTS = (ZERO_SHOT, FEW_SHOT)

BEGINNING = "Today I want to tell you that"
_END = ["created", "git"]
ADAPTED = ResultsFile(
    "smollm2_adapted.csv",
    [*forgetting.COLUMNS[:-2], "precision", "peak_mb", "stored_bytes", "written", *_END],
    forgetting.QUESTION,
    text=("written", "precision"),
)
ASKED = ["task", "model", "approach", "settings", "n_train", "seed", "lr", "role"]
NUMBERS = ["n_labels", "val_accuracy", "val_loss", "test_accuracy", "macro_f1", "n_test", "updates",
           "train_cpu_seconds", "predict_ms", "trainable_params", "stored_bytes"]  # fmt: skip
CLASSIFIED = ResultsFile(
    "smollm2_classified.csv",
    [*ASKED, *NUMBERS, "precision", "threads", *_END],
    ASKED,
    text=("settings", "precision"),
)
STEP = ["base", "rank", "batch", "seq", "turn"]
STEP_NUMBERS = ["base_bytes", "peak_bytes", "formula_bytes", "gap", "step_ms"]
FOUR_BIT = ResultsFile("four_bit.csv", [*STEP, *STEP_NUMBERS, "threads", "torch", *_END], STEP)


def load_adapted(path: Path | None = None) -> pd.DataFrame:
    """The recorded adaptations of the longest training that is on record, `arm` in words.

    Raises UserError for a file with other columns.
    """
    table = ADAPTED.load(path)
    table = table[table["steps"] == table["steps"].max()].reset_index(drop=True)
    arms = table[["approach", "rank"]].to_numpy()
    table["arm"] = [_arm(*one) for one in arms]
    return table


def beside_old(rows: pd.DataFrame, domain: str) -> pd.DataFrame:
    """The rows with one old domain alone, called `old`: what `forgetting` works on."""
    kept = rows[rows["corpus"].isin(["new", domain])]
    return kept.assign(corpus=kept["corpus"].where(kept["corpus"] == "new", "old"))


def adapted_table(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """`forgetting.tally` for each old domain: what was learned, and what was forgotten of it.

    Columns: old, those of the tally, and peak_mb and stored_bytes of each arm.
    """
    rows = load_adapted() if rows is None else rows
    old = [name for name in rows["corpus"].unique() if name != "new"]
    tables = [
        forgetting.tally(forgetting.learned_and_forgotten(beside_old(rows, name))).assign(old=name)
        for name in old
    ]
    if not tables:
        return pd.DataFrame(columns=["old", *forgetting.ARM, "arm"])
    costs = rows.groupby(forgetting.ARM)[["peak_mb", "stored_bytes"]].max()
    return pd.concat(tables, ignore_index=True).join(costs, on=forgetting.ARM)


def adapted_shown(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """`adapted_table` for readers: a line for each recorded arm, 95 % intervals in brackets."""
    lines: dict[str, dict[str, object]] = {}
    for row in adapted_table(rows).to_dict("records"):
        line = lines.setdefault(row["arm"], {})
        line["learned"] = _bracketed(row["learned"], row["learned_low"], row["learned_high"])
        forgotten = _bracketed(row["forgotten"], row["forgotten_low"], row["forgotten_high"])
        line[f"forgotten of {row['old']}"] = forgotten
        line |= {"seconds": round(row["cpu_seconds"]), "peak GB": round(row["peak_mb"] / 1e3, 2)}
        line |= {"file MB": round(row["stored_bytes"] / 1e6, 2), "seeds": row["runs"]}
    names = ["learned", *(f"forgotten of {old}" for old in OLD)]
    columns = [*names, "seconds", "peak GB", "file MB", "seeds"]
    arms = [arm for arm in (_arm(approach, rank) for approach, rank, *_ in ARMS) if arm in lines]
    return pd.DataFrame([lines[arm] for arm in arms], index=arms, columns=columns)


def adapted_in_words(rows: pd.DataFrame | None = None) -> str:
    """LoRA beside full fine-tuning, seed by seed; rates tried so far; and what is not recorded."""
    rows = load_adapted() if rows is None else rows
    told, pairs = [], rows[(rows["approach"] == FULL_FINE_TUNING) | (rows["rank"] == 8)]
    for old in [name for name in rows["corpus"].unique() if name != "new"]:
        for row in forgetting.lora_less_full(beside_old(pairs, old)).to_dict("records"):
            told.append(f"- Kept text {old}, new text {forgetting.in_words(row)}.")
    ran = set(forgetting.runs(rows)["arm"])
    trials = rows[(rows["role"] == "trial") & (rows["corpus"] == "new")]
    for arm, own in trials[~trials["arm"].isin(ran)].groupby("arm", sort=False):
        ends = own[own["step"] == own["steps"]].sort_values("lr")
        bits = [f"{row.bits_per_byte:.3f} at {row.lr:g}" for row in ends.itertuples()]
        start = own.loc[own["step"] == 0, "bits_per_byte"].max()
        told.append(
            f"- {arm}, tried so far: validation tweets from {start:.3f} bits per byte to "
            f"{', '.join(bits)}."
        )
    lacking = [_arm(approach, rank) for approach, rank, *_ in ARMS]
    lacking = [name for name in lacking if name not in ran]
    told += [f"- Not recorded yet: {', '.join(lacking)}."] if lacking else []
    return "\n".join(told)


def _arm(approach: str, rank: int) -> str:
    if approach == IA3:
        return "IA³"
    if rank and approach != LORA:
        return f"{label_of(approach)}, {rank} tokens"
    return forgetting.arm_in_words(approach, rank, 0)


def _bracketed(mean: float, low: float, high: float) -> str:
    return f"{mean:.3f}" if low != low else f"{mean:.3f} ({low:.3f} to {high:.3f})"


def classified_table(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """Accuracy of each way to classify, with its interval and cost: a line for each.

    Columns: task, n_train, model, approach, settings, mean, low, high (95 %: over three seeds or
    more, else from the number of test texts, as two seeds bound next to nothing), runs, n_labels,
    train_cpu_seconds and stored_bytes.
    """
    rows = CLASSIFIED.load() if rows is None else rows
    own = rows[rows["role"] == "run"]
    by = ["task", "n_train", "model", "approach", "settings"]
    made = interval_table(own, by, "test_accuracy")
    costs = ["n_labels", "train_cpu_seconds", "predict_ms", "stored_bytes"]
    made = made.join(own.groupby(by)[[*costs, "n_test"]].median(), on=by)
    few = made["runs"] < 3
    ends = [
        wilson_interval(round(mean * n), int(n))
        for mean, n in made.loc[few, ["mean", "n_test"]].to_numpy()
    ]
    if ends:
        made.loc[few, ["low", "high"]] = ends
    made[["low", "high"]] = made[["low", "high"]].clip(0, 1)  # of a share, however few the seeds
    return made.drop(columns="n_test")


def at_size(n_train: int, rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """`classified_table` of one size, with `way` in words; prompts belong to every size.

    Of zero-shot's two rows that with calibrated scores stays, chosen before any was seen: it needs
    texts alone, no label.
    """
    table = classified_table(rows)
    asked = table["approach"].isin(PROMPTS)
    table = table[(table["n_train"] == n_train) | asked]
    table = table[(table["approach"] != ZERO_SHOT) | table["settings"].str.endswith("=1")]
    ways = [WAYS[arm] for arm in table[["model", "approach"]].itertuples(index=False, name=None)]
    order = list(WAYS.values())
    table = table.assign(way=pd.Categorical(ways, order, ordered=True))
    return table.sort_values(["way", "task"], ignore_index=True)


def classified_shown(n_train: int, rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """`at_size` for readers: ways down, tasks across, median labels, seconds, ms of an answer."""
    table = at_size(n_train, rows)
    table["accuracy"] = [_bracketed(*one) for one in table[["mean", "low", "high"]].to_numpy()]
    cells = table.pivot(index="way", columns="task", values="accuracy")
    names = {"n_labels": "labels", "train_cpu_seconds": "seconds to train",
             "predict_ms": "ms a text"}  # fmt: skip
    costs = table.groupby("way", observed=True)[list(names)].median().round(1)
    costs["n_labels"] = costs["n_labels"].astype(int)
    return cells.fillna("not recorded").join(costs.rename(columns=names)).rename_axis(None)


def classified_in_words(rows: pd.DataFrame | None = None) -> str:
    """Where asking alone stands, for each size the best way of each task, and what is missing."""
    wide = at_size(SIZES[0], rows).pivot(index="task", columns="way", values="mean")
    pair = wide.reindex(columns=[WAYS[MODEL, ZERO_SHOT], WAYS[NONE, CLASSICAL]]).dropna()
    cases = [
        f"{task} {asked:.3f} (word counts {words:.3f})" for task, asked, words in pair.itertuples()
    ]
    told = [f"- **Asked without a label**, SmolLM2 reaches {', '.join(cases)}."] if cases else []
    for size in SIZES:
        table = at_size(size, rows)
        best = table.sort_values("mean").drop_duplicates("task", keep="last")
        firsts = [f"{row.task} {row.way} ({row.mean:.3f})" for row in best.itertuples()]
        if firsts:
            told.append(f"- **{size:,} labelled texts**, highest of these: {'; '.join(firsts)}.")
        held = set(table[["task", "way"]].itertuples(index=False, name=None))
        asked = [
            way for (_, approach), way in WAYS.items() if size == SIZES[0] or approach not in SMALL
        ]
        lacks = {way: [task for task in TASKS if (task, way) not in held] for way in asked}
        left = [f"{way} ({'all tasks' if len(tasks) == len(TASKS) else ', '.join(tasks)})"
                for way, tasks in lacks.items() if tasks]  # fmt: skip
        told += [f"- Not recorded yet with {size:,}: {'; '.join(left)}."] if left else []
    return "\n".join(told)


def four_bit_table(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """Steps under LoRA on each base, medians: base and peak in MB, seconds of a step, and gap."""
    rows = FOUR_BIT.load() if rows is None else rows
    made = rows.groupby("base", sort=False)[["base_bytes", "peak_bytes", "step_ms"]].median()
    names = ["base, MB", "peak, MB", "seconds a step"]
    return (made / [1e6, 1e6, 1e3]).set_axis(names, axis=1).round(2).rename_axis(None)


def four_bit_in_words(rows: pd.DataFrame | None = None) -> str:
    """What a base in 4 bits saves and costs, and how well the memory formula does."""
    rows = FOUR_BIT.load() if rows is None else rows
    if rows.empty:
        return "QLoRA's memory is not recorded yet."
    table = four_bit_table(rows)
    share = table.loc["blocks"] / table.loc["dequantised"]
    gap = "the logits are the same" if rows["gap"].max() == 0 else "logits differ by rounding"
    return (
        f"Kept in 4 bits, SmolLM2's base takes **{share['base, MB']:.0%}** of the memory of the "
        f"dequantised one, the whole step {share['peak, MB']:.0%}, and a step takes "
        f"**{share['seconds a step']:.1f} times** as long on this processor; {gap}."
    )


def findings() -> str:
    """What to remember, as a list: from the records and the published tables of today."""
    table, small = at_size(SIZES[0]), SIZES[0]
    best = table.sort_values("mean").drop_duplicates("task", keep="last").sort_values("task")
    led = ", ".join(
        f"{row.task} by {row.way}, {_bracketed(row.mean, row.low, row.high)}"
        for row in best.itertuples()
    )
    moved = table["approach"].isin([LORA, FULL_FINE_TUNING]).any()
    unknown = "" if moved else " SmolLM2 with LoRA or with all weights moved is not recorded there."
    ran = forgetting.runs(load_adapted())["arm"].nunique()
    published, gaps = three_billion()["correct, %"], -code_and_mathematics()["points"]
    bill = scale_shown().loc["7 B"]
    return "\n".join(
        (
            f"- With {small} labelled texts the most accurate so far: {led}.{unknown}",
            f"- {four_bit_in_words()}",
            f"- To train 7 billion weights takes {bill['full, GB to train']:.0f} GB in full, "
            f"{bill['LoRA, GB to train']:.0f} with LoRA and {bill['QLoRA, GB to train']:.0f} with "
            "QLoRA, activations not counted.",
            f"- Others measured: on a short training of 3 billion weights LoRA reached "
            f"{published['LoRA, rank 32']:.1f} % against {published['all weights']:.1f} % in full; "
            f"after {LONGEST} of code or mathematics 7 billion weights trailed by {gaps.min():.1f} "
            f"and {gaps.max():.1f} points with LoRA.",
            f"- What SmolLM2 learns and forgets is recorded for {ran} of {len(ARMS)} ways; "
            f"{ROUNDED}.",
        )
    )
