"""What approaches are called, and how approaches, tasks and backbones are named and drawn.

The shipped approaches stand here as data, so that modules which must not load torch (the rule, the
records, the figures) know them. Whatever is registered in one file of its own adds itself:
`register_approach`, `register_task` and `register_backbone` hand over what the entry says, and what
it leaves out is worked out here, unlike all others.
"""

import itertools
import math
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from helpers.errors import UserError

CLASSICAL = "classical"
FEATURE_EXTRACTION = "feature_extraction"
PARTIAL_FINE_TUNING = "partial_fine_tuning"
FULL_FINE_TUNING = "full_fine_tuning"
LP_FT = "lp_ft"
LORA = "lora"
ADAPTER = "adapter"
FROM_SCRATCH = "from_scratch"
# What the words mean on the scale of distances, 0 (the pretraining data) to 1 (unlike it in all).
DISTANCES = {"close": 1 / 6, "medium": 1 / 2, "far": 5 / 6}
MODALITIES = ("image", "text")
KINDS = dict(zip(MODALITIES, ("pictures", "texts"), strict=True))  # what their examples are called


class SizeWord(StrEnum):
    """What a number of examples is called."""

    SMALL = "small"
    MODERATE = "moderate"
    LARGE = "large"


class DistanceWord(StrEnum):
    """What a distance from the pretraining data is called."""

    CLOSE = "close"
    DISTANT = "distant"
    VERY_DISTANT = "very distant"


# A number in the middle of each word's range, where a distance is known by its word alone.
DISTANCE_OF = dict(zip(DistanceWord, DISTANCES.values(), strict=True))


@dataclass(frozen=True)
class Style:
    """How one approach, task or backbone is named and drawn in every figure.

    marker: as matplotlib calls it. label: in figures and tables. short: where there is little
    room. phrase: in a sentence. on_dark: the colour on a dark ground.
    """

    colour: str
    marker: str
    label: str
    short: str
    phrase: str
    on_dark: str

    @property
    def title(self) -> str:
        """The label as a heading."""
        return self.label[:1].upper() + self.label[1:]


def _shipped(
    colour: str, marker: str, label: str, short: str, phrase: str = "", on_dark: str = ""
) -> Style:
    return Style(colour, marker, label, short, phrase or label, on_dark or colour)


# In the order that figures, tables and sentences list them. Okabe and Ito's palette (2008), which
# colour-blind readers tell apart; grey is the anchor. Registered approaches follow.
APPROACH_STYLE: dict[str, Style] = {
    CLASSICAL: _shipped("#7f7f7f", "*", "no network", "classic", on_dark="#a0a0a0"),
    FEATURE_EXTRACTION: _shipped("#0072b2", "o", "feature extraction", "freeze", on_dark="#3f9fe0"),
    PARTIAL_FINE_TUNING: _shipped("#56b4e9", "s", "partial fine-tuning", "partial"),
    FULL_FINE_TUNING: _shipped("#d55e00", "D", "full fine-tuning", "full"),
    LP_FT: _shipped("#e69f00", "P", "probe, then fine-tune", "LP-FT", "probe, then fine-tuning"),
    LORA: _shipped("#009e73", "^", "LoRA", "LoRA"),
    ADAPTER: _shipped("#cc79a7", "v", "adapter", "adapter", "adapters"),
    FROM_SCRATCH: _shipped(
        "#000000", "X", "from scratch", "scratch", "training from scratch", "#ffffff"
    ),
}
SHIPPED = tuple(APPROACH_STYLE)
# For what comes later: colours (Tol's and ColorBrewer's dark ones), each as it is on a light and on
# a dark ground, and markers that no shipped approach has. Their numbers share no divisor, so going
# round both at once gives 42 pairs before one comes again.
SPARE_COLOURS = (
    ("#882255", "#cf6a9d"),
    ("#117733", "#4fbf72"),
    ("#332288", "#9c8cf0"),
    ("#999933", "#c5c552"),
    ("#8c510a", "#d9903f"),
    ("#01665e", "#35b5a8"),
    ("#b2182b", "#f0717f"),
)
SPARE_MARKERS = ("<", ">", "p", "h", "d", "8")
# What tasks and backbones say of themselves: name → the fields of Style that they fill. Controls
# stand here, so that each looks the same in every figure.
_GIVEN: dict[str, dict[str, str]] = {
    name: {"colour": colour, "marker": marker, "on_dark": on_dark}
    for names, (colour, on_dark), marker in (
        (("random_weights", "random"), SPARE_COLOURS[0], SPARE_MARKERS[0]),
        (("guessing",), SPARE_COLOURS[1], SPARE_MARKERS[1]),
        (("pretrained",), SPARE_COLOURS[2], SPARE_MARKERS[2]),
    )
    for name in names
}


def register(name: str, **given: str) -> Style:
    """Add an approach, or change what is known of one; returns its style.

    given: fields of `Style`. What is left out or empty stays as it was; of a new approach the label
    is made from the name, and colour and marker are the first that no other approach has.

    Raises UserError where another approach has the same colour and marker.
    """
    given = {field: value for field, value in given.items() if value}
    style = replace(_style_or_spare(name, given.get("label", "")), **given)
    if "colour" in given and "on_dark" not in given:
        style = replace(style, on_dark=style.colour)
    for other, taken in APPROACH_STYLE.items():
        if other != name and (taken.colour, taken.marker) == (style.colour, style.marker):
            raise UserError(
                f"approach {name!r} has the colour {style.colour} and the marker {style.marker!r} "
                f"of {other!r}; choose others, or leave them out"
            )
    APPROACH_STYLE[name] = style
    return style


def describe(name: str, **given: str) -> None:
    """Remember what a task or a backbone says of its label, colour or marker, if anything."""
    given = {field: value for field, value in given.items() if value}
    if "colour" in given:
        given.setdefault("on_dark", given["colour"])
    _GIVEN[name] = given


def style_of(approach: str) -> Style:
    """Return the style of an approach.

    One that only records name, because nobody registered it here, is given a spare style and keeps
    it in this process, so that all figures draw it alike.
    """
    return APPROACH_STYLE[approach] if approach in APPROACH_STYLE else register(approach)


def parse_distance(distance: float | str) -> float:
    """Return a distance as a number. Raises UserError for other words and numbers outside 0–1."""
    words = DISTANCES | DISTANCE_OF
    if isinstance(distance, str) and distance in words:
        return words[distance]
    try:
        value = float(distance)
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(distance, bool) or not 0 <= value <= 1:
        raise UserError(f"distance must be {', '.join(DISTANCES)} or 0 to 1, not {distance!r}")
    return value


def in_words(name: Any) -> str:
    """Return a name with spaces."""
    return str(name).replace("_", " ")


def counted(number: int, what: str) -> str:
    """Return a number of things in words, such as "1 data set" or "3 data sets"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def wrapped(text: str, width: int = 100) -> str:
    """The text with line breaks between words: JupyterLab breaks long printed lines within them."""
    return "\n".join(textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
                     for line in text.splitlines())  # fmt: skip


def label_of(name: Any) -> str:
    """Return how an approach, task or backbone is called in figures and tables."""
    if name in APPROACH_STYLE:
        return APPROACH_STYLE[name].label
    return _GIVEN.get(name, {}).get("label") or in_words(name)


def phrase_of(approach: str) -> str:
    """Return an approach's name as it stands in a sentence."""
    return APPROACH_STYLE[approach].phrase if approach in APPROACH_STYLE else in_words(approach)


def ordered(names: Iterable[Any]) -> list[Any]:
    """Return each name once: approaches in the order of `APPROACH_STYLE`, then the others."""
    names = list(dict.fromkeys(names))
    known = [name for name in APPROACH_STYLE if name in names]
    return known + [name for name in names if name not in APPROACH_STYLE]


def looks(names: Iterable[Any]) -> dict[Any, Style]:
    """Return the style of each name, in the order of `ordered`: its own, or a spare one.

    Shipped approaches have their colours for themselves. Tasks and backbones have what they say of
    themselves, and colours and markers that no approach beside them has in turn for the rest.
    """
    names = ordered(names)
    given = [_GIVEN.get(name, {}) for name in names]
    taken = {(one.get("colour"), one.get("marker")) for one in given}
    beside = [name for name in names if name in APPROACH_STYLE]
    free = (one for one in _spare(beside) if one[:2] not in taken)
    found = {}
    for name in names:
        if name in APPROACH_STYLE:
            found[name] = APPROACH_STYLE[name]
            continue
        colour, marker, on_dark = next(free)
        words = label_of(name)
        found[name] = replace(
            Style(colour, marker, words, words, words, on_dark), **_GIVEN.get(name, {})
        )
    return found


def _style_or_spare(name: str, label: str) -> Style:
    """The style of an approach so far; of a new one the next spare."""
    if name in APPROACH_STYLE:
        return APPROACH_STYLE[name]
    colour, marker, on_dark = next(_spare(APPROACH_STYLE))
    words = label or in_words(name)
    return Style(colour, marker, words, words, words, on_dark)


def _spare(beside: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(colour, marker, colour on dark) that none of these approaches has; they repeat at last."""
    pairs = [
        (*SPARE_COLOURS[i % len(SPARE_COLOURS)], SPARE_MARKERS[i % len(SPARE_MARKERS)])
        for i in range(len(SPARE_COLOURS) * len(SPARE_MARKERS))
    ]
    taken = {(APPROACH_STYLE[name].colour, APPROACH_STYLE[name].marker) for name in beside}
    free = [(light, marker, dark) for light, dark, marker in pairs if (light, marker) not in taken]
    return itertools.cycle(free or [(light, marker, dark) for light, dark, marker in pairs])
