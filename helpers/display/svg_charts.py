"""Learning curves as hand-written SVG, their numbers as a table, and the marks of approaches.

A panel is drawn once; what moves with a slider is one group, so a redraw costs next to nothing.
Colours are CSS variables (see `helpers.display.theme`), so that light and dark share one drawing.
"""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from helpers.results.learning_curves import REACH_SIZE, Curve
from helpers.results.statistics import interval_table
from helpers.vocabulary import label_of, ordered, style_of

WIDTH, HEIGHT = 360, 236  # of the view box
LEFT, RIGHT, TOP, BOTTOM = 42, 350, 22, 194  # of the plotted area
# Matplotlib's markers as paths around (0, 0).
SHAPES = {
    "*": "M0-5.6 1.5-1.8 5.4-1.7 2.3.8 3.4 4.6 0 2.3-3.4 4.6-2.3.8-5.4-1.7-1.5-1.8Z",
    "o": "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0-4 0Z",
    "s": "M-3.6-3.6H3.6V3.6H-3.6Z",
    "D": "M0-5 5 0 0 5-5 0Z",
    "P": "M-1.7-4.8H1.7V-1.7H4.8V1.7H1.7V4.8H-1.7V1.7H-4.8V-1.7H-1.7Z",
    "^": "M0-4.8 4.6 3.8H-4.6Z",
    "v": "M0 4.8 4.6-3.8H-4.6Z",
    "X": "M-4.6-2.4-2.4-4.6 0-2.2 2.4-4.6 4.6-2.4 2.2 0 "
    "4.6 2.4 2.4 4.6 0 2.2-2.4 4.6-4.6 2.4-2.2 0Z",
    "<": "M-4.8 0 3.8-4.6V4.6Z",
    ">": "M4.8 0-3.8-4.6V4.6Z",
    "p": "M0-4.8 4.6-1.5 2.8 3.9H-2.8L-4.6-1.5Z",
    "h": "M0-4.8 4.2-2.4V2.4L0 4.8-4.2 2.4V-2.4Z",
    "d": "M0-5 3 0 0 5-3 0Z",
    "8": "M-1.8-4.4H1.8L4.4-1.8V1.8L1.8 4.4H-1.8L-4.4 1.8V-1.8Z",
}


@dataclass(frozen=True)
class Panel:
    """One learning curve, drawn: `svg` holds `@marks@` where what moves belongs."""

    name: str
    place: str  # how far the task lies, in words
    svg: str
    table: str
    low: float  # the ends of both axes
    high: float
    least: float
    most: float

    def x(self, examples: float) -> float:
        """Return where so many examples lie, inside of the axes or on their edge."""
        inside = min(max(examples, self.least), self.most)
        share = math.log(inside / self.least) / math.log(self.most / self.least)
        return round(LEFT + share * (RIGHT - LEFT), 1)

    def y(self, accuracy: float) -> float:
        """Return where an accuracy lies, inside of the axes or on their edge."""
        share = (min(max(accuracy, self.low), self.high) - self.low) / (self.high - self.low)
        return round(BOTTOM - share * (BOTTOM - TOP), 1)

    def mark(self, examples: int) -> tuple[float, str, str]:
        """Return x, text anchor and words of the line that marks a number of examples."""
        x = self.x(examples)
        anchor = "start" if x < LEFT + 50 else "end" if x > RIGHT - 50 else "middle"
        words = f"{examples:,} examples"
        if examples > self.most:
            return x, anchor, f"{words} →"
        return x, anchor, f"← {words}" if examples < self.least else words


def shape_of(approach: str) -> str:
    """Return an approach's marker as a path; a circle for a marker that has no path here."""
    return SHAPES.get(style_of(approach).marker, SHAPES["o"])


def swatch(approach: str) -> str:
    """Return an approach's line and marker, as they are in the curves, to stand before its name."""
    return (
        f'<svg class="swatch s-{approach}" viewBox="-12 -7 24 14" width="24" height="14" '
        f'aria-hidden="true"><path class="line" d="M-12 0H12"/>{_marker(approach)}</svg>'
    )


def marks(examples: tuple[float, str, str], live: Iterable[tuple[float, float, str]] = ()) -> str:
    """Return the line at the asked number of examples, and live points: (x, y, words)."""
    x, anchor, words = examples
    points = "".join(
        f'<g class="live" transform="translate({px},{py})"><circle r="7"/><circle class="core" '
        f'r="2.5"/><title>{html.escape(told)}</title></g>'
        for px, py, told in live
    )
    return (
        f'<g class="you" transform="translate({x},0)"><path d="M0 {TOP - 4}V{BOTTOM}"/>'
        f'<text y="12" text-anchor="{anchor}">{words}</text></g>{points}'
    )


def draw_panel(curve: Curve) -> Panel:
    """Draw a curve: means, and a band and bars where an approach has two seeds."""
    table = summary(curve)
    sizes = sorted(curve.accuracy)
    low, high = _ends(table)
    head = f"{name_of(curve)}, {curve.image_size} {'tokens' if curve.modality == 'text' else 'px'}"
    place = f"distance {curve.distance:.2f}, {curve.how}"
    least, most = sizes[0] / REACH_SIZE, sizes[-1] * REACH_SIZE
    panel = Panel(head, place, "", _table(table, sizes), low, high, least, most)
    label = f"Test accuracy against training examples: {head}. The numbers are in the table below."
    parts = [
        f'<svg class="panel" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(label)}">',
        *_axes(panel, sizes),
        *(_series(panel, own, name) for name, own in _in_order(table)),
        "@marks@</svg>",
    ]
    return replace(panel, svg="".join(parts))


def name_of(curve: Curve) -> str:
    """Return a curve's task, step of the dial and backbone in words."""
    dialled = f", dial {curve.dial:.2f}" if curve.dial else ""
    return f"{label_of(curve.task)}{dialled} on {curve.backbone}"


def summary(curve: Curve) -> pd.DataFrame:
    """Return mean, low and high of a curve, a row for each size and approach.

    low, high: 95 %, over seeds; NaN for a single one.
    """
    long = [
        accuracy.melt(var_name="approach", value_name="accuracy").assign(n_train=size)
        for size, accuracy in curve.accuracy.items()
    ]
    return interval_table(pd.concat(long), ["n_train", "approach"], "accuracy").dropna(
        subset="mean"
    )


def _in_order(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    own = {str(name): rows for name, rows in table.groupby("approach")}
    return [(name, own[name]) for name in ordered(own)]


def _ends(table: pd.DataFrame) -> tuple[float, float]:
    """Ends of the accuracy axis, on twentieths, that hold every mean and most of the bands."""
    table = table.fillna({"low": table["mean"], "high": table["mean"]})
    spread = table["mean"].max() - table["mean"].min()
    low = max(table["low"].min(), table["mean"].min() - 0.3 * spread - 0.02, 0.0)
    high = min(table["high"].max(), table["mean"].max() + 0.3 * spread + 0.02, 1.0)
    low, high = math.floor(20 * low) / 20, math.ceil(20 * high) / 20
    return low, max(high, low + 0.05)


def _axes(panel: Panel, sizes: Sequence[int]) -> list[str]:
    span = panel.high - panel.low
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if span / s <= 5 or s == 0.2)
    ticks = [i * step for i in range(round(1 / step) + 1)]
    parts = []
    for tick in (t for t in ticks if panel.low - 1e-9 <= t <= panel.high + 1e-9):
        y = panel.y(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:.2f}</text>')
    for size in sizes:
        x = panel.x(size)
        parts.append(f'<path class="grid" d="M{x} {BOTTOM}v4"/>')
        parts.append(f'<text x="{x}" y="{BOTTOM + 17}" text-anchor="middle">{size:,}</text>')
    middle = (LEFT + RIGHT) / 2
    parts.append(f'<path class="axis" d="M{LEFT} {BOTTOM}H{RIGHT}"/>')
    words = "test accuracy, by training examples (log scale)"
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{words}</text>')
    return parts


def _series(panel: Panel, rows: pd.DataFrame, approach: str) -> str:
    rows = rows.sort_values("n_train")
    means = [(panel.x(row.n_train), panel.y(row.mean)) for row in rows.itertuples()]
    ends = [
        (panel.x(row.n_train), panel.y(row.low), panel.y(row.high))
        for row in rows.dropna().itertuples()
    ]
    line = "M" + "L".join(f"{x} {y}" for x, y in means)
    edge = [*((x, high) for x, _, high in ends), *((x, low) for x, low, _ in ends[::-1])]
    band = "M" + "L".join(f"{x} {y}" for x, y in edge) + "Z" if ends else ""
    bars = "".join(f"M{x} {low}V{high}" for x, low, high in ends)
    dots = "".join(_marker(approach, x, y) for x, y in means)
    return (
        f'<g class="series s-{approach}"><path class="band" d="{band}"/>'
        f'<path class="bar" d="{bars}"/><path class="line" d="{line}"/>{dots}</g>'
    )


def _marker(approach: str, x: float = 0.0, y: float = 0.0) -> str:
    moved = f' transform="translate({x},{y})"' if x or y else ""
    return f'<path class="mark" d="{shape_of(approach)}"{moved}/>'


def _table(table: pd.DataFrame, sizes: Sequence[int]) -> str:
    """The panel's numbers: a row for each approach, a column for each size."""
    heads = "".join(f'<th scope="col">{size:,}</th>' for size in sizes)
    rows = []
    for name, own in _in_order(table):
        by_size = own.set_index("n_train")
        cells = "".join(
            f"<td>{_cell(by_size.loc[size])}</td>" if size in by_size.index else "<td>–</td>"
            for size in sizes
        )
        rows.append(f'<tr><th scope="row">{html.escape(label_of(name))}</th>{cells}</tr>')
    return (
        f'<table class="numbers"><thead><tr><th scope="col">examples</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _cell(row: pd.Series) -> str:
    reach = f"{row['low']:.3f} to {row['high']:.3f}" if row["runs"] > 1 else "one run"
    return f"{row['mean']:.3f} <small>{reach}</small>"


def duration(seconds: float) -> str:
    """Return a training time with two or three digits."""
    return f"{short(seconds)} s" if seconds < 120 else f"{short(seconds / 60)} min"


def short(value: float) -> str:
    """Return a cost with about three digits."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"
