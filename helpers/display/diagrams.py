"""Diagrams drawn from what they are about: the approaches, a low-rank update, the bill of years."""

import io
import textwrap
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from helpers.approaches import APPROACHES, Approach
from helpers.backbones import Backbone, clone, load_backbone
from helpers.display.figures import DPI, MAX_SIZE, Picture, figure, plain_number, png_bytes
from helpers.display.theme import DARK
from helpers.vocabulary import ordered

STILL, MOVES, NEW, INK = "#c9ced4", "#d55e00", "#009e73", "#1a1d21"
SMALL = 8  # points
INSIDE = "#000000"  # words on a filled block: dark on every ground
# Which of the two drawings shows: JupyterLab and the site say on `body` whether they are dark.
_GROUNDS = ('body[data-jp-theme-light="false"]', 'body[data-theme="dark"]')
_AUTO = 'body[data-theme="auto"]'


class Diagram(Picture):
    """A picture with a second drawing for dark pages: no ground, and words in light ink."""

    def dark_png(self) -> bytes:
        """The drawing for a dark ground as PNG."""
        words = [one for one in self.findobj(Text) if one.get_color() != INSIDE]
        inks, drawn = [one.get_color() for one in words], io.BytesIO()
        for one in words:
            one.set_color(DARK["ink"])
        self.savefig(drawn, format="png", dpi=DPI, transparent=True, metadata={"Software": None})
        for one, ink in zip(words, inks, strict=True):
            one.set_color(ink)
        return drawn.getvalue()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        bundle, metadata = super()._repr_mimebundle_(include, exclude)
        return bundle | {"text/html": self.both()}, metadata

    def both(self) -> str:
        """Both drawings as HTML, of which the page's ground shows one; the light one by default."""
        shown = {"dark": ("inline", "none"), "light": ("none", "inline")}
        rules = ""
        for name, (on_dark, _) in shown.items():
            places = ",".join(f"{ground} .fta-{name}" for ground in _GROUNDS)
            rules += f"{places}{{display:{on_dark}!important}}"
            auto = f"{_AUTO} .fta-{name}{{display:{on_dark}!important}}"
            rules += f"@media(prefers-color-scheme:dark){{{auto}}}"
        drawings = {"light": png_bytes(self), "dark": self.dark_png()}
        images = "".join(
            f'<img class="fta-{name}" style="display:{shown[name][1]}" alt="{escape(self.alt)}" '
            f'src="data:image/png;base64,{b64encode(png).decode()}">'
            for name, png in drawings.items()
        )
        return f"<style>{rules}</style>{images}"


class Part(NamedTuple):
    """A stage, or the head: how many of its numbers train, and whether it was given new ones."""

    share: float
    inserted: bool


def anatomy(approach: Approach, backbone: Backbone) -> list[Part]:
    """What an approach does to each stage of a network, read off the model that it builds."""
    held = [sum(p.numel() for p in stage.parameters()) for stage in backbone.stages]
    model = approach.build(clone(backbone), 2, approach.options())
    parts = []
    for stage, before in zip(model.backbone.stages, held, strict=True):
        sizes = [(p.numel(), p.requires_grad) for p in stage.parameters()]
        total = sum(size for size, _ in sizes)
        moving = sum(size for size, trains in sizes if trains)
        parts.append(Part(moving / total if total else 0.0, total > before))
    return parts


def plot_approaches() -> Diagram:
    """Draw every registered approach as the stages of `pocket`: grey stays, orange trains.

    Read off the models, so that an approach of one's own is a row by being registered.
    """
    backbone, count = load_backbone("pocket"), len(APPROACHES)
    title = "Grey stays, orange trains, green is inserted and trains; hatched: random start"
    made, ax = figure(
        title, width=MAX_SIZE[0], height=min(MAX_SIZE[1], 0.5 + 0.5 * count), kind=Diagram
    )
    told = []
    for row, entry in enumerate(APPROACHES[name] for name in ordered(APPROACHES)):
        parts = anatomy(entry, backbone) if entry.uses_network else []
        told.append(f"{entry.title}: {entry.summary}")
        _text(ax, -0.2, row, entry.title, ha="right", weight="bold")
        for place, part in enumerate(parts):
            _stage(ax, place, row, part, random=not entry.uses_pretrained)
        _box(ax, backbone.n_stages + 0.15, row, MOVES, width=0.55)
        _text(ax, backbone.n_stages + 1.0, row, textwrap.fill(entry.summary, 42), size=SMALL)
    _text(ax, backbone.n_stages / 2, -0.8, "stages of the network", ha="center", size=SMALL)
    _text(ax, backbone.n_stages + 0.42, -0.8, "head", ha="center", size=SMALL)
    _bare(ax, (-3.3, backbone.n_stages + 6.2), (count - 0.4, -1.2))
    made.alt = "Which part of a network each approach trains. " + " ".join(told)
    return made


def _stage(ax: Axes, place: int, row: int, part: Part, *, random: bool) -> None:
    """One stage: its frozen share grey, what trains orange from below, what was inserted green."""
    hatch = "////" if random else None
    if part.inserted:
        _box(ax, place, row, STILL)
        ax.add_patch(Rectangle((place + 0.36, row - 0.3), 0.2, 0.6, fc=NEW, ec=INK, lw=0.8))
    elif part.share in (0.0, 1.0):
        _box(ax, place, row, MOVES if part.share else STILL, hatch=hatch)
    else:
        _box(ax, place, row, STILL)
        ax.add_patch(Rectangle((place, row + 0.1), 0.9, 0.2, fc=MOVES, ec=INK, lw=0.8))


def plot_low_rank(width: int = 1_280, rank: int = 8) -> Diagram:
    """Draw a layer with LoRA: the frozen square W beside the thin B and the flat A, with counts."""
    full, small = width * width, 2 * width * rank
    made, ax = figure("LoRA: W stays, B·A is added", width=7.0, height=3.2, kind=Diagram)
    _block(ax, (0, 0), (3, 3), STILL, f"W\n{width:,} × {width:,}\nfrozen")
    _text(ax, 3.5, 1.5, "+", ha="center", size=18)
    _block(ax, (4, 0), (0.5, 3), NEW, "B")
    _text(ax, 4.8, 1.5, "·", ha="center", size=18)
    _block(ax, (5.1, 1.25), (3, 0.5), NEW, "A")
    words = f"B: {width:,} × {rank}, A: {rank} × {width:,}; both train"
    _text(ax, 5.1, 2.2, words, size=SMALL + 1)
    _text(ax, 5.1, 2.6, f"{small:,} numbers in place of {full:,}", size=SMALL + 1)
    _bare(ax, (-0.1, 9.2), (3.1, -0.1))
    made.alt = (
        f"A frozen matrix W of {width:,} by {width:,} numbers, beside it two thin matrices that "
        f"train, B and A, of rank {rank}: {small:,} numbers in place of {full:,}."
    )
    return made


def plot_bill(bills: Mapping[str, Mapping[str, float]], unit: str, title: str) -> Picture:
    """Draw one bar for each bill, cut into its items: {approach: {"disks": 42.0, …}}.

    Items have the same order and shade in all of them, and each sum stands at its bar's end.
    """
    items: Sequence[str] = list(dict.fromkeys(name for bill in bills.values() for name in bill))
    shades = [str(0.25 + 0.6 * place / max(1, len(items) - 1)) for place in range(len(items))]
    made, ax = figure(title, width=MAX_SIZE[0], height=min(MAX_SIZE[1], 1.4 + 0.5 * len(bills)))
    for row, bill in enumerate(bills.values()):
        left = 0.0
        for name, shade in zip(items, shades, strict=True):
            label = {"label": name} if row == 0 else {}
            ax.barh(row, bill.get(name, 0.0), left=left, color=shade, ec=INK, lw=0.6, **label)
            left += bill.get(name, 0.0)
        _text(ax, left, row, f" {left:,.0f}")
    ax.set_yticks(range(len(bills)), list(bills))
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.margins(x=0.12)
    ax.set_xlabel(unit)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(plain_number)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    sums = ", ".join(f"{name} {sum(bill.values()):,.0f}" for name, bill in bills.items())
    made.alt = f"{title}: {', '.join(items)} in {unit}. In all: {sums}."
    return made


def _box(
    ax: Axes, x: float, row: float, colour: str, *, width: float = 0.9, hatch: str | None = None
) -> None:
    ax.add_patch(Rectangle((x, row - 0.3), width, 0.6, fc=colour, ec=INK, lw=0.8, hatch=hatch))


def _block(
    ax: Axes, corner: tuple[float, float], size: tuple[float, float], colour: str, words: str
) -> None:
    ax.add_patch(Rectangle(corner, *size, fc=colour, ec=INK, lw=1.0))
    x, y = (start + side / 2 for start, side in zip(corner, size, strict=True))
    _text(ax, x, y, words, ha="center", color=INSIDE)


def _text(ax: Axes, x: float, y: float, words: str, **style) -> None:
    ax.text(x, y, words, va="center", **({"color": INK, "size": SMALL + 1} | style))


def _bare(ax: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    ax.set(xlim=x, ylim=y)
    ax.set_axis_off()
