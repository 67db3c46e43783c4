"""README's short answer: what the evidence says today, a line for each question that people ask.

Written by `make_pictures decision`, from the fairer recipe's runs and from published cases, which
are marked and never pooled.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from helpers.approaches.base import LOOKS
from helpers.experiments.audit import LATE, audit
from helpers.lessons import product_photos
from helpers.lessons.crossings import duels, published_by_size, recorded
from helpers.lessons.levers import (
    BAR_FROM,
    best_levers,
    cheapest_clear,
    draws,
    levers,
    points_apart,
    together,
)
from helpers.lessons.scratch_prices import published_pairs
from helpers.lessons.small_modules import published_means
from helpers.paths import results_dir
from helpers.results.published.cases import comparable_cases
from helpers.results.published.sums import full_minus_linear
from helpers.results.runs import load_runs
from helpers.results.schema import COMPARED, SCHEMA
from helpers.results.statistics import mean_interval
from helpers.vocabulary import (
    ADAPTER,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    KINDS,
    LORA,
    LP_FT,
    label_of,
    phrase_of,
)

ENDS = ("points", "low", "high")
HEAD = ("photos", "larger pictures", "moved weights, cheapest clear gain", "moved weights, best",
        "larger pictures less best")  # fmt: skip
OURS = "pocket"
UNITS = {"image": "pixels", "text": "tokens"}
FEW = 20_000  # examples up to which scratch is priced


def short_answer() -> str:
    """Return the lines, as Markdown."""
    lines = (_pixels(), _moved(), _size(), _modules(), _shift(), _scratch())
    return "\n".join(f"- {line}" for line in lines)


def _pixels() -> str:
    """The two levers for photos, a row for each number of photos that has both at three draws."""
    runs, rows, from_on = product_photos.recorded(), [], None
    table = levers(runs)
    for n, own in table[table["runs"] >= BAR_FROM].groupby("n_train"):
        if own["image_size"].nunique() < 2:
            continue
        sharp, way = best_levers(own)
        gap = dict(zip(ENDS, mean_interval(points_apart(runs, sharp, way)), strict=True))
        word = "" if gap["low"] > 0 or gap["high"] < 0 else ", too close to call"
        from_on = n if from_on is None and gap["high"] < 0 else from_on
        frozen = f"{_interval(sharp)}, {sharp['start']} to {sharp['image_size']} pixels"
        cells = f"{n:,}", _timed(sharp, frozen), _way(cheapest_clear(own)), _way(way)
        rows.append(f"  | {' | '.join(cells)} | {_interval(gap)}{word} |")
    more = "" if from_on is None else f"; with {from_on:,} photos moved weights gained more"
    return "\n".join([
        "**Photos: while they are few, pictures of the size that the network was made for are the "
        f"cheapest gain{more}.** Points "
        "gained on a frozen network that reads small pictures, on clothing, over three draws or "
        f"more (95 % interval), and processor seconds of a training{_together(runs)} "
        "([12](notebooks/12_worked_comparison.ipynb)):", "",
        f"  | {' | '.join(HEAD)} |", f"  |{' --- |' * len(HEAD)}", *rows, "",
    ])  # fmt: skip


def _together(runs: pd.DataFrame) -> str:
    """The best of moved weights on larger pictures, where that was run."""
    both = together(runs)
    if both.empty:
        return ""
    best = both.loc[both["points"].idxmax()]
    return (
        f"; both together, {phrase_of(best['approach'])} at {best['image_size']} pixels with "
        f"{best['n_train']:,} photos, {best['points']:+.1f} for {best['seconds']:,.0f} s "
        f"({draws(best['runs'], best['n_train'])})"
    )


def _way(row: pd.Series | None) -> str:
    return "" if row is None else _timed(row, f"{phrase_of(row['approach'])} {_interval(row)}")


def _timed(row: pd.Series, words: str) -> str:
    return f"{words}, {row['seconds']:,.0f} s"


def _interval(row: Mapping[str, float]) -> str:
    return f"{row['points']:+.1f} ({row['low']:+.1f} to {row['high']:+.1f})"


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
    sizes = duels(recorded(), FULL_FINE_TUNING, FEATURE_EXTRACTION)["n_train"]
    return (
        "**At equal pixels moved weights gain, and cost.** Measured, "
        f"{sizes.min():,} to {sizes.max():,} examples: full fine-tuning was clearly ahead of the "
        "frozen network "
        f"{_fair(FULL_FINE_TUNING, FEATURE_EXTRACTION)} (each over its draws; luck alone makes "
        f"one in twenty clear). {_networks()} {_late()} What it takes is in "
        "[08](notebooks/08_compute_and_latency.ipynb)."
    )


def _networks() -> str:
    """On which networks these situations were."""
    both = duels(recorded(), FULL_FINE_TUNING, FEATURE_EXTRACTION)
    told = []
    for (network, kind), own in both.groupby(["backbone", "modality"]):
        sides = " and ".join(map(str, sorted(own["image_size"].unique())))
        where = f"{len(own)} of {label_of(network)} at {sides} {UNITS[kind]}"
        if network == OURS:
            where = f"{len(own)} are of small grey pictures on a network of this collection"
        told.append((network != OURS, -len(own), where))
    return f"Of the situations {', '.join(words for *_, words in sorted(told))}."


def _late() -> str:
    """How often training was still getting better at its end, as `helpers audit` counts it."""
    late = audit(load_runs())["late_best"]
    worst, twice = late["worst"], pd.read_csv(results_dir() / "double_updates.csv")
    mean, low, high = mean_interval(100 * (twice["twice_accuracy"] - twice["accuracy"]))
    luck = 100 * round(LATE * LOOKS) / LOOKS  # the last of the evenly spaced looks at validation
    return (
        f"The best weights of {phrase_of(worst['approach'])} stood in the last tenth of the "
        f"updates in {100 * worst['share']:.0f} % of its runs (of all runs "
        f"{100 * late['share']:.1f} %; where accuracy no longer changes, luck puts {luck:.0f} % "
        f"there). Twice the updates, tried on {len(twice)} runs of pictures and texts, changed "
        f"accuracy by {mean:+.1f} points on average ({low:+.1f} to {high:+.1f})."
    )


def _size() -> str:
    bands = published_by_size().set_index("examples")
    told = (
        f"{words} examples {row['median gain']:+.1f} points (frozen ahead in "
        f"{row['frozen first (%)']:.0f} % of {row['cases']:.0f} cases)"
        for words, row in bands.iterrows()
    )
    return (
        "**Tuning gained at every size of data.** Published, full fine-tuning beside a linear "
        f"model on frozen features, at the median: {', '.join(told)}. Data sets differ too, so "
        "this is no effect of size alone ([06](notebooks/06_dataset_size.ipynb))."
    )


def _modules() -> str:
    told = [
        f"with {row['n_train']:,.0f} examples ({name}) LoRA {row[LORA]:.1f}, adapters "
        f"{row[ADAPTER]:.1f}, full fine-tuning {row[FULL_FINE_TUNING]:.1f}"
        for name, row in published_means().iterrows()
    ]
    return (
        "**Large networks: LoRA and adapters led with few examples.** Published, mean accuracy: "
        f"{'; '.join(told)}. Measured here, LoRA was clearly ahead of full fine-tuning "
        f"{_fair(LORA, FULL_FINE_TUNING)} ([04](notebooks/04_adapters_and_lora.ipynb))."
    )


def _shift() -> str:
    cases = comparable_cases()
    cases = cases[cases["domain"] == "shifted"]
    away, first = (
        full_minus_linear(cases, "domain", name).loc["shifted"]
        for name in (FULL_FINE_TUNING, LP_FT)
    )
    return (
        "**Where use differs from training, train a head first.** Published, on shifted tests, "
        f"beside a frozen network: full fine-tuning {away['mean']:+.1f} points on average (behind "
        f"in {100 * away['linear_first']:.0f} % of {away['cases']:.0f} cases); a probe first, then "
        f"fine-tuning {first['mean']:+.1f} (behind in {100 * first['linear_first']:.0f} % of the "
        f"{first['cases']:.0f} that tried it) ([12](notebooks/12_worked_comparison.ipynb))."
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
