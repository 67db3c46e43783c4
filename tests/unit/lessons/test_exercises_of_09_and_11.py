"""Exercises of 09 and 11: constants, blanks and plausible mistakes are not right."""

import math

import numpy as np
import pytest

from helpers.lessons.exercises import check


def first_low(confidence, limit):
    return next((week for week, value in enumerate(confidence) if value < limit), None)


def second_low_of_all(confidence, limit):
    low = [week for week, value in enumerate(confidence) if value < limit]
    return low[1] if len(low) > 1 else None


def first_of_the_pair(confidence, limit):
    low = [value < limit for value in confidence]
    return next((week for week in range(len(low) - 1) if low[week] and low[week + 1]), None)


def at_the_limit_too(confidence, limit):
    low = [value <= limit for value in confidence]
    return next((week for week in range(1, len(low)) if low[week - 1] and low[week]), None)


def every_task(library):
    return sorted(library.names())


def all_with_another_hash(library):
    table = library.list()
    return sorted(table.loc[table["base"] != library.base_hash, "task"])


def without_lengths(before, today, least):
    return list(np.flatnonzero((before * today).sum(1) < least))


def any_difference(before, today, least):
    return list(np.flatnonzero((before != today).any(1)))


def by_distance(before, today, least):
    return list(np.flatnonzero(np.linalg.norm(before - today, axis=1) > 1 - least))


WRONG = {
    "09.1": [199, 201, 100],
    "09.2": [first_low, second_low_of_all, first_of_the_pair, at_the_limit_too, lambda *_: 2],
    "09.3": [every_task, all_with_another_hash, lambda _: ["apples", "coins", "tiles"]],
    "11.1": [math.log(32), math.log(15), math.log(16)],
    "11.2": [0.05, 29, -0.29],
    "11.3": [without_lengths, any_difference, by_distance, lambda *_: [2, 4], lambda *_: []],
}
CASES = [(exercise, answer) for exercise, answers in WRONG.items() for answer in answers]


@pytest.fixture(autouse=True)
def no_earlier_tries(monkeypatch):
    monkeypatch.setattr(check, "_tries", {})


@pytest.mark.parametrize(("exercise", "answer"), CASES)
def test_a_plausible_mistake_is_not_right(exercise, answer):
    assert not check.judge(exercise, answer).right


@pytest.mark.parametrize("exercise", WRONG)
@pytest.mark.parametrize("answer", [..., None, 0, "", "lora", True, lambda *_: 0])
def test_blanks_and_constants_are_not_right(exercise, answer):
    assert not check.judge(exercise, answer).right
