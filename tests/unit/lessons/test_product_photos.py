"""Pixels beside approaches, over records that are whole, thin or empty; photos from elsewhere."""

import math

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from rows import make_row

from helpers.display.figures import png_bytes
from helpers.errors import DataNotFound
from helpers.lessons import learning_rates, levers, money, product_photos, trade_offs
from helpers.lessons.exercises import check
from helpers.results.schema import TIMES
from helpers.tasks import Split, Task

FROZEN, LORA, FULL = "feature_extraction", "lora", "full_fine_tuning"
LUCK = (-0.02, 0.0, 0.02)


def runs(places, sweep="photos"):
    """Rows from {(n_train, image_size, approach): (accuracy, seconds)}, three seeds each."""
    return pd.DataFrame([
        make_row(
            task="clothing", backbone="efficientnet_lite0", sweep=sweep, approach=approach,
            n_train=n, image_size=side, seed=seed, test_accuracy=mean + luck, train_accuracy=0.9,
            train_cpu_seconds=seconds, flops_train=side**2, latency_ms=side / 10,
            latency_unmerged_ms=side / 5, val_accuracy=mean + luck + 0.05,
        )
        for (n, side, approach), (mean, seconds) in places.items()
        for seed, luck in enumerate(LUCK)
    ])  # fmt: skip


WHOLE = {
    (200, 64, FROZEN): (0.60, 1.0),
    (200, 64, LORA): (0.62, 20.0),
    (200, 64, FULL): (0.50, 30.0),
    (200, 64, "partial_fine_tuning"): (0.55, 15.0),
    (200, 64, "classical"): (0.30, 0.1),
    (200, 128, FROZEN): (0.70, 2.0),
    (200, 224, FROZEN): (0.80, 8.0),
    (1000, 64, FROZEN): (0.70, 5.0),
    (1000, 64, FULL): (0.75, 90.0),
    (1000, 64, LORA): (0.76, 70.0),
}


@pytest.fixture
def whole():
    return runs(WHOLE)


def test_pixels_and_approaches_start_from_one_place(whole):
    table = levers.levers(whole).set_index(["image_size", "approach"])
    assert set(table["n_train"]) == {200}  # only there pictures of two sizes were recorded
    assert table["points"].round(6).to_dict() == {
        (64, FULL): -10, (64, LORA): 2, (64, "partial_fine_tuning"): -5,
        (128, FROZEN): 10, (224, FROZEN): 20,
    }  # fmt: skip
    assert (table["start_seconds"] == 1).all()
    said = levers.levers_in_words(whole)
    assert "+20.0 points (95 % interval" in said and "*LoRA* gained most: **+2.0" in said
    assert "takes 12 times the computing with the larger" in said


def test_levers_start_from_the_largest_pictures_that_weights_were_moved_on(whole):
    wider = runs({(200, 128, FULL): (0.78, 60.0), (1000, 128, FROZEN): (0.8, 9.0)})
    table = levers.levers(pd.concat([whole, wider]))
    found = table.set_index(["n_train", "image_size", "approach"])["points"].round(6).to_dict()
    assert found == {
        (200, 128, FULL): 8, (200, 224, FROZEN): 10,
        (1000, 64, FULL): 5, (1000, 64, LORA): 6, (1000, 128, FROZEN): 10,
    }  # fmt: skip


def test_both_levers_together_are_asked_for_and_drawn_hollow(whole):
    wider = runs({(200, 128, FULL): (0.78, 60.0), (200, 224, FULL): (0.88, 180.0)})
    held = pd.concat([whole, wider])
    alone, both = levers.levers(held), levers.levers(held, both=True)
    added = both.merge(alone, how="left", indicator=True).query("_merge == 'left_only'")
    assert added[["n_train", "start", "image_size", "approach"]].to_numpy().tolist() == [
        [200, 128, 224, FULL],
    ]  # fmt: skip
    assert added["points"].round(6).tolist() == [18]
    said = levers.levers_in_words(held)
    assert "200 photos, both together**: *full fine-tuning* at 224 pixels gained most, +18" in said
    assert "200 photos, from 64 pixels**" in said
    markers = [
        line for line in levers.plot_levers(held).axes[0].lines if line.get_marker() != "None"
    ]
    assert [line.get_markerfacecolor() for line in markers].count("white") == 1


def test_the_cheapest_clear_gain_is_told_beside_the_best_and_only_where_it_is_another():
    places = {(200, 64, FROZEN): (0.6, 1.0), (200, 128, FROZEN): (0.7, 2.0),
              (200, 64, FULL): (0.75, 90.0), (200, 64, LORA): (0.7, 20.0)}  # fmt: skip
    own = levers.levers(runs(places))
    assert levers.cheapest_clear(own).approach == LORA
    assert "clearly ahead, *LoRA*, gained **+10.0 points" in levers.levers_in_words(runs(places))
    few = runs(places).query("seed < 2")  # two draws bound nothing
    assert levers.cheapest_clear(levers.levers(few)) is None
    worse = runs(places | {(200, 64, LORA): (0.5, 20.0)})
    assert levers.cheapest_clear(levers.levers(worse)).approach == FULL
    assert "The cheapest" not in levers.levers_in_words(worse)


def test_the_smallest_start_is_not_told_twice(whole):
    said = levers.levers_in_words(whole)  # the smallest pictures are the largest with weights moved
    assert "which loses most" not in said


def test_a_slider_starts_from_the_largest_situation_with_the_whole_story(whole):
    story = {(1000, 128, name): (0.8, 9.0) for name in product_photos.STORY}
    held = pd.concat([whole, runs(story)])
    assert product_photos.largest(held) == "1,000 photos at 128 pixels"
    assert product_photos.busiest(held) == "200 photos at 64 pixels"  # five approaches
    few = held[(held["n_train"] < 1000) | (held["seed"] < 2)]
    assert product_photos.largest(few) == "200 photos at 64 pixels"


def test_gains_are_taken_seed_by_seed(whole):
    whole = whole[~((whole["image_size"] == 224) & (whole["seed"] == 0))]  # its unlucky seed
    table = levers.levers(whole)
    row = table[table["image_size"] == 224].iloc[0]
    assert (row["points"], row["runs"]) == (pytest.approx(20), 2)
    assert "(2 draws)" in levers.levers_in_words(whole)


def test_situations_have_a_frozen_network_and_two_others(whole):
    assert list(product_photos.situations(whole)) == [
        "200 photos at 64 pixels", "1,000 photos at 64 pixels",
    ]  # fmt: skip
    assert product_photos.largest(whole) == "200 photos at 64 pixels"


def test_what_to_ship_is_the_cheapest_that_is_near_whatever_its_pixels(whole):
    few, many, untried = product_photos.to_ship(whole).splitlines()
    assert "*feature extraction* at 224 pixels (0.800 for 8 s) has the highest mean." in few
    assert "*LoRA* at 64 pixels (0.760 for 70 s) has the highest mean." in many
    assert "more than 1,000 photos or at more than 64 pixels" in untried
    both = pd.concat([whole, runs({(1000, 224, FULL): (0.81, 60.0)})])
    assert "Not recorded" not in product_photos.to_ship(both)  # at most photos and pixels
    close = pd.concat([whole, runs({(200, 128, FULL): (0.81, 60.0)})])
    told = product_photos.to_ship(close).splitlines()[0]
    assert "*full fine-tuning* at 128 pixels (0.810 for 60 s) has the highest mean; " in told
    assert "224 pixels (0.800 for 8 s) is enough, but reads 3 times the pixels" in told


def test_no_order_is_told_where_runs_do_not_show_it(whole):
    close = pd.concat([whole, runs({(200, 224, LORA): (0.81, 60.0)})])
    luck = close["seed"].map({0: 0.05, 1: -0.06, 2: 0.01}) * (close["approach"] == LORA)
    first = product_photos.to_ship(close.assign(test_accuracy=close["test_accuracy"] + luck))
    assert "within two points by the mean, not shown: -1.0 (-" in first.splitlines()[0]
    once = product_photos.to_ship(close[close["seed"] == 0]).splitlines()[0]
    assert once.endswith("by the mean, not shown (one draw each).")


def test_gains_by_number_of_photos_stand_with_their_intervals_and_costs(whole):
    *_, line = product_photos.sizes_in_words(whole).splitlines()
    assert line == (
        "- 64 pixels: **-10.0** (-10.0 to -10.0) with 200 photos, for 30 times the seconds; "
        "**+5.0** (+5.0 to +5.0) with 1,000 photos, for 18 times the seconds"
    )
    thin = product_photos.sizes_in_words(whole[whole["seed"] == 0])
    assert "**-10.0** (one draw) with 200 photos" in thin


def test_a_wider_gap_is_told_with_what_it_cost(whole):
    table = product_photos.beside_frozen(whole)
    full = table[table["approach"] == "full"].iloc[0]
    assert (full["gap wider by"], full["points gained"]) == (10.0, -10.0)
    assert table["× seconds"].tolist()[:2] == [15.0, 30.0]


def test_both_rounds_stand_side_by_side_where_both_were_run(monkeypatch, whole):
    better = runs({(200, 64, FROZEN): (0.60, 1.0), (200, 64, FULL): (0.70, 30.0)})
    monkeypatch.setattr(product_photos, "recorded", lambda schema: {1: whole, 2: better}[schema])
    table = product_photos.by_recipe()
    assert table[["photos", "approach", "recipe"]].to_numpy().tolist() == [
        [200, "full", 1], [200, "full", 2],
    ]  # fmt: skip
    assert table["points gained"].tolist() == [-10, 10]
    assert table["gap wider by"].tolist() == [10, -10]


def test_rates_are_those_of_the_place_with_most_approaches(monkeypatch):
    places = {(200, 64, FULL): 0.5, (200, 64, LORA): 0.5, (1000, 64, FULL): 0.9}
    tried = pd.concat(
        runs({place: (mean, 1.0)}).head(1).assign(lr=lr)
        for place, mean in places.items()
        for lr in (0.1, 0.2)
    )
    monkeypatch.setattr(learning_rates, "load_runs", lambda **_: tried)
    told = learning_rates.rates_tried().set_index("approach").iloc[:, 0]
    assert told.to_dict() == dict.fromkeys(["full", "LoRA"], "0.1: 0.53, 0.2: 0.53")
    assert "200 photos at 64 pixels" in told.name


def test_a_wrong_rate_costs_the_same_factor_for_all(monkeypatch):
    reached = {FULL: {0.001: 0.5, 0.003: 0.7, 0.01: 0.2, 0.03: 0.1}, LORA: {0.01: 0.6, 0.1: 0.1}}
    tried = pd.concat(
        runs({(200, 64, name): (0.5, 1.0)}).head(1).assign(lr=lr, val_accuracy=value)
        for name, line in reached.items()
        for lr, value in line.items()
    )
    monkeypatch.setattr(learning_rates, "load_runs", lambda **_: tried)
    table = learning_rates.rates_tried().set_index("approach")[learning_rates.LOST]
    assert table.loc["full"].tolist() == [0.2, 0.5]
    assert table.loc["LoRA"].tolist() == ["", ""]  # its grid has steps of ten


def test_the_whole_training_list_leaves_nothing_to_draw(whole):
    assert [levers.draws(1, 200), levers.draws(3, 3068)] == ["one draw", "3 trainings"]
    places = {(3068, side, name): (0.7 + side / 1000, 9.0)
              for side in (64, 128) for name in (FROZEN, FULL)}  # fmt: skip
    held = runs(places | {(3068, 224, FROZEN): (0.9, 9.0)})
    assert "interval over trainings" in levers.levers_in_words(held)
    assert "These are all photos of the training list" in levers.levers_in_words(held)
    assert set(product_photos.beside_frozen(held)["rests on"]) == {"3 trainings"}
    assert "(2 of them over trainings of all photos)" in product_photos.clear_gains(held)
    assert "over trainings) with 3,068" in product_photos.sizes_in_words(held)
    assert "over trainings" not in levers.levers_in_words(whole)


def test_the_frozen_network_on_larger_pictures_is_dashed(whole):
    ax = product_photos.plot_sizes(whole).axes[0]
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata().item() for line in dashed] == pytest.approx([0.7, 0.8])
    named = [line.get_label().split(", ")[-1] for line in dashed]
    assert named == ["128 pixels", "224 pixels"]


@pytest.mark.parametrize("left", [list(WHOLE), list(WHOLE)[:5], list(WHOLE)[:3]])
@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_nothing_says_nan_however_thin_the_records(left, seeds):
    held = runs({place: WHOLE[place] for place in left})
    held = held[held["seed"] < seeds]
    said = [
        levers.levers_in_words(held), product_photos.beside_frozen(held).to_string(),
        product_photos.clear_gains(held), product_photos.sizes_in_words(held),
        product_photos.to_ship(held), product_photos.findings(held),
        money.levers_in_money(held, held, 0.05),
    ]  # fmt: skip
    prices = money.price_list(held, held)
    said.append(money.people_in_words(prices, 200, euro_an_hour=1, wage=60, minutes=20))
    bars = money.plot_money(prices, 0.05, 200, 0, watts=10)
    assert "nan" not in bars.axes[0].get_title(loc="left")
    assert not any("nan" in one.casefold() for one in said)
    for made in (levers.plot_levers, product_photos.plot_sizes, money.plot_lever_costs):
        assert png_bytes(made(held))


def test_findings_follow_the_records(whole):
    told = "200 photos, from 64 pixels: +20.0 points by 224 pixels, +2.0 by LoRA; the one less the"
    assert f"{told} other +18.0 (+18.0 to +18.0)." in product_photos.findings(whole)
    thin = product_photos.findings(whole[whole["seed"] < 2])
    assert "too few draws to compare" in thin and "(+18" not in thin
    wider = pd.concat([whole, runs({(200, 128, FULL): (0.78, 60.0)})])
    assert "from 128 pixels: +10.0 points by 224 pixels, +8.0 by full" in product_photos.findings(
        wider
    )


def test_money_is_seconds_times_a_price(whole):
    with_adapter = pd.concat([whole, runs({(200, 64, "adapter"): (0.6, 12.0)})])
    solved = with_adapter["approach"].isin([FROZEN, "classical"])
    half = with_adapter["approach"] == "partial_fine_tuning"
    held = with_adapter.assign(
        updates=np.where(solved, np.nan, 400), train_seconds=1.0, prepare_seconds=1.0 * half
    )
    both = money.price_list(held, held)
    assert money.nearest_size(both, 900).set_index("choice")["n_train"]["full, 64 px"] == 1000
    prices = both[both["n_train"] == 200].set_index("choice")
    assert prices["update"]["full, 64 px"] == pytest.approx(30 / 400)
    assert prices["photo"]["partial, 64 px"] == pytest.approx(7.5 / 200)
    assert prices["answer"]["freeze, 224 px"] == pytest.approx(0.0224)
    assert prices.index[0] == "freeze, 64 px"
    # Draws of another machine have no times, which are no seconds of 0.
    untimed = held.assign(**dict.fromkeys(TIMES, np.nan), seed=held["seed"] + 10)
    held = pd.concat([held, untimed, untimed.assign(seed=untimed["seed"] + 10)])
    assert_frame_equal(money.price_list(held, held), both)
    # 50 photos get as many updates as 200; 3,200 get 8 passes of 100.
    for photos, frozen, partial, full in ((50, 0.25, 9.375, 30), (3_200, 16, 135, 60)):
        seconds = money.training_seconds(prices, photos)
        assert seconds["freeze, 64 px"] == pytest.approx(frozen)
        assert seconds["partial, 64 px"] == pytest.approx(partial)
        assert seconds["full, 64 px"] == pytest.approx(full)
    made = money.plot_money(prices.reset_index(), 3.6, 200, 1_000, watts=10)
    words = [text.get_text() for text in made.axes[0].texts]
    assert words[0] == " 0.0074"  # 1 s and 1,000 answers of 6.4 ms, at a thousandth a second
    said = money.people_in_words(prices.reset_index(), 200, euro_an_hour=3.6, wage=60, minutes=20)
    assert "20 euro, as much as **667 trainings**" in said and "full, 64 px" in said


def test_what_serves_the_same_network_shows_the_noise(whole):
    ratios = money.latency_ratios(whole)
    assert money.noise_band(ratios) == (1.0, 1.0)
    assert ratios.set_index("served")["ratio"]["LoRA, unmerged"] == 2.0
    assert "LoRA, unmerged*: typically **2.00 times**, slower than noise explains in 1 of 1" in (
        money.latency_in_words(whole)
    )
    assert png_bytes(money.plot_latency(whole))


def test_photos_of_another_kind_are_told(monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3

    def split(shift):
        return Split(rng.normal(size=(120, 4)) + 6 * np.eye(3, 4)[labels] + shift, labels)

    class Held:
        def __init__(self, arrays):
            self.arrays = [arrays]

    monkeypatch.setattr(product_photos, "features", lambda base, part: Held(part.inputs))
    monkeypatch.setattr(product_photos, "load_backbone", lambda *a, **k: None)
    found = {}
    for shift in (0.0, 5.0):
        away = np.array([-shift, 0, 0, shift])
        data = Task("x", "image", ("a", "b", "c"), "", "", "full", *[split(0.0)] * 2, split(away))
        found[shift] = product_photos._shifted(data, 60)
    same, test, points, low, high, classes = found[0.0]
    assert low <= 0 <= high and classes == 3
    same, test, points, low, high, classes = found[5.0]
    assert points == pytest.approx(100 * (test - same)) and points < -10
    rows = pd.DataFrame(
        [("grocery", *found[5.0])],
        columns=["task", "same", "test", "points", "low", "high", "classes"],
    )
    monkeypatch.setattr(product_photos, "recorded", lambda task: runs(WHOLE))
    said = product_photos.elsewhere_in_words(rows).splitlines()
    assert f"**{points:+.1f} points** (95 % interval over 3 classes" in said[0]
    assert said[1].endswith(
        "over draws): *feature extraction* -5.0 (-5.0 to -5.0, 12 runs), *full fine-tuning* -5.0 "
        "(-5.0 to -5.0, 6 runs), *partial fine-tuning* -5.0 (-5.0 to -5.0, 3 runs)."
    )


def test_live_runs_are_told_beside_the_first():
    frozen = product_photos.Live(FROZEN, 64, None, 0.5, 372, 2.0)
    full = product_photos.Live(FULL, 64, None, 0.6, 372, 20.0)
    said = product_photos.beside_each_other(frozen, full)
    assert "+10.0 points by *full fine-tuning* at 64 pixels (10 times the seconds)" in said
    assert "**0.500** (95 % interval 0.449 to 0.551) after 2.0" in str(frozen)


@pytest.mark.parametrize(
    ("exercise", "answers"),
    [
        ("08.1", [..., 0, 3, 10, "four"]),
        ("08.2", [..., 0, 1.0, 10, math.nan]),
        ("08.3", [..., {"a"}, lambda table: set(), lambda table: set(table["approach"]),
                  lambda table: {table.sort_values("cost")["approach"].iloc[0]}]),
        ("12.1", [..., 0, 1, 0.025, 1.96 * 0.24 / 372]),
        ("12.2", [..., 0, 100, math.nan]),
        ("12.3", [..., "middle", lambda t, m, p: "middle", lambda t, m, p: None,
                  lambda t, m, p: t.loc[t["accuracy"].idxmax(), "approach"]]),
    ],
)  # fmt: skip
def test_wrong_answers_get_a_hint(exercise, answers):
    assert not any(check.judge(exercise, answer).right for answer in answers)


def test_means_over_unlike_seeds_are_not_the_gain_by_pixels():
    held = product_photos.recorded()
    own = held[(held["approach"] == FROZEN) & (held["n_train"] == 200)]
    means = own.groupby("image_size")["test_accuracy"].mean()
    wide = own.pivot(index="seed", columns="image_size", values="test_accuracy")
    paired = 100 * (wide.iloc[:, -1] - wide.iloc[:, 0]).dropna().mean()
    assert check.judge("12.2", paired).right
    unlike = wide.iloc[:, [0, -1]].isna().any(axis=None)
    assert check.judge("12.2", 100 * (means.iloc[-1] - means.iloc[0])).right != unlike


def test_recorded_runs_of_a_place_differ_in_their_seed_alone():
    for schema in (1, 2):
        held = product_photos.recorded(schema=schema)
        assert not held.duplicated(["image_size", "n_train", "approach", "seed"]).any()
    trade_offs.bill(product_photos.recorded())  # refuses mixtures


def test_photos_that_are_not_here_are_left_out_and_said(monkeypatch):
    def load(name, **_):
        if name == "grocery":
            raise DataNotFound("'grocery' is not on this machine")
        return name

    monkeypatch.setattr(product_photos, "load_task", load)
    monkeypatch.setattr(product_photos, "_shifted", lambda task, n: (0.5, 0.4, -10, -12, -8, 10))
    table = product_photos.elsewhere(["clothing", "grocery"], n=4, n_test=4)
    assert table["task"].tolist() == ["clothing"]
    assert "'grocery' is not on this machine" in product_photos.elsewhere_in_words(table)
