"""The map of evidence: what came first, by training examples and distance, here and as published.

Every mark names its source. A published data set has a row of its own inside the band of its word
of distance, since that is all that is known of it; without a judged distance it stands below.
"""

from __future__ import annotations

import html
import math
from itertools import pairwise

import pandas as pd

from helpers.decision import DEFAULTS, Situation, decide
from helpers.display.svg_charts import shape_of
from helpers.results.learning_curves import CURVE, Measured, whole_situations
from helpers.results.published.cases import regret_points
from helpers.vocabulary import DISTANCE_OF, DistanceWord, phrase_of, style_of

LEAST, MOST = 10, 1_000_000  # examples
BANDS = {
    DistanceWord.CLOSE: (0.0, DEFAULTS.distant),
    DistanceWord.DISTANT: (DEFAULTS.distant, DEFAULTS.very_distant),
    DistanceWord.VERY_DISTANT: (DEFAULTS.very_distant, 1.0),
    "": (-0.15, -0.02),
}
COLUMNS = ("evidence", "modality", "llm", "n", "distance", "approach", "rule", "gives_up", "words")
WIDTH, HEIGHT = 640, 360  # of the view box
LEFT, RIGHT, TOP, BOTTOM = 44, 630, 10, 318
TICKS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)


def own_marks(held: Measured) -> pd.DataFrame:
    """Return one row for each measured situation: `COLUMNS`, `gives_up` in points.

    rule: what the article's rule says there. gives_up: how far that approach lies below the first;
    NaN where it was not run.
    """
    rows, curves = [], {curve.key: curve for curve in held.curves}
    for _, own in whole_situations(held.situations).groupby("case"):
        at, means = own.iloc[0], own.set_index("approach")["mean"]
        size, curve = int(at["n_train"]), curves[tuple(at[CURVE])]
        ruled = decide(Situation(size, curve.distance, curve.modality)).approach
        first = str(means.idxmax())
        gap = 100 * (means.max() - means.get(ruled, math.nan))
        words = f"{phrase_of(first)} first: {curve.name}, {size:,} examples, measured here"
        fact = (curve.modality, False, size, curve.distance)
        rows.append(("own", *fact, first, ruled, gap, words))
    return pd.DataFrame(rows, columns=COLUMNS)


def published_marks(cases: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each data set and size of published cases: `COLUMNS`.

    cases: as `compared_cases` gives them. approach: the one that was first in most of its cases.
    gives_up: of the rule's approach, the mean over the cases that tried it.
    """
    regrets = regret_points(cases)
    cases = cases.assign(first=regrets.idxmin(axis=1), row=cases["data_set"])
    rows = []
    for (word, modality, llm), band in cases.groupby(["distance", "modality", "llm"]):
        order = {name: place for place, name in enumerate(sorted(set(band["data_set"])))}
        low, high = BANDS[word]
        for (name, size), own in band.groupby(["data_set", "n_train"]):
            distance = low + (high - low) * (order[name] + 0.5) / len(order)
            first = own["first"].mode().iloc[0]
            ruled, gap = _ruled(int(size), word, modality, llm == "yes", regrets.loc[own.index])
            count = (own["first"] == first).sum()
            sources = ", ".join(sorted(set(own["source"])))
            words = (
                f"{phrase_of(first)} first in {count} of {len(own)}: {name}, {int(size):,} "
                f"examples, published ({sources})"
            )
            fact = (modality, llm == "yes", int(size), distance)
            rows.append(("published", *fact, first, ruled, gap, words))
    return pd.DataFrame(rows, columns=COLUMNS)


def _ruled(
    size: int, word: str, modality: str, llm: bool, regrets: pd.DataFrame
) -> tuple[str, float]:
    """What the rule says of published cases and gives up there; ("", NaN) without a distance."""
    if word not in DISTANCE_OF or modality not in ("image", "text"):
        return "", math.nan
    ruled = decide(Situation(size, DISTANCE_OF[word], modality, llm)).approach
    return ruled, float(regrets[ruled].mean()) if ruled in regrets else math.nan


def x_of(examples: float) -> float:
    """Return where so many examples lie in the drawing, or its edge."""
    share = math.log(min(examples, MOST) / LEAST) / math.log(MOST / LEAST)
    return round(LEFT + share * (RIGHT - LEFT), 1)


def y_of(distance: float) -> float:
    """Return where a distance lies in the drawing."""
    low = BANDS[""][0]
    return round(BOTTOM - (distance - low) / (1 - low) * (BOTTOM - TOP), 1)


def draw_map(marks: pd.DataFrame, modality: str, llm: bool) -> str:
    """Return the map of one kind of model and data as SVG; `.here` in it is the reader's place."""
    own = marks[(marks["modality"] == modality) & (marks["llm"] == llm)]
    counts = own["evidence"].value_counts()
    label = (
        f"Map over training examples and distance: {counts.get('own', 0)} situations measured "
        f"here, {counts.get('published', 0)} published. Where answers turn, a table below says."
    )
    return "".join((
        f'<svg class="panel map" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(label)}">',
        *_boxes(modality, llm),
        *_axes(),
        *(_mark(row) for row in own.sort_values("evidence", ascending=False).itertuples()),
        f'<g class="here"><path d="M0 {TOP}V{BOTTOM}"/></g>'
        f'<g class="here"><path d="M{LEFT} 0H{RIGHT}"/></g></svg>',
    ))  # fmt: skip


def _mark(row) -> str:
    return (
        f'<path class="{row.evidence} s-{row.approach}" d="{shape_of(row.approach)}" '
        f'transform="translate({x_of(row.n)},{y_of(row.distance)})">'
        f"<title>{html.escape(row.words)}</title></path>"
    )


def boxes(modality: str = "image", llm: bool = False) -> list[tuple[tuple, tuple, str, str]]:
    """Return what the rule answers: ends of examples, of distance, its name and its approach."""
    sizes, heights = (LEAST, DEFAULTS.small, DEFAULTS.large, MOST), [BANDS[w] for w in DistanceWord]
    made = []
    for ends in pairwise(sizes):
        for band in heights:
            inside = Situation(int(math.sqrt(ends[0] * ends[1])), sum(band) / 2, modality, llm)
            told = decide(inside)
            made.append((ends, band, told.rule, told.approach))
    return made


def _boxes(modality: str, llm: bool) -> list[str]:
    parts = []
    for (low, high), (bottom, top), rule, approach in boxes(modality, llm):
        x, y = x_of(low), y_of(top)
        parts.append(
            f'<rect class="box s-{approach}" x="{x}" y="{y}" width="{x_of(high) - x:.1f}" '
            f'height="{y_of(bottom) - y:.1f}"/><text x="{x + 5}" y="{y + 14}">{rule}: '
            f"{style_of(approach).short}</text>"
        )
    return parts


def _axes() -> list[str]:
    parts = [f'<path class="axis" d="M{LEFT} {y_of(0)}H{RIGHT}M{LEFT} {BOTTOM}H{RIGHT}"/>']
    for tick in TICKS:
        x, anchor = x_of(tick), "end" if tick == MOST else "middle"
        parts.append(f'<path class="grid" d="M{x} {BOTTOM}v5"/>')
        parts.append(f'<text x="{x}" y="{BOTTOM + 18}" text-anchor="{anchor}">{tick:,}</text>')
    for tick in (0, 0.33, 0.67, 1):
        y = max(y_of(tick) + 4, TOP + 8)
        parts.append(f'<text x="{LEFT - 6}" y="{y}" text-anchor="end">{tick:g}</text>')
    middle = (LEFT + RIGHT) / 2
    words = "training examples (log scale); up: distance; below 0: not judged"
    parts.append(f'<text x="{middle}" y="{HEIGHT - 5}" text-anchor="middle">{words}</text>')
    return parts
