"""What every figure is made of: its size, its fonts, its alt text, and the look of an approach."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DPI = 100
MAX_SIZE = (8.0, 5.0)  # inches
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


@dataclass(frozen=True)
class ApproachStyle:
    """How one approach looks in every figure."""

    colour: str
    marker: str
    label: str
    short: str


# Okabe and Ito's palette (2008), which colour-blind readers tell apart; grey is the anchor.
APPROACH_STYLE: dict[str, ApproachStyle] = {
    "classical": ApproachStyle("#7f7f7f", "*", "no network", "classic"),
    "feature_extraction": ApproachStyle("#0072b2", "o", "feature extraction", "freeze"),
    "partial_fine_tuning": ApproachStyle("#56b4e9", "s", "partial fine-tuning", "partial"),
    "full_fine_tuning": ApproachStyle("#d55e00", "D", "full fine-tuning", "full"),
    "lp_ft": ApproachStyle("#e69f00", "P", "probe, then fine-tune", "LP-FT"),
    "lora": ApproachStyle("#009e73", "^", "LoRA", "LoRA"),
    "adapter": ApproachStyle("#cc79a7", "v", "adapter", "adapter"),
    "from_scratch": ApproachStyle("#000000", "X", "from scratch", "scratch"),
}
# For approaches that have no style yet: colours and markers that no other has (Tol's palette).
SPARE_STYLES = (("#882255", "<"), ("#117733", ">"), ("#332288", "p"), ("#999933", "h"))


def looks(names: Iterable[Any]) -> dict[Any, ApproachStyle]:
    """Return the look of each name: its own for an approach, one of the palette for others.

    Approaches come first, in the order of `APPROACH_STYLE`; others keep the order they came in.
    Beside approaches the others look like none of them.
    """
    order = list(APPROACH_STYLE)
    names = sorted(dict.fromkeys(names), key=lambda n: order.index(n) if n in order else len(order))
    known = sum(name in APPROACH_STYLE for name in names)
    own = [(look.colour, look.marker) for look in APPROACH_STYLE.values()]
    spare = SPARE_STYLES if known else [pair for pair in own if pair[0] != "#7f7f7f"]
    found = {}
    for place, name in enumerate(names):
        words, (colour, marker) = str(name).replace("_", " "), spare[(place - known) % len(spare)]
        found[name] = APPROACH_STYLE.get(name, ApproachStyle(colour, marker, words, words))
    return found


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
    alt: str = "",
    **shared: Any,
) -> tuple[Picture, Any]:
    """Return a figure and its Axes (an array of them when there are several panels).

    width, height: inches, at most 8 by 5. shared: passed on, such as `sharey=True`.
    Raises ValueError for a size over that.
    """
    if width > MAX_SIZE[0] or height > MAX_SIZE[1]:
        raise ValueError(f"A figure is at most 8 by 5 inches, and this one is {width} by {height}.")
    with mpl.rc_context(RC):
        made = Picture(figsize=(width, height), dpi=DPI, layout="constrained")
        axes = made.subplots(rows, columns, **shared)
    if title and not isinstance(axes, Axes):
        made.suptitle(title, x=0.01, ha="left", weight="bold")
    elif title:
        set_title(axes, title)
    made.alt = alt
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
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def set_title(ax: Axes, title: str) -> None:
    """Write an axes title the way every figure has it: left, bold."""
    ax.set_title(title, loc="left", weight="bold", size="medium")


def _axes_words(ax: Axes) -> str:
    title = ax.get_title(loc="left") or ax.get_title()
    sides = " against ".join(side for side in (ax.get_ylabel(), ax.get_xlabel()) if side)
    return ": ".join(part for part in (title, sides) if part)
