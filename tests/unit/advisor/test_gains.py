"""What recorded gains let expect of one more data set, and how often that holds."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.advisor.answer import _rivals
from helpers.advisor.prior import (
    LONE_SPREAD,
    MEASURED,
    NOTHING,
    Expected,
    Z,
    angle,
    classes_of,
    recorded_gains,
    share_at,
)
from helpers.results import runs
from helpers.results.expected_regret import MARGIN
from helpers.results.learning_curves import Curve, Measured, measured_curves


def at(gains, base=0.6):
    """Seeds x approaches: every approach this much above feature extraction, in angles."""
    gains = {"classical": -0.2} | gains
    made = {name: share_at(angle(base) + gain) for name, gain in gains.items()}
    return pd.DataFrame([{MEASURED[0]: base} | made] * 3)


def curve(task, gains, size=200):
    """One made curve."""
    return Curve(task, "pocket", 0.0, 28, "image", 0.5, "made", {size: at(gains)}, {})


def gains_of(*curves, per_class=100):
    return recorded_gains("image", Measured(curves), per_class)


def test_nothing_recorded_is_nothing_known():
    found = gains_of()
    assert found == NOTHING and not found.of


def test_one_family_gives_its_gain_and_a_wide_interval():
    found = gains_of(curve("one", {"lora": 0.07, "adapter": -0.02}))
    assert found.families == {"lora": 1, "adapter": 1} and found.runs == {"lora": 3, "adapter": 3}
    assert found.of["lora"] == (pytest.approx(0.07), pytest.approx(LONE_SPREAD))


def test_families_are_told_apart_by_name_whatever_it_holds():
    found = gains_of(*(curve(f"my {i}", {"lora": 0.07}) for i in range(3)))
    assert found.families == {"lora": 3}
    other = curve("one", {"lora": 0.07})
    twice = gains_of(other, replace(other, backbone="minilm"))
    assert twice.families == {"lora": 1}  # one family of tasks, though on two backbones


def test_families_that_agree_by_luck_are_no_certainty():
    """An approach alike on two families is as unsure as approaches are that differ there."""
    found = gains_of(
        curve("one", {"lora": 0.03, "adapter": -0.1, "full": 0.09}),
        curve("two", {"lora": 0.03, "adapter": 0.05, "full": -0.07}),
    )
    assert found.of["lora"][1] > 0.05


def test_a_gain_is_over_the_better_of_what_is_measured():
    """Digits: where raw pixels beat the probe, what moves weights lies above both."""
    made = curve("digits", {"classical": 0.1, "lora": 0.15})
    assert gains_of(made).of["lora"][0] == pytest.approx(0.05)
    assert gains_of(made).of.keys() == {"lora"}


def test_more_families_make_surer():
    few = [curve(f"t{i}", {"lora": g}) for i, g in enumerate((0.02, 0.06))]
    many = [curve(f"t{i}", {"lora": g}) for i, g in enumerate((0.02, 0.06) * 5)]
    assert gains_of(*many).of["lora"][1] < gains_of(*few).of["lora"][1] / 1.5


def test_a_family_that_lacks_an_approach_says_nothing_of_it():
    own = [curve("one", {"lora": 0.02, "full": 0.05}), curve("two", {"lora": 0.04, "full": 0.15})]
    others = [curve(f"t{step}", {"lora": 0.03}) for step in range(6)]
    found, alone = gains_of(*own, *others), gains_of(*own)
    assert found.families == {"lora": 8, "full": 2}
    assert found.of["full"][0] == pytest.approx(0.10) == alone.of["full"][0]
    assert found.of["full"][1] > 3 * found.of["lora"][1]
    assert found.of["full"][1] == pytest.approx(alone.of["full"][1], rel=0.3)
    lone = gains_of(own[0], *(curve(f"t{step}", {"lora": 0.02}) for step in range(6)))
    assert lone.of["full"][1] >= LONE_SPREAD > lone.of["lora"][1]


def test_a_cell_without_one_of_what_is_measured_is_left_out():
    """A gain over the probe alone is another quantity than one over the better of both."""
    made = curve("digits", {"classical": 0.1, "lora": 0.15})
    lacking = {50: at({"lora": 0.3}).drop(columns="classical")}
    both = replace(made, accuracy=made.accuracy | lacking)
    assert gains_of(both, per_class=5) == gains_of(made, per_class=5)


def test_a_gain_grows_with_the_examples_a_class_as_within_curves():
    """A data set at few examples and one at many: what they differ by is no rate."""
    grown = replace(curve("one", {}), accuracy={20: at({"lora": 0.0}), 200: at({"lora": 0.1})})
    both = (grown, curve("two", {"lora": -0.3}, 2_000))
    few, many, beyond = (gains_of(*both, per_class=n).of["lora"] for n in (10, 1_000, 10_000))
    assert many[0] - few[0] == pytest.approx(0.2) and beyond == many
    assert many[0] == pytest.approx((0.2 - 0.3) / 2) and many[1] == few[1]


def test_steps_of_the_dial_are_no_data_sets():
    plain = curve("one", {"lora": 0.1})
    assert gains_of(plain, replace(plain, dial=0.5, accuracy={200: at({"lora": -0.4})})).of["lora"][
        0
    ] == pytest.approx(0.1)


@pytest.fixture(scope="module")
def recorded():
    """Every recorded situation's means, with the gains that the other data sets show."""
    held = measured_curves(runs.load_runs())
    less = {one.family: held.without(one.family) for one in held.curves}
    return [
        (one.accuracy[n].mean(), recorded_gains(one.modality, less[one.family], per_class))
        for one in held.curves
        for n in (one.whole if one.dial == 0 else [])
        for per_class in [n / classes_of(one.task)]
    ]


def test_intervals_hold_for_data_sets_that_had_no_say(recorded):
    """Over the records: every data set foreseen from the others, each pair as if independent."""
    inside = []
    for means, gains in recorded:
        angles = angle(means)
        base = angles[angles.index.intersection(gains.over)].max()
        known = sorted(gains.of.keys() & set(means.index))
        for name in known:
            mean, spread = gains.of[name]
            inside.append(abs(angles[name] - base - mean) <= Z * spread)
        for first, second in itertools.combinations(known, 2):
            (mean, spread), (less, other) = gains.of[first], gains.of[second]
            apart = angles[first] - angles[second] - (mean - less)
            inside.append(abs(apart) <= Z * np.hypot(spread, other))
    assert len(inside) > 300
    assert 0.9 <= np.mean(inside) <= 0.99


def test_who_is_not_named_as_a_rival_is_hardly_ever_better(recorded):
    """Over the records: what is foreseen best against every other, data sets held out."""
    named, unnamed = [], []
    for means, gains in recorded:
        best = means[means.index.intersection(MEASURED)].idxmax()
        base = angle(means[best])
        expected = {best: Expected(best, *[means[best]] * 3, 0, "made", True)}
        for name in gains.of.keys() & set(means.index):
            gain, spread = gains.of[name]
            ends = (float(share_at(base + gain + side * spread)) for side in (0, -Z, Z))
            expected[name] = Expected(name, *ends, 9, "made")
        take = max(expected, key=lambda name: expected[name].accuracy)
        rivals = _rivals(take, expected)
        better = {name: means[name] > means[take] + MARGIN for name in expected if name != take}
        named += [better.pop(name) for name in rivals]
        unnamed += better.values()
    assert len(named) > 50 and np.mean(named) > 0.05
    assert sum(unnamed) <= 0.05 * (len(named) + len(unnamed))
