"""The explorer's answer as HTML, for the notebook; the page's script writes the same parts."""

import html
from collections.abc import Iterable, Mapping, Sequence

from helpers.decision import Decision, Reason, ReasonKind
from helpers.display.explorer.settings import apart_words, comparison, rule_title
from helpers.display.svg_charts import Panel, duration, marks, shape_of, short, swatch
from helpers.results.evidence import CLEAR, NONE, Candidate, Evidence
from helpers.vocabulary import APPROACH_STYLE, phrase_of

CHIPS = {CLEAR: ("clear", "●"), NONE: ("none", "○")}  # else too close to call
# The class that a reason's list item has in the style sheet; the others are set plainly.
REASON_CLASSES = {
    ReasonKind.NO_MATCH: "no",
    ReasonKind.MATCH: "match",
    ReasonKind.FLIP: "match",
}
HEADS = ("approach", "accuracy", "95 % interval", "points below best", "training", "stored",
         "latency", "runs")  # fmt: skip


def rule_card(ruled: Decision) -> str:
    """Return the rule's answer, its reasons in order, and what would change it."""
    first = f'<p class="sub">First: {ruled.first}.</p>' if ruled.first else ""
    reasons = "".join(
        f'<li class="{REASON_CLASSES.get(reason.kind, "")}">{html.escape(reason.text)}</li>'
        for reason in ruled.reasons
    )
    applied = [flip for flip in ruled.flips if flip.applied]
    changes = [flip for flip in ruled.flips if not flip.applied]
    return (
        f'<section class="card"><h2>What the rule says</h2><p class="answer">'
        f"{swatch(ruled.approach)}{phrase_of(ruled.approach)} "
        f'<span class="chip">{rule_title(ruled.rule)}</span></p>'
        f'{first}<ol class="why">{reasons}</ol>'
        f"{_flips('What turned it', 'applied', applied)}"
        f"{_flips('What would change it', '', changes)}</section>"
    )


def _flips(head: str, kind: str, flips: Iterable) -> str:
    # The reasons say why an applied flip applies; here stands what it turned the answer to.
    items = "".join(
        f'<li class="{kind}">{html.escape(flip.name)}: '
        f"{html.escape(phrase_of(flip.approach) if flip.applied else flip.why)}</li>"
        for flip in flips
    )
    return f'<h3 class="block">{head}</h3><ul class="flips">{items}</ul>' if items else ""


def measured_card(ruled: Decision, found: Evidence) -> str:
    """Return the measured answer, or plainly that there is none."""
    kind, sign = CHIPS.get(found.verdict, ("close", "◐"))
    chip = f'<span class="chip {kind}">{sign} {found.verdict}</span>'
    named = f"{swatch(found.take)}{phrase_of(found.take)}" if found.take else "No evidence"
    side = comparison(ruled, found)
    key = f'<p class="key">{html.escape(side)}</p>' if side else ""
    said = "".join(f"<p>{html.escape(reason.text)}</p>" for reason in source_last(found.reasons))
    return (
        f'<section class="card"><h2>What was measured near here</h2>'
        f'<p class="answer">{named} {chip}</p><div class="said">{key}{said}</div></section>'
    )


def source_last(reasons: Sequence[Reason]) -> list[Reason]:
    """Return the reasons of the records as they are shown: which curves were read comes last."""
    return sorted(reasons, key=lambda reason: reason.kind is ReasonKind.SOURCE)


def candidate_table(ruled: Decision, found: Evidence) -> str:
    """Return what was tried near here and what it cost, best accuracy first."""
    if not found.candidates:
        return ""
    low = min(c.low for c in found.candidates)
    high = max(c.high for c in found.candidates)
    best = found.candidates[0].accuracy
    heads = "".join(f'<th scope="col">{head}</th>' for head in HEADS)
    rows = "".join(
        _row(c, (low, high), best, c.approach == ruled.approach, c.approach == found.take)
        for c in found.candidates
    )
    return (
        '<section class="card block"><h2>Everything tried near here, and what it cost</h2>'
        f'<div class="scroll"><table class="tried block"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _row(c: Candidate, ends: tuple[float, float], best: float, told: bool, taken: bool) -> str:
    tags = "".join(f'<span class="tag">{tag}</span>'
                   for tag, on in (("rule", told), ("take", taken)) if on)  # fmt: skip
    points = 100 * (round(best, 4) - round(c.accuracy, 4))
    below = f"{points:.1f}" if points >= 0.05 else "–"
    costs = (
        ("below best", below),
        (HEADS[4], duration(c.train_seconds)),
        (HEADS[5], f"{short(c.stored_mb)} MB"),
        (HEADS[6], f"{short(c.latency_ms)} ms"),
        (HEADS[7], str(c.runs)),
    )
    return (
        f'<tr class="{"told" if told or taken else ""}"><th scope="row">{swatch(c.approach)}'
        f"{phrase_of(c.approach)}{tags}</th>"
        f'<td class="wide"><b>{c.accuracy:.3f}</b> {interval_mark(c, ends)}</td>'
        f'<td data-head="{HEADS[2]}">{c.low:.3f} to {c.high:.3f}</td>'
        + "".join(f'<td data-head="{head}">{value}</td>' for head, value in costs)
        + "</tr>"
    )


def interval_mark(c: Candidate, ends: tuple[float, float]) -> str:
    """Return an accuracy and its interval drawn on a rail from the least to the most."""
    low, high = ends
    span = (high - low) or 1.0
    left, middle, right = (
        round(4 + 112 * (v - low) / span, 1) for v in (c.low, c.accuracy, c.high)
    )
    shape = shape_of(c.approach)
    return (
        f'<svg class="range s-{c.approach}" viewBox="0 0 120 14" aria-hidden="true">'
        f'<path class="rail" d="M4 7H116"/><path class="span" d="M{left} 7H{right}"/>'
        f'<path class="mark" transform="translate({middle},7)" d="{shape}"/></svg>'
    )


def curves_card(
    panels: Sequence[Panel],
    examples: int,
    near: bool,
    live: Mapping[str, Sequence[tuple[int, float, str]]] | None = None,
) -> str:
    """Return learning curves with the asked number of examples marked, and their numbers.

    live: points to drop on a panel, by its name: (examples, accuracy, words).
    """
    figures, tables = [], []
    for panel in panels:
        points = [(panel.x(n), panel.y(y), told) for n, y, told in (live or {}).get(panel.name, ())]
        drawn = panel.svg.replace("@marks@", marks(panel.mark(examples), points))
        head = f"<b>{html.escape(panel.name)}</b><br><small>{panel.place}</small>"
        figures.append(f"<figure><figcaption>{head}</figcaption>{drawn}</figure>")
        tables.append(f'<h3>{html.escape(panel.name)}</h3><div class="scroll">{panel.table}</div>')
    return (
        '<section class="card block"><h2>Learning curves</h2>'
        f'<p class="hint">{apart_words(near)} Bands: 95&nbsp;% intervals over seeds. '
        f"The dashed line is you.{' Circled dots are live runs.' if live else ''}</p>"
        f'{legend()}<div class="curves">{"".join(figures)}</div>'
        f"<details><summary>The same numbers as a table</summary>{''.join(tables)}</details>"
        "</section>"
    )


def legend() -> str:
    """Return every approach's mark and name."""
    items = "".join(f"<li>{swatch(name)}{phrase_of(name)}</li>" for name in APPROACH_STYLE)
    return f'<ul class="legend">{items}</ul>'
