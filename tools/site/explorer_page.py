"""The explorer as one HTML page that needs no kernel and no network."""

from __future__ import annotations

import html
import json
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from helpers.display.explorer.cards import HEADS, REASON_CLASSES, legend
from helpers.display.explorer.settings import (
    AXES,
    Axes,
    Point,
    apart_words,
    latency_words,
    minutes_words,
    rule_title,
)
from helpers.display.svg_charts import draw_panel, marks, shape_of, swatch
from helpers.display.theme import page_colours, sheet
from helpers.results.learning_curves import Measured, comparable, measured_curves
from helpers.vocabulary import APPROACH_STYLE, phrase_of, style_of
from tools.site.explorer_answers import RULES, VERDICTS, worked_out

PARTS = Path(__file__).parent / "explorer"  # its script, its style sheet and what holds both
HOME = '<nav aria-label="Back"><a href="{}">All notebooks as pages, and the glossary</a></nav>'
# axis, its question, the words at both ends
SLIDERS = (
    ("examples", "Labelled examples", "few", "many"),
    ("distance", "Distance from the pretraining data", "the same", "unlike it in all"),
    ("budget_minutes", "Training time, at most", "tight", "no limit"),
    ("latency_ms", "Time for one prediction, at most", "tight", "no limit"),
    ("tasks", "Similar tasks to keep up", "one", "many"),
)


def build(
    runs: pd.DataFrame,
    *,
    axes: Axes = AXES,
    commit: str = "unknown",
    workers: int = 1,
    home: str = "",
) -> str:
    """Return the page: every answer over the axes, worked out from recorded runs.

    commit: the code's, to be named in the page. workers: processes that work the answers out.
    home: the page that this one belongs to, linked at the top where there is one.
    """
    for name in sorted(set(runs["approach"])):
        style_of(name)  # what nobody registered gets its colour before the style sheet is made
    held = measured_curves(runs)
    data = worked_out(held, axes, workers) | _fixed(axes) | {"curves": _curves(held, axes)}
    parts = {
        name: (PARTS / file).read_text(encoding="utf-8")
        for name, file in (("script", "explorer.js"), ("page_sheet", "page.css"))
    }
    return Template((PARTS / "explorer.html").read_text(encoding="utf-8")).substitute(
        parts,
        home=HOME.format(html.escape(home)) if home else "",
        colours=page_colours(),
        sheet=sheet(),
        sliders="\n".join(_slider(axes, *about) for about in SLIDERS),
        heads="".join(f'<th scope="col">{head}</th>' for head in HEADS),
        legend=legend(),
        rows=f"{len(comparable(runs)):,}",
        source=_source(runs, held, commit),
        data=_json(data),
    )


def _json(data: Any) -> str:
    """JSON that can't end the script element it stands in."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _fixed(axes: Axes) -> dict[str, Any]:
    """What the script needs beside the answers: names, looks, the axes, where to start."""
    start = Point()
    return {
        "axes": {name: getattr(axes, name) for name, *_ in SLIDERS},
        "words": {
            name: [slider_words(name, v) for v in getattr(axes, name)] for name, *_ in SLIDERS
        },
        "start": {name: _nearest(getattr(axes, name), getattr(start, name)) for name, *_ in SLIDERS}
        | {name: getattr(start, name) for name in ("modality", "llm", "unlabelled", "local_only")},
        "approaches": list(APPROACH_STYLE),
        "rule_names": RULES,
        "rule_titles": {name: rule_title(name) for name in RULES},
        "reason_classes": REASON_CLASSES,
        "verdicts": VERDICTS,
        "titles": {name: phrase_of(name) for name in APPROACH_STYLE},
        "swatches": {name: swatch(name) for name in APPROACH_STYLE},
        "shapes": {name: shape_of(name) for name in APPROACH_STYLE},
        "apart": [apart_words(False), apart_words(True)],
    }


def slider_words(axis: str, value: float | None) -> str:
    """Return a value on an axis as it is shown and read out."""
    if axis == "examples":
        return f"{value:,}"
    if axis == "distance":
        return f"{value:.2f}"
    if axis == "budget_minutes":
        return minutes_words(value)
    return latency_words(value) if axis == "latency_ms" else str(value)


def _nearest(values: tuple[float | None, ...], wanted: float | None) -> int:
    if wanted is None or wanted in values:
        return values.index(wanted)
    return min(range(len(values)), key=lambda place: abs((values[place] or 1e9) - wanted))


def _slider(axes: Axes, axis: str, label: str, low: str, high: str) -> str:
    name = html.escape(axis)
    return (
        f'  <div class="slider"><label for="{name}">{label}</label>'
        f'<output id="{name}-value" for="{name}"></output>'
        f'<input type="range" id="{name}" min="0" max="{len(getattr(axes, axis)) - 1}" step="1" '
        f'aria-describedby="{name}-ends"><p class="help" id="{name}-ends"><span>{low}</span>'
        f"<span>{high}</span></p></div>"
    )


def _curves(held: Measured, axes: Axes) -> list[dict[str, Any]]:
    """Every curve's drawing and numbers, and where each number of examples lies on it."""
    made = []
    for curve in held.curves:
        panel = draw_panel(curve)
        drawn = panel.svg.replace("@marks@", marks(panel.mark(axes.examples[0])))
        places = [panel.mark(examples) for examples in axes.examples]
        made.append(
            {
                "name": panel.name,
                "place": panel.place,
                "svg": drawn,
                "table": panel.table,
                "marks": places,
            }
        )
    return made


def _source(runs: pd.DataFrame, held: Measured, commit: str) -> str:
    """Where the numbers come from: rows, tasks, seeds, commits, machine, and how to repeat them."""
    used = comparable(runs)
    seeds = used.groupby("backbone")["seed"].nunique() if len(used) else pd.Series(dtype=int)
    commits = list(dict.fromkeys(used.sort_values("created")["git"]))
    how = sum(curve.how == "measured" for curve in held.curves)
    facts = {
        "Rows": f"{len(used):,} of {len(runs):,} recorded runs: those that compare approaches on "
        "equal terms, with three seeds or more",
        "Tasks": ", ".join(sorted(set(used["task"]))),
        "Networks": ", ".join(f"{name} ({n} seeds)" for name, n in seeds.items()),
        "Examples": ", ".join(f"{n:,}" for n in sorted(set(used["n_train"]))),
        "Distances": f"measured for {how} of {len(held.curves)} curves"
        + (", judged for the others" if how < len(held.curves) else ""),
        "Measured at": f"commits {commits[0]} to {commits[-1]} ({len(commits)}), on "
        f"{'; '.join(sorted(set(used['device'])))}"
        if commits
        else "nothing is recorded yet",
        "This page": f"made at commit {commit}, from rows up to {used['created'].max()[:10]}"
        if commits
        else f"made at commit {commit}",
    }
    rows = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(fact)}</dd>" for name, fact in facts.items()
    )
    return (
        "<p>Every number above was read from a recorded run; none was typed or made up. The rule "
        "is a rule of thumb, and knows no records. “No evidence” means that nothing near enough "
        "was measured, not that nothing works.</p>"
        f"<dl>{rows}</dl><p>Measure anew with <code>make results</code>, and make this page with "
        "<code>make site</code>. The same answer on the command line: <code>python -m helpers "
        "decide --examples 300 --distance far --modality image</code>.</p>"
    )
