"""What a race says: the chosen approach on the test split, and the answer in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from helpers.advisor.answer import Answer, Looked
from helpers.advisor.export import load_model
from helpers.advisor.prior.accuracies import CHEAPER, Expected
from helpers.advisor.race.runs import RaceFile, RaceRun
from helpers.advisor.race.standings import Arm, Standing
from helpers.advisor.task import Form, remembered
from helpers.results.evidence import CLEAR, CLOSE
from helpers.results.expected_regret import MARGIN
from helpers.results.statistics import wilson_interval
from helpers.vocabulary import phrase_of


@dataclass(frozen=True)
class Test:
    """Accuracy on the test split, read once: 95 % Wilson interval, and what it was trained on."""

    approach: str
    accuracy: float
    low: float
    high: float
    n: int
    n_train: int
    run_id: str

    __test__ = False  # for pytest: this is no test

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


TEST = Form[Test](read=lambda facts: Test(**facts), write=Test.as_dict)


def read_test(race: RaceFile, job: RaceRun) -> Test:
    """Predict the test split with a kept model; what was read once is not read again."""
    key = f"models/{race.run_id(job)}/test"
    return remembered(race.own.name, key, TEST, lambda: _tested(race, job))


def _tested(race: RaceFile, job: RaceRun) -> Test:
    split = race.own.task.test
    predicted = load_model(race.model_folder(job)).predict(split.inputs)
    right, n = int(np.sum(predicted == split.labels)), len(split)
    interval = wilson_interval(right, n)
    return Test(job.approach, right / n, *interval, n, job.n_train, race.run_id(job))


def measured_answer(
    looked: Looked,
    before: Answer,
    arms: Mapping[str, Arm],
    place: Standing,
    take: str,
    n_train: int,
    test: Test | None,
    spent: Mapping[str, float],
) -> Answer:
    """The answer with what was measured in it, first."""
    others = [name for name in place.shortfall.index if name != take]
    open_ones = [n for n in others if place.is_open(n)]
    verdict = CLOSE if open_ones else CLEAR
    verdict = verdict if take in arms else CLOSE
    told = _race_reasons(looked, arms, place, take, n_train, open_ones, spent)
    if test is not None:
        told.append(
            f"On the test split, read once at the end, {phrase_of(take)} trained on "
            f"{test.n_train:,} examples gets {test.accuracy:.3f} ({test.low:.3f} to "
            f"{test.high:.3f}, n = {test.n:,})."
        )
    expected = dict(before.expected) | {
        name: _measured(arm, before.expected.get(name), n_train) for name, arm in arms.items()
    }
    if test is not None and take in expected:
        one = expected[take]
        expected[take] = replace(one, accuracy=test.accuracy, low=test.low, high=test.high,
                                 origin=f"measured here on {test.n:,} test examples",
                                 measured=True)  # fmt: skip
    return replace(
        before,
        approach=take,
        verdict=verdict,
        expected=expected,
        reasons=(*told, *before.reasons),
        headline=(*told, *before.about_probe),
        next_measurement=_next(open_ones, place, take, looked),
    )


def _race_reasons(
    looked: Looked,
    arms: Mapping[str, Arm],
    place: Standing,
    take: str,
    n_train: int,
    open_ones: list[str],
    spent: Mapping[str, float],
) -> list[str]:
    told = [_measured_words(looked, arms, take, n_train, spent)]
    if not open_ones:
        told.append("No other approach that was raced can be expected to do better.")
        return told
    names = ", ".join(
        f"{phrase_of(n)} ({arms[n].accuracy:.3f})"
        if n in arms
        else f"{phrase_of(n)} (not measured)"
        for n in open_ones
    )
    why = (
        f"the cheapest of those expected within {100 * MARGIN:.1f} points of the best, "
        f"{phrase_of(place.leader)}, by a factor of {CHEAPER} or more"
        if take != place.leader
        else "the likeliest, and none that is clearly cheaper comes as near"
    )
    told.append(f"Too close to call against {names}; so take {phrase_of(take)}: {why}.")
    return told


def _measured_words(
    looked: Looked, arms: Mapping[str, Arm], take: str, n_train: int, spent: Mapping[str, float]
) -> str:
    if take not in arms:
        return (
            f"{phrase_of(take)} had no turn for want of time; by the records it can be expected to "
            "lie above what was measured, so give the race more minutes."
        )
    arm, (low, high) = arms[take], arms[take].interval
    part = "" if n_train == len(looked.own.task.train) else f" (a part of them: {n_train:,})"
    return (
        f"Measured on your data{part}: {phrase_of(take)} gets {arm.accuracy:.3f} of "
        f"{len(arm.share):,} held-out examples right ({low:.3f} to {high:.3f}; "
        f"{len(arm.runs)} {'run' if len(arm.runs) == 1 else 'runs'}, {spent[take]:.0f} s each)."
    )


def _measured(arm: Arm, before: Expected | None, n_train: int) -> Expected:
    low, high = arm.interval
    told = f"measured here on {len(arm.share):,} held-out examples, {n_train:,} to train on"
    spread = 0.0 if before is None else before.spread
    return Expected(arm.approach, arm.accuracy, low, high, spread, len(arm.runs), told, True)


def _next(open_ones: list[str], place: Standing, take: str, looked: Looked) -> str:
    if not open_ones:
        return ""
    best = max(open_ones, key=lambda name: (place.beats[name], name))
    return (
        f"More labelled examples to judge by: {phrase_of(best)} against {phrase_of(take)} is open "
        f"(McNemar p = {place.p_values[best if best != place.leader else take]:.2g}), and a longer "
        "race on the same examples adds little once each has been judged."
    )
