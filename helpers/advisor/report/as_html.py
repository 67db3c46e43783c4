"""`advise --html`: one page that needs nothing else, for a manager first and an engineer after.

It is made from what `advise --json` writes, so that the two can't differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from helpers.advisor.report.as_json import columns_in_words
from helpers.advisor.verdicts import LEANING
from helpers.display.advice_charts import accuracy_figure, cost_figure
from helpers.display.svg_charts import duration, short, swatch
from helpers.display.theme import page_colours
from helpers.results.evidence import CLEAR, CLOSE, NONE
from helpers.vocabulary import APPROACH_STYLE, phrase_of, style_of

CHIPS = {
    CLEAR: {"kind": "clear", "sign": "●"},
    LEANING: {"kind": "close", "sign": "◑"},
    CLOSE: {"kind": "close", "sign": "◐"},
    NONE: {"kind": "none", "sign": "○"},
}
SEVERITY_SIGNS = {"refused": "✕", "warning": "▲", "note": "●", "passed": "✓"}


def report(told: Mapping[str, Any]) -> str:
    """Return the page. told: what `advise --json` writes."""
    rows, approach = told["candidates"], told["approach"]
    for row in rows:
        style_of(row["approach"])  # the style sheet needs a colour for each
    figures = {}
    if rows:
        chance, known = told["probe"]["chance"], [row for row in rows if row["known"]]
        figures["accuracy_figure"] = Markup(accuracy_figure(known, chance, approach))
        figures["cost_figure"] = Markup(cost_figure(known, approach))
    return _template().render(
        told=told,
        sheet=Markup(_sheet()),
        chip=CHIPS.get(told["verdict"], CHIPS[CLOSE]),
        severity_signs=SEVERITY_SIGNS,
        taken=next((row for row in rows if row["approach"] == approach), None),
        why=_why(told),
        changes=_changes(told),
        facts=_facts(told),
        json=json.dumps(dict(told), indent=1, ensure_ascii=False),
        **figures,
    )


def _template() -> Template:
    """Return report.html, which escapes what is set into it.

    A name that it asks for and nobody gave is an error, as in Python.
    """
    templates = Environment(
        loader=PackageLoader(__package__, ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    templates.filters |= {
        "duration": duration,
        "short": short,
        "swatch": lambda approach: Markup(swatch(approach)),
        "heading": _heading,
    }
    return templates.get_template("report.html")


def _sheet() -> str:
    text = (files("helpers.advisor.report") / "report.css").read_text(encoding="utf-8")
    looks = "".join(f".s-{name}{{--c:var(--c-{name})}}" for name in APPROACH_STYLE)
    return page_colours() + text + looks


def _why(told: Mapping[str, Any]) -> list[str]:
    rule = phrase_of(told["rule_approach"])
    return [*told["headline"], f"The article's rule ({told['rule']}) says {rule}."]


def _changes(told: Mapping[str, Any]) -> list[str]:
    said = [told["next_measurement"]] if told["next_measurement"] else []
    flips = [flip for flip in told["flips"] if not flip["applied"]]
    return said + [f"The article's rule, {flip['why']}" for flip in flips]


def _facts(told: Mapping[str, Any]) -> dict[str, str]:
    """What the numbers rest on, by the words it is listed under."""
    probe = told["probe"]
    facts = {
        "probe": f"{probe['accuracy']:.3f} ({probe['low']:.3f} to {probe['high']:.3f}) on "
        f"{probe['n']:,} examples, out of fold; {probe['verdict']}",
        "chance": f"{probe['chance']:.3f}, naming the largest class",
        "no network": f"{probe['classical']['accuracy']:.3f}, out of fold",
        "distance": f"{_or_unknown(told['distance'])} ({told['distance_how']})",
    }
    if told["columns"]:
        facts["columns"] = columns_in_words(told["columns"])
    unset = (None, "", [])
    facts |= {k: str(v) for k, v in told["settings"].items() if v not in unset}
    return {key.replace("_", " "): value for key, value in facts.items()}


def _or_unknown(value: float | None) -> str:
    return "not known" if value is None else str(value)


def _heading(name: str) -> str:
    """Return an approach's name as it begins a line."""
    words = phrase_of(name)
    return f"{words[0].upper()}{words[1:]}"
