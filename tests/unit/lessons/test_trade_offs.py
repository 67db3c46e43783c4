"""Bills, fronts, ratios and budgets; where the time of a training step goes."""

import math

import numpy as np
import pandas as pd
import pytest
from rows import make_row

from helpers.approaches import get_approach
from helpers.approaches.base import protocol_updates
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.experiments.steps import Price
from helpers.lessons.trade_offs import (
    bill,
    cost_ratios,
    duel_in_words,
    findings,
    fronts_in_words,
    modules_in_words,
    named,
    parts_in_words,
    plot_duel,
    plot_epochs,
    plot_front,
    plot_parts,
    plot_ship,
    ship,
    step_parts,
    typical,
)
from helpers.tasks import load_task


def runs(entries):
    """Rows from {approach: [(accuracy, seconds) by seed]}; more columns by `changes`."""
    rows = [
        make_row(approach=name, seed=seed, test_accuracy=accuracy, train_cpu_seconds=seconds)
        for name, pairs in entries.items()
        for seed, (accuracy, seconds) in enumerate(pairs)
    ]
    return pd.DataFrame(rows)


THREE = {
    "feature_extraction": [(0.60, 1.0), (0.70, 1.0), (0.65, 1.0)],
    "lora": [(0.62, 12.0), (0.72, 12.0), (0.67, 12.0)],
    "full_fine_tuning": [(0.50, 10.0), (0.60, 20.0), (0.55, 40.0)],
}


def test_a_ratio_is_geometric_and_paired():
    table = cost_ratios(runs(THREE), "full_fine_tuning", "feature_extraction")
    row = table.iloc[0]
    assert row["ratio"] == pytest.approx(20.0)
    assert row["gain"] == pytest.approx(-0.1)
    assert row["low"] == pytest.approx(-0.1)
    assert row["runs"] == 3


def test_ratios_are_told_for_each_network():
    held = runs(THREE | {"adapter": [(0.6, 5.0)] * 3})
    duel = cost_ratios(held, "full_fine_tuning", "feature_extraction")
    typically = "- pocket: typically **20 times** (from 20 to 20 over situations)"
    assert f"{typically}; ten times or more in 1 of 1" in duel_in_words(duel)
    assert "clearly ahead in 0 and clearly behind in 1" in duel_in_words(duel)
    assert "*LoRA* over full fine-tuning: pocket 0.60 (dearer in 0 of 1)" in modules_in_words(held)
    assert findings(held).splitlines() == [
        "- Full fine-tuning takes 20 times the seconds of a frozen network on pocket, from 20 to "
        "20 over situations.",
        "- Small modules take 0.60 times (LoRA; slower in 0 of 1 situations) and 0.25 times "
        "(adapter; slower in 0 of 1 situations) the seconds of full fine-tuning.",
    ]
    assert len(plot_duel(duel).axes[0].lines) == 3


def test_situations_are_named_by_pixels_where_these_differ():
    table = bill(pd.concat([runs(THREE), runs(THREE).assign(image_size=64)]))
    assert set(named(table)) == {
        "pocket on digits, 50 examples at 28 px", "pocket on digits, 50 examples at 64 px",
    }  # fmt: skip
    assert set(named(bill(runs(THREE)))) == {"pocket on digits, 50 examples"}


def test_what_is_kept_runs_once():
    names = ("feature_extraction", "partial_fine_tuning", "full_fine_tuning")
    flops = {
        "feature_extraction": (9, 1),
        "partial_fine_tuning": (5, 12),
        "full_fine_tuning": (0, 30),
    }
    prices = {name: Price(name, "pocket", 0, 0, *flops[name]) for name in names}
    bars = [bar.get_width() * 1e9 for bar in plot_epochs(prices, 3, "pocket").axes[0].patches]
    assert bars == pytest.approx([12, 41, 90, 30])


def test_notebook_08_names_the_epochs_of_the_records():
    full = get_approach("full_fine_tuning")
    assert [full.protocol_epochs("image", n, 32) for n in (200, 50)] == [58, 200]
    assert protocol_updates("image", 1_600) == 400 < protocol_updates("image", 1_601)


def test_no_pairs_give_no_ratio():
    table = cost_ratios(runs({"lora": [(0.6, 1.0)]}), "lora", "full_fine_tuning")
    assert table.empty
    assert math.isnan(typical(table["ratio"]))
    assert typical(pd.Series([0.1, 10.0])) == pytest.approx(1.0)


def test_one_network_has_one_latency():
    held = runs(THREE | {"adapter": [(0.6, 5.0)]})
    held["latency_ms"] = np.arange(len(held), dtype=float)
    held["latency_unmerged_ms"] = held["latency_ms"] + 100
    table = bill(held).set_index("approach")
    assert table["latency_ms"]["lora"] == table["latency_ms"]["full_fine_tuning"] == 4.0
    assert table["latency_ms"]["adapter"] == 9.0
    assert table["latency_unmerged_ms"]["lora"] == 104.0  # its own runs alone
    assert table["seconds"]["lora"] == 12.0


def test_a_bill_compares_equal_seeds_and_whole_situations():
    held = runs(THREE)
    easy = held[~((held["approach"] == "lora") & (held["seed"] != 1))]  # 0.70 for the frozen one
    means = bill(easy).set_index("approach")["mean"]
    assert means["lora"] - means["feature_extraction"] == pytest.approx(0.02)
    assert bill(held, least=4).empty and len(bill(held, least=3)) == 3


def test_fronts_are_counted():
    said = fronts_in_words(bill(runs(THREE)), {"seconds": "processor seconds"}, runs(THREE))
    assert said.startswith(
        "Of 1 situations with 3 approaches or more, the most accurate is clearly"
    )
    assert "seed by seed, in **1** (*LoRA* in 1); 0 are too close to call." in said
    near = runs(THREE | {"lora": [(0.62, 12.0), (0.69, 12.0), (0.67, 12.0)]})
    told = fronts_in_words(bill(near), {"seconds": "processor seconds"}, near)
    assert "in **0**; 1 are too close to call." in told
    assert said.endswith("- processor seconds: *feature extraction* 1, *LoRA* 1")
    made = plot_front(bill(runs(THREE)), "seconds", title="One front")
    line = made.axes[0].lines[-1]
    assert line.get_xdata().tolist() == [1.0, 12.0]


def test_what_is_shipped_is_worth_its_points():
    table = bill(runs(THREE))
    assert ship(table, 100, 1)["approach"] == "lora"
    assert ship(table, 100, 2)["approach"] == "feature_extraction"
    assert ship(table, 5, 0)["approach"] == "feature_extraction"
    with pytest.raises(UserError, match="trains in"):
        ship(table, 0.1, 0)
    with pytest.raises(UserError, match="several situations"):
        ship(pd.concat([table, table]), 100, 0)


def test_what_is_shipped_is_filled():
    ax = plot_ship(bill(runs(THREE)), 100, 1).axes[0]
    assert ax.get_title(loc="left") == "Ship LoRA: 0.670 for 12.0 s"
    filled = [line for line in ax.lines if line.get_markerfacecolor() != "none"]
    assert [line.get_xdata()[0] for line in filled] == [12.0]


def test_a_step_is_split_into_its_parts():
    pocket = load_backbone("pocket")
    before = {key: value.clone() for key, value in pocket.state_dict().items()}
    task = load_task("products_near", n_train=20)
    names = ["feature_extraction", "lora", "full_fine_tuning"]
    table = step_parts(pocket, task, names, size=8, repeats=2).set_index("approach")
    parts = table[["forward_ms", "backward_ms", "optimizer_ms"]]
    assert (parts > 0).all().all()
    assert np.allclose(parts.sum(axis=1), table["step_ms"])
    assert table["calls"]["lora"] > table["calls"]["full_fine_tuning"]
    assert table["trainable"].is_monotonic_increasing
    assert table["gflops"]["feature_extraction"] < 0.01 * table["gflops"]["full_fine_tuning"]
    assert all(value.equal(before[key]) for key, value in pocket.state_dict().items())
    told = parts_in_words({"pocket": table.reset_index()})
    assert told.startswith("- pocket: *freeze* **") and "*LoRA*" in told
    assert len(plot_parts({"pocket": table.reset_index()}).axes[0].patches) == 9
