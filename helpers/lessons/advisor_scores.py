"""Notebook 14: what the advisor's answers gave up on held-out tasks, beside what asks nothing."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pandas as pd

from helpers.display.figures import Picture, figure
from helpers.lessons.boxes import quoted
from helpers.paths import results_dir
from helpers.results.statistics import mean_interval, wilson_interval
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

LOOKS, RACES = "looks.csv", "advisor.csv"
FIRST, RACE = "the first answer", "a race of ten minutes"
WAYS = {  # what looks.csv calls each way to choose
    "look": FIRST,
    "constant": "a constant for each kind",
    "probe": f"always {label_of(FEATURE_EXTRACTION)}",
    LORA: f"always {label_of(LORA)}",
    "full": f"always {label_of(FULL_FINE_TUNING)}",
}
WITHIN = 1.5  # points below the best: still right


def looked() -> pd.DataFrame:
    """Points given up on held-out situations: a row a situation, a column of WAYS, and the kind.

    Given up: the best recorded mean accuracy there minus that of what was named. The constant is
    what gave up least on the other data sets of the same kind.
    """
    table = pd.read_csv(results_dir() / LOOKS)
    situation = ["modality", "task", "backbone", "image_size", "n_train"]
    wide = table.pivot(index=situation, columns="answer", values="regret_points")
    wide = wide[list(WAYS)].rename(columns=WAYS).reset_index()
    return wide.assign(kind=wide["modality"].map(KINDS))


def beside_constants() -> pd.DataFrame:
    """Mean points given up by each of WAYS, by kind, and how often within 1.5 of the best."""
    table = looked()
    points = table[list(WAYS.values())]
    shown = points.groupby(table["kind"]).mean().T
    shown = shown.assign(worst=points.max(), right=(points <= WITHIN + 1e-9).sum())
    names = {kind: f"{kind} ({n})" for kind, n in table["kind"].value_counts().items()}
    names["right"] = f"within {WITHIN:.1f} (of {len(table)})"
    return shown.rename(columns=names).round(1)


def constant_sentence() -> str:
    """Whether asking gives up less than a constant, and less than always the same approach."""
    table = looked()
    told = []
    for kind, own in table.groupby("kind"):
        means = own[list(WAYS.values())].mean()
        others = ", ".join(f"{name} {lost:.1f}" for name, lost in means.drop(FIRST).items())
        told.append(f"For {kind} it gave up {means[FIRST]:.1f} points; {others}.")
    right = (table[FIRST] <= WITHIN + 1e-9).mean()
    return (
        f"On {len(table)} held-out situations the first answer was within {WITHIN:.1f} points of "
        f"the best in **{right:.0%}**. {' '.join(told)}"
    )


def bought_in_words() -> str:
    """What a first answer gave beside choices that ask nothing, by kind, over data sets."""
    table, told = looked(), []
    for kind, own in table.groupby("kind"):
        lines = [_against(own, name) for name in WAYS.values() if name != FIRST]
        told.append(f"For **{kind}**, points that the first answer gave up more (+) or less (-), "
                    "averaged within data sets, with their 95 % interval:\n\n"
                    + "\n".join(lines))  # fmt: skip
    return "\n\n".join(told)


def _against(own: pd.DataFrame, name: str) -> str:
    """How much more the first answer gave up than one choice, with the interval over data sets."""
    if (own[FIRST] == own[name]).all():
        return f"- against *{name}*: the same in every situation"
    more = (own[FIRST] - own[name]).groupby(own["task"].map(family)).mean()
    if len(more) < 2:
        return f"- against *{name}*: {more.mean():+.1f}, on one data set"
    mean, low, high = mean_interval(more)
    sure = "" if low > 0 or high < 0 else ", which may be luck"
    told = f"{mean:+.1f} ({low:+.1f} to {high:+.1f} over {len(more)} data sets)"
    return f"- against *{name}*: {told}{sure}"


@cache
def raced() -> pd.DataFrame:
    """Points that first answer and race gave up, a row a case, where it was raced.

    Judged by the runs that are compared today, as the file's tool keeps them; a case that these
    lack is left out. Columns: FIRST, RACE, and `named`, a dict of what each mode of asking named.
    """
    asked = pd.read_csv(results_dir() / RACES).pivot(index="case", columns="mode")
    lost = asked["regret_points"].rename(columns={"look": FIRST, "measure": RACE}).dropna()
    return lost.assign(named=asked["recommended"].loc[lost.index].to_dict("records"))


def reversal_sentence() -> str:
    """How often a race named another approach than the first answer, and whether that helped."""
    table = raced()
    turned = table[[named["look"] != named["measure"] for named in table["named"]]]
    gained = turned[FIRST] - turned[RACE]
    told = (
        f"In {counted(len(table), 'case')} that were raced for ten minutes, the first answers of "
        f"that day gave up {table[FIRST].mean():.1f} points and the races {table[RACE].mean():.1f}."
    )
    if turned.empty:
        return f"{told} No race reversed the first answer."
    return (
        f"{told} A race reversed the first answer **{counted(len(turned), 'time')}**: "
        f"{(gained > 0).sum()} for the better, {(gained < 0).sum()} for the worse, by "
        f"{gained.mean():+.1f} points on average."
    )


def findings() -> str:
    """What the scores say today, for the notebook's last section."""
    return f"- {constant_sentence()}\n- {reversal_sentence()}"


def verdict_box() -> str:
    """The same as a Markdown quotation."""
    asked = pd.read_csv(results_dir() / RACES, parse_dates=["created"])["created"]
    first, last = asked.min(), asked.max()
    since = "on" if first.date() == last.date() else f"from {first:%d %B} to"
    days = f"- Raced {since} {last:%d %B %Y}; later changes are not in the races."
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
        p, both = other["p_value"], min(lead["judged"], other["judged"])  # judged in one order
        said += (
            f" Measured, they get {lead['accuracy']:.3f} and {other['accuracy']:.3f} right. On the "
            f"{both} examples that both judged, the difference "
            f"{'is clear' if p < 0.05 else 'may be luck'} (p = {p:.2g})."
        )
    return f"{said} What was expected came from other tasks, what was measured from yours."


def plot_test_size(measured: pd.DataFrame, n: int) -> Picture:
    """Draw the 95 % interval that n test examples leave around each measured accuracy.

    measured: a race's table, the leader first. Only approaches judged on as many examples as the
    leader are drawn: every race judges them in the same order, so they are the same examples. Where
    the leader is alone with its number, all are drawn.
    """
    alike = measured[measured["judged"] == measured["judged"].iloc[0]]
    measured = alike if len(alike) > 1 else measured
    made, ax = figure(f"What {n:,} test examples can tell", height=3.6)
    styles = looks(measured["approach"])
    for place, row in enumerate(measured.itertuples()):
        look, ends = styles[row.approach], wilson_interval(round(row.accuracy * n), n)
        ax.plot(ends, [place, place], color=look.colour, lw=3)
        ax.plot(row.accuracy, place, look.marker, color=look.colour, ms=9)
    ax.set_yticks(range(len(measured)), [styles[name].label for name in measured["approach"]])
    ax.set(xlabel="accuracy (bar: 95 % interval)", ylim=(-0.6, len(measured) - 0.4))
    return made
