"""Recorded adaptations of the decoder `tiny`: what it learned, what it forgot, step by step.

`data/results/decoder.csv` holds one line per adaptation, measured step and corpus; the lines of an
adaptation are appended by `tools/measure/measure_decoder.py` when it is done, and never edited.
Their columns are told in `data/README.md`.

The decoder has a million weights, so what holds here is evidence about decoders, and none about
billions of weights.
"""

from pathlib import Path

import pandas as pd

from helpers.results.statistics import interval_table, pair
from helpers.storage.results_file import ResultsFile
from helpers.vocabulary import FULL_FINE_TUNING, LORA, counted, label_of

QUESTION = ["model", "source", "domain", "approach", "rank", "embeddings", "lr", "seed", "role"]
FACTS = ["steps", "tokens_seen", "trainable_params", "cpu_seconds"]
PLACE = ["corpus", "split", "step"]
NUMBERS = ["loss", "per_token", "per_word", "bits_per_byte"]
COLUMNS = [*QUESTION, *FACTS, *PLACE, *NUMBERS, "created", "git"]
FILE = ResultsFile("decoder.csv", COLUMNS, QUESTION)
ARM = ["domain", "approach", "rank", "embeddings"]
CHANGES = ("learned", "forgotten")


def load(path: Path | None = None) -> pd.DataFrame:
    """The recorded rows; none where nothing was recorded yet. Raises UserError for other columns.

    A column is added: `arm`, approach and rank in words.
    """
    table = FILE.load(path)
    table["arm"] = [arm_in_words(*one) for one in table[ARM[1:]].to_numpy()]
    return table


def arm_in_words(approach: str, rank: int, embeddings: int) -> str:
    """Such as "LoRA rank 8 and word vectors" or "full fine-tuning"."""
    words = f"LoRA rank {rank}" if approach == LORA else label_of(approach)
    return words + " and word vectors" * bool(embeddings)


def runs(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the chosen rates; where a cut-off adaptation was measured again, the later."""
    kept = rows[rows["role"] == "run"]
    return kept.drop_duplicates([*QUESTION, *PLACE], keep="last").reset_index(drop=True)


def learned_and_forgotten(rows: pd.DataFrame) -> pd.DataFrame:
    """What each adaptation gained and gave up on the test texts, in bits per byte, seed by seed.

    learned: new domain, before − after (positive: better); forgotten: old domain, after − before
    (positive: worse). Columns: those of ARM, arm, seed, lr, cpu_seconds, learned and forgotten.
    """
    tested = runs(rows)
    tested = tested[tested["split"] == "test"]
    keys = [*ARM, "arm", "seed", "lr", "cpu_seconds"]
    made = []
    for key, own in tested.groupby(keys, sort=False):
        at = own.set_index(["corpus", own["step"] > 0])["bits_per_byte"]
        if len(at) == 4:
            learned = at["new", False] - at["new", True]
            made.append((*key, learned, at["old", True] - at["old", False]))
    return pd.DataFrame(made, columns=[*keys, "learned", "forgotten"])


def tally(changes: pd.DataFrame) -> pd.DataFrame:
    """`learned_and_forgotten` over seeds: a line for each domain and arm.

    Columns: those of ARM, arm, lr, learned, learned_low, learned_high, forgotten, forgotten_low,
    forgotten_high (95 % by Student's t), runs and cpu_seconds (median).
    """
    by = [*ARM, "arm", "lr"]
    seconds = changes.groupby(by, sort=False)["cpu_seconds"].median()
    return _both_sides(changes, by).join(seconds, on=by)


def _both_sides(changes: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Means and intervals of learned and forgotten, in columns of their names; and runs."""
    made = [interval_table(changes, by, name, sort=False).set_index(by) for name in CHANGES]
    sides = [
        table[["mean", "low", "high"]].set_axis([name, f"{name}_low", f"{name}_high"], axis=1)
        for name, table in zip(CHANGES, made, strict=True)
    ]
    return pd.concat([*sides, made[0]["runs"]], axis=1).reset_index()


def _validation_ends(kept: pd.DataFrame) -> pd.DataFrame:
    """The rows of `runs` on the new domain's validation text, after the last step."""
    ends = kept[(kept["corpus"] == "new") & (kept["split"] == "validation")]
    return ends[ends["step"] == ends["steps"]]


def preferred(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of runs with, for each domain and approach, the rank that validation prefers.

    That is the one that foresees the new domain's validation text best at its end, on average over
    seeds, so that no rank is picked by the test text it is judged by.
    """
    kept = runs(rows)
    means = _validation_ends(kept).groupby(ARM)["loss"].mean().reset_index()
    best = means.sort_values(["domain", "approach", "loss", "rank"])
    return kept.merge(best.drop_duplicates(["domain", "approach"])[ARM], on=ARM)


def compared(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row for each domain, approach and seed, with the columns that claims are tested on.

    learned: bits per byte saved on the new domain's test text; kept: minus those lost on the old
    one's. val_accuracy: minus the loss on the new domain's validation text.
    """
    kept = preferred(load() if rows is None else rows)
    changes = learned_and_forgotten(kept)
    ends = _validation_ends(kept)[[*ARM, "seed", "loss"]]
    made = changes.merge(ends, on=[*ARM, "seed"])
    return made.assign(
        backbone="tiny", task=made["domain"], dial=0.0, image_size=0, n_train=0,
        kept=-made["forgotten"], val_accuracy=-made["loss"],
    )  # fmt: skip


def lora_less_full(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """LoRA minus full fine-tuning, paired by seed: a line for each domain.

    Columns: domain, arm (LoRA's, in words), learned and forgotten, each with _low and _high (95 %),
    and runs.
    """
    table = compared(rows)
    sides = [table[table["approach"] == name] for name in (LORA, FULL_FINE_TUNING)]
    both = pair(*sides, ["domain", "seed"], CHANGES).sort_values(["domain", "seed"])
    for name in CHANGES:
        both[name] -= both[f"{name}_theirs"]
    return _both_sides(both, ["domain", "arm"])


def in_words(row: dict) -> str:
    """A line of `lora_less_full` as a sentence; "clearly" where the interval leaves out zero."""
    return (
        f"{row['domain']}: {row['arm']} learned {_side(row, 'learned')}, and forgot "
        f"{_side(row, 'forgotten')}, than full fine-tuning "
        f"({row['learned']:+z.3f} and {row['forgotten']:+z.3f} bits per byte, "
        f"{counted(row['runs'], 'seed')})"
    )


def told(rows: pd.DataFrame | None = None) -> str:
    """`lora_less_full` as a list of sentences."""
    pairs = lora_less_full(rows).to_dict("records")
    return "\n".join(f"- {in_words(row)}." for row in pairs) or "Not recorded yet."


def _side(row: dict, name: str) -> str:
    if row[f"{name}_low"] > 0 or row[f"{name}_high"] < 0:
        return f"clearly {'more' if row[name] > 0 else 'less'}"
    return "neither clearly more nor less"
