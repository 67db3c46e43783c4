"""What recorded gains let expect of one more family of tasks, and how often that holds."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from helpers.advisor.prior.accuracies import SURE, Expected, Prior
from helpers.advisor.prior.gains import LONE_SPREAD, MEASURED, NOTHING, Gains, Z, recorded_gains
from helpers.advisor.race.standings import chances
from helpers.results import runs
from helpers.results.expected_regret import MARGIN
from helpers.results.learning_curves import Curve, Measured, measured_curves


def curve(task, gains, size=200, base=0.6):
    """One made curve: every approach this much above feature extraction, in log-odds."""
    odds = logit(base)
    values = {MEASURED[0]: base} | {n: 1 / (1 + np.exp(-odds - gain)) for n, gain in gains.items()}
    table = pd.DataFrame([values] * 3)
    return Curve(task, "pocket", 0.0, 28, "image", 0.5, "made", {size: table}, {})


def gains_of(*curves):
    return recorded_gains("image", Measured(curves))


def test_nothing_recorded_is_nothing_known():
    found = gains_of()
    assert found == NOTHING and found.names == ()


def test_one_family_gives_its_gain_and_a_wide_interval():
    found = gains_of(curve("one", {"lora": 0.7, "adapter": -0.2}))
    assert found.families == 1 and found.runs == {"lora": 3, "adapter": 3}
    assert found.of("lora") == (pytest.approx(0.7), pytest.approx(LONE_SPREAD))


def test_families_are_told_apart_by_name_whatever_it_holds():
    found = gains_of(*(curve(f"my {i}", {"lora": 0.7}) for i in range(3)))
    assert found.families == 3
    other = curve("one", {"lora": 0.7})
    twice = recorded_gains("image", Measured((other, replace(other, backbone="minilm"))))
    assert twice.families == 1  # one family of tasks, though on two backbones


def spread_of(found, one, other):
    """The spread of the difference of two recorded gains, in log-odds."""
    contrast = np.array([(name == one) - (name == other) for name in found.names], dtype=float)
    return np.sqrt(contrast @ found.covariance @ contrast)


def test_differences_are_taken_within_families():
    together = gains_of(*(curve(f"t{i}", {"lora": g, "full": g}) for i, g in enumerate((0, 1, 2))))
    apart = gains_of(*(curve(f"t{i}", {"lora": g, "full": 2 - g}) for i, g in enumerate((0, 1, 2))))
    assert [found.of("lora")[0] for found in (together, apart)] == pytest.approx([1.0, 1.0])
    assert spread_of(together, "lora", "full") < together.of("lora")[1] / 4
    assert spread_of(apart, "lora", "full") > apart.of("lora")[1]


def test_families_that_agree_by_luck_are_no_certainty():
    """An approach alike on two families is as unsure as approaches are that differ there."""
    found = gains_of(
        curve("one", {"lora": 0.3, "adapter": -1.0, "full": 0.9}),
        curve("two", {"lora": 0.3, "adapter": 0.5, "full": -0.7}),
    )
    assert found.of("lora")[1] > 0.5


def test_a_gain_is_over_the_better_of_what_is_measured():
    """Digits: where raw pixels beat the probe, what moves weights lies above both."""
    made = curve("digits", {"classical": 1.0, "lora": 1.5})
    assert gains_of(made).of("lora")[0] == pytest.approx(0.5)
    assert gains_of(made).names == ("lora",)


def test_more_families_make_surer():
    few = [curve(f"t{i}", {"lora": g}) for i, g in enumerate((0.2, 0.6))]
    many = [curve(f"t{i}", {"lora": g}) for i, g in enumerate((0.2, 0.6) * 5)]
    assert gains_of(*many).of("lora")[1] < gains_of(*few).of("lora")[1] / 1.5


def test_an_approach_that_a_family_lacks_is_filled_with_what_others_show():
    found = gains_of(curve("one", {"lora": 0.2, "full": 0.5}), curve("two", {"lora": 0.4}))
    assert found.of("full")[0] == pytest.approx(0.5)


@pytest.fixture(scope="module")
def recorded():
    """Every recorded curve with the gains that the other families show."""
    held = measured_curves(runs.load_runs())
    less = {one.family: held.without(one.family) for one in held.curves}
    whole = [one for one in held.curves if one.dial == 0]
    return [(one, recorded_gains(one.modality, less[one.family])) for one in whole]


def test_intervals_hold_for_families_that_had_no_say(recorded):
    """Over the records: every family foreseen from the others, each pair of approaches."""
    inside = []
    for one, gains in recorded:
        for size in one.whole:
            odds = logit(one.accuracy[size].mean().clip(0.01, 0.99))
            base = odds[odds.index.intersection(MEASURED)].max()
            known = [n for n in gains.names if n in odds]
            for name in known:
                mean, spread = gains.of(name)
                inside.append(abs(odds[name] - base - mean) <= Z * spread)
            for first, second in itertools.combinations(known, 2):
                mean = gains.of(first)[0] - gains.of(second)[0]
                spread = spread_of(gains, first, second)
                inside.append(abs(odds[first] - odds[second] - mean) <= Z * spread)
    assert len(inside) > 300
    assert 0.9 <= np.mean(inside) <= 0.99


def test_a_better_approach_is_no_more_frequent_than_its_stated_chance(recorded):
    """Over the records: what is foreseen best against every other, families held out."""
    stated, came, missed = [], [], 0
    for one, gains in recorded:
        for size in one.whole:
            means = one.accuracy[size].mean()
            best = means[means.index.intersection(MEASURED)].idxmax()
            base = logit(means[best].clip(0.01, 0.99))
            names = [best, *(n for n in gains.names if n in means)]
            odds = {best: base} | {name: base + gains.of(name)[0] for name in names[1:]}
            expected = {n: Expected(n, expit(o), 0, 1, 9, "made") for n, o in odds.items()}
            take = max(odds, key=odds.__getitem__)
            belief = Prior(expected, gains, best).belief(names)
            chances_above = {name: belief.chance_above(name, take) for name in names}
            found = {n: chance for n, chance in chances_above.items() if chance >= SURE}
            stated += found.values()
            came += [means[name] > means[take] + MARGIN for name in found]
            unlikely = set(names) - set(found)
            missed += sum(means[n] > means[take] + MARGIN for n in unlikely)
    assert len(stated) > 100 and np.mean(came) > 0.05
    assert np.mean(came) <= np.mean(stated)
    assert missed == 0  # what has less than SURE was never the better one


def test_chances_go_by_what_moves_together():
    """Two that always lie 0.2 apart: the lower one has no chance, however unsure both are."""
    names = ("lora", "full_fine_tuning")
    both = np.full((2, 2), 0.5) + 1e-4 * np.eye(2)
    gains = Gains(names, np.array([0.0, 1.0]), both, 3, dict.fromkeys(names, 9))
    expected = {
        "lora": Expected("lora", 0.5, 0.3, 0.7, 9, "made"),
        "full_fine_tuning": Expected("full_fine_tuning", 0.73, 0.5, 0.9, 9, "made"),
    }
    assert chances(Prior(expected, gains), list(names))["lora"] < 0.01
    assert chances(Prior(expected, NOTHING), list(names))["lora"] > 0.05
    for known, likely in ((gains, False), (NOTHING, True)):
        chance = Prior(expected, known).belief(names).chance_above("lora", "full_fine_tuning")
        assert (chance >= SURE) == likely
