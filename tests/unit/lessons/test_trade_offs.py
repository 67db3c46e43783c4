"""Bills, fronts, ratios and budgets; where the time of a training step goes."""

import math

import numpy as np
import pandas as pd
import pytest
from rows import make_row

from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.lessons.trade_offs import (
    PLACE,
    bill,
    cost_ratios,
    front_counts,
    generalisation_gaps,
    plot_budget,
    plot_front,
    plot_ship,
    price_of_points,
    ship,
    step_parts,
    typical,
    within_budget,
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
    assert row["ratio_low"] < 10 < 40 < row["ratio_high"]
    assert row["gain"] == pytest.approx(-0.1)
    assert row["low"] == pytest.approx(-0.1)
    assert row["runs"] == 3


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


def test_fronts_are_counted():
    counts = front_counts(bill(runs(THREE)), "seconds").set_index("approach")
    assert counts["on_front"].to_dict() == {
        "feature_extraction": 1, "lora": 1, "full_fine_tuning": 0,
    }  # fmt: skip
    assert (counts["situations"] == 1).all()
    made = plot_front(bill(runs(THREE)), "seconds", title="One front")
    line = made.axes[0].lines[-1]
    assert line.get_xdata().tolist() == [1.0, 12.0]


def test_a_budget_leaves_what_fits():
    table = bill(runs(THREE))
    assert within_budget(table, 100).iloc[0][["approach", "given_up"]].tolist() == ["lora", 0.0]
    tight = within_budget(table, 5).iloc[0]
    assert tight["approach"] == "feature_extraction"
    assert tight["given_up"] == pytest.approx(0.02)
    none = within_budget(table, 0.1).iloc[0]
    assert none["approach"] == ""
    assert none["best"] == "lora"
    assert math.isnan(none["mean"])
    assert within_budget(table, 100, latency_ms=0.5).iloc[0]["approach"] == ""
    made = plot_budget(within_budget(table, 5))
    assert "on 1 of 1 tasks, 2.0 points given up" in made.axes[0].get_title(loc="left")
    assert made.axes[0].get_yticklabels()[0].get_text() == "digits (pocket): freeze"
    made = plot_budget(within_budget(table, 0.1))
    assert made.axes[0].get_title(loc="left").endswith("on 0 of 1 tasks")


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


def test_points_have_a_price_where_there_are_any():
    table = price_of_points(runs(THREE)).set_index("approach")
    assert table["seconds_per_point"]["lora"] == pytest.approx(11 / 2)
    assert math.isnan(table["seconds_per_point"]["full_fine_tuning"])
    assert table["points"]["full_fine_tuning"] == pytest.approx(-10)
    assert price_of_points(runs({"feature_extraction": [(0.5, 1.0)]})).empty


def test_a_gap_is_train_minus_test():
    held = runs({"lora": [(0.6, 1.0), (0.8, 1.0)]}).assign(train_accuracy=0.9)
    row = generalisation_gaps(held).iloc[0]
    assert row["mean"] == pytest.approx(0.2)
    assert row["low"] < 0.1 < 0.3 < row["high"]
    none = held.iloc[:0]
    assert bill(none).merge(generalisation_gaps(none), on=[*PLACE, "approach"]).empty


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
