"""The points that the explorer's sliders stop at, and what is said at each of them.

The notebook's explorer asks point by point; the page's answers are all worked out beforehand
(`tools.site.explorer_page`). Both take the rule from `helpers.decision` and the records from
`helpers.results.evidence`.
"""

from dataclasses import dataclass

from helpers.decision import DEFAULTS, FALLBACK, Decision, ReasonKind, Situation
from helpers.results.evidence import CLEAR, NONE, Evidence, among
from helpers.results.learning_curves import NEAREST, REACH_DISTANCE, SEEDS, Curve, Measured
from helpers.vocabulary import phrase_of


@dataclass(frozen=True)
class Axes:
    """The values on each slider, in order. None is no limit."""

    examples: tuple[int, ...] = (
        16, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000,
        500_000, 1_000_000,
    )  # fmt: skip
    distance: tuple[float, ...] = tuple(step / 20 for step in range(21))
    budget_minutes: tuple[float | None, ...] = (0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0, None)
    latency_ms: tuple[float | None, ...] = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, None)
    tasks: tuple[int, ...] = (1, 3, 10, 30, 100)
    retrainings: tuple[int, ...] = (0, 1, 2, 4, 12, 52, 365)
    hour_price: tuple[float, ...] = (0.05, 0.2, 0.5, 1.0, 3.0, 10.0, 30.0)
    release_minutes: tuple[int, ...] = (0, 5, 15, 30, 60, 120, 480)
    point_worth: tuple[float, ...] = (0.0, 0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0)
    pixels: tuple[int, ...] = (64, 128, 224)


AXES = Axes()


@dataclass(frozen=True)
class Point:
    """One setting of the sliders and switches.

    retrainings: of each task in a year. hour_price: of an hour of computing; point_worth: of a
    point of accuracy of one task in a year, both in the reader's own money. release_minutes: of
    people, for each training that is shipped. pixels: a side of the reader's pictures.
    """

    examples: int = 200
    distance: float = 0.25
    budget_minutes: float | None = None
    latency_ms: float | None = None
    tasks: int = 1
    modality: str = "image"
    llm: bool = False
    unlabelled: bool = False
    local_only: bool = False
    retrainings: int = 2
    hour_price: float = 1.0
    release_minutes: int = 30
    point_worth: float = 1.0
    pixels: int = 64

    def situation(self) -> Situation:
        """Return the situation it stands for. The switch means just enough unlabelled data."""
        return Situation(
            examples=self.examples,
            distance=self.distance,
            modality=self.modality,
            llm=self.llm and self.modality == "text",
            budget_minutes=self.budget_minutes,
            latency_ms=self.latency_ms,
            tasks=self.tasks,
            unlabelled=enough_unlabelled(self.examples) if self.unlabelled else 0,
            local_only=self.local_only,
        )


def enough_unlabelled(examples: int) -> int:
    """Return the least number of unlabelled examples that the rule calls many."""
    return int(max(DEFAULTS.unlabelled, DEFAULTS.unlabelled_ratio * examples))


def minutes_words(minutes: float | None) -> str:
    """Return a training budget in words: seconds, minutes or hours."""
    if minutes is None:
        return "no limit"
    if minutes < 1:
        return f"{60 * minutes:g} s"
    return f"{minutes / 60:g} h" if minutes >= 60 else f"{minutes:g} min"


def latency_words(milliseconds: float | None) -> str:
    """Return a latency limit in words."""
    return "no limit" if milliseconds is None else f"{milliseconds:g} ms"


def rule_title(rule: str) -> str:
    """Return how a rule is named to a reader; `rule` is R1 to R4 or `decision.FALLBACK`."""
    return "no rule matches" if rule == FALLBACK else rule


def headline(ruled: Decision, found: Evidence) -> tuple[str, str]:
    """Return the two verdicts as sentences: the rule's, and what the records say."""
    named = phrase_of(ruled.approach)
    plan = f"{ruled.first}, then {named}" if ruled.first else named
    flips = [flip.name for flip in ruled.flips if flip.applied]
    turned = f", flipped by: {', '.join(flips)}" if flips else ""
    rule = f"The rule says {plan} ({rule_title(ruled.rule)}{turned})."
    if found.verdict == NONE:
        absence = (reason.text for reason in found.reasons if reason.kind is ReasonKind.ABSENCE)
        return rule, next(absence, "")
    best = next(c for c in found.candidates if c.approach == found.take)
    reached = f"{best.accuracy:.3f} ({best.low:.3f} to {best.high:.3f})"
    if found.verdict == CLEAR:
        ahead = f"{phrase_of(found.take)} is clearly ahead{among(found.candidates)}"
        return rule, f"Measured near here, {ahead} at {reached}."
    told = "Measured near here it is too close to call; take"
    return rule, f"{told} {phrase_of(found.take)}, {reached}."


def comparison(ruled: Decision, found: Evidence) -> str:
    """Return how the rule's approach fared beside the measured answer; empty without evidence."""
    by_name = {candidate.approach: candidate for candidate in found.candidates}
    if not by_name:
        return ""
    name = phrase_of(ruled.approach)
    if ruled.approach not in by_name:
        return f"The rule's {name} was not measured here, or lies over your limits."
    if ruled.approach == found.take:
        return "The rule and the records agree here."
    own, taken = by_name[ruled.approach], by_name[found.take]
    # Rounded as they are printed, so that the sentence agrees with the table.
    points = 100 * (round(own.accuracy, 4) - round(taken.accuracy, 4))
    side = "above" if points >= 0 else "below"
    ratio = float(f"{own.train_seconds:.4g}") / float(f"{taken.train_seconds:.4g}")
    times = f"{_times(ratio)} times" if ratio >= 1 else f"1/{_times(1 / ratio)} of"
    return (
        f"The rule's {name} came out {abs(points):.1f} points {side} {phrase_of(found.take)}, at "
        f"{times} its training time."
    )


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


def shown_curves(situation: Situation, found: Evidence, held: Measured) -> tuple[list[int], bool]:
    """Return the places of the curves to show in `held`, and whether an answer was read from them.

    Where no answer was read from any, the nearest of the same kind stand in, for orientation.
    """
    if found.curves:
        places = {curve.key: place for place, curve in enumerate(held.curves)}
        return [places[key] for key in found.curves], True

    def gap(place: int) -> tuple[float, int]:
        curve = held.curves[place]
        return abs(curve.distance - situation.distance), -len(curve.accuracy)

    alike = [p for p, curve in enumerate(held.curves) if curve.modality == situation.modality]
    kept = [p for p in alike if _drawable(held.curves[p])]
    return sorted(kept or alike, key=gap)[:NEAREST], False


def _drawable(curve: Curve) -> bool:
    """Tell whether a curve has several sizes, and several approaches with an interval."""
    return len(curve.accuracy) > 1 and any(
        (table.count() >= SEEDS[curve.recipe]).sum() > 2  # rows are seeds
        for table in curve.accuracy.values()
    )


def apart_words(near: bool) -> str:
    """Return the line above the curves."""
    if near:
        return "The curves that the measured answer was read from."
    return (
        f"No answer is read from these: they are the nearest of this kind, and lie more than "
        f"{REACH_DISTANCE} away, or far from your number of examples, or over your limits."
    )
