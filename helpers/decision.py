"""The article's decision rule: four ordered rules, a fallback, three flips. No data, no network.

It is total (every valid situation gets an answer) and says why, in the order in which it thought.
What was measured near a situation is a different question: see `helpers.results.evidence`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from helpers.errors import UserError
from helpers.vocabulary import (
    ADAPTER,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    LORA,
    MODALITIES,
    PARTIAL_FINE_TUNING,
    SHIPPED,
    DistanceWord,
    SizeWord,
    parse_distance,
    phrase_of,
)


class ReasonKind(StrEnum):
    """What a reason is about. Programs ask for the kind; the text is for people alone."""

    # Of the rule.
    SIZE = "size"
    DISTANCE = "distance"
    NO_MATCH = "no match"
    MATCH = "match"
    ORDER = "order"  # a later rule would match as well
    UNCOVERED = "uncovered"  # no rule matches
    FALLBACK = "fallback"
    FLIP = "flip"
    MEASURE = "measure"  # what to measure before trusting the answer
    # Of the records.
    SOURCE = "source"  # which curves were read
    OVER_LIMITS = "over limits"
    COMPARISON = "comparison"  # whether one approach is clearly ahead
    CHOICE = "choice"  # which approach to take where none is
    ABSENCE = "absence"  # why there is no evidence
    LEAN = "lean"  # where more distant curves point


@dataclass(frozen=True)
class Reason:
    """One sentence of why an answer was given, and what kind of reason it is."""

    kind: ReasonKind
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Thresholds:
    """Where words turn into numbers. A value at a threshold belongs to the higher side."""

    small: int = 5_000  # fewer examples are small
    large: int = 100_000  # fewer, from `small` on, are moderate; from here on large
    distant: float = 1 / 3  # nearer is close
    very_distant: float = 2 / 3
    many_tasks: int = 10
    unlabelled: int = 10_000  # fewer unlabelled examples are never many
    unlabelled_ratio: float = 10.0  # and they are many only at so many times the labelled ones

    def __post_init__(self) -> None:
        if not 0 < self.small < self.large:
            raise UserError(f"thresholds need 0 < small < large, not {self.small}, {self.large}")
        if not 0 < self.distant < self.very_distant <= 1:
            raise UserError(
                "thresholds need 0 < distant < very_distant <= 1, not "
                f"{self.distant}, {self.very_distant}"
            )
        if self.many_tasks < 2 or self.unlabelled < 1 or not self.unlabelled_ratio > 0:
            raise UserError("thresholds need many_tasks >= 2, unlabelled >= 1, a ratio above 0")


DEFAULTS = Thresholds()


@dataclass(frozen=True)
class Situation:
    """What a team knows before it trains anything, checked when built.

    distance: 0 to 1, or one of the words in DISTANCES (turned into its number).
    llm: the model to adapt is a large language model.
    budget_minutes: of training; None: accuracy comes first. latency_ms: of one prediction.
    tasks: similar tasks to be kept up. unlabelled: further examples of one's own without labels.
    local_only: data must not leave, so a model behind an API is out.
    """

    examples: int
    distance: float
    modality: str = "image"
    llm: bool = False
    budget_minutes: float | None = None
    latency_ms: float | None = None
    tasks: int = 1
    unlabelled: int = 0
    local_only: bool = False

    def __post_init__(self) -> None:
        for name, least in (("examples", 1), ("tasks", 1), ("unlabelled", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UserError(f"{name} must be a whole number of {least} or more, not {value!r}")
        object.__setattr__(self, "distance", parse_distance(self.distance))
        if self.modality not in MODALITIES:
            raise UserError(f"modality must be image or text, not {self.modality!r}")
        if self.llm and self.modality != "text":
            raise UserError("a large language model reads text; set modality to text")
        for name in ("budget_minutes", "latency_ms"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and math.isfinite(value) and value > 0):
                raise UserError(f"{name} must be a number above 0, not {value!r}")

    def allows(self, minutes: float, latency_ms: float) -> bool:
        """Tell whether what training and one prediction take lies within both limits.

        A cost that is not known (NaN) rules nothing out.
        """
        spent = ((minutes, self.budget_minutes), (latency_ms, self.latency_ms))
        return not any(limit is not None and cost > limit for cost, limit in spent)


def size_word(examples: int, thresholds: Thresholds = DEFAULTS) -> SizeWord:
    """Return what so many examples are called: small, moderate or large."""
    if examples < thresholds.small:
        return SizeWord.SMALL
    return SizeWord.MODERATE if examples < thresholds.large else SizeWord.LARGE


def distance_word(distance: float, thresholds: Thresholds = DEFAULTS) -> DistanceWord:
    """Return what a distance is called: close, distant or very distant."""
    if distance < thresholds.distant:
        return DistanceWord.CLOSE
    if distance < thresholds.very_distant:
        return DistanceWord.DISTANT
    return DistanceWord.VERY_DISTANT


def unlabelled_is_many(situation: Situation, thresholds: Thresholds = DEFAULTS) -> bool:
    """Tell whether the unlabelled examples are many, in number and beside the labelled ones."""
    ratio = thresholds.unlabelled_ratio * situation.examples
    return situation.unlabelled >= max(thresholds.unlabelled, ratio)


FALLBACK = "fallback"
# How the shipped approaches are named in a sentence.
TITLES = {name: phrase_of(name) for name in SHIPPED}


@dataclass(frozen=True)
class Flip:
    """A condition that overrides the rules, or a change that would change the answer.

    applied: it holds in the situation. approach: what is, or would be, chosen under it.
    """

    name: str
    applied: bool
    approach: str
    why: str


@dataclass(frozen=True)
class Decision:
    """The answer. `rule` is R1 to R4 or "fallback"; an applied flip may have overridden it."""

    approach: str
    rule: str
    reasons: tuple[Reason, ...]
    flips: tuple[Flip, ...] = ()
    measure: tuple[str, ...] = ()  # what to measure before trusting the answer
    first: str = ""  # what to do before, such as continued pretraining


def decide(situation: Situation, thresholds: Thresholds = DEFAULTS) -> Decision:
    """Answer for a situation: the first rule that matches, then the flips, then what would change.

    Where no rule matches, `rule` is "fallback" and the cheapest credible approach is named, with
    what to measure before trusting it.
    """
    decision = _flipped(situation, thresholds)
    changes = tuple(_changes(situation, decision, thresholds))
    measure = tuple(
        Reason(ReasonKind.MEASURE, f"Measure before trusting this: {what}.")
        for what in decision.measure
    )
    return replace(decision, reasons=decision.reasons + measure, flips=decision.flips + changes)


def _rules(situation: Situation, thresholds: Thresholds) -> list[tuple[str, bool, str, str]]:
    """The ordered rules: name, whether it matches, what it asks for, what it answers."""
    size = size_word(situation.examples, thresholds)
    distance = distance_word(situation.distance, thresholds)
    distant, all_out = distance != DistanceWord.CLOSE, situation.budget_minutes is None
    return [
        (
            "R1",
            size == SizeWord.SMALL and not distant,
            "a small data set and a close domain",
            FEATURE_EXTRACTION,
        ),
        ("R2", situation.llm, "a large language model, whatever the size", LORA),
        (
            "R3",
            size == SizeWord.MODERATE and distant,
            "a moderate data set and a distant domain",
            PARTIAL_FINE_TUNING,
        ),
        (
            "R4",
            size == SizeWord.LARGE and distance == DistanceWord.VERY_DISTANT and all_out,
            "a large data set, a very distant domain and accuracy above all (no limit on training "
            "time)",
            FULL_FINE_TUNING,
        ),
    ]


ADVICE = {
    "R1": "training a head on frozen features is cheap, and a base that stays put can't overfit",
    "R2": "tuning all of a language model rarely earns what it costs; LoRA moves millions of "
    "weights, not billions",
    "R3": "tune the upper layers and keep the lower ones frozen",
    "R4": "there is enough data to move every weight",
}
MEASURE = {
    "R1": ("the frozen probe against chance (barely above it, the domain is not close)",),
    "R2": ("a frozen probe, to know what LoRA adds",),
    "R3": ("validation accuracy while it trains (unfreeze more only when it stalls)",),
    "R4": ("the price of training from scratch (it may win here)",),
}


def ruled(situation: Situation, thresholds: Thresholds = DEFAULTS) -> Decision:
    """What the four rules say, or the fallback; without flips, and without what would change it."""
    size = size_word(situation.examples, thresholds)
    distance = distance_word(situation.distance, thresholds)
    reasons = [
        Reason(
            ReasonKind.SIZE,
            f"{situation.examples:,} examples are {size} (small: fewer than {thresholds.small:,}; "
            f"large: {thresholds.large:,} or more).",
        ),
        Reason(
            ReasonKind.DISTANCE,
            f"Distance {situation.distance:.2f} is {distance} (distant: {thresholds.distant:.2f} "
            f"or more; very distant: {thresholds.very_distant:.2f} or more).",
        ),
    ]
    rules = _rules(situation, thresholds)
    for place, (name, matches, asked, approach) in enumerate(rules):
        if not matches:
            told = f"{name} does not match: it asks for {asked}."
            reasons.append(Reason(ReasonKind.NO_MATCH, told))
            continue
        told = f"{name} matches, {asked}: {TITLES[approach]}; {ADVICE[name]}."
        reasons.append(Reason(ReasonKind.MATCH, told))
        later = [other[0] for other in rules[place + 1 :] if other[1]]
        if later:
            told = f"{later[0]} would match as well; the order decides, {name} is first."
            reasons.append(Reason(ReasonKind.ORDER, told))
        return Decision(approach, name, tuple(reasons), (), MEASURE[name])
    return _fallback(size, distance, reasons)


def _fallback(size: SizeWord, distance: DistanceWord, reasons: list[Reason]) -> Decision:
    """No rule covers this: the cheapest approach that is credible here, and how to check it."""
    told = f"No rule covers a {size} data set and a {distance} domain here."
    reasons.append(Reason(ReasonKind.UNCOVERED, told))
    if size == SizeWord.LARGE and distance != DistanceWord.CLOSE:
        approach = PARTIAL_FINE_TUNING
        told = (
            "The cheapest credible approach is partial fine-tuning: frozen features fit a distant "
            "domain badly, and this much data supports moving the upper layers."
        )
        measure = (
            "full against partial fine-tuning on a tenth of the data",
            "training from scratch on the same tenth, to price it",
        )
    else:
        approach = FEATURE_EXTRACTION
        told = (
            "The cheapest credible approach is feature extraction; it takes seconds to try and "
            "can't harm the base."
        )
        measure = (
            "the frozen probe against raw pixels or word counts (no better, pretraining has not "
            "helped while frozen)",
            "LoRA and partial fine-tuning against the probe on the same validation split",
        )
    reasons.append(Reason(ReasonKind.FALLBACK, told))
    return Decision(approach, FALLBACK, tuple(reasons), (), measure)


def _flipped(situation: Situation, thresholds: Thresholds) -> Decision:
    """The rules' answer with the three flips applied, in the article's order; the last wins."""
    decision = ruled(situation, thresholds)
    approach, first, flips = decision.approach, "", []
    if unlabelled_is_many(situation, thresholds):
        first = "continued pretraining"
        flips.append(("unlabelled data", approach, _UNLABELLED.format(situation.unlabelled)))
    if situation.local_only:
        approach = FULL_FINE_TUNING
        flips.append((LOCAL_ONLY, approach, _LOCAL))
    if situation.tasks >= thresholds.many_tasks:
        approach = LORA if decision.rule == "R2" else ADAPTER
        flips.append(("many tasks", approach, _TASKS.format(situation.tasks, TITLES[approach])))
    reasons = tuple(Reason(ReasonKind.FLIP, f"Flip, {name}: {why}") for name, _, why in flips)
    return replace(
        decision,
        approach=approach,
        first=first,
        reasons=decision.reasons + reasons,
        flips=tuple(Flip(name, True, chosen, why) for name, chosen, why in flips),
    )


_UNLABELLED = (
    "{:,} unlabelled examples are many; first continue the base's self-supervised pretraining on "
    "them, then adapt it, which often beats fine-tuning straight away."
)
LOCAL_ONLY = "local only"  # the flip's name
_LOCAL = (
    "data must not leave, so a larger model behind an API is out; a smaller model that runs here, "
    "fully fine-tuned, may beat it frozen, and the constraint outranks the accuracy math."
)
_TASKS = (
    "{} similar tasks to keep up are many; one base with {} for each is easier to store and to "
    "version than full copies (heads on a frozen base store less still, where they reach enough)."
)


def _changes(situation: Situation, decision: Decision, thresholds: Thresholds) -> Iterator[Flip]:
    """Every single change, to a threshold or of a condition, under which the answer differs."""
    seen = set()
    for name, why, changed in _neighbours(situation, thresholds):
        other = _flipped(changed, thresholds)
        answer = (name, other.approach, other.first)
        if (other.approach, other.first) != (decision.approach, decision.first):
            if answer not in seen:
                yield Flip(name, False, other.approach, f"{why}: {_plan(other)}.")
            seen.add(answer)


def _plan(decision: Decision) -> str:
    title = TITLES[decision.approach]
    return f"{decision.first}, then {title}" if decision.first else title


def _neighbours(
    situation: Situation, thresholds: Thresholds
) -> Iterator[tuple[str, str, Situation]]:
    """Situations one change away: (what changes, in words, the situation), nearest first."""
    sizes = (thresholds.small, thresholds.large)
    for edge in sorted(sizes, key=lambda edge: abs(edge - situation.examples)):
        side = edge - 1 if situation.examples >= edge else edge
        word = f"fewer than {edge:,} examples" if side < edge else f"{edge:,} examples or more"
        yield "examples", f"with {word}", replace(situation, examples=side)
    edges = (thresholds.distant, thresholds.very_distant)
    for edge in sorted(edges, key=lambda edge: abs(edge - situation.distance)):
        side = math.nextafter(edge, 0) if situation.distance >= edge else edge
        word = f"below {edge:.2f}" if side < edge else f"of {edge:.2f} or more"
        yield "distance", f"with a distance {word}", replace(situation, distance=side)
    if situation.modality == "text":
        words = "with a smaller model" if situation.llm else "with a large language model"
        yield "language model", words, replace(situation, llm=not situation.llm)
    if situation.budget_minutes is not None:
        yield "budget", "with no limit on training time", replace(situation, budget_minutes=None)
    many = math.ceil(max(thresholds.unlabelled, thresholds.unlabelled_ratio * situation.examples))
    if unlabelled_is_many(situation, thresholds):
        yield "unlabelled data", "without unlabelled data", replace(situation, unlabelled=0)
    else:
        words = f"with {many:,} unlabelled examples or more"
        yield "unlabelled data", words, replace(situation, unlabelled=many)
    words = "if a hosted model were allowed" if situation.local_only else "if it must run locally"
    yield LOCAL_ONLY, words, replace(situation, local_only=not situation.local_only)
    if situation.tasks >= thresholds.many_tasks:
        yield "many tasks", "with one task", replace(situation, tasks=1)
    else:
        words = f"with {thresholds.many_tasks} similar tasks or more"
        yield "many tasks", words, replace(situation, tasks=thresholds.many_tasks)
