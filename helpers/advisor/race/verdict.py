"""What a race says: the chosen approach on the test split, and the answer in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from helpers.advisor.answer import Answer
from helpers.advisor.export import load_model
from helpers.advisor.out_of_fold import share_right
from helpers.advisor.prior import Expected, chance_right
from helpers.advisor.race.runs import RaceFile, RaceRun
from helpers.advisor.race.standings import Arm, Standing, standing
from helpers.advisor.task import Form, remembered
from helpers.advisor.verdicts import verdict_of
from helpers.results.expected_regret import MARGIN
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


TEST = Form[Test](read=lambda facts: Test(**facts), write=asdict)


def read_test(race: RaceFile, job: RaceRun) -> Test:
    """Predict the test split with a trained model; what was read once is not read again."""
    key = f"models/{race.run_id(job)}/test"
    return remembered(race.own.name, key, TEST, lambda: _tested(race, job))


def _tested(race: RaceFile, job: RaceRun) -> Test:
    split = race.own.task.test
    predicted = race.use_model(job, lambda folder: load_model(folder).predict(split.inputs))
    share = share_right(predicted == split.labels)
    return Test(job.approach, **share, n_train=job.n_train, run_id=race.run_id(job))


def measured_answer(
    before: Answer,
    arms: Mapping[str, Arm],
    waiting: Sequence[Expected],
    take: str,
    test: Test,
    spent: Mapping[str, float],
) -> Answer:
    """The answer with what was measured in it, first.

    waiting: what had no turn for want of time. spent: seconds of a run, by approach.
    """
    place = standing(arms)
    open_ones = _open_ones(arms, waiting, place, take)
    own = _measured(arms[take], test.n_train)
    gaps = [arm.above(arms[take]) for name, arm in arms.items() if name != take]
    chance = chance_right([*gaps, *(one.above(own) for one in waiting)])
    verdict = verdict_of(chance)
    told = [
        _measured_words(arms, take, spent),
        *_race_reasons(arms, place, take, open_ones),
        f"On the test split, read once at the end, {phrase_of(take)} trained on all "
        f"{test.n_train:,} training examples gets {test.accuracy:.3f} ({test.low:.3f} to "
        f"{test.high:.3f}, n = {test.n:,}).",
    ]
    overtaken = {*before.headline} - {*before.about_probe}  # what the look expected
    return replace(
        before,
        approach=take,
        verdict=verdict,
        chance=chance,
        expected={name: _measured(arm, test.n_train) for name, arm in arms.items()},
        reasons=(*told, *(one for one in before.reasons if one not in overtaken)),
        headline=(*told, *before.about_probe),
        next_measurement=_next(open_ones, arms, place, take),
    )


def _open_ones(
    arms: Mapping[str, Arm], waiting: Sequence[Expected], place: Standing, take: str
) -> list[str]:
    """Who may yet be better, the best first: rivals, and who waits and whose interval allows it."""
    best = arms[place.leader].accuracy
    reach = {name: best - place.shortfall[name] for name in (place.leader, *place.rivals)}
    reach |= {one.approach: one.accuracy for one in waiting if one.high > best + MARGIN}
    return [name for name in sorted(reach, key=lambda name: -reach[name]) if name != take]


def _race_reasons(
    arms: Mapping[str, Arm], place: Standing, take: str, open_ones: list[str]
) -> list[str]:
    if not open_ones:
        return ["No other approach that was raced can be expected to do better."]
    names = ", ".join(
        f"{phrase_of(n)} ({arms[n].accuracy:.3f})"
        if n in arms
        else f"{phrase_of(n)} (not measured)"
        for n in open_ones
    )
    why = (
        f"the cheapest of those within {100 * MARGIN:.1f} points of the best"
        if take != place.leader
        else "the best of them, and none that is clearly cheaper comes as near"
    )
    return [f"Not settled against {names}; {phrase_of(take)} is {why}."]


def _measured_words(arms: Mapping[str, Arm], take: str, spent: Mapping[str, float]) -> str:
    arm, (low, high) = arms[take], arms[take].interval
    return (
        f"Measured on your data: {phrase_of(take)} gets {arm.accuracy:.3f} of "
        f"{len(arm.share):,} held-out examples right ({low:.3f} to {high:.3f}; "
        f"{len(arm.runs)} {'run' if len(arm.runs) == 1 else 'runs'}, {spent[take]:.0f} s each)."
    )


def _measured(arm: Arm, n_train: int) -> Expected:
    low, high = arm.interval
    told = f"measured here on {len(arm.share):,} held-out examples, {n_train:,} to train on"
    return Expected(arm.approach, arm.accuracy, low, high, len(arm.runs), told, True)


def _next(open_ones: list[str], arms: Mapping[str, Arm], place: Standing, take: str) -> str:
    if not open_ones:
        return ""
    best = open_ones[0]
    if best not in arms:
        return f"Give the race more minutes: {phrase_of(best)} had no turn for want of time."
    return (
        f"More labelled examples to judge by: {phrase_of(best)} against {phrase_of(take)} is open "
        f"(McNemar p = {place.p_values[best if best != place.leader else take]:.2g}), and a longer "
        "race on the same examples adds little once each has been judged."
    )
