"""Claims: planted effects are found, absent ones are not, and the ledger has all 28."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from rows import make_row
from scipy import stats

from helpers.cli import commands
from helpers.errors import UserError
from helpers.lessons.claims import ledger
from helpers.results import effects

VERDICT = re.compile(r"holds|holds when .+|fails|not tested")
TASKS = {"products_near": 0.0, "digits": 0.0, "textile": 0.0, "solar_cells": 0.0}


def made(effect, *, spread=0.01, sizes=(50, 200, 1000), seeds=3, **changes) -> pd.DataFrame:
    """Runs of a probe at 0.6 and of full fine-tuning `effect(task, n)` above it."""
    rng = np.random.default_rng(0)
    rows = []
    for task in TASKS:
        for n in sizes:
            for seed in range(seeds):
                for approach, gain in (("feature_extraction", 0), ("full_fine_tuning", effect)):
                    mean = 0.6 + (gain(task, n) if callable(gain) else gain)
                    accuracy = float(np.clip(mean + rng.normal(0, spread), 0, 1))
                    row = {
                        "task": task,
                        "approach": approach,
                        "n_train": n,
                        "seed": seed,
                        "test_accuracy": accuracy,
                        "val_accuracy": accuracy,
                        "train_cpu_seconds": 20.0 if gain else 1.0,
                        "stored_mb": 90.0 if gain else 0.5,
                    }
                    rows.append(make_row(**(row | changes)))
    third = [row | {"approach": "lora", "test_accuracy": 0.5, "val_accuracy": 0.5} for row in rows]
    third = [row for row in third if row["train_cpu_seconds"] == 1.0]
    return pd.DataFrame(rows + third)


def judged(runs: pd.DataFrame, number: int) -> ledger.Verdict:
    return next(v for v in ledger.judge_claims(runs) if v.id == number)


PAIR = {"ours": ["full_fine_tuning"], "theirs": ["feature_extraction"]}


def test_the_ledger_has_the_28_claims_in_order_and_each_gets_a_verdict():
    verdicts = ledger.judge_claims()
    assert [verdict.id for verdict in verdicts] == list(range(1, 29))
    for verdict in verdicts:
        assert VERDICT.fullmatch(verdict.verdict), verdict
        tested = verdict.verdict != "not tested"
        assert not tested or verdict.effect is not None
        if verdict.effect is not None and verdict.low is not None and verdict.high is not None:
            assert verdict.low <= verdict.effect <= verdict.high
        assert verdict.claim and verdict.unit


def test_without_records_only_what_is_counted_has_a_verdict(monkeypatch):
    monkeypatch.setattr(ledger.flips, "measured", lambda flip: None)
    nothing = ledger.forgetting.compared().iloc[:0]
    monkeypatch.setattr(ledger.forgetting, "compared", lambda: nothing)
    none = made(0.1).iloc[:0]
    tested = [v.id for v in ledger.judge_claims(none) if v.verdict != "not tested"]
    assert tested == [24]


@pytest.mark.parametrize(
    ("effect", "verdict"), [(0.1, "fails"), (-0.1, "holds"), (0.02, "not tested")]
)
def test_the_default_claim_follows_what_was_planted(effect, verdict):
    assert judged(made(effect, spread=0.005 if effect != 0.02 else 0.03), 28).verdict == verdict


def test_a_split_says_when():
    found = judged(made(lambda task, n: 0.39 if n == 1000 else -0.1), 28)
    assert found.verdict == "holds when it is 50 examples"


def test_a_gain_is_paired_and_its_interval_is_over_families():
    runs = ledger.situations(made(lambda task, n: {"digits": 0.3}.get(task, 0.1), spread=0.0))
    found = effects.gain(runs, PAIR)
    means = np.array([0.1, 0.3, 0.1, 0.1])
    half = stats.t.ppf(0.975, 3) * means.std(ddof=1) / 2
    assert found.effect == pytest.approx(means.mean())
    assert found.high == pytest.approx(means.mean() + half)
    assert (found.tasks, found.runs) == (4, 4 * 3 * 3 * 2)


def test_with_one_family_the_interval_is_over_seeds():
    runs = ledger.situations(made(0.1))
    found = effects.gain(runs[runs["task"] == "digits"], PAIR)
    assert "3 seeds" in found.note and found.low < 0.1 < found.high


def test_the_side_of_several_arms_is_chosen_on_validation_and_not_on_test():
    runs = made(0.1, spread=0.0)
    runs.loc[runs["approach"] == "lora", "test_accuracy"] = 0.99  # lucky on test alone
    query = PAIR | {"ours": ["lora", "full_fine_tuning"]}
    assert effects.gain(ledger.situations(runs), query).effect == pytest.approx(0.1)


def test_a_ratio_is_of_costs_and_counts_the_base_once():
    runs = ledger.situations(made(0.1))
    query = {"ours": ["feature_extraction"], "theirs": ["full_fine_tuning"], "value": "stored_mb"}
    assert effects.ratio(runs, query).effect == pytest.approx(180)
    many = effects.ratio(runs, query | {"tasks": 20}).effect
    assert many == pytest.approx(20 * 90 / (90 + 20 * 0.5))


def test_a_share_counts_situations():
    runs = ledger.situations(made(lambda task, n: 0.1 if n > 50 else -0.1))
    found = effects.share(runs, PAIR)
    assert found.effect == pytest.approx(2 / 3) and "8 of 12" in found.note
    assert found.low <= found.effect <= found.high


def test_a_first_case_is_not_found_in_noise():
    noise = ledger.situations(made(0.0, spread=0.03))
    assert effects.first_case(noise, PAIR).low < 0
    one = made(lambda task, n: 0.3 if (task, n) == ("digits", 50) else 0.0, spread=0.01)
    found = effects.first_case(ledger.situations(one), PAIR)
    assert found.low > 0 and "clearest: digits" in found.note


def test_a_trend_follows_distance():
    rows = [made(0.4 * dial, dial=dial).query("task == 'products_near'") for dial in (0, 0.5, 1)]
    runs = ledger.situations(pd.concat(rows))
    found = effects.trend(runs, PAIR)
    assert found.low > 0
    flat = [made(0.1, dial=dial).query("task == 'products_near'") for dial in (0, 0.5, 1)]
    assert effects.trend(ledger.situations(pd.concat(flat)), PAIR).low < 0.05
    assert effects.trend(ledger.situations(rows[0]), PAIR) is None


def test_a_query_with_a_wrong_name_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no column"):
        effects.gain(ledger.situations(made(0.1)), PAIR | {"value": "accuracy"})
    text = '[[claim]]\nid = 1\nsays = "x"\ntest = "wish"\nunit = ""\n'
    (tmp_path / "claims.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(ledger, "data_dir", lambda: tmp_path)
    with pytest.raises(UserError, match="wish"):
        ledger.load_claims()


def test_the_command_prints_28_lines_and_json(capsys):
    assert commands.main(["claims"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 28 and all(line[:2].strip().isdigit() for line in lines)
    assert commands.main(["claims", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"id", "claim", "verdict", "effect", "low", "high", "tasks", "runs"} <= set(rows[0])
