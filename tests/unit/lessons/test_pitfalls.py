"""Common mistakes: what each costs is worked out rightly, on cases with known answers."""

import numpy as np
import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.lessons import pitfalls


def test_an_untouched_test_set_is_fair_and_choosing_on_it_is_not():
    right = np.random.default_rng(0).random((30, 600)) < 0.7  # equal models: nothing to choose
    fair, _, _ = pitfalls.optimism(right, 100, 1, repeats=400)
    chosen, low, high = pitfalls.optimism(right, 100, 30, repeats=400)
    assert abs(fair) < 0.01
    # The largest of 30 draws lies about two standard deviations up: 2.04 · √(0.21 / 100).
    assert chosen == pytest.approx(2.04 * (0.21 / 100) ** 0.5, abs=0.02)
    assert low < chosen < high


def test_more_test_examples_shrink_the_optimism():
    right = np.random.default_rng(1).random((20, 900)) < 0.8
    gaps = [pitfalls.optimism(right, n, 20)[0] for n in (25, 100, 400)]
    assert gaps[0] > gaps[1] > gaps[2] > 0


@pytest.mark.parametrize(("n", "tried"), [(10, 6), (10, 0), (40, 2), (0, 2)])
def test_optimism_refuses_what_cannot_be_drawn(n, tried):
    with pytest.raises(UserError, match="can't be drawn"):
        pitfalls.optimism(np.ones((5, 40), dtype=bool), n, tried)


def table(scores):
    """One situation: approach → accuracy by seed."""
    place = {"task": "t", "backbone": "b", "n_train": 50, "dial": 0.0, "image_size": 28}
    rows = [
        place | {"approach": name, "seed": seed, "test_accuracy": accuracy}
        for name, values in scores.items()
        for seed, accuracy in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_one_seed_crowns_its_own_winner():
    crowned = pitfalls.one_seed(table({"lora": [0.9, 0.9, 0.6], "adapter": [0.7, 0.7, 0.7]}))
    assert list(crowned["named"]) == ["lora", "lora", "adapter"]
    assert set(crowned["best"]) == {"lora"}
    assert crowned["regret"].tolist() == pytest.approx([0, 0, 0.1])


def test_two_seeds_say_nothing_about_one():
    assert pitfalls.one_seed(table({"lora": [0.9, 0.9], "adapter": [0.7, 0.7]})).empty


def test_the_visible_gain_is_seen_in_four_tries_of_five():
    n, accuracy = 400, 0.8
    gain = pitfalls.smallest_visible_gain(n, accuracy)
    rng = np.random.default_rng(0)
    a, b = (rng.binomial(n, p, 20_000) / n for p in (accuracy - gain / 2, accuracy + gain / 2))
    spread = np.sqrt((a * (1 - a) + b * (1 - b)) / n)
    assert np.mean(b - a > 1.96 * spread) == pytest.approx(0.8, abs=0.02)
    with pytest.raises(UserError):
        pitfalls.smallest_visible_gain(0, 0.8)


def test_shifted_copies_know_where_they_come_from():
    images = np.zeros((3, 8, 8, 1), dtype=np.uint8)
    images[:, 4, 4] = [[50], [100], [200]]
    moved, labels, source = pitfalls.shifted_copies(images, np.array([2, 0, 1]), copies=4)
    assert moved.shape == (12, 8, 8, 1) and moved.dtype == np.uint8
    assert list(source) == [0] * 4 + [1] * 4 + [2] * 4
    assert list(labels) == [2] * 4 + [0] * 4 + [1] * 4
    assert all(
        0 < copy.max() <= images[origin].max() for copy, origin in zip(moved, source, strict=True)
    )
    assert len({copy.tobytes() for copy in moved[:4]}) == 4
