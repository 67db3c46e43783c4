"""Who leads a race, who is raced next, and how sure a choice is: on what both judged."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, norm

from helpers.advisor.folds import Folds
from helpers.advisor.prior import Expected, chance_right
from helpers.advisor.race.standings import Arm, Standing, arm_of, paired_p, standing, turns
from helpers.results.expected_regret import WITHIN
from helpers.results.statistics import wilson_interval


def arm(name, right, first=0):
    """An arm of one run, on the examples from `first` on."""
    right = pd.Series(np.asarray(right, dtype=float), range(first, first + len(right)))
    return Arm(name, {0: right > 0}, right)


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
    share = pd.Series([*both, *hard], dtype=float)
    lora = Arm("lora", {0: share[:100] > 0, 1: share[100:] > 0}, share)
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


@pytest.mark.parametrize("rounds", [1, 2, 6])
def test_an_example_that_is_judged_again_is_counted_once(rounds):
    """Each example is judged alike every time, so that further rounds tell nothing new."""
    folds = Folds(np.arange(200) % 2, 160)
    drawn, made = np.random.default_rng(1).permutation(200), {}
    for name, wrong in {"lora": drawn[:20], "adapter": drawn[10:40]}.items():
        right = ~np.isin(np.arange(200), wrong)
        own = {fold: right[folds.rows(fold)[1]] for fold in range(1 + rounds * folds.count)}
        made[name] = arm_of(name, own, folds)
    lora, adapter = made.values()
    assert paired_p(lora, adapter) == pytest.approx(binomtest(10, 30).pvalue)
    assert standing(made).rivals == ["adapter"]
    assert lora.interval == wilson_interval(180, 200)
    gap, deviation = lora.above(adapter)
    variance = (30 / 200 - 0.05**2) / 199 + 1 / (2 * 200**2)
    assert (gap, deviation) == pytest.approx((0.05, np.sqrt(variance)))


def test_the_first_judgement_that_both_have_is_the_one_that_counts():
    """Fold 1 alone is common to both; what fold 0 said of one of them is nobody's pair."""
    folds = Folds(np.arange(20) % 2, 10)
    rows = {fold: folds.rows(fold)[1] for fold in range(4)}
    alike = {fold: np.ones(len(own), dtype=bool) for fold, own in rows.items()}
    lora = arm_of("lora", {1: alike[1], 2: alike[2], 3: ~alike[3]}, folds)
    adapter = {0: ~alike[0], 1: ~alike[1], 2: ~alike[2], 3: alike[3]}  # fold 3: the other way round
    adapter = arm_of("adapter", adapter, folds)
    assert paired_p(lora, adapter) == pytest.approx(2 * 0.5**20)
    assert paired_p(lora, arm_of("adapter", {0: ~alike[0]}, folds)) == 1.0


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
