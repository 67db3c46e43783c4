"""Who is ahead on recorded curves, where they cross, and what matches what."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from helpers.lessons import crossings
from helpers.lessons.claims import judge_claims

FROZEN, FULL, SCRATCH = "feature_extraction", "full_fine_tuning", "from_scratch"
SIDES = {"ahead": FULL, "behind": FROZEN}
FACTS = {
    "task": "t",
    "backbone": "b",
    "dial": 0.0,
    "image_size": 64,
    "curve": "b, 64 px: t",
    "modality": "image",
    "val_accuracy": 0.5,
    "train_accuracy": 0.9,
}


def runs(curves, seeds=3, **more):
    """Rows of one curve: {approach: {n_train: accuracy}}, each seed a hair off."""
    rows = [
        FACTS
        | {"approach": name, "n_train": n, "seed": seed, "test_accuracy": value + seed / 1e3}
        | more
        for name, line in curves.items()
        for n, value in line.items()
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def test_validation_chooses_and_not_the_test_split():
    rows = pd.concat(
        [
            runs({"lora": {50: 0.9}}, val_accuracy=0.6),
            runs({"adapter": {50: 0.7}}, val_accuracy=0.8),
        ]
    )
    best = crossings.chosen(rows, ("lora", "adapter"), "small")
    assert set(best["approach"]) == {"small"} and len(best) == 3
    assert best["test_accuracy"].min() == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("ours", "ahead"), [(0.7, FULL), (0.5, FROZEN), (0.6, "")], ids=["ahead", "behind", "close"]
)
def test_a_side_is_ahead_where_its_whole_interval_is(ours, ahead):
    table = runs({FULL: {50: ours}, FROZEN: {50: 0.6}})
    table.loc[table["approach"] == FULL, "test_accuracy"] += [0.01, -0.01, 0.0]
    found = crossings.duels(table, FULL, FROZEN)
    assert list(found["ahead"]) == [ahead]
    told = crossings.duels_in_words(found, FULL, FROZEN)
    assert "Of 1 recorded situations" in told
    counts = [f"clearly {side} **{int(ahead == name)}**" for side, name in SIDES.items()]
    assert all(count in crossings.kinds_in_words(found, FULL, FROZEN) for count in counts)


def test_the_cheap_side_is_the_one_that_validation_prefers():
    rows = pd.concat(
        [
            runs({FROZEN: {50: 0.6}}, val_accuracy=0.4),
            runs({"lora": {50: 0.8}}, val_accuracy=0.5),
            runs({FULL: {50: 0.7}}),
        ]
    )
    found = crossings.duels(rows, crossings.CHEAP, FULL)
    assert found["mean"].iloc[0] == pytest.approx(0.1)


def test_a_picture_of_duels_has_a_number_for_each_situation():
    rows = runs({FULL: {50: 0.5, 200: 0.7}, FROZEN: {50: 0.6, 200: 0.6}})
    table = crossings.duels(rows, FULL, FROZEN)
    made = crossings.plot_duels(table, FULL, FROZEN, "Who")
    assert sorted(text.get_text() for text in made.axes[0].texts) == ["+10", "-10"]
    names = [text.get_text() for text in made.legends[0].get_texts()]
    assert names[1:] == ["feature extraction clearly ahead", "full fine-tuning clearly ahead"]


@pytest.mark.parametrize(
    ("scratch", "examples", "told"),
    [
        ({50: 0.5, 200: 0.7}, 100, "100"),
        ({50: 0.6, 200: 0.7}, 50, "at most 50"),
        ({50: 0.2, 200: 0.4}, math.nan, "over 200"),
    ],
)
def test_what_scratch_needs(scratch, examples, told):
    rows = runs({FROZEN: {50: 0.6, 200: 0.8}, SCRATCH: scratch})
    row = crossings.needed(rows, SCRATCH, FROZEN).iloc[0]
    assert row["n"] == 50 and row["examples"] == pytest.approx(examples, rel=0.01, nan_ok=True)
    shown = crossings.needed_table(rows, SCRATCH, FROZEN)
    assert shown["from scratch"].tolist() == [told] and shown["seeds from scratch"].tolist() == [3]
    counted = crossings.needed_in_words(rows, SCRATCH, FROZEN)
    assert counted.count("**0") + counted.count("**1") == 3


def test_curves_with_one_size_are_not_passed_over():
    rows = runs({FROZEN: {50: 0.6, 200: 0.8}, SCRATCH: {200: 0.4}})
    assert crossings.needed(rows, SCRATCH, FROZEN).empty
    other = {"task": "other", "curve": "b, 64 px: other"}
    both = pd.concat([rows, runs({FROZEN: {50: 0.6}, SCRATCH: {50: 0.6, 200: 0.7}}, **other)])
    told = crossings.needed_in_words(both, SCRATCH, FROZEN)
    assert "**1 of 2** curves" in told and "**0**; on **1** (" in told
    assert told.endswith(
        ") it has one size, where as many left it at -40 to -40 points. "
        "0 of these curves rest on one draw."
    )


@pytest.mark.parametrize(
    ("frozen", "tuned", "told"),
    [
        ([0.6, 0.6, 0.6], [0.5, 0.7, 0.8], "from about **71** examples on"),
        ([0.6, 0.6, 0.6], [0.7, 0.7, 0.8], "from at most **50** examples on"),
        ([0.6, 0.6, 0.6], [0.5, 0.5, 0.5], "up to 200 examples"),
    ],
)
def test_a_crossing_of_ones_own(frozen, tuned, told):
    rows = pd.DataFrame(
        [
            {"n_train": n, "seed": seed, "approach": name, "accuracy": line[place]}
            for name, line in ((FROZEN, frozen), ("partial_fine_tuning", tuned))
            for place, n in enumerate((50, 100, 200))
            for seed in range(3)
        ]
    )
    assert told in crossings.own_crossing(rows, "partial_fine_tuning", FROZEN)
    unsure = rows.assign(accuracy=rows["accuracy"] + rows["seed"] * (rows["approach"] == FROZEN))
    said = crossings.own_crossing(unsure, "partial_fine_tuning", FROZEN)
    assert said.startswith("**No crossing can be told**") and said.count("**") == 2
    made = crossings.plot_live(rows, "Live")
    assert len(made.axes[0].lines) == 2


def test_three_lines_and_a_fourth():
    rows = runs({FROZEN: {50: 0.6}, FULL: {50: 0.5}, "lora": {50: 0.7}, SCRATCH: {50: 0.1}})
    assert set(crossings.three_lines(rows)["approach"]) == {FROZEN, FULL, crossings.SMALL}
    assert SCRATCH in set(crossings.three_lines(rows, SCRATCH)["approach"])
    two = crossings.three_lines(rows[rows["seed"] < 2])
    assert two["low"].isna().all()  # two seeds bound next to nothing


def test_lines_and_needed_examples_compare_equal_seeds():
    """Seed 1 is 0.2 easier, and full fine-tuning ran on it alone."""
    rows = runs({FROZEN: {50: 0.5, 200: 0.5}, FULL: {50: 0.6, 200: 0.6}}, seeds=2)
    rows["test_accuracy"] += 0.199 * (rows["seed"] == 1)
    rows = rows[(rows["approach"] == FROZEN) | (rows["seed"] == 1)]
    means = crossings.three_lines(rows).groupby("approach")["mean"].mean()
    assert means[FULL] - means[FROZEN] == pytest.approx(0.1)
    higher = runs({FROZEN: {50: 0.65}}).assign(approach="lora")
    found = crossings.needed(pd.concat([rows, higher]), FULL, "lora").iloc[0]
    assert found["n"] == 50


def test_the_wider_gap_is_counted_pair_by_pair():
    rows = pd.concat(
        [runs({FULL: {50: 0.5}}, train_accuracy=1.0), runs({FROZEN: {50: 0.6}}, train_accuracy=0.8)]
    )
    told = crossings.gaps_in_words(rows)
    assert "had the wider gap in 3 of 3 paired runs; it won **0 of 3** there" in told
    level = crossings.gaps_in_words(rows.assign(train_accuracy=rows["test_accuracy"]))
    assert level.endswith("in 0 of 3 paired runs; it won **0 of 3** elsewhere")


def test_luck_is_measured_in_points():
    rows = runs({FROZEN: {50: 0.6}, FULL: {50: 0.5}, SCRATCH: {50: 0.7}})
    row = crossings.luck_by_size(rows).iloc[0]
    assert row["between draws"] == pytest.approx(0.1) and row["between approaches"] == 10.0
    # What was not run at every size would make two sizes compare unlike things.
    more = pd.concat([runs({FROZEN: {50: 0.6, 200: 0.6}, FULL: {50: 0.5, 200: 0.5}}),
                      runs({SCRATCH: {200: 0.1}})])  # fmt: skip
    assert crossings.luck_by_size(more)["between approaches"].nunique() == 1
    # A size that no curve has beside the others leaves the others.
    alone = runs({FROZEN: {3_000: 0.6}, FULL: {3_000: 0.5}}).assign(curve="another")
    assert list(crossings.luck_by_size(pd.concat([more, alone]))["training examples"]) == [50, 200]


def test_luck_is_told_of_what_is_recorded(held):
    assert len(crossings.luck_by_size(held)) >= 3


# On the records that ship.


@pytest.fixture(scope="module")
def held():
    return crossings.recorded()


def test_the_rule_has_one_verdict(held):
    (verdict,) = judge_claims(ids=(8,))
    small = crossings.duels(held[held["n_train"] < crossings.FEW], crossings.CHEAP, FULL)
    assert f"**{verdict.verdict}**" in crossings.rule_in_words(small)


def test_every_curve_can_be_drawn(held):
    names = crossings.curves(held)
    sizes = [len(held.loc[held["curve"] == name, "n_train"].unique()) for name in names]
    assert len(names) == len(set(names)) and sizes[0] == max(sizes) > sizes[-1]
    for name in names:
        for beside in ("nothing", SCRATCH):
            made = crossings.plot_lines(held, name, beside)
            assert 2 <= len(made.axes[0].lines) <= 4


def test_published_sizes_are_counted_once(held):
    table = crossings.published_by_size()
    assert (table["cases"] > 0).all() and table["median gain"].notna().all()
    few, many = table.iloc[:2], table.iloc[2:]  # below and above 5,000 examples
    assert (few["mean gain"] > 0).all()
    assert few["frozen first (%)"].min() > 2 * many["frozen first (%)"].max()
    assert "Below 5,000 examples the frozen network came first" in crossings.published_in_words()
    assert "1,281,167" in crossings.sizes_in_words(held)


@pytest.mark.parametrize("schema", [1, 2])
def test_either_round_of_records_can_be_read(schema):
    rows = crossings.recorded(schema)
    names = crossings.curves(rows)
    assert names
    crossings.plot_lines(rows, names[0])
    table = crossings.duels(rows, FULL, FROZEN)
    assert set(table["ahead"]) <= {FULL, FROZEN, ""}
    assert np.isfinite(crossings.needed(rows, SCRATCH, FROZEN)["n"]).all()
    assert crossings.needed_in_words(rows, SCRATCH, FROZEN)


def test_what_notebook_06_says_of_pictures(held):
    """Level or ahead from the smallest size on; by the first recipe it was not."""
    pictures = held[held["modality"] == "image"]
    assert FROZEN not in set(crossings.duels(pictures, FULL, FROZEN)["ahead"])
    found = crossings.overtakes(pictures)
    assert (found["examples"] == found["smallest"]).all()
    early = crossings.duels(crossings.recorded(1), FULL, FROZEN)
    assert FROZEN in set(early[early["modality"] == "image"]["ahead"])


def test_the_rule_led_by_the_first_recipe_and_does_not_by_the_second(held):
    cheap = crossings.CHEAP
    told = crossings.rounds_in_words(crossings.duels(held, cheap, FULL), cheap, FULL)
    first, second = (float(one) for one in re.findall(r"([+-][\d.]+) points on average", told))
    assert first > second + 1 and abs(second) < 1
    assert "pictures: *LoRA* **" in crossings.picks_in_words(held)  # most often, so first


def test_what_notebook_05_says_of_scratch(held):
    table = crossings.duels(held, SCRATCH, FULL)
    assert SCRATCH not in set(table["ahead"])
    assert FULL in set(table["ahead"])


def test_recipes_are_compared_where_both_were_run(monkeypatch):
    early = runs({"lora": {200: 0.6, 50: 0.9}, FULL: {200: 0.5, 50: 0.1}})
    monkeypatch.setattr(crossings, "recorded", lambda schema: early)
    late = runs({"lora": {200: 0.52, 1_000: 0.9}, FULL: {200: 0.5, 1_000: 0.1}})
    told = crossings.rounds_in_words(crossings.duels(late, "lora", FULL), "lora", FULL)
    assert "In the 1 situations" in told and "+10.0 points" in told and "**+2.0 points" in told
