"""Where answers turn: neighbouring points of the explorer's lattice whose answers differ.

Looked up in what the page holds, so that a reader finds there what the page says of itself.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from helpers.display.explorer.settings import Axes, Point
from helpers.results.evidence import Candidate
from helpers.vocabulary import phrase_of
from tools.site.upkeep import upkeep

# What a reader asks about, and the sliders that move it.
QUESTIONS = {
    "size": ("examples",),
    "distance": ("distance",),
    "cost": ("budget_minutes", "latency_ms", "hour_price"),
    "upkeep": ("tasks", "retrainings"),
}
ANSWERS = {
    "rule": "the rule",
    "measured": "what was measured",
    "published": "what is published",
    "pays": "what pays",
}
# How the address of the page calls the sliders and switches.
KEYS = {"n": "examples", "d": "distance", "m": "budget_minutes", "ms": "latency_ms", "t": "tasks",
        "r": "retrainings", "h": "hour_price", "p": "release_minutes", "w": "point_worth",
        "px": "pixels"}  # fmt: skip
KINDS = tuple(
    {"modality": modality, "llm": llm}
    for modality, llm in (("image", False), ("text", False), ("text", True))
)
Setting = dict[str, Any]  # places on the axes, and switches, as the page's script takes them


@dataclass(frozen=True)
class Turn:
    """One step of one slider that changes one answer, or how often that happens.

    steps: how many steps have an answer at both ends; turning: at how many of them it differs.
    before, after: settings around the turn nearest to where the page starts; None without one.
    """

    question: str
    who: str
    steps: int
    turning: int
    before: Setting | None = None
    after: Setting | None = None
    told: tuple[str, str] = ("", "")


class Lattice:
    """The page's answers, looked up by setting."""

    def __init__(self, data: dict[str, Any], axes: Axes) -> None:
        self.data, self.axes = data, axes
        self.names = data["approaches"]

    def answer(self, who: str, at: Setting) -> str:
        """Return the approach that one of `ANSWERS` names at a setting; empty where none."""
        return getattr(self, who)(at)

    def rule(self, at: Setting) -> str:
        """What the article's rule says."""
        data = self.data
        limited = self.axes.budget_minutes[at["budget_minutes"]] is not None
        row = data["rows"][data["rules"][(self._cell(at) * 3 + _kind(at)) * 2 + limited]]
        place = row[at["tasks"] * 4 + 2 * at["unlabelled"] + at["local_only"]]
        return self.names[data["decisions"][place][0]]

    def measured(self, at: Setting) -> str:
        """What the records advise to take."""
        return self._name(self._found(at)[1])

    def published(self, at: Setting) -> str:
        """What gives up least in published cases near by."""
        word = self.data["words_of_distance"][at["distance"]]
        place = self.data["elsewhere"][(at["examples"] * 3 + word) * 3 + _kind(at)]
        return self._name(self.data["published"][place][1])

    def pays(self, at: Setting) -> str:
        """What pays best at the reader's prices."""
        rows = [self.data["candidates"][place] for place in self._found(at)[3]]
        candidates = [Candidate(self.names[row[0]], *row[1:]) for row in rows]
        return upkeep(point_at(self.axes, at), candidates).take

    def _found(self, at: Setting) -> tuple:
        data, kind = self.data, _kind(at)
        place = at["budget_minutes"] * len(self.axes.latency_ms) + at["latency_ms"]
        found = data["rows"][data["found"][self._cell(at) * 2 + (kind > 0)]][place]
        return data["answers"][data["language"] if kind == 2 else found]

    def _cell(self, at: Setting) -> int:
        return at["examples"] * len(self.axes.distance) + at["distance"]

    def _name(self, place: int) -> str:
        return self.names[place] if place >= 0 else ""


def _kind(at: Setting) -> int:
    return 0 if at["modality"] == "image" else 2 if at["llm"] else 1


def point_at(axes: Axes, at: Setting) -> Point:
    """Return the point that a setting stands for."""
    return Point(**(at | {name: getattr(axes, name)[at[name]] for name in asdict(axes)}))


def turns(data: dict[str, Any], axes: Axes, start: Setting) -> list[Turn]:
    """Return, for each question and each answer, how often it turns and the first place it does.

    start: where the page starts. A step is searched along one slider, with size, distance and kind
    anywhere and every other slider as it starts.
    """
    lattice, made = Lattice(data, axes), []
    for question, names in QUESTIONS.items():
        for who in ANSWERS:
            made.append(_turn(lattice, question, who, names, start))
    return made


def _turn(
    lattice: Lattice, question: str, who: str, names: tuple[str, ...], start: Setting
) -> Turn:
    steps, found = 0, []
    answer: Callable[[Setting], str] = lambda at: lattice.answer(who, at)  # noqa: E731
    for before, after in _steps(lattice.axes, names, start):
        told = (answer(before), answer(after))
        if all(told):
            steps += 1
            if told[0] != told[1]:
                found.append((_away(before, start), steps, before, after, told))
    if not found:
        return Turn(question, who, steps, 0)
    _, _, *turn = min(found, key=lambda one: one[:2])
    return Turn(question, who, steps, len(found), *turn)


def _steps(axes: Axes, names: tuple[str, ...], start: Setting) -> Iterator[tuple[Setting, Setting]]:
    """Every pair of neighbours along a slider, over all sizes, distances and kinds."""
    for name, kind in itertools.product(names, KINDS):
        others = [one for one in ("examples", "distance") if one != name]
        for places in itertools.product(*(range(len(getattr(axes, one))) for one in others)):
            at = start | kind | dict(zip(others, places, strict=True))
            for place in range(len(getattr(axes, name)) - 1):
                yield at | {name: place}, at | {name: place + 1}


def _points(axes: Axes, start: Setting) -> Iterator[Setting]:
    """Every size and distance of every kind, all else as it starts."""
    places = itertools.product(range(len(axes.examples)), range(len(axes.distance)), KINDS)
    for examples, distance, kind in places:
        yield start | kind | {"examples": examples, "distance": distance}


def _away(at: Setting, start: Setting) -> int:
    """Steps of all sliders from the start; another kind counts as many."""
    moved = sum(abs(at[k] - v) for k, v in start.items() if type(v) is int)
    return moved + 100 * (at["modality"] != start["modality"]) + 100 * at["llm"]


def turn_table(data: dict[str, Any], axes: Axes) -> str:
    """Return the turns as rows of a table, with a link to both sides of each."""
    found = {(turn.question, turn.who): turn for turn in turns(data, axes, data["start"])}
    rows = []
    for question in QUESTIONS:
        cells = "".join(
            f'<td data-head="{head}">{_cell_of(found[question, who], data, axes)}</td>'
            for who, head in ANSWERS.items()
        )
        rows.append(f'<tr><th scope="row">{question}</th>{cells}</tr>')
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("", *ANSWERS.values()))
    return f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"


def _cell_of(turn: Turn, data: dict[str, Any], axes: Axes) -> str:
    if turn.before is None or turn.after is None:
        return f"never, in {turn.steps:,} steps: that is the finding" if turn.steps else "not asked"
    moved = next(k for k in turn.before if turn.before[k] != turn.after[k])
    ends = zip((turn.before, turn.after), turn.told, strict=True)
    links = " → ".join(
        f'<a href="{html.escape(address(at, axes))}">{data["words"][moved][at[moved]]}: '
        f"{phrase_of(approach)}</a>"
        for at, approach in ends
    )
    share = 100 * turn.turning / turn.steps
    return f"{links} <small>{share:.1f} % of {turn.steps:,} steps</small>"


def address(at: Setting, axes: Axes) -> str:
    """Return the part of the page's address that stands for a setting."""
    parts = []
    for key, name in KEYS.items():
        value = getattr(axes, name)[at[name]]
        parts.append(f"{key}={'none' if value is None else f'{value:.10g}'}")
    parts.append(f"kind={at['modality']}")
    return "#" + "&".join([*parts, *(["llm=1"] if at["llm"] else [])])


def shares(data: dict[str, Any], axes: Axes) -> dict[str, float]:
    """Return the share of the lattice that was measured near by, that is published alone, neither.

    The lattice: every size, distance and kind of model and data, with nothing limited.
    """
    lattice, counts = Lattice(data, axes), dict.fromkeys(("measured", "published", "neither"), 0)
    for before in _points(axes, data["start"]):
        own, other = lattice.measured(before), lattice.published(before)
        counts["measured" if own else "published" if other else "neither"] += 1
    return {name: count / sum(counts.values()) for name, count in counts.items()}


def share_words(data: dict[str, Any], axes: Axes) -> str:
    """Return the shares in a sentence."""
    told = {name: f"{100 * share:.1f} %" for name, share in shares(data, axes).items()}
    return (
        f"Of all sizes, distances and kinds on the sliders, {told['measured']} lie near something "
        f"measured here, {told['published']} near published cases alone, and {told['neither']} "
        "near neither."
    )
