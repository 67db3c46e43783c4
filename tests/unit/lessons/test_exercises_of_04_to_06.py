"""Exercises of 04 to 06: constants, blanks and plausible mistakes are not right."""

import math

import numpy as np
import pytest

from helpers.approaches import TransferModel, add_adapters, freeze
from helpers.backbones import load_backbone
from helpers.lessons.exercises import check


def adapters_everywhere():
    backbone = freeze(load_backbone("pocket"))
    add_adapters(backbone)
    return TransferModel(backbone, 5)


def merged_in_place(conv, A, B, scale):
    conv.weight += scale * (B.flatten(1) @ A.flatten(1)).view_as(conv.weight)
    return conv.weight


def merged_without_scale(conv, A, B, scale):
    return conv.weight + (B.flatten(1) @ A.flatten(1)).view_as(conv.weight)


def by_average(pretraining, saved):
    mean = sum(saved) / len(saved) if saved else 0
    return math.ceil(pretraining / mean) if mean > 0 else None


def gains_alone(pretraining, saved):
    """Leave tasks that cost money out."""
    total = 0
    for place, one in enumerate(saved, start=1):
        total += max(one, 0)
        if total >= pretraining:
            return place
    return None


def first_time_ahead(sizes, frozen, tuned):
    """Take the first size that is ahead, whatever comes later."""
    return next((n for n, a, b in zip(sizes, frozen, tuned, strict=True) if b > a), None)


def on_a_straight_axis(sizes, frozen, tuned):
    gain = np.subtract(tuned, frozen)
    behind = np.flatnonzero(gain <= 0)
    if not len(behind):
        return sizes[0]
    last = behind[-1]
    if last == len(sizes) - 1:
        return None
    share = -gain[last] / (gain[last + 1] - gain[last])
    return sizes[last] + share * (sizes[last + 1] - sizes[last])


def mean_above_zero(gains):
    return next((n for n in sorted(gains) if np.mean(gains[n]) > 0), None)


def all_above_zero(gains):
    return next((n for n in sorted(gains) if min(gains[n]) > 0), None)


def in_the_order_given(gains):
    from helpers.results import mean_interval

    return next((n for n, own in gains.items() if mean_interval(own)[1] > 0), None)


WRONG = {
    "04.1": [8 * 80 + 80 * 8, 8 * 9 * (80 + 80), 57_600],
    "04.2": [307, 384, 8],
    "04.3": [merged_in_place, merged_without_scale, lambda *_: 0, lambda conv, *_: conv.weight],
    "04.4": [adapters_everywhere, lambda: TransferModel(freeze(load_backbone("pocket")), 5)],
    "05.1": [20, 61, 3],
    "05.2": [40, 8_000, 16],
    "05.3": [by_average, gains_alone, lambda *_: 2, lambda *_: None],
    "06.1": [550, 300, 0.7],
    "06.2": [first_time_ahead, on_a_straight_axis, lambda *_: 50, lambda *_: None],
    "06.3": [mean_above_zero, all_above_zero, in_the_order_given, lambda *_: 200, lambda *_: None],
}
CASES = [(exercise, answer) for exercise, answers in WRONG.items() for answer in answers]


@pytest.fixture(autouse=True)
def no_earlier_tries(monkeypatch):
    monkeypatch.setattr(check, "_tries", {})


@pytest.mark.parametrize(("exercise", "answer"), CASES)
def test_a_plausible_mistake_is_not_right(exercise, answer):
    made = answer() if exercise == "04.4" else answer
    assert not check.judge(exercise, made).right


@pytest.mark.parametrize("exercise", WRONG)
@pytest.mark.parametrize("answer", [..., None, 0, "", "lora", True, lambda *_: 0])
def test_blanks_and_constants_are_not_right(exercise, answer):
    assert not check.judge(exercise, answer).right
