"""The explorer's first state as a picture, for pages that have no kernel."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd

from helpers.decision import Decision
from helpers.display.explorer.settings import Point, headline
from helpers.display.figures import Picture, text_figure
from helpers.display.plots import small_multiples
from helpers.display.svg_charts import name_of, summary
from helpers.results.evidence import Evidence
from helpers.results.learning_curves import Curve


def still(point: Point, ruled: Decision, found: Evidence, curves: Sequence[Curve]) -> Picture:
    """Draw both verdicts and up to three curves, with the asked number of examples marked."""
    words = headline(ruled, found)
    title = "\n".join(textwrap.fill(told, 95) for told in words)
    made = text_figure(title)
    if curves:
        panels = {name_of(curve).replace(" on ", "\non "): summary(curve) for curve in curves[:3]}
        table = pd.concat(own.assign(panel=name) for name, own in panels.items())
        marks = [point.examples] * len(panels)
        made = small_multiples(table, "panel", title=title, marks=marks, mark="you:")
    made.set_size_inches(8.0, 3.9)
    made.alt = " ".join(words)
    return made
