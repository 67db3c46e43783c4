"""What one example costs, measured on a few steps."""

import pytest

from helpers.errors import UserError
from helpers.experiments.steps import Price, measure_price

CHEAP = {"batch_size": 4, "repeats": 1}


def test_minutes_and_flops_add_up():
    price = Price("x", "pocket", 0.5, 0.25, 10.0, 20.0)
    assert price.minutes(120, 4) == pytest.approx(3.0)
    assert price.flops(120, 4) == pytest.approx(10_800)


def test_frozen_stages_are_paid_once():
    probe = measure_price("feature_extraction", "pocket", **CHEAP)
    full = measure_price("full_fine_tuning", "pocket", **CHEAP)
    assert full.prepare_seconds == full.prepare_flops == 0
    # A backward pass costs about two forward passes, the first layer's input gradient apart.
    assert 2.5 < full.step_flops / probe.prepare_flops <= 3.0
    assert probe.step_flops < probe.prepare_flops / 100
    assert min(probe.prepare_seconds, probe.step_seconds, full.step_seconds) > 0


def test_partial_tuning_lies_between():
    partial = measure_price("partial_fine_tuning", "pocket", **CHEAP)
    full = measure_price("full_fine_tuning", "pocket", **CHEAP)
    assert 0 < partial.prepare_flops < full.step_flops
    assert 0 < partial.step_flops < full.step_flops


def test_scratch_costs_a_step_what_full_tuning_does():
    full, scratch = (
        measure_price(name, "pocket", **CHEAP) for name in ("full_fine_tuning", "from_scratch")
    )
    assert scratch.step_flops == full.step_flops


def test_an_unknown_approach_is_named():
    with pytest.raises(UserError, match="did you mean"):
        measure_price("from_scrach", "pocket", **CHEAP)
