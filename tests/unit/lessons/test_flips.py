"""The records of the flips: their columns, whole lines, fair pairs; and the file that ships."""

import math

import pandas as pd
import pytest

from helpers.errors import UserError
from helpers.lessons import flips
from helpers.lessons.claims import judge_claims
from helpers.lessons.claims.ledger import load_claims
from helpers.tasks import TASKS
from helpers.vocabulary import style_of


def a_row(**changes):
    """A made-up row."""
    row = {"flip": "unlabelled", "task": "digits", "backbone": "pocket", "variant": "plain"}
    row |= {"approach": flips.NAIVE, "n_labelled": 50, "n_unlabelled": 0, "seed": 0, "dial": 0.0}
    row |= {"schema": 1}
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
    flips.FILE.append(a_row(flip="local"), path)
    flips.FILE.append(a_row(dial=1 / 3, schema=2), path)  # a newer recipe, not yet whole
    assert flips.load("unlabelled", path)["schema"].tolist() == [1, 1]
    for more in ({"seed": 1}, {"seed": 2}):
        flips.FILE.append(a_row(**more, schema=2), path)
    assert flips.load("unlabelled", path)["schema"].tolist() == [2, 2, 2]
    assert flips.load("local", path)["seed"].tolist() == [0]
    # Of a third recipe, all that the first answered is not all that the second did.
    for more in ({"dial": 1 / 3}, {"seed": 1}):
        flips.FILE.append(a_row(**more, schema=3), path)
    assert flips.load("unlabelled", path)["schema"].tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("task", "schema", "marked"), [("digits", 1, True), ("digits", 2, False), ("tweets", 1, False)]
)
def test_rows_of_an_older_recipe_than_the_compared_one_are_marked(
    monkeypatch, task, schema, marked
):
    monkeypatch.setattr(flips, "COMPARED", {"image": 2, "text": 1})
    monkeypatch.setattr(flips, "load", lambda flip: pd.DataFrame([a_row(task=task, schema=schema)]))
    assert flips.early("local", "old") == ("old" if marked else "")


@pytest.mark.parametrize("mark", ["", ", old"])
def test_the_mark_of_an_older_recipe_stands_beside_both_claims(monkeypatch, mark):
    monkeypatch.setattr(flips, "early", lambda flip, words="": mark)
    units = {one.id: one.unit for one in judge_claims(ids=[16, 17])}
    said = {claim["id"]: claim["unit"] + mark for claim in load_claims() if "flip" in claim}
    assert units == said
    said = (flips.unlabelled_in_words(), flips.local_in_words())
    assert all(line.endswith(mark) for line in said)


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


def test_gains_are_drawn_from_zero_in_points_and_in_an_approachs_own_look():
    rows = duel(plain_feature_extraction=0.4, continued_feature_extraction=0.5,
                plain_full_fine_tuning=0.5, continued_full_fine_tuning=0.45)  # fmt: skip
    made = flips.plot_gains(flips.continued_gains(rows), "What it adds")
    marks = [c for c in made.axes[0].containers if hasattr(c, "lines")]
    at = {mark.get_label(): mark.lines[0] for mark in marks}
    assert at["feature extraction"].get_xdata() == pytest.approx([10])
    assert at["full fine-tuning"].get_xdata() == pytest.approx([-5])
    assert at["feature extraction"].get_color() == style_of(flips.PROBE).colour
    assert "interval" in made.axes[0].get_xlabel()
    assert made.axes[0].get_yticklabels()[0].get_text() == "digits, 50 labels"


def test_local_probe_and_lora_have_partners_behind_the_door(shipped):
    gains = flips.local_gains()
    places = {len(shipped[shipped["flip"] == "local"].groupby(["task", "n_labelled"]))}
    assert {len(table) for table in gains.values()} == places
    assert set(gains) == {"full_fine_tuning", "lora", "feature_extraction"}
    assert all((table["runs"] == 3).all() for table in gains.values())


def test_findings_count_what_the_tables_hold():
    ahead = {name: (table["low"] > 0).sum() for name, table in flips.local_gains().items()}
    words = flips.findings()
    assert f"*LoRA* here is clearly ahead in **{ahead['lora']}** of" in flips.local_in_words()
    assert f"tuned in full is clearly ahead in **{ahead['full_fine_tuning']}** of" in words
    best = flips.continued_gains()[""]
    assert f"is clearly ahead in **{(best['low'] > 0).sum()}** of {len(best)}" in words


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
