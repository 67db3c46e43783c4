"""Claims: planted effects are found, absent ones are not, and the ledger has all 28."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rows import make_row
from scipy import stats

from helpers.cli import commands
from helpers.errors import UserError
from helpers.experiments import grids, sweeps
from helpers.lessons.claims import ledger
from helpers.results import effects
from helpers.results.runs import load_runs
from helpers.results.schema import SCHEMA
from helpers.tasks import TASKS as TASKS_KNOWN

VERDICT = re.compile(
    r"(holds|can happen|fails|undecided|not tested)|holds for .+ \(\d+ data sets?\)"
)
TASKS = ("products_near", "digits", "textile", "solar_cells")


def made(
    effect, *, spread=0.01, sizes=(50, 200, 1000), seeds=3, tasks=TASKS, **changes
) -> pd.DataFrame:
    """Runs of a probe at 0.6 and of full fine-tuning `effect(task, n)` above it."""
    rng = np.random.default_rng(0)
    rows = []
    for task in tasks:
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
        if verdict.verdict == "not tested":
            assert (verdict.effect, verdict.data_sets, verdict.runs) == (None, 0, 0)
        if verdict.verdict == "undecided":
            assert verdict.data_sets and verdict.runs
        if verdict.effect is not None and verdict.low is not None and verdict.high is not None:
            assert verdict.low <= verdict.effect <= verdict.high
        assert verdict.claim and verdict.unit


def first_flips(flip):
    """The rows of a flip by the first round's recipe."""
    rows = ledger.flips.FILE.load()
    return rows[(rows["flip"] == flip) & (rows["schema"] == 1)].reset_index(drop=True)


def test_withdrawn_verdicts_are_those_that_the_ledger_no_longer_gives(monkeypatch):
    changed = pd.read_csv(ledger.data_dir() / "claims_withdrawn.csv")
    assert set(changed["cause"]) <= {"statistics", "recipe", "question", "wording"}
    assert changed["why"].str.len().gt(10).all() and not changed.duplicated(["id", "schema"]).any()
    first = changed[changed["schema"] == 1].set_index("id")
    with monkeypatch.context() as then_known:
        then_known.setattr(ledger.flips, "load", first_flips)
        now = {v.id: v.verdict for v in ledger.judge_claims(load_runs(schema=1))}
    assert first["after"].to_dict() == {i: now[i] for i in first.index}
    assert (first["before"] != first["after"]).all()
    second, then = changed[changed["schema"] == 2].set_index("id"), now
    now = {v.id: v.verdict for v in ledger.judge_claims()}
    assert second["before"].to_dict() == {i: then[i] for i in second.index}
    assert second["after"].to_dict() == {i: now[i] for i in second.index}
    gone = {i for i in now if now[i] == "undecided" != then[i]}
    assert gone == set(second.index), "a verdict was withdrawn: say it in claims_withdrawn.csv"
    assert set(ledger.withdrawn()["before"]).isdisjoint({"not tested", "undecided"})


def test_without_records_only_what_is_counted_has_a_verdict(monkeypatch):
    monkeypatch.setattr(ledger.flips, "measured", lambda flip: None)
    nothing = ledger.forgetting.compared().iloc[:0]
    monkeypatch.setattr(ledger.forgetting, "compared", lambda: nothing)
    none = made(0.1).iloc[:0]
    tested = [v.id for v in ledger.judge_claims(none) if v.verdict != "not tested"]
    assert tested == [24]


@pytest.mark.parametrize(
    ("effect", "verdict"), [(0.1, "fails"), (-0.1, "holds"), (0.02, "undecided")]
)
def test_the_default_claim_follows_what_was_planted(effect, verdict):
    assert judged(made(effect, spread=0.005 if effect != 0.02 else 0.03), 28).verdict == verdict


def test_a_split_names_the_group_and_its_data_sets():
    found = judged(made(lambda task, n: 0.39 if n == 1000 else -0.1), 28)
    assert found.verdict == "holds for 200 examples or fewer (4 data sets)"
    assert "as a whole: fails" in found.note and "Holm, looks: 3" in found.note


def test_a_group_is_corrected_for_the_others_looked_into():
    """A group that is clear on its own is not when it was picked from several."""
    gains = dict(zip(TASKS, (-0.05, -0.025, -0.06, -0.02), strict=True))
    runs = ledger.situations(made(lambda task, n: gains[task] if n < 1000 else 0.39, spread=0))
    query = {"test": "gain", "ours": PAIR["theirs"], "theirs": PAIR["ours"]}
    splits = {"few": "n_train <= 200", "many": "n_train == 1000", "least": "n_train == 50"}
    splits |= {"middle": "n_train == 200"}
    for names, word in ((["few"], "holds for few (4 data sets)"), (list(splits), "undecided")):
        asked = query | {"split": {name: splits[name] for name in names}}
        whole = ledger._Found(effects.gain(runs, asked), "undecided")
        assert ledger._looked_into(asked, runs, whole).verdict == word


def test_a_gain_is_paired_and_its_interval_is_over_data_sets():
    runs = ledger.situations(made(lambda task, n: {"digits": 0.3}.get(task, 0.1), spread=0.0))
    found = effects.gain(runs, PAIR)
    test = stats.ttest_1samp([0.1, 0.3, 0.1, 0.1], 0.0)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval()))
    assert (found.effect, found.p) == pytest.approx((0.15, test.pvalue))
    assert (found.data_sets, found.tasks, found.runs) == (4, 4, 4 * 3 * 3 * 2)


def test_one_task_is_never_surer_than_ten():
    """Neither seeds nor networks nor steps of the dial nor tasks of the same data are data sets."""
    parts = [made(0.1, tasks=["products_near"], seeds=9, dial=dial) for dial in (0.0, 0.5, 1.0)]
    parts += [made(0.1, tasks=["products", "digits"], backbone="efficientnet_lite0")]
    found = effects.gain(ledger.situations(pd.concat(parts)), PAIR)
    assert (found.data_sets, found.tasks) == (2, 5)
    assert np.isnan([found.low, found.high, found.p]).all()
    assert effects.judge(found) == "undecided" and found.effect == pytest.approx(0.1, abs=0.01)


def test_a_network_counts_as_much_as_another_on_a_data_set():
    often = made(0.3, spread=0, tasks=["digits"])
    once = made(0.1, spread=0, tasks=["digits"], sizes=(50,), backbone="efficientnet_lite0")
    found = effects.gain(ledger.situations(pd.concat([often, once])), PAIR)
    assert found.effect == pytest.approx(0.2)


def test_the_largest_pictures_and_on_request_the_most_examples_are_taken():
    small, large = made(0.1, spread=0), made(0.2, spread=0, sizes=(1000,), image_size=128)
    runs = ledger.situations(pd.concat([small, large]))
    assert effects.gain(runs, PAIR).effect == pytest.approx((0.1 + 0.1 + 0.2) / 3)
    found = effects.gain(runs, PAIR | {"examples": "most"})
    assert found.effect == pytest.approx(0.2) and found.runs == 4 * 3 * 2


def test_a_solvers_one_run_on_every_example_has_each_seed_as_partner():
    task, pool = "digits", TASKS_KNOWN["digits"].train_examples
    runs = made(0.1, spread=0, tasks=[task], sizes=(pool,))
    once = runs["approach"].eq("feature_extraction") & runs["seed"].gt(0)
    runs = runs[~once]
    runs.loc[runs["approach"] == "feature_extraction", "settings"] = "solver=lbfgs"
    table = ledger.tables_of(runs)("compared")
    found = effects.gain(table, PAIR)
    assert (found.effect, found.runs) == (pytest.approx(0.1), 3 + 1)
    assert effects.first_case(table, PAIR).data_sets == 1


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


def test_a_share_is_of_a_data_sets_situations():
    runs = ledger.situations(made(lambda task, n: 0.1 if n > 50 or task == "digits" else -0.1))
    found = effects.share(runs, PAIR)
    mean, half = 0.75, stats.t.ppf(0.975, 3) * np.std([1, 2 / 3, 2 / 3, 2 / 3], ddof=1) / 2
    assert found.effect == pytest.approx(mean) and "9 of 12" in found.note
    assert (found.low, found.high) == pytest.approx((mean - half, 1.0))


def test_four_data_sets_alike_do_not_prove_almost_always():
    runs = ledger.situations(made(0.1))
    found = effects.share(runs, PAIR | {"margin": 0.9})
    assert (found.effect, found.high) == (1, 1) and found.low == pytest.approx(0.51, abs=0.01)
    assert effects.judge(found) == "undecided"
    never = effects.share(ledger.situations(made(-0.1)), PAIR | {"margin": 0.9})
    assert effects.judge(never) == "fails"


def test_a_first_case_is_not_found_in_noise():
    noise = ledger.situations(made(0.0, spread=0.03))
    assert effects.judge(effects.first_case(noise, PAIR)) == "undecided"
    one = made(lambda task, n: 0.3 if (task, n) == ("digits", 50) else 0.0, spread=0.01)
    found = effects.first_case(ledger.situations(one), PAIR)
    assert effects.judge(found) == "can happen" and "largest: digits" in found.note
    assert np.isnan([found.low, found.high]).all(), "seeds give no interval over data sets"


def test_a_first_case_can_happen_and_a_table_tells_undecided_with_its_runs():
    one = made(lambda task, n: -0.3 if (task, n) == ("digits", 50) else 0.0, spread=0.01)
    found = judged(one, 22)  # the frozen probe is ahead somewhere
    assert found.verdict == "can happen"
    unsure = judged(made(0.02, spread=0.03), 28)
    table = ledger.ledger_table([found, unsure]).splitlines()
    assert len(table) == 4 and "| **can happen** |" in table[2]
    assert f"| **undecided** ({unsure.runs:,} runs) |" in table[3]
    told = ledger.counts_in_words([found, unsure, replace(unsure, verdict="holds for few")])
    assert told.startswith("Of 3 claims: can happen 1, undecided 1, holds for some 1.")


def test_a_first_case_fails_only_where_every_situation_of_three_data_sets_is_below():
    below = ledger.situations(made(-0.2))
    assert effects.judge(effects.first_case(below, PAIR)) == "fails"
    two = below[below["task"].isin(TASKS[:2])]
    assert effects.judge(effects.first_case(two, PAIR)) == "undecided"
    once = effects.first_case(below[below["seed"] == 0], PAIR)
    assert effects.judge(once) == "undecided" and once.runs == 24


def test_a_trend_is_over_data_sets():
    far = dict(zip(TASKS, (0.1, 0.2, 0.4, 0.9), strict=True))
    runs = ledger.situations(made(lambda task, n: 0.4 * far[task], spread=0.002))
    runs["distance"] = runs["task"].map(far)
    found = effects.trend(runs, PAIR)
    assert found.low < 0.4 < found.high and effects.judge(found) == "holds"
    dialled = runs[runs["task"] == "digits"]
    dialled = [dialled.assign(dial=dial, distance=dial) for dial in (0.0, 0.5, 1.0)]
    alone = effects.trend(pd.concat(dialled), PAIR)
    assert effects.judge(alone) == "undecided" and alone.data_sets == 1 and alone.runs
    assert effects.trend(runs.assign(distance=np.nan), PAIR) is None


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
    assert {"id", "claim", "verdict", "effect", "low", "high", "tasks", "data_sets", "runs"} <= set(
        rows[0]
    )


def second_round() -> pd.DataFrame:
    """A made-up row for every question of the second round's grid."""
    rng = np.random.default_rng(0)
    rows = []
    for name, sweep in grids.SWEEPS.items():
        for block in sweep.blocks:
            for group in sweeps._groups(block):
                for question in block.questions_of(group):
                    modality = TASKS_KNOWN[question["task"]].modality
                    accuracy = float(rng.uniform(0.6, 0.8))
                    row = {"sweep": name, "modality": modality, "test_accuracy": accuracy}
                    row |= {"val_accuracy": accuracy, "schema": SCHEMA}
                    row |= {"source_accuracy_after": accuracy, "train_cpu_seconds": accuracy}
                    size = question["image_size"] or 28
                    rows.append(make_row(**(question | row | {"lr": 1e-3, "image_size": size})))
    return pd.DataFrame(rows)


def test_the_second_rounds_grid_reaches_every_claim_but_the_one_on_large_data():
    runs = second_round()
    verdicts = {verdict.id: verdict for verdict in ledger.judge_claims(runs)}
    assert [i for i, v in verdicts.items() if v.verdict == "not tested"] == [15]
    assert {i for i, v in verdicts.items() if v.runs and v.data_sets < 3} == {14}
    table = ledger.tables_of(runs)("compared")
    own = table[table["task"].isin(["clothing", "grocery", "products"])]
    query = PAIR | {"examples": "most"}
    asked = effects._arms(own, query).groupby("task")[["n_train", "image_size"]].max()
    assert asked.loc["clothing"].tolist() == [TASKS_KNOWN["clothing"].train_examples, 224]
    assert asked.loc["grocery"].tolist() == [TASKS_KNOWN["grocery"].train_examples, 128]
    assert asked.loc["products"].tolist() == [20_000, 64]
