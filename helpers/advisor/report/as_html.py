"""What is handed over: the page of `advise --html`, and the card of an exported model.

The page needs nothing else and is for a manager first, an engineer after. Both are made from what
`advise --json` writes, so that they can't differ.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup
from PIL import Image

from helpers.advisor.data import lasting
from helpers.advisor.read.folder_layout import PICTURE_SUFFIXES
from helpers.advisor.report.as_json import (
    REFUSED,
    columns_in_words,
    costs_of,
    distance_in_words,
    heading,
    rule_in_words,
    steps_of,
    sure_in_words,
    warnings_of,
)
from helpers.advisor.verdicts import LEANING
from helpers.approaches import get_approach
from helpers.backbones import BACKBONES
from helpers.display.advice_charts import accuracy_figure, cost_figure
from helpers.display.svg_charts import short, swatch
from helpers.display.theme import page_colours
from helpers.errors import printable
from helpers.results.evidence import CLEAR, CLOSE, NONE
from helpers.tasks.images import read_image
from helpers.vocabulary import APPROACH_STYLE, phrase_of, style_of

CHIPS = {
    CLEAR: {"kind": "clear", "sign": "●"},
    LEANING: {"kind": "close", "sign": "◑"},
    CLOSE: {"kind": "close", "sign": "◐"},
    NONE: {"kind": "none", "sign": "○"},
    REFUSED: {"kind": "close", "sign": "✕"},
}
PICTURED, PICTURE_SIDE = 8, 112  # examples of a warning that are shown, and their pixels
SEVERITY_SIGNS = {"refused": "✕", "warning": "▲", "note": "●", "passed": "✓"}


def report(told: Mapping[str, Any]) -> str:
    """Return the page. told: what `advise --json` writes."""
    rows, approach = told["candidates"], told["approach"]
    taken = next((row for row in rows if row["approach"] == approach), None)
    for row in rows:
        style_of(row["approach"])  # the style sheet needs a colour for each
    figures = {}
    if rows:
        chance, known = told["probe"]["chance"], [row for row in rows if row["known"]]
        figures["accuracy_figure"] = Markup(accuracy_figure(known, chance, approach))
        figures["cost_figure"] = Markup(cost_figure(known, approach))
    sheet = (files("helpers.advisor.report") / "report.css").read_text(encoding="utf-8")
    looks = "".join(f".s-{name}{{--c:var(--c-{name})}}" for name in APPROACH_STYLE)
    page = template("report.html", duration=lasting, short=short, pictures=_pictures, swatch=swatch)
    return page.render(
        told=told,
        sheet=Markup(page_colours() + sheet + looks),
        chip=CHIPS.get(told["verdict"], CHIPS[CLOSE]),
        doubted="probe_on_test" in (told["test_shift"] or {}),
        severity_signs=SEVERITY_SIGNS,
        title=heading(approach) if approach else "No answer",
        summary=get_approach(approach).summary if approach else "",
        sure="" if told["refused"] else sure_in_words(told),
        costs=costs_of(told),
        steps=steps_of(told),
        taken=taken,
        why=[*told["headline"], rule_in_words(told)] if approach else [],
        changes=[flip["why"] for flip in told["flips"] if not flip["applied"]],
        worked=[one for one in told["reasons"] if one not in told["headline"]],
        facts=_facts(told),
        json=json.dumps(dict(told), indent=1, ensure_ascii=False),
        **figures,
    )


def _pictures(check: Mapping[str, Any], root: str) -> list[Markup]:
    """The first examples of a warning as small pictures, where they are files below the root."""
    made = []
    base = Path(root) if Path(root).is_dir() else Path(root).parent
    for name in check["examples"][:PICTURED]:
        file = base / name.rpartition(": ")[2]  # of a table: line 3: file
        if file.suffix.lower() not in PICTURE_SUFFIXES or not file.is_file():
            continue
        try:
            pixels = read_image(file, PICTURE_SIDE, 3)
        except (OSError, ValueError):
            continue
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "JPEG", quality=80)
        data = base64.b64encode(held.getvalue()).decode("ascii")
        made.append(Markup('<img src="data:image/jpeg;base64,{}" alt="{}">').format(data, name))
    return made


def _facts(told: Mapping[str, Any]) -> dict[str, str]:
    """What the numbers rest on, by the words it is listed under."""
    probe = told["probe"]
    facts = {}
    if probe:
        f1, also = (f"; macro F1 {one['macro_f1']:.3f}" if "macro_f1" in one else ""
                    for one in (probe, probe["classical"]))  # fmt: skip
        facts = {
            "probe": f"{probe['accuracy']:.3f} ({probe['low']:.3f} to {probe['high']:.3f}) on "
            f"{probe['n']:,} examples, out of fold{f1}; {probe['verdict']}",
            "chance": f"{probe['chance']:.3f}, naming the largest class",
            "no network": f"{probe['classical']['accuracy']:.3f}, out of fold{also}",
            "distance": distance_in_words(told),
        }
    if told["columns"]:
        facts["columns"] = columns_in_words(told["columns"])
    facts["command"] = told["command"]
    unset, settings = (None, "", []), told["settings"].items()
    facts |= {key: str(v) for key, v in settings if v not in unset and v is not False}
    return {key.replace("_", " "): value for key, value in facts.items() if key != "path"}


def template(name: str, **filters: Callable) -> Template:
    """A template of this folder; what is set into HTML is escaped.

    A name that it asks for and nobody gave is an error, as in Python.
    """
    templates = Environment(
        loader=PackageLoader(__package__, ""),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    templates.filters |= {"phrase": phrase_of, "heading": heading} | filters
    return templates.get_template(name)


def model_card(told: Mapping[str, Any], recipe: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    """What an exported model is, was measured at, and must not be used for, as Markdown.

    Sections after Mitchell et al. (2019), "Model Cards for Model Reporting", arXiv 1810.03993.
    told: what `advise --json` writes; recipe, test: of the model.
    """
    text = template("model_card.md").render(
        told=told,
        recipe=recipe,
        test=test,
        warnings=warnings_of(told),
        picture=recipe["modality"] == "image",
        pretrained=get_approach(recipe["approach"]).uses_pretrained,
        weights=BACKBONES.get(recipe["backbone"]),
    )
    return "\n".join(map(printable, text.split("\n")))
