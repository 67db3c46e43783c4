"""What records and measurements say together, who is raced next, and what that is worth."""

import numpy as np
import pandas as pd
import pytest

from helpers.advisor.prior.accuracies import Expected, Prior
from helpers.advisor.prior.gains import Gains
from helpers.advisor.prior.posterior import LEVEL, Belief
from helpers.advisor.race.standings import Arm, Standing, measurement, standing, turns, unmeasured
from helpers.results.expected_regret import MARGIN

NAMES = ("lora", "full_fine_tuning", "adapter")


def arm(name, right, first=0, noise=0.0):
    """An arm of one run, on the examples from `first` on."""
    right = np.asarray(right, dtype=float)
    return Arm(name, noise, {0: right > 0}, pd.Series(right, range(first, first + len(right))))


def prior(covariance, accuracy=0.6):
    """The same accuracy is expected of all; their gains go together as `covariance` says."""
    gains = Gains(NAMES, np.zeros(3), np.asarray(covariance, float), 3, {})
    names = ("feature_extraction", *NAMES)
    return Prior({n: Expected(n, accuracy, 0, 1, 9, "made") for n in names}, gains)


def test_a_belief_is_corrected_by_the_textbook():
    """Precisions add, means weigh by them."""
    scale = np.array([[0.04, 0.01], [0.01, 0.09]])
    noise = np.array([[0.02, 0.0], [0.0, 0.01]])
    mean, seen = np.array([0.5, 0.7]), np.array([0.6, 0.4])
    belief = Belief(("lora", "adapter"), mean, scale + LEVEL**2)
    found = belief.given(["lora", "adapter"], seen, noise)
    before = np.linalg.inv(scale + LEVEL**2)
    after = np.linalg.inv(before + np.linalg.inv(noise))
    assert found.covariance == pytest.approx(after)
    assert found.mean == pytest.approx(after @ (before @ mean + np.linalg.solve(noise, seen)))


def test_a_chance_is_that_of_the_difference():
    """Whatever moves both alike cancels."""
    scale = np.array([[0.04, 0.01], [0.01, 0.09]])
    belief = Belief(("lora", "adapter"), np.array([0.5, 0.6]), scale + LEVEL**2)
    assert belief.difference("lora", "adapter") == pytest.approx((-0.1, np.sqrt(0.11)))
    chance = belief.chance_above("adapter", "lora")
    assert 1 - belief.chances_near_best(MARGIN)["lora"] == pytest.approx(chance, abs=0.03)
    assert belief.chance_above("lora", "lora") == 0.0


def test_arms_on_the_same_examples_have_their_means_and_their_covariance():
    rng = np.random.default_rng(0)
    right = rng.random((200, 2)) < (0.8, 0.6)
    seen, noise = measurement([arm("lora", right[:, 0]), arm("adapter", right[:, 1], noise=0.02)])
    assert seen == pytest.approx(right.mean(0))
    expected = np.cov(right.T) / 200
    expected += np.diag([0, 0.02**2]) + LEVEL**2  # how hard the examples are stays open
    assert noise == pytest.approx(expected, abs=2e-5)


def test_who_judged_fewer_is_compared_on_what_both_judged():
    """LoRA alone judged a hundred hard examples: its accuracy falls, its lead does not."""
    both = np.arange(100) % 10 < 8
    behind = both & (np.arange(100) % 20 != 1)
    lora = arm("lora", [*both, *([0.0, 0.0, 1.0, 0.0] * 25)])
    seen, noise = measurement([lora, arm("adapter", behind)])
    assert lora.accuracy == pytest.approx(0.525)
    assert seen[0] - seen[1] == pytest.approx(both.mean() - behind.mean(), abs=0.01)
    assert noise[0, 0] + noise[1, 1] - 2 * noise[0, 1] < 0.03**2
    apart = measurement([arm("lora", both), arm("adapter", behind, first=100)])[1]
    assert apart[0, 1] < 1e-9  # nothing in common, nothing paired


def test_examples_that_all_judge_alike_leave_a_doubt():
    _, noise = measurement([arm("lora", [1] * 50), arm("adapter", [1] * 50)])
    assert 0 < noise[0, 0] + noise[1, 1] - 2 * noise[0, 1] == pytest.approx(1 / 50**2)


def test_what_goes_together_in_the_records_is_learned_together():
    """LoRA measured far above the probe: full fine-tuning, which goes with it, is believed too."""
    together = [[0.2, 0.19, 0], [0.19, 0.2, 0], [0, 0, 0.2]]
    rng = np.random.default_rng(0)
    hard = rng.random(400)
    arms = {
        "feature_extraction": arm("feature_extraction", hard < 0.5),
        "lora": arm("lora", hard < 0.8),
        "full_fine_tuning": unmeasured("full_fine_tuning"),
        "adapter": unmeasured("adapter"),
    }
    place = standing(arms, prior(together))
    assert place.leader == "lora"
    assert place.shortfall["full_fine_tuning"] < 0.1 < place.shortfall["adapter"]
    assert "full_fine_tuning" in place.alive()


def place_of(*names, gone=()):
    shortfall = pd.Series(np.arange(len(names)) / 100, index=names)
    beats = {name: 0.0 if name in gone else 0.3 for name in names}
    p_values = {name: 0.01 if name in gone else 1.0 for name in names}
    return Standing(names[0], shortfall, beats, p_values)


def test_the_leader_is_raced_against_the_likeliest_on_the_fold_that_is_lacking():
    held = {"lora": {0, 1, 2}, "adapter": {0}, "lp_ft": {0, 1, 2}}
    place = place_of("lora", "adapter", "lp_ft")
    order = list(turns(place, held, 3))
    assert order == [[("adapter", 1)], [("lora", 3), ("lp_ft", 3)]]
    held["adapter"] |= {1, 2, 3}
    assert next(turns(place, held, 3)) == [("lora", 3)]
    assert list(turns(place, dict.fromkeys(held, {0, 1, 2, 3}), 3)) == []
    assert list(turns(place_of("lora", "adapter", gone=["adapter"]), held, 3)) == []
    assert next(turns(place, {n: {0} for n in held}, 3, at_once=3)) == [
        ("lora", 1), ("adapter", 1), ("lp_ft", 1)
    ]  # fmt: skip


def test_who_is_not_told_apart_is_raced_when_the_likelier_ones_are_done():
    """A verdict calls it close against whoever differs by luck alone: minutes left go there."""
    place = place_of("lora", "adapter", "lp_ft")
    unlikely = Standing("lora", place.shortfall, place.beats | {"adapter": 0.01}, place.p_values)
    held = {name: {0} for name in place.beats}
    assert unlikely.rivals() == ["lp_ft", "adapter"] and unlikely.is_open("adapter")
    assert [turn[-1] for turn in turns(unlikely, held, 3)] == [("lp_ft", 1), ("adapter", 1)]
    settled = place_of("lora", "adapter", "lp_ft", gone=("adapter", "lp_ft"))
    assert settled.rivals() == [] and list(turns(settled, held, 3)) == []
