"""Costs over years: the formulas against counting task by task, people and disks in euros."""

import math

import pandas as pd
import pytest
from rows import make_row

from helpers.errors import UserError
from helpers.lessons import maintenance as m

SIZES = {"feature_extraction": 1, "adapter": 3, "lora": 5, "partial_fine_tuning": 60, m.FULL: 101}


def runs(drop=()):
    made = [
        make_row(task=task, approach=name, seed=seed, stored_mb=size, train_cpu_seconds=10 * size,
                 test_accuracy=0.5, n_train=200)
        for task in ("digits", "textile")
        for name, size in SIZES.items()
        for seed in (0, 1)
        if (task, name) not in drop
    ]  # fmt: skip
    return pd.DataFrame(made)


@pytest.fixture
def costs():
    return m.unit_costs(runs())


def counted(costs, name, plan):
    """Storage and seconds, added up file by file."""
    row, shares = costs.set_index("approach").loc[name], name != m.FULL
    storage = sum(row["base_mb"] for _ in range(1 + plan.upgrades)) if shares else 0
    seconds = 0
    for _ in range(plan.tasks):
        for _ in range(1 + int(plan.retrainings * plan.years) + (plan.upgrades if shares else 0)):
            storage, seconds = storage + row["file_mb"], seconds + row["cpu_seconds"]
    return storage, seconds / 3600


def test_unit_costs_come_from_tasks_that_all_ran(costs):
    assert list(costs["approach"]) == list(m.APPROACHES) and set(costs["tasks"]) == {2}
    assert costs.set_index("approach")["base_mb"].to_dict() == dict.fromkeys(SIZES, 100.0) | {
        m.FULL: 0
    }
    some = m.unit_costs(runs(drop={("digits", "lora")}))
    assert set(some["tasks"]) == {1}
    assert m.unit_costs(runs(drop={(t, "lora") for t in ("digits", "textile")})).empty


@pytest.mark.parametrize(
    "plan",
    [m.Plan(1, 0, 0), m.Plan(7, 2, 3, 0), m.Plan(3, 1, 5, 4)],
)
def test_totals_are_what_counting_gives(costs, plan):
    total = m.bill(costs, plan, m.Prices()).set_index("approach")
    for name in SIZES:
        storage, hours = counted(costs, name, plan)
        assert total.loc[name, "storage_mb"] == pytest.approx(storage)
        assert total.loc[name, "cpu_hours"] == pytest.approx(hours)


def test_people_are_paid_for_each_release(costs):
    plan, prices = m.Plan(50, 4, 3, 2), m.Prices(wage=60, minutes=20)
    rows = m.bill(costs, plan, prices).set_index("approach")
    assert rows.loc[m.FULL, "people"] == pytest.approx(50 * 13 * 20)
    assert rows.loc["lora", "people"] == pytest.approx(50 * 15 * 20)  # two bases more
    disks = rows.loc[m.FULL, "storage_mb"] / 1000 * prices.gb_month * 36
    assert rows.loc[m.FULL, "disks"] == pytest.approx(disks)
    words = m.bill_in_words(costs, plan, prices)
    assert "**13,000 euros of people**" in words
    assert "adds **2,000 of people**" in words
    free = m.bill_in_words(costs, plan, m.Prices(wage=0))
    assert "of people**, because" not in free


def test_the_title_of_the_bill_says_what_people_are_of_it(costs):
    plan = m.Plan(50, 4, 3, 2)
    assert "over 99 %" in m.plot_costs(costs, plan, m.Prices()).alt
    assert "at least 0%" in m.plot_costs(costs, plan, m.Prices(wage=0)).alt


def test_a_check_as_short_as_is_said_costs_what_the_rest_costs(costs):
    plan, prices = m.Plan(50, 4, 3, 2), m.Prices()
    seconds = float(m.check_in_words(costs, plan, prices).split("**")[1].split()[0])
    short = m.bill(costs, plan, m.Prices(minutes=seconds / 60)).set_index("approach").loc[m.FULL]
    assert short["people"] == pytest.approx(short["disks"] + short["computing"], rel=0.05)


def test_the_diagram_counts_releases_and_hours(costs):
    words = m.plot_years(m.Plan(50, 4, 3, 2), m.Prices(minutes=20)).alt
    assert "LoRA: 15 releases; 50 tasks: 250 hours" in words
    assert "13 releases; 50 tasks: 217 hours" in words
    dates = m.plot_years(m.Plan(1, 4, 3), m.Prices()).axes[0].lines[0].get_xdata()
    assert list(dates) == list(range(0, 39, 3))
    assert "0 new bases" in m.plot_years(m.Plan(1, 0, 3), m.Prices()).alt


def test_the_ratio_of_a_shelf_nears_that_of_the_files(costs):
    assert m.times_less(costs, "lora", math.inf) == pytest.approx(101 / 5)
    assert m.times_less(costs, "lora", 100) == pytest.approx(100 * 101 / (100 + 100 * 5))
    assert m.times_less(costs, "lora", 1) < 1


def test_bad_plans_are_named():
    for bad in ({"tasks": 0}, {"tasks": 1, "upgrades": -1}, {"tasks": 1, "years": -2}):
        with pytest.raises(UserError, match="plan"):
            m.Plan(**bad)
