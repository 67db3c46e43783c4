"""The rule's thresholds, for notebook 10: does the best approach change where the rule turns?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import pandas as pd

from helpers.decision import DEFAULTS, FALLBACK, Situation, ruled
from helpers.display.figures import Picture, figure
from helpers.lessons.rule_trial import DRAWN, WHERE, evidence
from helpers.results.expected_regret import mean_regret
from helpers.results.statistics import CONFIDENCE, holm, t_p_value
from helpers.vocabulary import (
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    PARTIAL_FINE_TUNING,
    counted,
    label_of,
    looks,
)


@dataclass(frozen=True)
class RuleThreshold:
    """A threshold of the rule: the column that it cuts, and the situations that it is about.

    edges: of the bands that are shown, the threshold among them. below, above: what the rule says
    on either side, empty where it says nothing.
    """

    about: str
    column: str
    at: float
    edges: Sequence[float]
    keeps: Callable[[pd.DataFrame], pd.Series]
    below: str = ""
    above: str = ""

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """The situations that the threshold is about."""
        return table[self.keeps(table) & table[self.column].notna()]


SIZES = (0, 100, 400, 2_000, 5_000, 20_000, 100_000, float("inf"))
THRESHOLDS = {
    f"{DEFAULTS.small:,} examples": RuleThreshold(
        "close data", "n_train", DEFAULTS.small, SIZES,
        lambda t: t["distance"] < DEFAULTS.distant, below=FEATURE_EXTRACTION,
    ),
    "a distance of one third": RuleThreshold(
        f"fewer than {DEFAULTS.small:,} examples", "distance", DEFAULTS.distant,
        (0, 0.2, DEFAULTS.distant, 0.45, 0.6, 1.01), lambda t: t["n_train"] < DEFAULTS.small,
        below=FEATURE_EXTRACTION,
    ),
    f"{DEFAULTS.large:,} examples": RuleThreshold(
        "data that is not close", "n_train", DEFAULTS.large, SIZES,
        lambda t: t["distance"] >= DEFAULTS.distant,
        below=PARTIAL_FINE_TUNING, above=FULL_FINE_TUNING,
    ),
}  # fmt: skip


def plot_threshold(threshold: str) -> Picture:
    """Draw what approaches give up in the bands on both sides of a threshold of the rule."""
    asked = THRESHOLDS[threshold]
    bands = list(pairwise(asked.edges))
    title = f"{asked.about.capitalize()}: does the answer turn at {threshold}?"
    made, axes = figure(title, width=8.0, height=3.8, columns=2, sharey=True)
    for ax, (where, words) in zip(axes, WHERE.items(), strict=True):
        rows = asked.rows(evidence()[where])
        sides = [rows[rows[asked.column].between(*ends, inclusive="left")] for ends in bands]
        found = {i: 100 * mean_regret(side)["regret"] for i, side in enumerate(sides)}
        for name, look in looks(DRAWN).items():
            given_up = pd.Series(
                {i: regrets.get(name) for i, regrets in found.items()}, dtype=float
            )
            ax.plot(given_up, color=look.colour, marker=look.marker, label=look.label)
        ax.axvline(list(asked.edges).index(asked.at) - 0.5, color="#333333", ls="--", lw=1)
        ax.set_xticks(range(len(bands)), [_band(*ends) for ends in bands], rotation=30, ha="right")
        ax.set(title=words, xlim=(-0.5, len(bands) - 0.5))
    axes[0].set(ylabel="points given up", ylim=(0, None))
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return made


def _band(low: float, high: float) -> str:
    ends = [f"{end:,.0f}" if end > 1.5 else f"{end:.2f}" for end in (low, high)]
    if low == 0:
        return f"under {ends[1]}"
    return f"{ends[0]} on" if high == float("inf") or high == 1.01 else f"{ends[0]} to {ends[1]}"


SAME, OTHER, UNCLEAR = "same", "other", "unclear"


class Side(NamedTuple):
    """A side of a threshold: what the evidence would choose there, in words, and its situations.

    ended: SAME where the rule says so, too, OTHER, or UNCLEAR where nothing beats that beyond luck
    (`_clearly_beaten`); "" where the rule names nothing that was tried.
    """

    told: str
    cases: frozenset[str]
    ended: str = ""


def _sides() -> dict[tuple[str, str], list[Side]]:
    """Each threshold and evidence with `_side` below and above."""
    found = {}
    for threshold, asked in THRESHOLDS.items():
        for where in WHERE:
            table = asked.rows(evidence()[where])
            below = table[asked.column] < asked.at
            both = (table[below], asked.below), (table[~below], asked.above)
            found[threshold, where] = [_side(*one) for one in both]
    return found


def at_the_thresholds() -> pd.DataFrame:
    """Return what the evidence would choose on both sides of each threshold, own and published.

    Each side: the approach with the lowest mean regret, data sets weighing alike, and in brackets
    the number of data sets and, where the rule names an approach for that side that was tried, what
    that gives up. Where it names one, only situations count in which the rule says so.
    """
    rows = {place: [side.told for side in both] for place, both in _sides().items()}
    return pd.DataFrame(rows, index=["below", "from there on"]).T


def _side(rows: pd.DataFrame, says: str) -> Side:
    if says:
        rows = rows[_said(rows) == says]
    found, cases = mean_regret(rows)["regret"], frozenset(rows["case"])
    if found.empty:
        return Side(f"nothing measured{' where the rule speaks' if says else ''}", cases)
    best, held = str(found.index[0]), counted(rows["family"].nunique(), "data set")
    if says not in found.index:
        return Side(f"{label_of(best)} ({held})", cases)
    ended = SAME
    if best != says:
        ended = OTHER if _clearly_beaten(rows, says) else UNCLEAR
    unsure = ", no clear winner" if ended == UNCLEAR else ""
    told = (
        f"{label_of(best)} (what the rule names gives up {100 * found[says]:.1f}; {held}{unsure})"
    )
    return Side(told, cases, ended)


def _clearly_beaten(rows: pd.DataFrame, says: str) -> bool:
    """Whether any other approach gains, on the data sets that tried both, beyond luck.

    All others are looked at, and the p-values are corrected for it.
    """
    wide = rows.pivot(index=["family", "case"], columns="approach", values="mean")
    gains = wide.drop(columns=says).sub(wide[says], axis=0).groupby("family").mean()
    mean, held = gains.mean(), gains.count()
    p_values = pd.Series(t_p_value(mean, gains.sem(), held - 1), mean.index).fillna(1.0)
    return bool((holm(p_values)[mean > 0] < 1 - CONFIDENCE).any())


def _said(rows: pd.DataFrame) -> pd.Series:
    """What one of the article's rules says of size and distance in each row; "" where none does."""
    facts = zip(rows["n_train"], rows["distance"], strict=True)
    said = [ruled(Situation(int(examples), distance)) for examples, distance in facts]
    named = ["" if one.rule == FALLBACK else one.approach for one in said]
    return pd.Series(named, index=rows.index, dtype=object)


def threshold_sentence() -> str:
    """Say on how many sides of the thresholds the evidence chooses what the rule says there.

    Sides of two thresholds that hold the same situations count once.
    """
    sides = [side for both in _sides().values() for side in both]
    ends = list({side.cases: side.ended for side in sides if side.ended}.values())
    return (
        f"The rule names an approach that was tried on {len(ends)} of these sides: the evidence "
        f"would choose the same on **{ends.count(SAME)}** of them, clearly another on "
        f"**{ends.count(OTHER)}**, and **{ends.count(UNCLEAR)}** have no clear winner."
    )
