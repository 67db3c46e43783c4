"""The explorer as one HTML page that needs no kernel and no network."""

from __future__ import annotations

import html
import json
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from helpers.display.explorer.cards import HEADS, REASON_CLASSES, legend
from helpers.display.explorer.elsewhere import Reach, compared_cases
from helpers.display.explorer.settings import (
    AXES,
    Axes,
    Point,
    apart_words,
    latency_words,
    minutes_words,
    rule_title,
)
from helpers.display.svg_charts import draw_panel, duration, marks, shape_of, swatch
from helpers.display.theme import page_colours, sheet
from helpers.results.larger_pictures import larger_words, nearest_larger, recorded_larger
from helpers.results.learning_curves import Measured, comparable, measured_curves
from helpers.vocabulary import APPROACH_STYLE, phrase_of, style_of
from tools.site.evidence_map import draw_map, own_marks, published_marks, x_of, y_of
from tools.site.explorer_answers import KINDS, RULES, VERDICTS, worked_out
from tools.site.explorer_turns import share_words, turn_table
from tools.site.upkeep import LEAST_MONEY

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
# Of the bill for a year, and of the pictures: no answer of rule or records depends on them.
PRICES = (
    ("retrainings", "Retrainings of each in a year", "never", "daily"),
    ("hour_price", "Price of an hour of computing", "own machine", "large GPU"),
    ("release_minutes", "People's minutes for a release", "none", "a day"),
    ("point_worth", "Worth of a point of accuracy, a task and year", "nothing", "much"),
)
PHOTOS = (("pixels", "The other lever: pixels a side", "small", "large"),)
ALL_SLIDERS = (*SLIDERS, *PRICES, *PHOTOS)
HEADS_MORE = (*HEADS, "a year, in money")
LARGER_HEADS = (
    "task and network",
    "distance",
    "pictures",
    "accuracy",
    HEADS[2],
    "computing",
    "runs",
)
PUBLISHED_HEADS = ("approach", "points below best", "first in", "cases", "data sets")
CASE_HEADS = ("data set", "network", "examples", "distance", "scores", "source")
REACH_WORDS = {
    Reach.SAME: "Gives up least where sizes and distances are like yours.",
    Reach.STEP: "Nothing is published at your distance: this is one word of distance away.",
    Reach.NOTHING: "No published table has comparable cases of this size and distance.",
}
# How a slider or switch is called where moving it changed nothing.
MOVED = {
    "examples": "the number of examples",
    "distance": "the distance",
    "budget_minutes": "the training time",
    "latency_ms": "the latency",
    "tasks": "the number of tasks",
    "retrainings": "how often you retrain",
    "hour_price": "the price of computing",
    "release_minutes": "people's time, the same for every approach,",
    "point_worth": "the worth of a point",
    "pixels": "the pictures' size",
    "modality": "what an example is",
    "llm": "the language model",
    "unlabelled": "unlabelled data",
    "local_only": "where it must run",
}
UNITS = {
    "retrainings": "{:g}",
    "hour_price": "{:g}",
    "release_minutes": "{:g} min",
    "point_worth": "{:g}",
    "pixels": "{} px",
    "tasks": "{}",
    "examples": "{:,}",
    "distance": "{:.2f}",
}


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
    data |= _larger(axes) | _map(held, axes)
    parts = {
        name: (PARTS / file).read_text(encoding="utf-8")
        for name, file in (("script", "explorer.js"), ("page_sheet", "page.css"))
    }
    return Template((PARTS / "explorer.html").read_text(encoding="utf-8")).substitute(
        parts,
        home=HOME.format(html.escape(home)) if home else "",
        colours=page_colours(),
        sheet=sheet(),
        **{
            name: "\n".join(_slider(axes, *about) for about in some)
            for name, some in (("sliders", SLIDERS), ("prices", PRICES), ("photos", PHOTOS))
        },
        turns=turn_table(data, axes),
        share=share_words(data, axes),
        heads="".join(f'<th scope="col">{head}</th>' for head in HEADS_MORE),
        larger_heads="".join(f'<th scope="col">{head}</th>' for head in LARGER_HEADS),
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
        "axes": asdict(axes),
        "words": {
            name: [slider_words(name, v) for v in values] for name, values in asdict(axes).items()
        },
        "start": {n: _nearest(values, getattr(start, n)) for n, values in asdict(axes).items()}
        | {name: getattr(start, name) for name in ("modality", "llm", "unlabelled", "local_only")},
        "approaches": list(APPROACH_STYLE),
        "rule_names": RULES,
        "rule_titles": {name: rule_title(name) for name in RULES},
        "reason_classes": REASON_CLASSES,
        "verdicts": VERDICTS,
        "titles": {name: phrase_of(name) for name in APPROACH_STYLE},
        "swatches": {name: swatch(name) for name in APPROACH_STYLE},
        "shapes": {name: shape_of(name) for name in APPROACH_STYLE},
        "reaches": list(Reach),
        "reach_words": REACH_WORDS,
        "published_heads": PUBLISHED_HEADS,
        "case_heads": CASE_HEADS,
        "questions": MOVED,
        "least_money": LEAST_MONEY,
        "apart": [apart_words(False), apart_words(True)],
    }


def slider_words(axis: str, value: float | None) -> str:
    """Return a value on an axis as it is shown and read out."""
    if axis == "budget_minutes":
        return minutes_words(value)
    return latency_words(value) if axis == "latency_ms" else UNITS[axis].format(value)


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


def _larger(axes: Axes) -> dict[str, Any]:
    """What larger pictures brought: the cells as rows of a table, a sentence for each point."""
    cells = recorded_larger()
    near = [nearest_larger(cells, distance) for distance in axes.distance]
    rows = [
        (one.name, f"{one.distance:.2f}", f"{s.pixels} px", f"{s.accuracy:.3f}",
         f"{s.low:.3f} to {s.high:.3f}", duration(s.seconds), s.runs)
        for one in cells for s in one.sizes
    ]  # fmt: skip
    said = [[larger_words(one, pixels) for pixels in axes.pixels] for one in near]
    return {"larger": said, "larger_rows": rows}


def _map(held: Measured, axes: Axes) -> dict[str, Any]:
    """The map of each kind of model and data, and where the sliders' values lie in it."""
    marks = pd.concat([own_marks(held), published_marks(compared_cases())])
    return {
        "maps": [draw_map(marks, *kind) for kind in KINDS],
        "map_x": [x_of(examples) for examples in axes.examples],
        "map_y": [y_of(distance) for distance in axes.distance],
    }


def _source(runs: pd.DataFrame, held: Measured, commit: str) -> str:
    """Where the numbers come from: rows, tasks, seeds, commits, machine, and how to repeat them."""
    used = comparable(runs)
    seeds = used.groupby("backbone")["seed"].nunique() if len(used) else pd.Series(dtype=int)
    commits = list(dict.fromkeys(used.sort_values("created")["git"]))
    how = pd.Series([curve.how for curve in held.curves], dtype=str).value_counts()
    facts = {
        "Rows": f"{len(used):,} of {len(runs):,} recorded runs: those that compare approaches on "
        "equal terms, with three seeds or more",
        "Tasks": ", ".join(sorted(set(used["task"]))),
        "Networks": ", ".join(f"{name} ({n} seeds)" for name, n in seeds.items()),
        "Examples": ", ".join(f"{n:,}" for n in sorted(set(used["n_train"]))),
        "Distances": ", ".join(f"{words} for {count} curves" for words, count in how.items()),
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
