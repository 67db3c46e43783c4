"""What is known before training: a situation, checked when built, and the words for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from helpers.errors import UserError

# What the words mean on the scale of distances, 0 (the pretraining data) to 1 (unlike it in all).
DISTANCES = {"close": 1 / 6, "medium": 1 / 2, "far": 5 / 6}
MODALITIES = ("image", "text")


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
        """Tell whether what training and one prediction take lies within both limits."""
        spent = ((minutes, self.budget_minutes), (latency_ms, self.latency_ms))
        return all(limit is None or cost <= limit for cost, limit in spent)


def parse_distance(distance: float | str) -> float:
    """Return a distance as a number. Raises UserError for other words and numbers outside 0–1."""
    if isinstance(distance, str) and distance in DISTANCES:
        return DISTANCES[distance]
    try:
        value = float(distance)
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(distance, bool) or not 0 <= value <= 1:
        raise UserError(f"distance must be close, medium, far or 0 to 1, not {distance!r}")
    return value


def size_word(examples: int, thresholds: Thresholds | None = None) -> SizeWord:
    """Return what so many examples are called: small, moderate or large."""
    thresholds = thresholds or Thresholds()
    if examples < thresholds.small:
        return SizeWord.SMALL
    return SizeWord.MODERATE if examples < thresholds.large else SizeWord.LARGE


def distance_word(distance: float, thresholds: Thresholds | None = None) -> DistanceWord:
    """Return what a distance is called: close, distant or very distant."""
    thresholds = thresholds or Thresholds()
    if distance < thresholds.distant:
        return DistanceWord.CLOSE
    if distance < thresholds.very_distant:
        return DistanceWord.DISTANT
    return DistanceWord.VERY_DISTANT


def unlabelled_is_many(situation: Situation, thresholds: Thresholds | None = None) -> bool:
    """Tell whether the unlabelled examples are many, in number and beside the labelled ones."""
    thresholds = thresholds or Thresholds()
    ratio = thresholds.unlabelled_ratio * situation.examples
    return situation.unlabelled >= max(thresholds.unlabelled, ratio)
