"""The answer for own data: the article's rule, the records near it, costs here, what would change.

It is built twice: from the probe and the records, and (with `--measure`) from the race as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from scipy.stats import norm

from helpers.advisor.costs import Cost
from helpers.advisor.data import Finding
from helpers.advisor.hyperparameters import Recipe
from helpers.advisor.prior.accuracies import Expected, Prior, cheapest_near, expected_accuracies
from helpers.advisor.prior.gains import NOTHING, Gains, recorded_gains
from helpers.advisor.probe import DISTANT, DOUBTFUL, Probing
from helpers.advisor.task import OwnTask
from helpers.decision import Decision, Situation, decide, title_of
from helpers.results.evidence import CLEAR, CLOSE, NONE, Evidence, evidence_near
from helpers.results.expected_regret import WEIGHTS, expected_regret
from helpers.results.learning_curves import Measured, measured_curves
from helpers.tasks import family

UNKNOWN_DISTANCE = 0.5
NAMED = 3  # of the approaches that may be better: the likeliest


@dataclass(frozen=True)
class Looked:
    """Everything that was found out about own data before training anything on it."""

    own: OwnTask
    findings: tuple[Finding, ...]
    probing: Probing
    recipes: Mapping[str, Recipe]
    costs: Mapping[str, Cost]
    backbone: str
    image_size: int
    minutes: float | None = None
    tasks: int = 1
    exclude: tuple[str, ...] = ()
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def situation(self) -> Situation:
        """What the rule and the records are asked about."""
        distance = self.probing.distance
        return Situation(
            examples=len(self.own.task.train),
            distance=UNKNOWN_DISTANCE if distance is None else min(1.0, distance),
            modality=self.own.task.modality,
            budget_minutes=self.minutes,
            tasks=self.tasks,
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
    found: Evidence
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
    situation = looked.situation
    held = held_records(runs, looked.exclude)
    ruled = decide(situation)
    n_classes = len(looked.own.task.classes)
    gains = recorded_gains(situation, held, looked.backbone, n_classes)
    expected = expected_accuracies(looked.probing, gains)
    expected = {name: one for name, one in expected.items() if name in looked.costs}
    fitting = within_budget(looked, expected)
    free = Situation(situation.examples, situation.distance, situation.modality)
    found = evidence_near(free, held, backbone=looked.backbone)
    table = expected_regret(free, held, sorted(fitting), looked.backbone, n_classes=n_classes)
    take = _take(found, table, fitting, looked)
    prior = Prior(expected, gains)
    rivals = prior.chances_above(take, fitting)
    verdict = found.verdict if found.verdict != NONE or table.empty else CLOSE
    if verdict == CLEAR and (take != found.take or rivals):  # one more task may lie elsewhere
        verdict = CLOSE
    seen = tuple(_probe_reasons(looked.probing))
    because = [*_take_reasons(take, table, looked, expected), *_open_reasons(rivals)]
    known = [reason.text for reason in (*ruled.reasons, *found.reasons)]
    reasons = (*seen, *known, *because)
    change = next_measurement(take, prior, looked)
    headline = (*seen, *because)
    return Answer(take, verdict, ruled, found, expected, reasons, headline, change, gains, seen)


def held_records(runs: pd.DataFrame, exclude: Sequence[str]) -> Measured:
    """Comparable curves without the families of the excluded tasks."""
    held = measured_curves(runs)
    for name in {family(task) for task in exclude}:
        held = held.without(name)
    return held


def within_budget(looked: Looked, names: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """The approaches whose training fits the minutes here; all of them where none does."""
    if looked.minutes is None:
        return list(names)
    fit = [name for name in names if looked.seconds(name) <= 60 * looked.minutes]
    return fit or list(names)


def _take(found: Evidence, table: pd.DataFrame, fitting: list[str], looked: Looked) -> str:
    if found.verdict == CLEAR and found.take in fitting:
        return found.take
    seconds = {name: looked.seconds(name) for name in fitting}
    if not table.empty:
        return cheapest_near(table["regret"], seconds)
    ruled = decide(looked.situation).approach
    return ruled if ruled in fitting else min(seconds, key=seconds.__getitem__)


def _probe_reasons(probing: Probing) -> list[str]:
    probe, chance = probing.probe, probing.chance
    told = (
        f"A linear probe on frozen features gets {probe.accuracy:.3f} right out of fold "
        f"({probe.low:.3f} to {probe.high:.3f}; chance {chance:.3f})"
    )
    means = {
        DISTANT: "no better than chance, so this domain is too distant for frozen features",
        DOUBTFUL: "barely above chance, so it is doubtful that the features transfer",
    }.get(probing.verdict, "well above chance, so the features transfer")
    classical = probing.classical.accuracy
    same = probing.p_value >= 0.05
    beside = "about as good" if same else "worse" if classical < probe.accuracy else "better"
    return [
        f"{told}: {means}.",
        f"Without a network {classical:.3f} is reached, {beside} (McNemar p = "
        f"{probing.p_value:.2g} on {probe.n:,} examples).",
    ]


def _take_reasons(
    take: str, table: pd.DataFrame, looked: Looked, expected: Mapping[str, Expected]
) -> list[str]:
    told = []
    if take in expected:
        one = expected[take]
        told.append(
            f"{title_of(take)} can be expected to reach {one.accuracy:.3f} here ({one.low:.3f} to "
            f"{one.high:.3f}: {one.origin}), in {_seconds(looked.seconds(take))} of training."
        )
    if take in table.index:
        families = int(table.loc[take, "families"])
        points = 100 * table.loc[take, "regret"]
        told.append(
            f"Over everything recorded ({families} {'family' if families == 1 else 'families'} of "
            f"tasks, those like yours weighing more) it gives up {points:.1f} points; approaches "
            f"within {100 * WEIGHTS.margin:.1f} points of the least count as equal, and a clearly "
            "cheaper one is preferred."
        )
    return told


def _open_reasons(rivals: Mapping[str, float]) -> list[str]:
    if not rivals:
        return []
    named = [title_of(name) for name in rivals][:NAMED]
    more = len(rivals) - len(named)
    told = ", ".join(named) + (f" and {more} more" if more else "")
    return [
        "Before anything is trained here the choice stays open, since families of tasks differ: "
        f"{told} may lie above it. A race (`--measure`) tells."
    ]


def next_measurement(take: str, prior: Prior, looked: Looked) -> str:
    """The one training run that would most likely change the answer, and what it has to show.

    Of the other approaches the one that may be expected to win most accuracy a second: what its
    recorded gains leave open, against how long it takes here.
    """
    expected = prior.expected
    if take not in expected:
        return f"Train {title_of(take)} once: nothing recorded says what it reaches here."
    own, best, most = expected[take], "", 0.0
    for name in within_budget(looked, expected):
        other = expected[name]
        if name == take or not other.runs:
            continue
        mean, width = prior.difference(name, take)
        gap = mean / max(1e-6, width)
        gain = width * (norm.pdf(gap) + gap * norm.cdf(gap)) / looked.seconds(name)
        if gain > most:
            best, most = name, gain
    if not best:
        return f"Train {title_of(take)} once, to see whether it reaches {own.accuracy:.3f}."
    return (
        f"Train {title_of(best)} once ({_seconds(looked.seconds(best))} here), on the same split "
        f"as {title_of(take)}: the answer changes if it comes out more than "
        f"{100 * WEIGHTS.margin:.1f} points above."
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
