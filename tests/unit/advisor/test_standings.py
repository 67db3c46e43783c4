"""Who leads a race, who is raced next, and how sure a choice is: on what both judged."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from helpers.advisor.prior import Expected, chance_right
from helpers.advisor.race.standings import Arm, Standing, standing, turns
from helpers.results.expected_regret import WITHIN


def arm(name, right, first=0):
    """An arm of one run, on the examples from `first` on."""
    right = np.asarray(right, dtype=float)
    return Arm(name, {0: right > 0}, pd.Series(right, range(first, first + len(right))))


def arms_of(**right):
    return {name: arm(name, one) for name, one in right.items()}


def test_the_most_accurate_leads_and_who_differs_by_luck_alone_is_its_rival():
    many = np.arange(300)
    place = standing(arms_of(adapter=many < 150, lora=many < 270, lp_ft=many < 267))
    assert place.leader == "lora" and place.rivals == ["lp_ft"]
    assert place.p_values["adapter"] < 0.001 < 0.05 < place.p_values["lp_ft"]
    assert list(place.shortfall.index) == ["lora", "lp_ft", "adapter"]
    assert place.shortfall.tolist() == pytest.approx([0.0, 0.01, 0.4])


def test_who_judged_fewer_is_compared_on_what_both_judged():
    """LoRA alone judged a hundred hard examples: its accuracy falls, its lead does not."""
    both = np.arange(100) % 10 < 8
    behind = both & (np.arange(100) % 20 != 1)
    hard = np.arange(100) % 4 == 2
    lora = Arm("lora", {0: both, 1: hard}, pd.Series([*both, *hard], dtype=float))
    adapter = arm("adapter", behind)
    assert lora.accuracy < 0.53 < adapter.accuracy
    place = standing({"adapter": adapter, "lora": lora})
    assert place.leader == "lora"
    assert place.shortfall["adapter"] == pytest.approx(both.mean() - behind.mean())


def test_a_gap_is_as_sure_as_pairs_make_it():
    rng = np.random.default_rng(0)
    right = rng.random((200, 2)) < (0.8, 0.6)
    one, other = arm("lora", right[:, 0]), arm("adapter", right[:, 1])
    gap, deviation = one.above(other)
    apart = right[:, 0].astype(float) - right[:, 1]
    assert gap == pytest.approx(apart.mean())
    assert deviation == pytest.approx(apart.std(ddof=1) / np.sqrt(200), rel=0.01)
    assert one.above(one) == (0.0, pytest.approx(1 / (200 * np.sqrt(2))))  # a doubt is left
    assert one.above(arm("adapter", right[:, 1], first=200))[1] == 0.5  # nothing in common


def test_a_choice_is_as_sure_as_the_gaps_to_all_others():
    assert chance_right([]) == 1.0
    assert chance_right([(-0.1, 0.01), (-0.2, 0.01)]) == pytest.approx(1.0)
    assert chance_right([(WITHIN, 0.02)]) == pytest.approx(0.5)
    assert chance_right([(0.0, 0.02), (0.0, 0.02)]) == pytest.approx(norm.cdf(WITHIN / 0.02) ** 2)
    lora, probe = (Expected(name, 0.8, 0.7, 0.9, 9, "made") for name in ("lora", "probe"))
    assert lora.above(probe) == (0.0, pytest.approx(0.0722, abs=1e-4))


def test_equal_arms_stay_open_and_the_clearly_cheaper_is_taken():
    right = np.arange(100) % 4 > 0
    place = standing(arms_of(lora=right, feature_extraction=right))
    assert place.rivals == ["feature_extraction"]
    assert place.take({"lora": 30.0, "feature_extraction": 1.0}) == "feature_extraction"
    assert place.take({"lora": 30.0, "feature_extraction": 29.0}) == "lora"


def test_what_is_better_and_cheaper_is_taken():
    """Half a point is given up for less cost, and no more than that."""
    many, seconds = np.arange(1_000), {"classical": 0.1, "feature_extraction": 5.0, "lora": 100.0}

    def take(**right):
        place = standing(arms_of(**{n: many < count for n, count in right.items()}))
        return place.take(seconds)

    assert take(lora=900, feature_extraction=901, classical=600) == "feature_extraction"
    assert take(lora=900, feature_extraction=896, classical=600) == "feature_extraction"
    assert take(lora=900, feature_extraction=890, classical=600) == "lora"
    assert take(lora=900, feature_extraction=897, classical=895) == "classical"


def place_of(leader, *rivals):
    names = (leader, *rivals)
    shortfall = pd.Series(np.arange(len(names)) / 100, index=names)
    return Standing(leader, shortfall, dict.fromkeys(names, 1.0), list(rivals))


def test_the_leader_is_raced_against_the_next_best_on_the_fold_that_is_lacking():
    held = {"lora": {0, 1, 2}, "adapter": {0}, "lp_ft": {0, 1, 2}}
    place = place_of("lora", "adapter", "lp_ft")
    order = list(turns(place, held, 3))
    assert order == [[("adapter", 1)], [("lora", 3), ("lp_ft", 3)]]
    held["adapter"] |= {1, 2, 3}
    assert next(turns(place, held, 3)) == [("lora", 3)]
    assert list(turns(place, dict.fromkeys(held, {0, 1, 2, 3}), 3)) == []
    assert list(turns(place_of("lora"), held, 3)) == []  # nobody's rival is open
    assert next(turns(place, {n: {0} for n in held}, 3, at_once=3)) == [
        ("lora", 1), ("adapter", 1), ("lp_ft", 1)
    ]  # fmt: skip
