"""Filters of claims are parsed, and nothing in them is evaluated."""

import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.lessons.claims.filters import select
from helpers.lessons.claims.ledger import judge_claims
from helpers.results.runs import load_runs

ROWS = pd.DataFrame(
    {"n_train": [50, 200, 1000, 5000], "distance": [0.1, 1 / 3, 0.5, float("nan")],
     "task": ["products", "clothing", "a and b", "c <= d"]}
)  # fmt: skip


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("n_train <= 200", [0, 1]),
        ("n_train != 200", [0, 2, 3]),
        ("n_train >= 200 and n_train < 5000", [1, 2]),
        ("distance < 1/3", [0]),
        ("distance >= 1/3 and task == 'clothing'", [1]),
        ("task in ['clothing', 'products']", [0, 1]),
        ("task == 'a and b'", [2]),
        ("task == 'c <= d'", [3]),
        ("n_train > -1.5", [0, 1, 2, 3]),
    ],
)
def test_a_filter_lets_through_what_it_says(where, left):
    assert list(select(ROWS, where).index) == left


@pytest.mark.parametrize(
    "where",
    [
        "@__import__('os').system('touch owned')",
        "task.str.contains('o')",
        "n_train <= 200 or n_train > 1000",
        "not n_train <= 200",
        "n_train <= n_train.__class__",
        "n_train <= 1/0",
        "n_train <= 9**9",
        "n_train <= '200'",
        "task == 5",
        "task in 'clothing'",
        "task == ['clothing']",
        "task == 'a' or 'b'",
        "n_train<=200",
        "seconds < 5",
        "",
        "n_train <= nan",
    ],
)
def test_anything_else_is_refused(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        select(ROWS, where)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "[[claim",
        "claim = 1",
        "claim = [1]",
        "x = 1",
        "[[claim]]\ntest = []",
        "[[claim]]\ntest = 'gain'\nparts = 1",
        "[[claim]]\nid = 1\ntest = 'gain'",
        "[[claim]]\nid = 1\ntest = 'gain'\nours = 1\ntheirs = 2\nwhere = 3",
        "a = " + "[" * 100_000,
        "\0",
    ],
)
def test_a_file_of_claims_that_is_none_is_refused_in_one_sentence(text, tmp_path):
    (tmp_path / "claims.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=";"):
        judge_claims(load_runs(), tmp_path / "claims.toml")
