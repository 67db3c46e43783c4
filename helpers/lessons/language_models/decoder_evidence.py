"""What the recorded adaptations of a decoder say of LoRA: rows for the claims, and words.

The decoder has a million weights, so what holds here is evidence about decoders, and none about
billions of weights.
"""

from __future__ import annotations

import pandas as pd

from helpers.lessons.language_models import forgetting
from helpers.lessons.language_models.forgetting import ARM
from helpers.results.comparisons import mean_interval
from helpers.vocabulary import FULL_FINE_TUNING, LORA

FULL = FULL_FINE_TUNING
DIFFERENCES = ["learned", "learned_low", "learned_high", "forgotten", "forgotten_low",
               "forgotten_high"]  # fmt: skip


def preferred(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of runs with, for each domain and approach, the rank that validation prefers.

    That is the one that foresees the new domain's validation text best at its end, on average over
    seeds, so that no rank is picked by the test text it is judged by.
    """
    kept = forgetting.runs(rows)
    ends = kept[(kept["corpus"] == "new") & (kept["split"] == "validation")]
    ends = ends[ends["step"] == ends["steps"]]
    means = ends.groupby(ARM)["loss"].mean().reset_index()
    best = means.sort_values(["domain", "approach", "loss", "rank"])
    return kept.merge(best.drop_duplicates(["domain", "approach"])[ARM], on=ARM)


def compared(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row for each domain, approach and seed, with the columns that claims are tested on.

    learned: bits per byte saved on the new domain's test text; kept: minus those lost on the old
    one's. val_accuracy: minus the loss on the new domain's validation text.
    """
    kept = preferred(forgetting.load() if rows is None else rows)
    changes = forgetting.learned_and_forgotten(kept)
    ends = kept[(kept["corpus"] == "new") & (kept["split"] == "validation")]
    ends = ends[ends["step"] == ends["steps"]][[*ARM, "seed", "loss"]]
    made = changes.merge(ends, on=[*ARM, "seed"])
    return made.assign(
        backbone="tiny", task=made["domain"], dial=0.0, image_size=0, n_train=0,
        kept=-made["forgotten"], val_accuracy=-made["loss"],
    )  # fmt: skip


def tally(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """`forgetting.tally` of the recorded rows (loaded when None)."""
    rows = forgetting.load() if rows is None else rows
    return forgetting.tally(forgetting.learned_and_forgotten(rows))


def lora_less_full(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """LoRA minus full fine-tuning, paired by seed: a line for each domain.

    Columns: domain, arm (LoRA's, in words), learned and forgotten, each with _low and _high (95 %),
    and runs.
    """
    table = compared(rows)
    keys, made = ["domain", "seed"], []
    sides = [table[table["approach"] == name] for name in (LORA, FULL)]
    right = sides[1][[*keys, "learned", "forgotten"]]
    both = sides[0].merge(right, on=keys, suffixes=("", "_full"))
    for domain, own in both.groupby("domain", sort=True):
        ends = [mean_interval(own[k] - own[f"{k}_full"]) for k in ("learned", "forgotten")]
        made.append((domain, own["arm"].iloc[0], *ends[0], *ends[1], len(own)))
    return pd.DataFrame(made, columns=["domain", "arm", *DIFFERENCES, "runs"])


def in_words(row: dict) -> str:
    """A line of `lora_less_full` as a sentence; "clearly" where the interval leaves out zero."""
    learned = _side(row, "learned", "more", "less")
    forgotten = _side(row, "forgotten", "more", "less")
    return (
        f"{row['domain']}: {row['arm']} learned {learned} and forgot {forgotten} than full "
        f"fine-tuning ({row['learned']:+.3f} and {row['forgotten']:+.3f} bits per byte, "
        f"{row['runs']} seeds)"
    )


def _side(row: dict, name: str, more: str, less: str) -> str:
    word = more if row[name] > 0 else less
    clear = row[f"{name}_low"] > 0 or row[f"{name}_high"] < 0
    return f"clearly {word}" if clear else f"{word}, too close to call,"
