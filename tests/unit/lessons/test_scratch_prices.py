"""What scratch costs: labels and machine at given prices, minutes, and what others published."""

import math

import pandas as pd
import pytest

from helpers.experiments.steps import Price
from helpers.lessons import scratch_prices

FROZEN, SCRATCH = "feature_extraction", "from_scratch"


def runs(scratch):
    lines = {FROZEN: {50: 0.6}, SCRATCH: scratch}
    rows = [
        {"curve": "c", "approach": name, "n_train": n, "seed": seed, "test_accuracy": value,
         "train_cpu_seconds": 36.0 * n}
        for name, line in lines.items()
        for n, value in line.items()
        for seed in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("scratch", "examples", "ratio"),
    [
        ({50: 0.5, 200: 0.7}, "100", "2"),
        ({50: 0.2, 200: 0.4}, "200", "over 4"),
        ({50: 0.6, 200: 0.7}, "50", "at most 1"),
    ],
)
def test_a_bill_is_labels_and_machine(scratch, examples, ratio):
    made = scratch_prices.plot_label_bill(runs(scratch), "c", 100.0, 0.0)
    labels = [label.get_text() for label in made.axes[0].get_yticklabels()]
    assert labels == ["feature extraction, 50 examples", f"from scratch, {examples} examples"]
    assert [t.get_text().strip() for t in made.axes[0].texts] == ["50", examples]
    assert f"scratch costs {ratio}" in made.axes[0].get_title("left")


def test_machine_hours_are_charged():
    made = scratch_prices.plot_label_bill(runs({50: 0.5, 200: 0.7}), "c", 0.0, 100.0)
    widths = sorted({round(bar.get_width(), 3) for bar in made.axes[0].patches})
    assert widths[0] == 0.0 and 0.5 in widths  # 50 × 36 s are half an hour, at a euro an hour


def test_a_price_list_says_time_and_money():
    prices = {
        FROZEN: Price(FROZEN, "b", 0.06, 0.0, 0.0, 0.0),
        SCRATCH: Price(SCRATCH, "b", 0.0, 0.06, 0.0, 0.0),
    }
    made = scratch_prices.plot_price_list(prices, 1_000, 240, 100)
    told = [one.get_text().strip() for one in made.axes[0].texts]
    assert told == ["1 min, €0.017", "4 h, €4"]
    assert not made.axes[0].patches  # no bars on a log scale, which has no zero
    assert made.axes[0].get_xlabel() == "processor minutes (log scale)"


def test_handfuls_scatter_as_the_formula_says():
    made = scratch_prices.plot_handfuls(0.8, sizes=(50, 1_000))
    few, many = made.axes[0].containers
    spread = []
    for bars in (few, many):
        counts = [bar.get_height() for bar in bars]
        places = [bar.get_x() + bar.get_width() / 2 for bar in bars]
        mean = sum(c * p for c, p in zip(counts, places, strict=True)) / sum(counts)
        square = sum(c * (p - mean) ** 2 for c, p in zip(counts, places, strict=True))
        spread.append(math.sqrt(square / sum(counts)))
    assert spread[0] == pytest.approx(math.sqrt(0.8 * 0.2 / 50), rel=0.1)
    assert spread[1] < spread[0] / 3


def test_published_cases_are_marked():
    pairs = scratch_prices.published_pairs()
    assert len(pairs) > 50 and pairs["gain"].notna().all()
    assert pairs["source"].str.endswith("(second-hand)").any()
    told = scratch_prices.published_in_words()
    assert told.startswith("*Published*") and str((pairs["n_train"] > 20_000).sum()) in told
    assert len(scratch_prices.plot_published().legends) == 1


def test_the_bill_of_pretraining_is_read():
    assert "27,000 labelled pictures" in scratch_prices.pretraining_in_words()
