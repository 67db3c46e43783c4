"""README's short answer: what the evidence says today, a line for each question that people ask.

Written by `make_pictures decision`, from the fairer recipe's runs and from published cases, which
are marked and never pooled.
"""

from __future__ import annotations

import pandas as pd

from helpers.lessons import product_photos
from helpers.lessons.crossings import duels, published_by_size, recorded
from helpers.lessons.scratch_prices import published_pairs
from helpers.lessons.small_modules import published_means
from helpers.results.published.cases import comparable_cases
from helpers.results.published.sums import full_minus_linear
from helpers.results.schema import COMPARED, SCHEMA
from helpers.vocabulary import (
    ADAPTER,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    KINDS,
    LORA,
    phrase_of,
)

FEW = 20_000  # examples up to which scratch is priced


def short_answer() -> str:
    """Return the lines, as Markdown."""
    lines = (_pixels(), _moved(), _size(), _modules(), _shift(), _scratch())
    return "\n".join(f"- {line}" for line in lines)


def _pixels() -> str:
    """The two levers for photos, at the fewest photos that the fairer recipe has at two sizes."""
    table = product_photos.levers(product_photos.recorded())
    table = table[table["n_train"] == table["n_train"].min()]
    moved = table[table["image_size"] == table["start"]]
    way, sharp = (own.loc[own["points"].idxmax()] for own in (moved, table.drop(moved.index)))
    return (
        f"**Photos: larger pictures before moved weights.** Measured, {sharp['n_train']:,} photos "
        f"of clothing: {sharp['image_size']} pixels in place of {sharp['start']} gave a frozen "
        f"network {_interval(sharp)} for {sharp['seconds']:.0f} processor seconds; the best way to "
        f"move weights at {way['start']} pixels, {phrase_of(way['approach'])}, {_interval(way)} "
        f"for {way['seconds']:.0f} ([12](notebooks/12_worked_comparison.ipynb))."
    )


def _interval(row: pd.Series) -> str:
    return f"{row['points']:+.1f} points (95 % interval {row['low']:+.1f} to {row['high']:+.1f})"


def _fair(ours: str, theirs: str) -> str:
    """How often `ours` was clearly ahead, for each kind of data that has the fairer recipe."""
    told = []
    for kind, own in duels(recorded(), ours, theirs).groupby("modality"):
        if COMPARED[kind] == SCHEMA:
            up, down = (own["ahead"] == ours).sum(), (own["ahead"] == theirs).sum()
            told.append(
                f"in {up} of {len(own)} situations with {KINDS[kind]}, clearly behind in {down}"
            )
    return "; ".join(told)


def _moved() -> str:
    return (
        "**At equal pixels moved weights gain, and cost.** Measured, 50 to 1,000 examples: full "
        "fine-tuning was clearly ahead of the frozen network "
        f"{_fair(FULL_FINE_TUNING, FEATURE_EXTRACTION)}. What it takes is in "
        "[08](notebooks/08_compute_and_latency.ipynb)."
    )


def _size() -> str:
    bands = published_by_size().set_index("examples")
    few, many = (
        f"{row['median gain']:+.1f} points at the median with {words} examples (frozen ahead in "
        f"{row['frozen first (%)']:.0f} % of {row['cases']:.0f} cases)"
        for words, row in bands.loc[["1,000 to 5,000", "20,000 to 100,000"]].iterrows()
    )
    return (
        "**The more examples, the more tuning gains.** Published, full fine-tuning beside a linear "
        f"model on frozen features: {few}, {many} ([06](notebooks/06_dataset_size.ipynb))."
    )


def _modules() -> str:
    told = [
        f"with {row['n_train']:,.0f} examples ({name}) LoRA {row[LORA]:.1f}, adapters "
        f"{row[ADAPTER]:.1f}, full fine-tuning {row[FULL_FINE_TUNING]:.1f}"
        for name, row in published_means().iterrows()
    ]
    return (
        "**Large networks, few examples: LoRA and adapters lead.** Published, mean accuracy: "
        f"{'; '.join(told)}. Measured here, LoRA was clearly ahead of full fine-tuning "
        f"{_fair(LORA, FULL_FINE_TUNING)} ([04](notebooks/04_adapters_and_lora.ipynb))."
    )


def _shift() -> str:
    cases = comparable_cases()
    away = full_minus_linear(cases[cases["domain"] == "shifted"], by="domain").loc["shifted"]
    return (
        "**Where use differs from training, frozen may be safer.** Published, on shifted tests: "
        f"full fine-tuning {away['mean']:+.1f} points on average, and frozen was ahead in "
        f"{100 * away['linear_first']:.0f} % of {away['cases']:.0f} cases "
        "([12](notebooks/12_worked_comparison.ipynb))."
    )


def _scratch() -> str:
    pairs = published_pairs()
    few, many = pairs[pairs["n_train"] <= FEW], pairs[pairs["n_train"] > FEW]
    return (
        f"**From scratch is the last resort.** Published: it lost {few['gain'].median():.1f} "
        f"points at the median with up to {FEW:,} examples ({len(few)} cases), "
        f"{many['gain'].median():.1f} with more ({len(many)}) "
        "([05](notebooks/05_from_scratch.ipynb))."
    )
