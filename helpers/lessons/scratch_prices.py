"""Notebook 05: what training from scratch costs, in labels, minutes and money."""

import json
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers.display.diagrams import plot_bill
from helpers.display.figures import Picture, figure
from helpers.display.plots import log_axis
from helpers.experiments.steps import Price
from helpers.lessons.crossings import needed
from helpers.paths import weights_dir
from helpers.results.published import comparable_cases, load_published
from helpers.vocabulary import FEATURE_EXTRACTION, FROM_SCRATCH, FULL_FINE_TUNING, label_of, looks


def plot_handfuls(accuracy: float, sizes: tuple[int, int]) -> Picture:
    """Histograms of the accuracy that test sets of several sizes show of one network."""
    tries = 2_000
    made, ax = figure("One network, judged on many small handfuls of photos", height=3.4)
    rng, bins = np.random.default_rng(0), np.arange(0, 1.03, 0.02) - 0.01
    for n, look in looks(sizes).items():  # colours that no approach has
        found = rng.binomial(n, accuracy, tries) / n
        ax.hist(found, bins=bins, color=look.colour, alpha=0.6, label=f"{n:,} photos")
    ax.axvline(accuracy, color="#333333", ls="--", label="its accuracy")
    ax.set(xlabel="accuracy on the handful", ylabel=f"how often, of {tries:,}")
    ax.set_xlim(max(0.0, accuracy - 0.25), min(1.0, accuracy + 0.25))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return made


def plot_label_bill(
    runs: pd.DataFrame, curve: str, label_cents: float, hour_cents: float
) -> Picture:
    """Money for what freezing reaches with the fewest examples of both, and scratch with its own.

    runs: of `crossings.recorded`. label_cents: of one label. hour_cents: of a processor hour. Where
    scratch never got there, its bill is that of the largest size measured, and a lower bound; where
    it did at the smallest, an upper one.
    """
    own = runs[runs["curve"] == curve]
    row = needed(own, FROM_SCRATCH, FEATURE_EXTRACTION).iloc[0]
    reached = not math.isnan(row.examples)
    sides = {FEATURE_EXTRACTION: row.n, FROM_SCRATCH: row.examples if reached else row.largest}
    bills = {}
    for name, examples in sides.items():
        part = own[own["approach"] == name]
        nearest = (np.log(part["n_train"] / examples)).abs().sort_values().index[0]
        at = part[part["n_train"] == part.loc[nearest, "n_train"]]
        hours = at["train_cpu_seconds"].median() / 3600
        bills[f"{label_of(name)}, {examples:,.0f} examples"] = {
            "labels": examples * label_cents / 100,
            "machine": hours * hour_cents / 100,
        }
    frozen, scratch = (sum(bill.values()) for bill in bills.values())
    bound = "over " if not reached else "at most " if row.examples <= row.smallest else ""
    title = f"{curve}: scratch costs {bound}{scratch / frozen:.1f} × as much"
    return plot_bill(bills, "euros, at the prices you chose", title)


def plot_price_list(
    prices: Mapping[str, Price], n_train: int, epochs: int, hour_cents: float
) -> Picture:
    """Minutes that each approach keeps a core of this machine busy, and what they cost.

    A dot each: on a log scale a bar's length would hang on where the axis begins.
    """
    minutes = {name: price.minutes(n_train, epochs) for name, price in prices.items()}
    made, ax = figure(f"{n_train:,} photos, {epochs} epochs, on this machine", width=8.0)
    found = looks(minutes)
    for place, (name, taken) in enumerate(minutes.items()):
        ax.plot(taken, place, found[name].marker, color=found[name].colour, ms=10)
        time = f"{taken * 60:.1f} s" if taken < 1 else f"{taken:.0f} min"
        time = time if taken < 120 else f"{taken / 60:.0f} h"
        words = f"{time}, €{taken / 60 * hour_cents / 100:.2g}"
        ax.annotate(words, (taken, place), (10, 0), textcoords="offset points", va="center", size=9)
    ax.set_yticks(range(len(minutes)), [found[name].label for name in minutes])
    ax.set_ylim(len(minutes) - 0.5, -0.5)
    ax.set_xlim(min(minutes.values()) / 3, max(minutes.values()) * 12)
    log_axis(ax)
    ax.set_xlabel("processor minutes (log scale)")
    return made


def pretraining_in_words() -> str:
    """What it took to pretrain `pocket`, whose bill is known."""
    facts = json.loads((weights_dir() / "pocket.json").read_text(encoding="utf-8"))
    return (
        f"Pretraining `pocket`, the small network of this collection, took {facts['seconds']:,} s "
        f"and **{facts['n_train']:,} labelled pictures**."
    )


def published_pairs() -> pd.DataFrame:
    """Published cases with both: full fine-tuning minus scratch, in points, by examples.

    Columns: n_train, gain, source (its title), distance.
    """
    cases = comparable_cases()
    cases = cases[cases["points"] & cases["n_train"].notna()]
    cases = cases.dropna(subset=[FROM_SCRATCH, FULL_FINE_TUNING])
    sources = load_published().sources
    second_hand = cases["source"].map(sources["grade"]) == "C"
    titles = cases["source"].map(sources["title"]) + np.where(second_hand, " (second-hand)", "")
    gain = cases[FULL_FINE_TUNING] - cases[FROM_SCRATCH]
    return cases[["n_train", "distance"]].assign(gain=gain, source=titles)


def plot_published() -> Picture:
    """Draw `published_pairs`: what pretraining gained, by the number of training examples."""
    pairs = published_pairs()
    made, ax = figure("Published: what pretraining was worth, by examples", width=8.0)
    for name, look in looks(pairs["source"].unique()).items():
        own = pairs[pairs["source"] == name]
        ax.plot(own["n_train"], own["gain"], look.marker, color=look.colour, label=name)
    ax.axhline(0, color="#333333", lw=1)
    log_axis(ax)
    ax.set(xlabel="training examples (log scale)", ylabel="full fine-tuning minus scratch (points)")
    made.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)
    return made


def published_in_words() -> str:
    """How much pretraining gained up to 20,000 examples and with more, in published cases."""
    pairs = published_pairs()
    few, told = pairs["n_train"] <= 20_000, []
    for words, own in (("up to 20,000", pairs[few]), ("more", pairs[~few])):
        told.append(
            f"{words} examples: {own['gain'].median():.1f} points at the median of {len(own)} "
            f"cases, scratch level or ahead in {(own['gain'] <= 0).sum()}"
        )
    return f"*Published*, {'; '.join(told)}."
