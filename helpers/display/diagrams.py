"""The diagram of the approaches, drawn from the models that they build."""

import textwrap
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from helpers.approaches import APPROACHES, Approach
from helpers.backbones import Backbone, clone, load_backbone
from helpers.display.figures import MAX_SIZE, Picture, figure
from helpers.vocabulary import ordered

STILL, MOVES, NEW, INK = "#c9ced4", "#d55e00", "#009e73", "#1a1d21"
SMALL = 8  # points


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


def plot_approaches(network: str = "pocket") -> Picture:
    """Draw every registered approach as the network's stages: grey stays, orange trains.

    Read off the models, so that an approach of one's own is a row by being registered.
    """
    backbone, count = load_backbone(network), len(APPROACHES)
    title = "Grey stays, orange trains, green is inserted and trains; hatched: random start"
    made, ax = figure(title, width=MAX_SIZE[0], height=min(MAX_SIZE[1], 0.5 + 0.5 * count))
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
    ax.set(xlim=(-3.3, backbone.n_stages + 6.2), ylim=(count - 0.4, -1.2))
    ax.set_axis_off()
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


def _box(
    ax: Axes, x: float, row: float, colour: str, *, width: float = 0.9, hatch: str | None = None
) -> None:
    ax.add_patch(Rectangle((x, row - 0.3), width, 0.6, fc=colour, ec=INK, lw=0.8, hatch=hatch))


def _text(ax: Axes, x: float, y: float, words: str, **style) -> None:
    ax.text(x, y, words, va="center", color=INK, **({"size": SMALL + 1} | style))
