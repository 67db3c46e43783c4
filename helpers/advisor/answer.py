"""The answer for own data: the article's rule, the records near it, costs here, what would change.

It is built twice: from the probe and the records, and (with `--measure`) from the race as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from helpers.advisor.costs import Cost
from helpers.advisor.data import Finding
from helpers.advisor.hyperparameters import Hyperparameters
from helpers.advisor.prior.accuracies import (
    Expected,
    Prior,
    choose,
    expected_accuracies,
    most_telling,
    within_budget,
)
from helpers.advisor.prior.gains import NOTHING, Gains, recorded_gains
from helpers.advisor.probe import (
    AT_CHANCE,
    CUT_OFF,
    DOUBTFUL,
    FAR,
    IMBALANCED,
    NOISE,
    UNKNOWN,
    UNSEEN,
    Probing,
)
from helpers.advisor.task import OwnTask
from helpers.decision import Decision, Situation, decide
from helpers.results.evidence import CLEAR, CLOSE, NONE, Evidence, evidence_near
from helpers.results.expected_regret import MARGIN, expected_regret
from helpers.results.learning_curves import Measured, measured_curves
from helpers.tasks import family
from helpers.vocabulary import CLASSICAL, phrase_of

UNKNOWN_DISTANCE = 0.5
NAMED = 3  # of the approaches that may be better: the likeliest


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
    """What to take, how sure that is, and why. `expected`: approach → accuracy to expect here."""

    approach: str
    verdict: str
    ruled: Decision
    evidence: Evidence
    expected: Mapping[str, Expected]
    reasons: tuple[str, ...]
    headline: tuple[str, ...]  # the reasons that count most
    next_measurement: str
    gains: Gains = field(default=NOTHING, repr=False)
    about_probe: tuple[str, ...] = ()  # those of the headline that tell of the probe

    @property
    def prior(self) -> Prior:
        """What is expected before a race, of each approach and of their differences."""
        return Prior(self.expected, self.gains)


def first_answer(looked: Looked, runs: pd.DataFrame) -> Answer:
    """The answer from the probe, the records without the excluded tasks, and the costs here."""
    situation, backbone = looked.situation, looked.backbone
    seconds = {name: looked.seconds(name) for name in looked.costs}
    curves = held_records(runs, looked.asked["exclude"])
    ruled = decide(situation)
    free = Situation(situation.examples, situation.distance, situation.modality)
    evidence = evidence_near(free, curves, backbone=backbone)
    gains = recorded_gains(situation.modality, curves)
    expected = expected_accuracies(looked.probing, gains)
    prior = Prior({name: one for name, one in expected.items() if name in seconds}, gains)
    fitting = within_budget(seconds, looked.minutes, prior.expected)
    regrets = expected_regret(free.modality, curves, sorted(fitting))
    clear = evidence.take if evidence.verdict == CLEAR else None
    take = choose(clear, regrets, fitting, ruled.approach)
    leads = baseline_leads(looked.probing, prior, fitting)
    take = CLASSICAL if leads else take
    rivals = prior.chances_above(take, list(fitting))
    telling = most_telling(prior, take, fitting)
    verdict = evidence.verdict if evidence.verdict != NONE or regrets.empty else CLOSE
    if verdict == CLEAR and (take != evidence.take or rivals):  # one more task may lie elsewhere
        verdict = CLOSE
    if leads and not rivals:  # measured on this data, which outdoes what was recorded elsewhere
        verdict = CLEAR
    probed = tuple(_probe_reasons(looked.probing, looked.image_size))
    because = [*_take_reasons(take, regrets, seconds, prior.expected), *_open_reasons(rivals)]
    known = [reason.text for reason in (*ruled.reasons, *evidence.reasons)]
    return Answer(
        approach=take,
        verdict=verdict,
        ruled=ruled,
        evidence=evidence,
        expected=prior.expected,
        reasons=(*probed, *known, *because),
        headline=(*probed, *because),
        next_measurement=_next_words(take, telling, prior, seconds),
        gains=gains,
        about_probe=probed,
    )


def baseline_leads(probing: Probing, prior: Prior, names: Iterable[str]) -> bool:
    """Whether no network is what to take before a race: of `names`, those that may be taken.

    It was measured to be better than the probe, not by luck, and recorded gains over the probe let
    none of the others be expected above it.
    """
    expected = {name: prior.expected[name].accuracy for name in names if name in prior.expected}
    best = max(expected, key=expected.__getitem__, default=None)
    return probing.baseline_leads and best == CLASSICAL


def held_records(runs: pd.DataFrame, exclude: Sequence[str]) -> Measured:
    """Comparable curves without the families of the excluded tasks."""
    curves = measured_curves(runs)
    for name in {family(task) for task in exclude}:
        curves = curves.without(name)
    return curves


_CAUSES = {
    CUT_OFF: "the backbone reads {tokens} tokens, {cut:.0f} % of the texts are longer, and a model "
    "that reads all of them can tell the classes apart, so what tells them may come later",
    UNSEEN: "the backbone reads less of a text than stands in it (signs without a token, capitals, "
    "accents), and what tells the classes apart is lost there",
    IMBALANCED: "the largest class makes {chance:.0f} % of the examples, which leaves accuracy "
    "hardly anything to show; compare macro F1",
    NOISE: "nor does a model without a network find anything, so the labels may not go with what "
    "the examples show",
    FAR: "this domain may be too distant for frozen features",
    UNKNOWN: "what tells the classes apart is not in the frozen features",
}
_HOW_WELL = {AT_CHANCE: "no better than chance", DOUBTFUL: "barely above chance"}


def _probe_reasons(probing: Probing, tokens: int) -> list[str]:
    """What was measured, the better first. tokens: that the backbone reads of a text."""
    probe, chance = probing.probe, probing.chance
    told = (
        f"A linear probe on frozen features gets {probe.accuracy:.3f} right out of fold "
        f"({probe.low:.3f} to {probe.high:.3f}; chance {chance:.3f})"
    )
    means = "well above chance, so the features transfer"
    if probing.cause:
        shares = {"cut": 100 * probing.cut, "chance": 100 * chance}
        why = _CAUSES[probing.cause].format(tokens=tokens, **shares)
        means = f"{_HOW_WELL[probing.verdict]}; {why}"
    classical = probing.classical.accuracy
    points = 100 * abs(classical - probe.accuracy)
    same = probing.p_value >= 0.05
    better = "worse" if classical < probe.accuracy else "better"
    beside = "about as good as" if same else f"{points:.0f} points {better} than"
    said = [
        f"{told}: {means}.",
        f"Without a network {classical:.3f} is reached, {beside} the probe (McNemar p = "
        f"{probing.p_value:.2g} on {probe.n:,} examples).",
    ]
    return said[::-1] if probing.baseline_leads else said


def _take_reasons(
    take: str,
    regrets: pd.DataFrame,
    seconds: Mapping[str, float],
    expected: Mapping[str, Expected],
) -> list[str]:
    reasons = []
    if take in expected:
        one = expected[take]
        reasons.append(
            f"{phrase_of(take)} can be expected to reach {one.accuracy:.3f} here ({one.low:.3f} to "
            f"{one.high:.3f}: {one.origin}), in {_seconds(seconds[take])} of training."
        )
    if take in regrets.index:
        families = int(regrets.loc[take, "families"])
        points = 100 * regrets.loc[take, "regret"]
        reasons.append(
            f"Over everything recorded ({families} {'family' if families == 1 else 'families'} of "
            f"tasks) it gives up {points:.1f} points; approaches "
            f"within {100 * MARGIN:.1f} points of the least count as equal, and a clearly "
            "cheaper one is preferred."
        )
    return reasons


def _open_reasons(rivals: Mapping[str, float]) -> list[str]:
    if not rivals:
        return []
    named = [phrase_of(name) for name in rivals][:NAMED]
    more = len(rivals) - len(named)
    told = ", ".join(named) + (f" and {more} more" if more else "")
    return [
        "Before anything is trained here the choice stays open, since families of tasks differ: "
        f"{told} may lie above it. A race (`--measure`) tells."
    ]


def _next_words(take: str, telling: str, prior: Prior, seconds: Mapping[str, float]) -> str:
    """What to measure next, and what it has to show. telling: see `most_telling`."""
    if take not in prior.expected:
        return f"Train {phrase_of(take)} once: nothing recorded says what it reaches here."
    if not telling:
        accuracy = prior.expected[take].accuracy
        return f"Train {phrase_of(take)} once, to see whether it reaches {accuracy:.3f}."
    return (
        f"Train {phrase_of(telling)} once ({_seconds(seconds[telling])} here), on the same split "
        f"as {phrase_of(take)}: the answer changes if it comes out more than "
        f"{100 * MARGIN:.1f} points above."
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
