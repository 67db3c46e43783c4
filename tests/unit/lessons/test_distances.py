"""What distances foretell: what luck needs, and sentences that follow the records."""

import math

import pandas as pd
import pytest

from helpers.lessons import distances


@pytest.mark.parametrize(("points", "needed"), [(5, 1.0), (6, 0.886), (7, 0.786), (10, 0.65)])
def test_few_points_need_a_high_rank_correlation(points, needed):
    """Against the printed tables of Spearman's coefficient, two-sided, 5 %."""
    assert distances.needed_correlation(points) == pytest.approx(needed, abs=0.012)


def test_four_points_are_never_more_than_luck():
    assert math.isnan(distances.needed_correlation(4))


def test_pretraining_is_worth_something_up_to_where_the_interval_meets_zero(monkeypatch):
    table = pd.DataFrame(
        {
            "n_train": [50] * 4 + [200] * 2,
            "dial": [0, 0.5, 0.75, 1, 0, 1],
            "mean": [6, 4, 1, 3, -1, -2],
            "low": [5, 3, -1, 2, -3, -4],
            "high": [7, 5, 3, 4, 1, 0],
        }
    )
    monkeypatch.setattr(distances, "worth_of_pretraining", lambda: table)
    first, second = distances.worth_sentence().splitlines()
    assert "50 examples" in first and first.endswith("Clearly above zero up to dial 0.5.")
    assert "+6.0 points (+5.0 to +7.0) at dial 0" in first
    assert second.endswith("Clearly above zero nowhere.")


def test_only_correlations_as_strong_as_luck_needs_are_counted(monkeypatch):
    table = pd.DataFrame(
        {"needed": [1.0, 0.886], "frechet": [0.9, 0.9], "above_chance": [1.0, 0.5],
         "log_me": [-1.0, float("nan")]}
    )  # fmt: skip
    monkeypatch.setattr(distances, "foretold", lambda: table)
    assert "**2 of 6** correlations" in distances.foretold_sentence()


def test_the_dial_has_the_steps_that_were_recorded(monkeypatch):
    """On equal seeds; a size with one step has no curve along the dial."""
    rows = pd.DataFrame(
        [
            {"task": "products_near", "backbone": "pocket", "dial": dial, "n_train": n,
             "approach": name, "seed": seed, "test_accuracy": value + 0.1 * seed}
            for dial, n in ((0.0, 50), (0.0, 200), (1.0, 200))
            for name, value, seeds in (("lora", 0.6, (0, 1)), ("classical", 0.5, (1,)))
            for seed in seeds
        ]
    )  # fmt: skip
    monkeypatch.setattr(distances, "on_the_dial", lambda: rows)
    table = distances.dial_curves()
    assert set(table["n_train"]) == {200} and set(table["dial"]) == {0.0, 1.0}
    means = table[table["dial"] == 0].set_index("approach")["mean"]
    assert means["lora"] - means["classical"] == pytest.approx(0.1)
