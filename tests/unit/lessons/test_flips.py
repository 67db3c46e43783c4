"""The records of the flips: their columns, whole lines, fair pairs; and the file that ships."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.lessons import flips
from helpers.lessons import flips as flips_plots
from helpers.results.effects import Effect
from helpers.results.schema import COMPARED
from helpers.tasks import TASKS


def a_row(**changes):
    """A made-up row."""
    row = {"flip": "unlabelled", "task": "digits", "backbone": "pocket", "variant": "plain"}
    row |= {"approach": flips.NAIVE, "n_labelled": 50, "n_unlabelled": 0, "seed": 0, "dial": 0.0}
    row |= {"schema": COMPARED}
    row |= dict.fromkeys(flips.NUMBERS, 1) | {"val_accuracy": 0.5, "test_accuracy": 0.5}
    return row | {"created": "2026-01-02T03:04:05+00:00", "git": "0123456789"} | changes


def duel(**accuracies):
    """Rows of three seeds; an argument names variant_approach and its mean accuracy."""
    rows = []
    for arm, mean in accuracies.items():
        variant, approach = arm.split("_", 1)
        for seed in range(3):
            found = mean + 0.001 * seed
            rows.append(a_row(variant=variant, approach=approach, seed=seed, val_accuracy=found,
                              test_accuracy=found))  # fmt: skip
    return pd.DataFrame(rows)


def test_rows_are_appended_whole_and_known_again(tmp_path):
    path = tmp_path / "flips.csv"
    assert flips.load(path=path).empty
    flips.FILE.append(a_row(dial=1 / 3), path)
    path.write_text(path.read_text() + "unlabelled,half", encoding="utf-8")  # a killed writer
    flips.FILE.append(a_row(seed=1, test_accuracy=0.123456789), path)
    held = flips.load("unlabelled", path)
    assert list(held.columns) == flips.COLUMNS
    assert held["test_accuracy"].tolist() == [0.5, 0.123457]
    assert flips.FILE.question(a_row(dial=1 / 3)) in flips.FILE.recorded(path)
    assert flips.FILE.question(a_row(seed=2)) not in flips.FILE.recorded(path)
    assert flips.load("local", path).empty
    flips.FILE.append(a_row(seed=2, schema=3 - COMPARED), path)  # the other recipe
    assert flips.load("unlabelled", path)["seed"].tolist() == [0, 1]


def test_bad_rows_files_and_flips_are_refused(tmp_path):
    path = tmp_path / "flips.csv"
    with pytest.raises(UserError, match="differ: seed"):
        flips.FILE.append({k: v for k, v in a_row().items() if k != "seed"}, path)
    with pytest.raises(UserError, match="no flip"):
        flips.load("sideways", path)
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="other columns"):
        flips.load(path=path)


def test_a_gain_is_paired_by_seed():
    rows = duel(plain_full_fine_tuning=0.5, continued_full_fine_tuning=0.6)
    table = flips.paired(rows, ("continued", flips.NAIVE), ("plain", flips.NAIVE))
    assert table["mean"].tolist() == pytest.approx([0.1])
    assert table["low"].iloc[0] == pytest.approx(0.1)
    words = flips.told(table)
    assert words.startswith("clearly ahead: digits (50 labels); clearly behind: nowhere")


def test_arms_have_intervals_and_the_cost_of_both_steps():
    rows = duel(plain_feature_extraction=0.4, continued_feature_extraction=0.5)
    table = flips.arms(rows).set_index("arm")
    assert table.loc["probe", "mean"] == pytest.approx(0.401)
    assert table.loc["continued, probe", "cpu_seconds"] == 2
    assert (table["low"] < table["mean"]).all()


def test_the_continued_arm_is_picked_on_validation():
    rows = duel(plain_full_fine_tuning=0.5, continued_full_fine_tuning=0.6,
                continued_feature_extraction=0.7)  # fmt: skip
    lucky = rows["approach"].eq(flips.NAIVE) & rows["variant"].eq("continued")
    rows.loc[lucky, "test_accuracy"] = 0.9  # test would have picked the other one
    kept = flips.best_continued(rows)
    assert set(kept[kept["variant"] == "continued"]["approach"]) == {flips.PROBE}
    assert flips.measured("unlabelled", kept).effect == pytest.approx(0.2)


def test_local_against_hosted_compares_two_backbones():
    rows = [
        a_row(flip="local", variant=variant, approach=approach, seed=seed, backbone=backbone,
              test_accuracy=accuracy, task=task)
        for task in ("digits", "textile", "solar_cells")
        for seed in range(3)
        for variant, approach, backbone, accuracy in (
            ("local", flips.NAIVE, "pocket", 0.8), ("hosted", flips.PROBE, "larger", 0.7))
    ]  # fmt: skip
    found = flips.measured("local", pd.DataFrame(rows))
    assert found.effect == pytest.approx(0.1)
    assert "in 3 of 3" in found.note
    assert "on pocket" in found.note
    table = flips.paired(pd.DataFrame(rows), ("local", flips.NAIVE), ("hosted", flips.PROBE))
    assert len(table) == 3
    assert (table["mean"].round(6) == 0.1).all()


def test_a_verdict_is_read_from_the_interval():
    assert flips.verdict(None) == "Not recorded yet."
    for mean, p, words in ((0.2, 0.01, "holds"), (-0.2, 0.01, "fails"), (0.2, 0.5, "Undecided")):
        found = Effect(mean, -0.3, 0.3, p, 0.0, 3, 4, 18)
        assert words in flips.verdict(found)
        assert "-0.300 to +0.300; 3 data sets, 18 rows" in flips.in_words(found, "over that")
    assert "nan" not in flips.in_words(replace(found, low=math.nan, high=math.nan), "over that")


def test_the_bars_keep_an_approachs_colour_and_a_variants_strength():
    rows = duel(plain_feature_extraction=0.4, continued_feature_extraction=0.5)
    made = flips_plots.plot_arms(flips.arms(rows), "digits")
    bars = [bar for bar in made.axes[0].patches if bar.get_width() > 0.1]
    assert len({bar.get_facecolor()[:3] for bar in bars}) == 1
    assert len({bar.get_facecolor()[3] for bar in bars}) == 2
    assert "95 % interval" in made.axes[0].get_xlabel()
    bare = flips.arms(rows).drop(columns=["low", "high"])
    assert "interval" not in flips_plots.plot_arms(bare).axes[0].get_xlabel()


def test_nothing_recorded_measures_nothing():
    empty = pd.DataFrame(columns=flips.COLUMNS)
    assert flips.measured("unlabelled", empty) is None
    assert flips.measured("local", empty) is None


@pytest.fixture(scope="module")
def shipped():
    return flips.load()


def test_the_shipped_records_keep_their_schema(shipped):
    assert len(shipped)
    assert not shipped.duplicated(flips.QUESTION).any()
    assert set(shipped["task"]) <= set(TASKS)
    for name in ("n_labelled", "n_unlabelled", "seed", "n_test", "bytes_sent"):
        assert (shipped[name] == shipped[name].astype(int)).all(), name
        assert (shipped[name] >= 0).all(), name
    for flip, variants in flips.VARIANTS.items():
        assert set(shipped[shipped["flip"] == flip]["variant"]) <= set(variants)
    assert shipped[["val_accuracy", "test_accuracy"]].stack().between(0, 1).all()
    assert (shipped["latency_ms"] > 0).all()
    assert shipped["created"].str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00").all()


def test_only_continued_rows_saw_unlabelled_data_and_only_hosted_ones_send(shipped):
    seen = shipped["variant"].isin(["continued", "statistics"])
    assert (shipped[seen]["n_unlabelled"] > 0).all()
    assert (shipped[seen]["pretrain_cpu_seconds"] > 0).all()
    assert (shipped[~seen]["n_unlabelled"] == 0).all()
    hosted = shipped["variant"] == "hosted"
    assert (shipped[hosted]["bytes_sent"] > 0).all()
    assert (shipped[~hosted]["bytes_sent"] == 0).all()


def test_the_shipped_rows_come_in_threes_on_the_whole_test_split(shipped):
    places = shipped.groupby(["flip", *flips.PLACE, "variant", "approach"])
    assert (places["seed"].nunique() == 3).all()
    assert (shipped.groupby("task")["n_test"].nunique() == 1).all()
    assert (places["lr"].nunique() == 1).all()


def test_both_claims_can_be_judged(shipped):
    for flip in flips.VARIANTS:
        found = flips.measured(flip, shipped[shipped["flip"] == flip])
        assert found is not None
        assert found.data_sets >= 3 and not math.isnan(found.p)
        assert math.isnan(found.low) == (flip == "local"), "a first case has no interval"
