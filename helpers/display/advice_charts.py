"""The report's figures as SVG that follows light and dark: candidates with intervals, and costs."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from helpers.display.svg_charts import duration, shape_of
from helpers.vocabulary import label_of, style_of

WIDTH, LEFT, RIGHT = 640, 168, 600
ROW, TOP, FOOT = 30, 14, 40
HEIGHT, BOTTOM, PLOT_LEFT = 330, 280, 56


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
    for power in range(math.ceil(first), math.floor(last) + 1):
        at = x(10**power)
        parts.append(f'<path class="grid" d="M{at} {TOP}V{BOTTOM}"/>')
        parts.append(_axis(at, BOTTOM + 16, duration(10**power)))
    for row, at, beside in _placed(rows, x, y):
        weight = ' font-weight="700"' if row["approach"] == taken else ""
        left, name = at > RIGHT - 70, html.escape(style_of(row["approach"]).short)
        parts.append(
            f'<g class="s-{row["approach"]} {"" if row["measured"] else "open"}">'
            f"{_mark(row, at, y(row['accuracy']))}</g>"
            f'<text x="{at - 10 if left else at + 10}" y="{beside + 4}"'
            f'{weight} text-anchor="{"end" if left else "start"}">{name}</text>'
        )
    words = "training on this machine, log scale; upwards: accuracy"
    parts.append(_axis((PLOT_LEFT + RIGHT) / 2, BOTTOM + 36, words))
    said = "; ".join(f"{_label(r)} {r['accuracy']:.3f} in {duration(r['train_seconds'])}"
                     for r in rows)  # fmt: skip
    return _svg(parts, HEIGHT, f"Accuracy against training time here: {said}")


def _placed(rows: Sequence[Mapping[str, Any]], x: Any, y: Any) -> list[tuple]:
    """(row, x, height of its name): names that would overlap are moved apart."""
    placed: list[tuple] = []
    for row in sorted(rows, key=lambda row: -row["accuracy"]):
        at, wanted = x(row["train_seconds"]), y(row["accuracy"])
        for _, other, taken in placed:
            if abs(other - at) < 78 and wanted - taken < 15:
                wanted = max(wanted, taken + 15)
        placed.append((row, at, wanted))
    return placed


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
