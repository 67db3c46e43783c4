"""Notebook 14: what the advisor's answers gave up on held-out tasks, beside what asks nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pandas as pd

from helpers.display.figures import Picture, figure
from helpers.lessons.boxes import quoted
from helpers.paths import results_dir
from helpers.results.expected_regret import expected_regret
from helpers.results.learning_curves import comparable, measured_curves
from helpers.results.runs import load_runs
from helpers.results.statistics import wilson_interval
from helpers.tasks import family
from helpers.vocabulary import (
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    KINDS,
    LORA,
    counted,
    label_of,
    looks,
)

FIRST, RACE, CONSTANT = "the first answer", "a race of ten minutes", "a constant for each kind"
FIXED = {f"always {label_of(name)}": name for name in (LORA, FEATURE_EXTRACTION, FULL_FINE_TUNING)}
WITHIN = 1.5  # points below the best: still right


@cache
def given_up() -> pd.DataFrame:
    """Points that each way to choose gave up, a row a case: a task, a number of examples.

    Given up: the best recorded mean accuracy there minus that of what was named. The constant is
    what gave up least on the other data sets of the same kind. Columns: kind, FIRST, RACE (NaN
    where there was none), CONSTANT, those of FIXED; what FIRST and RACE `named` (a dict).
    """
    runs, asked = load_runs(), pd.read_csv(results_dir() / "advisor.csv")
    held, level = measured_curves(runs), comparable(runs)
    rows = {}
    for (case, task, n, network), own in asked.groupby(["case", "task", "n_train", "backbone"]):
        found = level[(level["task"] == task) & (level["backbone"] == network)]
        found = found[(found["n_train"] == n) & (found["dial"] == 0)]
        if found.empty:  # the recipe that is compared has not been run there
            continue
        size = found.groupby("image_size")["approach"].nunique().idxmax()  # all were compared there
        found = found[found["image_size"] == size]
        wide = found.pivot_table(index="seed", columns="approach", values="test_accuracy").dropna()
        lost = 100 * (wide.mean().max() - wide.mean())
        modality = found["modality"].iloc[0]
        constant = expected_regret(modality, held.without(family(task))).index[0]
        named = dict(zip(own["mode"], own["recommended"], strict=True))
        rows[case] = {"kind": KINDS[modality], FIRST: lost[named["look"]],
                      RACE: lost.get(named.get("measure")), CONSTANT: lost[constant],
                      **{title: lost[name] for title, name in FIXED.items()},
                      "named": named}  # fmt: skip
    return pd.DataFrame(rows).T


def raced() -> pd.DataFrame:
    """The cases of `given_up` that were raced, so that every way is scored on the same."""
    return given_up().dropna(subset=RACE)


def beside_constants() -> pd.DataFrame:
    """Mean points given up on `raced` cases, by kind, and how often within 1.5 of the best."""
    table, ways = raced(), [FIRST, RACE, CONSTANT, *FIXED]
    points = table[ways].astype(float)
    shown = (
        points.groupby(table["kind"])
        .mean()
        .T.assign(worst=points.max(), right=(points <= WITHIN + 1e-9).sum())
    )
    names = {kind: f"{kind} ({n})" for kind, n in table["kind"].value_counts().items()}
    names["right"] = f"within {WITHIN:.1f} (of {len(table)})"
    return shown.rename(columns=names).round(1)


def constant_sentence() -> str:
    """Whether asking is worth more than a constant, and where it is not."""
    table = raced()
    mean = {way: table[way].mean() for way in (FIRST, RACE, CONSTANT)}
    less, more = table[CONSTANT] < table[RACE], table[CONSTANT] > table[RACE]
    alike = [kind for kind, own in table.groupby("kind") if (own[FIRST] == own[CONSTANT]).all()]
    told = f" For {' and '.join(alike)} the first answer is that constant." if alike else ""
    return (
        f"On {len(table)} held-out cases the first answer gave up {mean[FIRST]:.1f} points on "
        f"average, a race of ten minutes {mean[RACE]:.1f}, a constant for each kind of data "
        f"{mean[CONSTANT]:.1f}.{told} **The constant did better than the race in {less.sum()}** of "
        f"them ({', '.join(table.index[less])}) and worse in {more.sum()}."
    )


def reversal_sentence() -> str:
    """How often a race named another approach than the first answer, and whether that helped."""
    turned = reversals()
    gained = turned[FIRST] - turned[RACE]
    return (
        f"The race reversed the first answer in **{len(turned)} of {len(raced())}** cases: "
        f"{counted(int((gained > 0).sum()), 'time')} for the better, {(gained < 0).sum()} for the "
        f"worse, by {gained.mean():+.1f} points on average."
    )


def reversals() -> pd.DataFrame:
    """The `raced` cases in which the race named another approach than the first answer."""
    table = raced()
    return table[[named["look"] != named["measure"] for named in table["named"]]]


def findings() -> str:
    """What the scores say today, for the notebook's last section."""
    return f"- {constant_sentence()}\n- {reversal_sentence()}"


def verdict_box() -> str:
    """The same as a Markdown quotation."""
    asked = pd.read_csv(results_dir() / "advisor.csv", parse_dates=["created"])["created"]
    first, last = asked.min(), asked.max()
    since = "on" if first.date() == last.date() else f"from {first:%d %B} to"
    days = f"- Asked {since} {last:%d %B %Y}; later changes are not in it."
    return quoted("What the scores say", [*findings().split("\n"), days])


def after_the_race(first: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What a race made of a first answer. first, after: what `advise` told without and with it."""
    names = [label_of(told["approach"]) for told in (first, after)]
    rows = {row["approach"]: row for row in after["measured"]}
    lead, other = (rows.get(told["approach"]) for told in (after, first))
    if names[0] == names[1]:
        return f"The race keeps the first answer, *{names[0]}*."
    said = f"The race reverses the first answer: *{names[1]}* in place of *{names[0]}*."
    if other is None:
        said += f" *{names[0]}* was not measured in these minutes."
    else:
        p = other["p_value"]
        said += (
            f" Measured, they get {lead['accuracy']:.3f} and {other['accuracy']:.3f} right. On the "
            f"{other['judged']} examples that both judged, the difference "
            f"{'is clear' if p < 0.05 else 'may be luck'} (p = {p:.2g})."
        )
    return f"{said} What was expected came from other tasks, what was measured from yours."


def plot_test_size(measured: pd.DataFrame, n: int) -> Picture:
    """Draw the 95 % interval that n test examples leave around each measured accuracy."""
    made, ax = figure(f"What {n:,} test examples can tell", height=3.6)
    styles = looks(measured["approach"])
    for place, row in enumerate(measured.itertuples()):
        look, ends = styles[row.approach], wilson_interval(round(row.accuracy * n), n)
        ax.plot(ends, [place, place], color=look.colour, lw=3)
        ax.plot(row.accuracy, place, look.marker, color=look.colour, ms=9)
    ax.set_yticks(range(len(measured)), [styles[name].label for name in measured["approach"]])
    ax.set(xlabel="accuracy (bar: 95 % interval)", ylim=(-0.6, len(measured) - 0.4))
    return made
