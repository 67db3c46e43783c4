"""The explorer in a notebook: all four axes on sliders, the rule beside the records, a live run."""

import functools
import html
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ipywidgets
import pandas as pd

from helpers.decision import Decision, Situation, decide
from helpers.display.explorer import live_run, settings
from helpers.display.explorer.cards import candidate_table, curves_card, measured_card, rule_card
from helpers.display.explorer.elsewhere import published_near, published_words
from helpers.display.explorer.settings import AXES, Point, headline, latency_words, minutes_words
from helpers.display.figures import Picture, png_bytes, text_figure
from helpers.display.plots import small_multiples
from helpers.display.sliders import show
from helpers.display.svg_charts import Panel, draw_panel, name_of, summary
from helpers.display.theme import lab_colours, sheet
from helpers.errors import UserError, first_line
from helpers.results import runs as records
from helpers.results.evidence import Evidence, evidence_near
from helpers.results.learning_curves import (
    REACH_DISTANCE,
    REACH_SIZE,
    Curve,
    Measured,
    measured_curves,
)
from helpers.vocabulary import style_of

NO_LIMIT = "no limit"  # a slider takes None for "nothing chosen"
REMEMBERED = 2_000  # answers kept, so that a slider moved back is at once there


class Explorer:
    """The explorer's controls and what they show; `explorer` displays one.

    runs: recorded runs, loaded when None. measure: what a live run calls (see
    `helpers.display.explorer.live_run`).
    """

    def __init__(
        self,
        runs: pd.DataFrame | None = None,
        measure: Callable[..., live_run.Live] = live_run.run_live,
    ) -> None:
        self.runs = records.load_runs() if runs is None else runs
        for name in sorted(set(self.runs["approach"])):
            style_of(name)  # what nobody registered gets its colour before the style sheet is made
        self.held: Measured = measured_curves(self.runs)
        self.measure = measure
        self.panels: dict[int, Panel] = {}
        self.dropped: dict[int, list[tuple[int, float, str]]] = {}  # live points, by curve
        self._known = functools.lru_cache(REMEMBERED)(lambda s: evidence_near(s, self.held))
        self.controls = make_controls(self.held)
        self.verdict, self.answer = ipywidgets.HTML(), ipywidgets.HTML()
        self.note = ipywidgets.HTML(layout={"flex": "1 1 20em"})  # beside the button, or below it
        self.button = ipywidgets.Button(
            description="Run this point live on pocket",
            tooltip="Trains the rule's approach here and now, in seconds",
            button_style="primary",
            layout={"width": "18em"},
        )
        self.button.on_click(lambda _: self.run())
        for control in self.controls.values():
            control.observe(self._changed, names="value")
        self.box = self._laid_out()
        self.redraw()

    @property
    def point(self) -> Point:
        """What the controls say."""
        values = {name: control.value for name, control in self.controls.items()}
        return Point(**{k: None if v == NO_LIMIT else v for k, v in values.items()})

    def look(self) -> tuple[Point, Decision, Evidence]:
        """Return the point with the rule's answer and the measured one."""
        point, situation = self.point, self.point.situation()
        return point, decide(situation), self.found(situation)

    def found(self, situation: Situation) -> Evidence:
        """Return the measured answer, worked out once; upkeep and flips have no say in it."""
        return self._known(replace(situation, tasks=1, unlabelled=0, local_only=False))

    def shown(self, point: Point, found: Evidence) -> tuple[list[int], bool]:
        """Return the places of the curves to show, and whether the answer was read from them."""
        situation = point.situation()
        if not found.candidates and not situation.llm:
            situation = replace(situation, budget_minutes=None, latency_ms=None)
            found = self.found(situation)
        return settings.shown_curves(situation, found, self.held)

    def redraw(self) -> None:
        """Decide, look up and show; what every slider calls."""
        point, ruled, found = self.look()
        places, near = self.shown(point, found)
        extra = [place for place in self.dropped if place not in places]
        words = (*headline(ruled, found), published_words(published_near(point.situation())))
        rule, said, published = (html.escape(told, quote=False) for told in words)
        self.verdict.value = (
            f'<div class="fta"><div class="says" role="status" aria-live="polite" '
            f'aria-atomic="true"><p><b>{rule}</b></p><p>{said}</p><p>{published}</p></div></div>'
        )
        live_points = {self.panel(p).name: points for p, points in self.dropped.items()}
        panels = [self.panel(place) for place in [*places, *extra]]
        self.answer.value = (
            f'<div class="fta" data-rule="{ruled.approach}" data-take="{found.take}">'
            f'<div class="pair">{rule_card(ruled)}{measured_card(ruled, found)}</div>'
            f"{candidate_table(ruled, found)}"
            f"{curves_card(panels, point.examples, near, live_points)}</div>"
        )

    def panel(self, place: int) -> Panel:
        """Return a curve's drawing, drawn once."""
        if place not in self.panels:
            self.panels[place] = draw_panel(self.held.curves[place])
        return self.panels[place]

    def _changed(self, _change: Mapping[str, Any]) -> None:
        language = self.controls["llm"]
        language.disabled = self.controls["modality"].value != "text"
        self.button.disabled = not self.can_run()
        self.note.value = _note("" if self.can_run() else live_run.PICTURES_ONLY)
        self.redraw()

    def can_run(self) -> bool:
        """Tell whether `pocket` can stand for the situation: it reads pictures."""
        return self.controls["modality"].value == "image"

    def run(self) -> None:
        """Train the rule's approach live and drop the point on its curve; errors are a sentence."""
        point, ruled, _ = self.look()
        self.button.disabled = True
        self.note.value = _note(live_run.announcement(point, ruled.approach, self.held))
        try:
            place = live_run.nearest_dial(point.distance, self.held)
            made = self.measure(point, ruled.approach, self.held, self.runs)
            if place is not None:
                self.dropped.setdefault(place, []).append(
                    (made.examples, made.accuracy, made.words)
                )
            self.note.value = _note(made.words)
            self.redraw()
        except UserError as error:
            self.note.value = _note(f"The live run failed: {error}.")
        except Exception as error:  # a reader gets a sentence, whatever broke
            self.note.value = _note(f"The live run failed: {first_line(error)}.")
        finally:
            self.button.disabled = not self.can_run()

    def _laid_out(self) -> ipywidgets.VBox:
        style = ipywidgets.HTML(f"<style>{lab_colours()}{sheet()}</style>")
        sliders = [self.controls[name] for name in SLIDERS]
        switches = [self.controls[name] for name in SWITCHES]
        wrap = {"flex_flow": "row wrap", "align_items": "flex-start"}
        sides = [ipywidgets.VBox(sliders), ipywidgets.VBox(switches)]
        controls = ipywidgets.Box(sides, layout=wrap)
        running = ipywidgets.Box([self.button, self.note], layout=wrap)
        return ipywidgets.VBox([style, controls, self.verdict, running, self.answer])


SLIDERS = ("examples", "distance", "budget_minutes", "latency_ms", "tasks")
SWITCHES = ("modality", "llm", "unlabelled", "local_only")


def make_controls(held: Measured) -> dict[str, ipywidgets.ValueWidget]:
    """Return one control for each field of `Point`; sliders stop at the lattice's values.

    Sizes and distances that no curve of `held` reaches are marked: only the rule answers there.
    """
    start = Point()
    most = max((curve.whole[-1] for curve in held.curves), default=0) * REACH_SIZE
    farthest = max((curve.distance for curve in held.curves), default=0.0) + REACH_DISTANCE

    def reached(words: str, value: float, end: float) -> str:
        return words if value <= end + 1e-9 else f"{words} (rule only)"

    look = {"style": {"description_width": "13em"}, "layout": {"width": "32em"}}

    def slider(label: str, name: str, words: Callable[[Any], str]) -> ipywidgets.SelectionSlider:
        options = [(words(v), NO_LIMIT if v is None else v) for v in getattr(AXES, name)]
        first = getattr(start, name)
        return ipywidgets.SelectionSlider(
            options=options, value=NO_LIMIT if first is None else first, description=label, **look
        )

    def switch(label: str) -> ipywidgets.Checkbox:
        return ipywidgets.Checkbox(value=False, description=label, indent=False)

    language = switch("for a large language model (texts)")
    language.disabled = True
    return {
        "examples": slider("labelled examples", "examples", lambda n: reached(f"{n:,}", n, most)),
        "distance": slider(
            "distance from pretraining", "distance", lambda d: reached(f"{d:.2f}", d, farthest)
        ),
        "budget_minutes": slider("training time, at most", "budget_minutes", minutes_words),
        "latency_ms": slider("one prediction, at most", "latency_ms", latency_words),
        "tasks": slider("similar tasks to keep up", "tasks", str),
        "modality": ipywidgets.Dropdown(
            options=[("a picture", "image"), ("a text", "text")],
            description="an example is",
            style={"description_width": "initial"},
            layout={"width": "16em"},
        ),
        "llm": language,
        "unlabelled": switch("much unlabelled data (10 per example)"),
        "local_only": switch("data must not leave: local only"),
    }


def explorer(runs: pd.DataFrame | None = None) -> None:
    """Show the explorer, and leave its first state as a still for pages without a kernel.

    runs: recorded runs, loaded when None. Where nothing is recorded it says "no evidence".
    """
    made = Explorer(runs)
    point, ruled, found = made.look()
    curves = [made.held.curves[place] for place in made.shown(point, found)[0]]
    drawn = still(point, ruled, found, curves)
    show(made.box, png_bytes(drawn), drawn.alt)


def still(point: Point, ruled: Decision, found: Evidence, curves: Sequence[Curve]) -> Picture:
    """Draw both verdicts and up to three curves, with the asked number of examples marked."""
    words = headline(ruled, found)
    title = "\n".join(textwrap.fill(told, 80) for told in words)
    made = text_figure(title)
    if curves:
        panels = {name_of(curve).replace(" on ", "\non "): summary(curve) for curve in curves[:3]}
        table = pd.concat(own.assign(panel=name) for name, own in panels.items())
        made = small_multiples(table, "panel", title=title, mark=("you:", point.examples))
    made.set_size_inches(8.0, 3.9)
    made.alt = " ".join(words)
    return made


def _note(words: str) -> str:
    told = html.escape(words, quote=False)
    return f'<div class="fta"><p class="note" role="status">{told}</p></div>' if words else ""
