"""The report's figures as SVG that follows light and dark: candidates with intervals, and costs."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from helpers.display.svg_charts import duration, shape_of
from helpers.vocabulary import label_of

WIDTH, LEFT, RIGHT = 500, 158, 476
ROW, TOP, FOOT = 30, 14, 40
HEIGHT, BOTTOM, PLOT_LEFT = 330, 280, 56
LETTER = 7.2  # width of a name's letter
TIMES = {0.01: "0.01 s", 0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min",
         3_600: "1 hour", 36_000: "10 hours", 360_000: "100 hours"}  # fmt: skip


def accuracy_figure(rows: Sequence[Mapping[str, Any]], chance: float, taken: str) -> str:
    """Each candidate's accuracy with its interval; filled where it was measured on this data."""
    low, high = _ends([v for row in rows for v in (row["low"], row["high"])] + [chance])
    bottom = TOP + ROW * len(rows)

    def x(value: float) -> float:
        return round(LEFT + (value - low) / (high - low) * (RIGHT - LEFT), 1)

    parts = []
    for tick in _ticks(low, high):
        parts.append(f'<path class="grid" d="M{x(tick)} {TOP}V{bottom}"/>'
                     f'<text class="soft" x="{x(tick)}" y="{bottom + 16}" text-anchor="middle">'
                     f"{tick:.1f}</text>")  # fmt: skip
    parts.append(f'<path class="chance" d="M{x(chance)} {TOP - 8}V{bottom}"/>')
    for place, row in enumerate(rows):
        y = TOP + ROW * place + ROW / 2
        weight = ' font-weight="700"' if row["approach"] == taken else ""
        parts.append(
            f'<text x="{LEFT - 14}" y="{y + 4}" text-anchor="end"{weight}>{_label(row)}</text>'
            f'<g class="s-{row["approach"]} {"" if row["measured"] else "open"}">'
            f'<path class="span" d="M{x(row["low"])} {y}H{x(row["high"])}"/>'
            f"{_mark(row, x(row['accuracy']), y)}</g>"
        )
    parts.append(_axis((LEFT + RIGHT) / 2, bottom + 34, "accuracy (dashed: chance)"))
    said = "; ".join(f"{_label(r)} {r['accuracy']:.3f} ({r['low']:.3f} to {r['high']:.3f})"
                     for r in rows)  # fmt: skip
    return _svg(parts, bottom + FOOT, f"Accuracy of each approach with 95 % interval: {said}")


def cost_figure(rows: Sequence[Mapping[str, Any]], taken: str) -> str:
    """Accuracy over training seconds on this machine, on a logarithmic scale."""
    low, high = _ends([row["accuracy"] for row in rows])
    seconds = [max(0.01, row["train_seconds"]) for row in rows]
    first, last = math.log10(min(seconds)) - 0.2, math.log10(max(seconds)) + 0.35

    def x(value: float) -> float:
        share = (math.log10(max(0.01, value)) - first) / (last - first)
        return round(PLOT_LEFT + share * (RIGHT - PLOT_LEFT), 1)

    def y(value: float) -> float:
        return round(BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP), 1)

    parts = [
        f'<path class="grid" d="M{PLOT_LEFT} {y(t)}H{RIGHT}"/><text class="soft" '
        f'x="{PLOT_LEFT - 8}" y="{y(t) + 4}" text-anchor="end">{t:.2g}</text>'
        for t in _ticks(low, high)
    ]
    for second, named in TIMES.items():
        if first <= math.log10(second) <= last:
            at = x(second)
            parts.append(f'<path class="grid" d="M{at} {TOP}V{BOTTOM}"/>')
            parts.append(_axis(at, BOTTOM + 16, named))
    points = [(x(row["train_seconds"]), y(row["accuracy"])) for row in rows]
    names = [_label(row) for row in rows]
    for row, point, (at, beside, name) in zip(rows, points, _placed(names, points), strict=True):
        weight = ' font-weight="700"' if row["approach"] == taken else ""
        if abs(beside - 4 - point[1]) > 1:  # not beside its mark
            edge = beside + (3 if point[1] > beside else -12)
            parts.append(f'<path class="lead" d="M{point[0]} {point[1]}L{at:.1f} {edge:.1f}"/>')
        parts.append(
            f'<g class="s-{row["approach"]} {"" if row["measured"] else "open"}">'
            f"{_mark(row, *point)}</g>"
            f'<text x="{at:.1f}" y="{beside:.1f}"{weight} text-anchor="middle">{name}</text>'
        )
    words = "training on this machine, log scale; upwards: accuracy"
    parts.append(_axis((PLOT_LEFT + RIGHT) / 2, BOTTOM + 36, words))
    said = "; ".join(f"{_label(r)} {r['accuracy']:.3f} in {duration(r['train_seconds'])}"
                     for r in rows)  # fmt: skip
    return _svg(parts, HEIGHT, f"Accuracy against training time here: {said}")


def _placed(
    names: Sequence[str], points: Sequence[tuple[float, float]]
) -> list[tuple[float, float, str]]:
    """(middle, baseline, name) of each name: beside its point, as near as it covers no other."""
    boxes = [(x - 9, y - 9, x + 9, y + 9) for x, y in points]  # of the marks, then of names too
    placed = []
    for name, (x, y) in zip(names, points, strict=True):
        half = LETTER * len(html.unescape(name)) / 2
        beside = [(x + side * (half + 12), y + 4) for side in (1, -1)]
        around = [(at, y + 4 + step) for step in (19, -17, 34, -32, 49, -47, 64, 79)
                  for at in (x, x + half, x - half)]  # fmt: skip
        for at, base in (*beside, *around):
            box = (at - half, base - 11, at + half, base + 3)
            inside = min(box[0] - PLOT_LEFT, WIDTH - box[2], box[1], BOTTOM - base) > 0
            if inside and not any(_overlap(box, other) for other in boxes):
                break
        boxes.append(box)
        placed.append((at, base, name))
    return placed


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes (left, top, right, bottom) share anything."""
    apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    return not apart


def _label(row: Mapping[str, Any]) -> str:
    return html.escape(label_of(row["approach"]))


def _mark(row: Mapping[str, Any], x: float, y: float) -> str:
    shape = shape_of(row["approach"])
    return f'<path class="mark" transform="translate({x},{y}) scale(1.25)" d="{shape}"/>'


def _axis(x: float, y: float, words: str) -> str:
    return f'<text class="soft" x="{x}" y="{y}" text-anchor="middle">{words}</text>'


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = max(0.02, 0.06 * (high - low))
    return max(0.0, low - pad), min(1.0, high + pad)


def _ticks(low: float, high: float) -> list[float]:
    step = 0.1 if high - low > 0.25 else 0.05 if high - low > 0.1 else 0.02
    first = math.ceil(low / step)
    return [round(step * i, 2) for i in range(first, math.floor(high / step) + 1)]


def _svg(parts: Sequence[str], height: float, words: str) -> str:
    told = html.escape(words, quote=True)
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{told}">'
        f"{''.join(parts)}</svg>"
    )
