"""`advise --html`: one page that needs nothing else, for a manager first and an engineer after.

It is made from what `advise --json` writes, so that the two can't differ.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from helpers.advisor.data import listing
from helpers.advisor.read.folder_layout import PICTURE_SUFFIXES
from helpers.advisor.report.as_json import (
    REFUSED,
    changes_of,
    columns_in_words,
    rule_in_words,
    warnings_of,
)
from helpers.advisor.report.templates import heading, template
from helpers.advisor.verdicts import LEANING, WITHIN
from helpers.approaches import get_approach
from helpers.display.advice_charts import accuracy_figure, cost_figure
from helpers.display.svg_charts import duration, short, swatch
from helpers.display.theme import page_colours
from helpers.results.evidence import CLEAR, CLOSE, NONE
from helpers.tasks.images import read_image
from helpers.vocabulary import APPROACH_STYLE, style_of

CHIPS = {
    CLEAR: {"kind": "clear", "sign": "●"},
    LEANING: {"kind": "close", "sign": "◑"},
    CLOSE: {"kind": "close", "sign": "◐"},
    NONE: {"kind": "none", "sign": "○"},
    REFUSED: {"kind": "close", "sign": "✕"},
}
MILLION = 1_000_000  # predictions that costs are told for
HOURS = 7_200.0  # seconds from which on a time is told in hours
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
    page = template(
        "report.html", duration=duration, short=short, pictures=_pictures, swatch=swatch
    )
    return page.render(
        told=told,
        sheet=Markup(_sheet()),
        chip=CHIPS.get(told["verdict"], CHIPS[CLOSE]),
        doubted="probe_on_test" in (told["test_shift"] or {}),
        severity_signs=SEVERITY_SIGNS,
        title=heading(approach) if approach else "No answer",
        summary=get_approach(approach).summary if approach else "",
        sure=_sure(told),
        costs=_costs(taken, told["settings"]["hour_price"]),
        steps=_steps(told),
        taken=taken,
        why=[*told["headline"], rule_in_words(told)] if approach else [told["refused"]],
        changes=changes_of(told, "The article's rule, "),
        facts=_facts(told),
        json=json.dumps(dict(told), indent=1, ensure_ascii=False),
        **figures,
    )


def _sheet() -> str:
    text = (files("helpers.advisor.report") / "report.css").read_text(encoding="utf-8")
    looks = "".join(f".s-{name}{{--c:var(--c-{name})}}" for name in APPROACH_STYLE)
    return page_colours() + text + looks


def _sure(told: Mapping[str, Any]) -> str:
    """How sure the choice is, and how often that word was right where it was counted."""
    if told["refused"]:
        return ""
    record, within = told["verdict_record"], 100 * WITHIN
    said = (
        f"The choice: {100 * told['chance_right']:.0f} % sure that no other approach lies more "
        f"than {within:.1f} points above."
    )
    if record is None:
        return said
    return f"{said} {record['right']} of {record['cases']} such answers were right on other data."


def _costs(taken: Mapping[str, Any] | None, price: float | None) -> list[tuple[str, str]]:
    """What the approach costs on this machine: time, with money where its price is known; of what.

    price: of an hour.
    """
    if taken is None:
        return []
    seconds = {
        "to train it on this machine, and each time again": taken["train_seconds"],
        "for a million predictions, one by one": taken["latency_ms"] / 1000 * MILLION,
    }
    return [(_cost(s, price), what) for what, s in seconds.items()]


def _cost(seconds: float, price: float | None) -> str:
    """A time, with what it costs where an hour has a price."""
    time = duration(seconds) if seconds < HOURS else f"{short(seconds / 3600)} hours"
    if price is None:
        return time
    money = seconds / 3600 * price
    return f"{time} · {money:,.2f}" if money >= 0.01 else f"{time} · below 0.01"


def _steps(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to do next, each with its command if it has one: mend, measure, take the model."""
    ask = f"python -m helpers advise {told['settings']['path']}"
    if told["refused"]:
        return [("Mend this, then ask again:", ask)]
    warned = [check["check"] for check in warnings_of(told)]
    steps = [(f"Look at what the checks warn of: {listing(warned)}.", "")] if warned else []
    if told["next_measurement"]:
        steps.append((told["next_measurement"], ""))
    return [*steps, ("Get the trained model:", f"{ask} --export FOLDER")]


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
    probe, distance = told["probe"], told["distance"]
    distance = "not known" if distance is None else distance
    facts = (
        {}
        if probe is None
        else {
            "probe": f"{probe['accuracy']:.3f} ({probe['low']:.3f} to {probe['high']:.3f}) on "
            f"{probe['n']:,} examples, out of fold; {probe['verdict']}",
            "chance": f"{probe['chance']:.3f}, naming the largest class",
            "no network": f"{probe['classical']['accuracy']:.3f}, out of fold",
            "distance": f"{distance} ({told['distance_how']})",
        }
    )
    if told["columns"]:
        facts["columns"] = columns_in_words(told["columns"])
    unset = (None, "", [])
    facts |= {k: str(v) for k, v in told["settings"].items() if v not in unset}
    return {key.replace("_", " "): value for key, value in facts.items()}
