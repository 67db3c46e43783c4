"""The answer for own data: what was measured on it, what the records add, costs here, the rule.

What was measured on the data leads: the records only say how far approaches that were not trained
here may lie above the probe.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from helpers.advisor.costs import Cost
from helpers.advisor.data import BALANCE, Finding, lasting
from helpers.advisor.hyperparameters import Hyperparameters
from helpers.advisor.prior import (
    MEASURED,
    Expected,
    chance_right,
    expected_accuracies,
    recorded_gains,
)
from helpers.advisor.probe import AT_CHANCE, DOUBTFUL, TRANSFERRED, Cause, Probing, SizedProbe
from helpers.advisor.task import OwnTask
from helpers.advisor.verdicts import rate_of_looks, verdict_of
from helpers.decision import LOCAL_ONLY, Decision, Flip, Reason, ReasonKind, Situation, decide
from helpers.results.evidence import NONE
from helpers.results.expected_regret import MARGIN, cheapest_credible, expected_regret, recommended
from helpers.results.learning_curves import Measured, measured_curves
from helpers.tasks import family
from helpers.vocabulary import phrase_of

UNKNOWN_DISTANCE = 0.5  # for the weights of recorded tasks alone; it is told to nobody
NAMED = 3  # of the approaches that may be better: the first
MEASURE_MINUTES = 10.0  # of a race where no limit is given
FIRST_ROUND = 0.6  # of a race's time, at most, for every approach once


@dataclass(frozen=True)
class Looked:
    """Everything that was found out about own data before training anything on it.

    backbone, image_size, pretrained_on: the network's name, the side or tokens that it reads, and
        its data. asked: the fields of the request. machine: what it was asked on.
    """

    own: OwnTask
    findings: tuple[Finding, ...]
    probing: Probing
    recipes: Mapping[str, Hyperparameters]
    costs: Mapping[str, Cost]
    backbone: str
    image_size: int
    pretrained_on: str
    seed: int
    asked: Mapping[str, Any]
    machine: Mapping[str, Any] = field(repr=False)

    @property
    def all_features(self) -> bool:
        """Whether the frozen features of every example are there at the size that is gone on with.

        At the network's own size only those of the probe's examples are.
        """
        sizes = [one.image_size for one in self.probing.sizes]
        return self.image_size == min(sizes, default=self.image_size)

    @property
    def tells_macro_f1(self) -> bool:
        """Whether it is advised to compare by macro F1, which is told then."""
        imbalanced = self.probing.cause == Cause.IMBALANCED
        balance = [one.severity for one in self.findings if one.check == BALANCE]
        return imbalanced or any(severity != "passed" for severity in balance)

    @property
    def minutes(self) -> float | None:
        """That training may take; a race keeps to its minutes itself."""
        return None if self.asked["measure"] else self.asked["minutes"]

    @property
    def situation(self) -> Situation:
        """What the rule and the records are asked about."""
        distance = self.probing.distance
        return Situation(
            examples=len(self.own.task.train),
            distance=UNKNOWN_DISTANCE if distance is None else min(1.0, distance),
            modality=self.own.task.modality,
            budget_minutes=self.minutes,
            tasks=self.asked["tasks"],
        )

    def seconds(self, approach: str) -> float:
        """Predicted seconds of training an approach here, on every training example."""
        task = self.own.task
        cost, recipe = self.costs[approach], self.recipes[approach]
        return cost.seconds(recipe, len(task.train), len(task.validation))


@dataclass(frozen=True)
class Answer:
    """What to take, how sure that is, and why. `expected`: approach → accuracy to expect here.

    chance: of lying within `WITHIN` of the best, which the verdict follows.
    """

    approach: str
    verdict: str
    chance: float
    ruled: Decision
    expected: Mapping[str, Expected]
    reasons: tuple[str, ...]
    headline: tuple[str, ...]  # the reasons that count most
    next_measurement: str
    about_probe: tuple[str, ...]  # those of the headline that tell of the probe


def first_answer(looked: Looked, runs: pd.DataFrame) -> Answer:
    """The answer from the probe, the records without the excluded tasks, and the costs here."""
    situation, seconds = looked.situation, {name: looked.seconds(name) for name in looked.costs}
    curves = held_records(runs, looked.asked["exclude"])
    ruled = ruled_here(situation, known=looked.probing.distance is not None)
    per_class = situation.examples / len(looked.own.data.classes)
    gains = recorded_gains(situation.modality, curves, per_class)
    told = expected_accuracies(looked.probing, gains)
    expected = {name: one for name, one in told.items() if name in seconds}
    late = {name for name in expected if looked.minutes and seconds[name] > 60 * looked.minutes}
    held = {name: one for name, one in expected.items() if name not in late} or expected
    recorded = expected_regret(situation.modality, curves, list(held))
    take = first_choice(held, seconds, recorded)
    chance = rate_of_looks(situation.modality, looked.asked["exclude"])
    if take in MEASURED:  # no look on held-out data took what was measured there
        chance = chance_right(held[name].above(held[take]) for name in held if name != take)
    verdict = verdict_of(chance) if gains.of else NONE
    told = _probe_reasons(looked.probing, looked.image_size, looked.tells_macro_f1)
    probed = (*_pixel_reasons(looked.probing.sizes), *told)
    rivals = [] if verdict == NONE else _rivals(take, held)
    because = [_take_reason(take, expected, seconds[take], bool(gains.of))]
    if not held[take].measured:
        because.append(
            f"It is taken since it gave up {100 * recorded.regret[take]:.1f} points on average to "
            f"the best in {recorded.families[take]:.0f} recorded data sets: the least, or next to "
            "it and clearly cheaper."
        )
    because += _open_reasons(rivals)
    because += _unknown_reasons([n for n in held if n != take], expected, seconds)
    because += _late_reasons(expected.keys() - held.keys(), seconds, looked.minutes)
    return Answer(
        approach=take,
        verdict=verdict,
        chance=chance,
        ruled=ruled,
        expected=expected,
        reasons=(*probed, *(reason.text for reason in ruled.reasons), *because),
        headline=(*probed, *because),
        next_measurement=_next_words(take, rivals, expected, seconds),
        about_probe=probed,
    )


def _rivals(take: str, expected: Mapping[str, Expected]) -> list[str]:
    """Whose interval reaches beyond what counts as equal to `take`, the highest expected first."""
    enough = expected[take].accuracy + MARGIN
    able = [name for name, one in expected.items() if name != take and one.high > enough]
    return sorted(able, key=lambda name: -expected[name].accuracy)


def first_choice(
    expected: Mapping[str, Expected], seconds: Mapping[str, float], recorded: pd.DataFrame
) -> str:
    """The approach to take before anything is trained here, of those with `seconds`.

    What is taken by recorded data stands against what was measured here: the most accurate of
    them, or what is clearly cheaper within the margin of it. Taking the most accurate of all that
    is expected chose no better on data held out, at any dependence on size.

    recorded: of `expected_regret` for these approaches.
    """
    lead = recommended(recorded) if len(recorded) else next(iter(seconds))
    told = {name: one.accuracy for name, one in expected.items()
            if name in seconds and (one.measured or name == lead)}  # fmt: skip
    accuracies = pd.Series(told)
    return cheapest_credible(accuracies.max() - accuracies, seconds)


def ruled_here(situation: Situation, *, known: bool) -> Decision:
    """What the article's rule says; of both answers where the distance is not known.

    Flips about running locally are left out: every network that is looked at here does.
    """
    ruled = decide(situation)
    flips = tuple(flip for flip in ruled.flips if flip.name != LOCAL_ONLY)
    if known:
        return replace(ruled, flips=flips)
    close, far = (decide(replace(situation, distance=end)) for end in (0.0, 1.0))
    told = (
        "How far the data lie from the pretraining is not known. For a close domain the article's "
        f"rules lead to {phrase_of(close.approach)} ({close.rule}), for a distant one to "
        f"{phrase_of(far.approach)} ({far.rule})."
    )
    reasons = (close.reasons[0], Reason(ReasonKind.DISTANCE, told))
    flips = tuple(flip for flip in flips if flip.name != "distance")
    if far.approach != close.approach:
        why = f"if the domain is distant: {phrase_of(far.approach)} ({far.rule})"
        flips = (*flips, Flip("distance", False, far.approach, why))
    return replace(close, reasons=reasons, flips=flips)


def held_records(runs: pd.DataFrame, exclude: Sequence[str]) -> Measured:
    """Comparable curves without the families of the excluded tasks."""
    return functools.reduce(Measured.without, {*map(family, exclude)}, measured_curves(runs))


_CAUSES = {
    Cause.CUT_OFF: "the backbone reads {tokens} tokens, {cut:.0f} % of the texts are longer, and a "
    "model that reads all of them can tell the classes apart, so what tells them may come later",
    Cause.UNSEEN: "the backbone reads less of a text than stands in it (signs without a token, "
    "capitals, accents), and what tells the classes apart is lost there",
    Cause.IMBALANCED: "the largest class makes {chance:.0f} % of the examples, which leaves "
    "accuracy hardly anything to show; compare macro F1",
    Cause.REPEATED: "only {different} of the examples differ, and one is judged where no copy of "
    "it was learned from, so that accuracy hardly tells anything{alike}; label more different ones",
    Cause.NOISE: "nor does a model without a network find anything, so the labels may not go with "
    "what the examples show",
    Cause.FAR: "this domain may be too distant for frozen features",
    Cause.UNKNOWN: "what tells the classes apart is not in the frozen features",
}
_HOW_WELL = {AT_CHANCE: "no better than chance", DOUBTFUL: "barely above chance"}


def _pixel_reasons(sizes: Sequence[SizedProbe]) -> list[str]:
    """What pixels bought, where two sizes were probed; the one that is gone on with is first."""
    if len(sizes) < 2:
        return []
    taken = sizes[0]
    small, large = sorted(sizes, key=lambda one: one.image_size)
    part = f" of {taken.n:,} examples, a stratified part for want of time" if taken.part else ""
    told = (
        f"At {large.image_size} pixels a linear probe gets {large.accuracy:.3f} right{part} "
        f"({lasting(large.seconds)}), at {small.image_size} pixels {small.accuracy:.3f} "
        f"({lasting(small.seconds)})"
    )
    gain = 100 * (large.accuracy - small.accuracy)
    if taken is large:
        means = f"pixels buy {gain:.1f} points before any weight moves"
    else:
        means = f"more pixels buy {'nothing' if gain <= 0 else 'less than counts'}"
    return [f"{told}: {means}, so everything below is at {taken.image_size}."]


def _probe_reasons(probing: Probing, tokens: int, macro_f1: bool = False) -> list[str]:
    """What was measured, the better first. tokens: that the backbone reads of a text.

    macro_f1: whether it is told beside each accuracy.
    """
    probe, chance = probing.probe, probing.chance
    of_probe = f"; macro F1 {probe.macro_f1:.3f}" if macro_f1 else ""
    of_classical = f" (macro F1 {probing.classical.macro_f1:.3f})" if macro_f1 else ""
    told = (
        f"A linear probe on frozen features gets {probe.accuracy:.3f} right out of fold "
        f"({probe.low:.3f} to {probe.high:.3f}; chance {chance:.3f}{of_probe})"
    )
    far = probe.low >= chance + TRANSFERRED * (1 - chance)
    means = "well above chance" if far else "above chance"
    if probing.cause:
        alike = ", and the backbone has no token for what tells some of these apart"
        facts = {"cut": 100 * probing.cut, "chance": 100 * chance, "different": probing.different}
        facts["alike"] = alike if probing.unseen else ""
        why = _CAUSES[probing.cause].format(tokens=tokens, **facts)
        means = f"{_HOW_WELL[probing.verdict]}; {why}"
    classical = probing.classical.accuracy
    points = 100 * abs(classical - probe.accuracy)
    same = probing.p_value >= 0.05
    better = "worse" if classical < probe.accuracy else "better"
    beside = "about as good as" if same else f"{points:.0f} points {better} than"
    said = [
        f"{told}: {means}.",
        f"Without a network {classical:.3f} is reached{of_classical}, {beside} the "
        f"probe (McNemar p = {probing.p_value:.2g} on {probe.n:,} examples)"
        + (": no sign that pretraining helps while it is frozen." if same else "."),
    ]
    return said[::-1] if probing.baseline_leads else said


def _take_reason(
    take: str, expected: Mapping[str, Expected], seconds: float, recorded: bool
) -> str:
    """Why an approach is taken. seconds: of its training. recorded: whether any gain is."""
    one, named, cost = expected[take], phrase_of(take), lasting(seconds)
    if one.measured:
        others = (
            f"No other approach is likely to lie more than {100 * MARGIN:.1f} points above it."
            if recorded
            else "Of data of this kind no gain over it is recorded, so what moving weights would "
            "add is not known. A race (--measure) tells."
        )
        return f"Measured here: {named} ({one.accuracy:.3f}, in {cost} of training). {others}"
    if one.known:
        return (
            f"Expected on examples like those it trains on: {one.accuracy:.3f} with {named} "
            f"({one.low:.3f} to {one.high:.3f}: {one.origin}), in {cost} of training."
        )
    return (
        f"What {named} reaches here the records can't say ({one.low:.2f} to {one.high:.2f}); "
        f"on average it lay above the probe. It takes {cost} to see."
    )


def _open_reasons(rivals: Sequence[str]) -> list[str]:
    if not rivals:
        return []
    more = f"; and {len(rivals) - NAMED} more" if len(rivals) > NAMED else ""
    told = "; ".join(map(phrase_of, rivals[:NAMED])) + more
    return [
        "The choice stays open until something is trained here, since data sets differ. These may "
        f"lie above it: {told}."
    ]


def _unknown_reasons(
    names: Sequence[str], expected: Mapping[str, Expected], seconds: Mapping[str, float]
) -> list[str]:
    """Whose accuracy the records can't say, and what measuring it would take."""
    lost = [name for name in names if not expected[name].known]
    if not lost:
        return []
    told, taken = "; ".join(map(phrase_of, lost)), lasting(sum(seconds[name] for name in lost))
    one_run = "one run takes" if len(lost) == 1 else "a run of each takes"
    return [f"The records can't say what is reached here by: {told}; {one_run} {taken}."]


def _late_reasons(
    late: Iterable[str], seconds: Mapping[str, float], minutes: float | None
) -> list[str]:
    """What takes longer to train than there is time."""
    told = [f"{phrase_of(name)} ({lasting(seconds[name])})" for name in sorted(late)]
    return [f"Left out, since --minutes allows {minutes:g}: {'; '.join(told)}."] if told else []


def _next_words(
    take: str,
    rivals: Sequence[str],
    expected: Mapping[str, Expected],
    seconds: Mapping[str, float],
) -> str:
    """What to measure next, and how long that takes; "" where nothing is likely to lie above.

    A race trains each of two approaches at two rates, within FIRST_ROUND of its minutes.
    rivals: the highest expected first.
    """
    if all(other.measured for other in expected.values()):
        return "Race the approaches (add --measure): what moving weights adds is not known."
    best = max((name for name, one in expected.items() if one.measured),
               key=lambda name: expected[name].accuracy)  # fmt: skip
    against = next((name for name in rivals if not expected[name].measured), best)
    if expected[take].measured and expected[against].measured:
        return ""
    raced = sum(seconds[name] for name in {take, against} if not expected[name].measured)
    minutes = max(MEASURE_MINUTES, math.ceil(2 * raced / FIRST_ROUND / 60))
    return (
        f"Race {phrase_of(take)} against {phrase_of(against)} here (add --measure --minutes "
        f"{minutes:.0f}): both are judged on the same held-out examples, and the answer changes if "
        f"another is more than {100 * MARGIN:.1f} points above."
    )
