"""Exercises of 04 to 06, 09 and 11: constants, blanks and plausible mistakes are not right."""

import math

import numpy as np
import pytest
import torch

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


def by_p_alone(measured):
    close = measured[measured["p_value"] >= 0.05]
    return close.loc[close["seconds"].idxmin(), "approach"]


def statistics_of_the_batch(model):
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.track_running_stats = False


def no_momentum(model):
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0


WRONG = {
    "03.3": [statistics_of_the_batch, no_momentum],
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
    "09.1": [199, 201, 100],
    "09.2": [first_low, second_low_of_all, first_of_the_pair, at_the_limit_too, lambda *_: 2],
    "09.3": [every_task, all_with_another_hash, lambda _: ["apples", "coins", "tiles"]],
    "11.1": [math.log(32), math.log(15), math.log(16)],
    "11.2": [0.05, 29, -0.29],
    "14.3": [by_p_alone],
    "11.3": [without_lengths, any_difference, by_distance, lambda *_: [2, 4], lambda *_: []],
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
