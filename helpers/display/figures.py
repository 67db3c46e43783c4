"""What every figure is made of: its size, its fonts, its alt text, and edges for pale marks."""

import io
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from helpers.vocabulary import APPROACH_STYLE

DPI = 100
MAX_SIZE = (8.0, 5.0)  # inches
EDGE = "#1a1d21"  # around pale marks
RC = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.size": 10.0,
    "grid.color": "#dddddd",
    "legend.frameon": False,
}


def plain_number(value: float, _position: int = 0) -> str:
    """A tick as people write numbers: 20,000 and 0.00001, and not 2e+04 and 1e-05."""
    return f"{value:,.10f}".rstrip("0").rstrip(".")


class Picture(Figure):
    """A Figure that shows itself in a notebook, with words for those who do not see it."""

    @property
    def alt(self) -> str:
        """What the figure says, from its titles and axis labels, or the words it was given."""
        if getattr(self, "_alt", ""):
            return self._alt
        panels = [ax for ax in self.axes if ax.get_visible()]
        parts = [self.get_suptitle(), *(_axes_words(ax) for ax in panels)]
        return ". ".join(dict.fromkeys(part for part in parts if part)) or "Figure"

    @alt.setter
    def alt(self, words: str) -> None:
        self._alt = words

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        bundle = {"image/png": png_bytes(self), "text/plain": self.alt}
        return bundle, {"image/png": {"alt": self.alt}}


def figure(
    title: str = "",
    *,
    width: float = 7.0,
    height: float = 4.0,
    rows: int = 1,
    columns: int = 1,
    kind: type[Picture] = Picture,
    **shared: Any,
) -> tuple[Picture, Any]:
    """Return a figure and its Axes (an array of them when there are several panels).

    width, height: inches, at most 8 by 5. kind: of the figure. shared: passed on, as `sharey=True`.
    Raises ValueError for a size over that.
    """
    if width > MAX_SIZE[0] or height > MAX_SIZE[1]:
        raise ValueError(f"A figure is at most 8 by 5 inches, and this one is {width} by {height}.")
    with mpl.rc_context(RC):
        made = kind(figsize=(width, height), dpi=DPI, layout="constrained")
        axes = made.subplots(rows, columns, **shared)
    if title and not isinstance(axes, Axes):
        made.suptitle(title, x=0.01, ha="left", weight="bold")
    elif title:
        set_title(axes, title)
    return made, axes


def text_figure(text: str) -> Picture:
    """Return a figure that shows text, as a still for draw functions that print a table."""
    lines = text.splitlines() or [""]
    made = Picture(figsize=(MAX_SIZE[0], min(MAX_SIZE[1], 0.4 + 0.2 * len(lines))), dpi=DPI)
    made.text(0.02, 0.5, text, family="monospace", size=9, va="center")
    made.alt = text
    return made


def png_bytes(drawn: Figure) -> bytes:
    """Return a figure as PNG; equal figures give equal bytes, so no version or date is written."""
    outline_pale(drawn)
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def contrast(colour: str, ground: str = "#ffffff") -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2.1 defines it."""
    light, dark = sorted((_luminance(colour), _luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = mpl.colors.to_rgb(colour)
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def outline_pale(drawn: Figure) -> None:
    """Give marks and bars that hardly show on white (contrast under 3) a dark edge, in place.

    The palette's light blue and orange are two of these; darker ones would be taken for their
    neighbours by colour-blind readers.
    """
    palette = {look.colour for look in APPROACH_STYLE.values()}

    def is_pale(colour: Any) -> bool:
        *parts, alpha = mpl.colors.to_rgba(colour)
        on_white = mpl.colors.to_hex([1 - alpha * (1 - part) for part in parts])
        return mpl.colors.to_hex(colour) in palette and alpha > 0 and contrast(on_white) < 3.0

    for mark in drawn.findobj(Line2D):
        if mark.get_marker() in Line2D.filled_markers and is_pale(mark.get_markerfacecolor()):
            mark.set(markeredgecolor=EDGE, markeredgewidth=0.7)
    for bar in drawn.findobj(Rectangle):
        if is_pale(bar.get_facecolor()):
            bar.set(edgecolor=EDGE, linewidth=0.7)
    for points in drawn.findobj(PathCollection):
        if any(is_pale(colour) for colour in points.get_facecolors()):
            points.set(edgecolor=EDGE, linewidth=0.7)


def set_title(ax: Axes, title: str) -> None:
    """Write an axes title the way every figure has it: left, bold."""
    ax.set_title(title, loc="left", weight="bold", size="medium")


def _axes_words(ax: Axes) -> str:
    title = ax.get_title(loc="left") or ax.get_title()
    sides = " against ".join(side for side in (ax.get_ylabel(), ax.get_xlabel()) if side)
    return ": ".join(part for part in (title, sides) if part)
