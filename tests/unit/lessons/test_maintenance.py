"""Costs over years: the formulas against counting task by task, and crossings where they say."""

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
    total = m.totals(costs, plan).set_index("approach")
    for name in SIZES:
        storage, hours = counted(costs, name, plan)
        assert total.loc[name, "storage_mb"] == pytest.approx(storage)
        assert total.loc[name, "cpu_hours"] == pytest.approx(hours)


@pytest.mark.parametrize("upgrades", [0, 3])
@pytest.mark.parametrize("name", ["lora", "adapter", "partial_fine_tuning"])
def test_crossings_lie_where_the_totals_cross(costs, name, upgrades):
    plan = m.Plan(1, 2, 3, upgrades)
    tasks = m.tasks_to_pay(costs, name, plan)
    for count, pays in ((math.ceil(tasks + 1e-9), True), (math.floor(tasks - 1e-9), False)):
        if count >= 1:
            total = m.totals(costs, m.Plan(count, 2, 3, upgrades)).set_index("approach")[
                "storage_mb"
            ]
            assert (total[name] < total[m.FULL]) == pays
    limit = m.upgrades_to_lose(costs, name, plan)
    for count, dearer in ((math.ceil(limit), True), (math.floor(limit - 1e-9), False)):
        total = m.totals(costs, m.Plan(5, 2, 3, count)).set_index("approach")["cpu_hours"]
        assert (total[name] >= total[m.FULL] - 1e-9) == dearer


def test_where_nothing_is_saved_there_is_no_crossing(costs):
    dear = costs.assign(file_mb=costs["file_mb"].where(costs["approach"] != "lora", 500.0))
    assert m.tasks_to_pay(dear, "lora", m.Plan(1)) == math.inf
    slow = costs.assign(cpu_seconds=costs["cpu_seconds"].where(costs["approach"] != "lora", 5000.0))
    assert m.upgrades_to_lose(slow, "lora", m.Plan(1)) == 0


def test_the_ratio_of_a_shelf_nears_that_of_the_files(costs):
    assert m.times_less(costs, "lora", math.inf) == pytest.approx(101 / 5)
    assert m.times_less(costs, "lora", 100) == pytest.approx(100 * 101 / (100 + 100 * 5))
    assert m.times_less(costs, "lora", 1) < 1


def test_lines_to_draw_hold_the_same_numbers(costs):
    plan = m.Plan(5, 2, 3)
    lines = m.totals_over(costs, plan, "upgrades", range(3))
    assert len(lines) == 3 * len(SIZES) and list(lines["upgrades"].unique()) == [0, 1, 2]
    alone = m.totals(costs, m.Plan(5, 2, 3, 2))["cpu_hours"]
    assert list(lines[lines["upgrades"] == 2]["cpu_hours"]) == list(alone)
    less = m.less_over(costs, ["lora"], [1, 100])
    assert list(less["times"]) == [m.times_less(costs, "lora", 1), m.times_less(costs, "lora", 100)]


def test_bad_plans_and_costs_are_named(costs):
    for bad in ({"tasks": 0}, {"tasks": 1, "upgrades": -1}, {"tasks": 1, "years": -2}):
        with pytest.raises(UserError, match="plan"):
            m.Plan(**bad)
    with pytest.raises(UserError, match="several backbones"):
        m.times_less(pd.concat([costs, costs]), "lora", 1)
    with pytest.raises(UserError, match="'lora'"):
        m.tasks_to_pay(costs[costs["approach"] != "lora"], "lora", m.Plan(1))
