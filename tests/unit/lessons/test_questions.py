"""Notebook 15: what is said of a correlation over a handful of data sets."""

import pandas as pd
import pytest
from scipy import stats

from helpers.lessons import crossings, questions


def test_the_p_value_counts_every_order():
    x, y = pd.Series([3.0, 1.0, 4.0, 2.0]), pd.Series([30.0, 10.0, 40.0, 20.0])
    rho, p = questions._rank_correlation(x, y)
    assert rho == pytest.approx(1) and p == pytest.approx(2 / 24)
    assert stats.spearmanr(x, y).pvalue < p, "the approximation is too sure of itself"


def test_with_many_values_it_is_the_usual_one():
    x = pd.Series(range(30), dtype=float)
    y = x.sample(frac=1, random_state=3).reset_index(drop=True) + x / 2
    _, p = questions._rank_correlation(x, y)
    assert p == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.01)


def test_a_duel_on_one_network_says_so_and_what_single_draws_show_elsewhere():
    runs = crossings.recorded()
    ours, theirs = "from_scratch", "feature_extraction"
    small = runs[(runs["backbone"] == "pocket") | (runs["seed"] == 0)]
    told = questions.duel(small, ours, theirs)
    assert "All are of pocket. On other networks, one draw in each of " in told
    alone = questions.duel(small[small["backbone"] == "pocket"], ours, theirs)
    assert alone.endswith("All are of pocket.")
    assert "All are of" not in questions.duel(runs, "full_fine_tuning", theirs)
