"""Predicted seconds: right on made-up rows, near on the recorded ones, held out by task."""

import numpy as np
import pandas as pd
import pytest
from rows import make_row

from helpers.errors import UserError
from helpers.results import runs as records
from tools.measure import cost_model
from tools.measure.cost_model import fit_costs, gpu_seconds, held_out_errors, makespan


def made() -> pd.DataFrame:
    """Runs of two tasks on two approaches at 10 GFLOP/s, 1 GFLOP per example and epoch."""
    rows = [
        make_row(
            task=task,
            approach=approach,
            n_train=n,
            epochs=10,
            flops_train=1e9 * n * 10 * (0.5 if approach == "classical" else 1),
            train_cpu_seconds=n * 10 / 10,
            device="cpu: any",
            seed=seed,
        )
        for task in ("digits", "textile")
        for approach in ("lora", "classical")
        for n in (50, 200)
        for seed in range(2)
    ]
    return pd.DataFrame(rows)


def test_seconds_are_work_over_speed():
    model = fit_costs(made())
    assert model.seconds("pocket", 28, "lora", 400, 20) == pytest.approx(400 * 20 / 10)
    assert model.seconds("pocket", 28, "classical", 400, 20) == pytest.approx(400 * 20 / 10)


def test_another_input_size_scales_with_the_area():
    model = fit_costs(made())
    small, large = (model.seconds("pocket", size, "lora", 100, 1) for size in (28, 56))
    assert large == pytest.approx(4 * small)


def test_what_was_never_recorded_is_refused():
    with pytest.raises(UserError, match="adapter"):
        fit_costs(made()).seconds("pocket", 28, "adapter", 100, 1)
    with pytest.raises(UserError, match="no run on a CPU"):
        fit_costs(made().assign(device="cuda: some"))
    with pytest.raises(UserError, match="hold a task out"):
        held_out_errors(made().query("task == 'digits'"))


def test_a_held_out_task_is_predicted_from_the_others_alone():
    runs = made()
    slow = runs["task"] == "textile"
    runs.loc[slow, "train_cpu_seconds"] *= 3  # as if that task were three times slower
    errors = held_out_errors(runs)
    assert np.allclose(errors["error"], 3)


def test_recorded_runs_are_predicted_within_the_promised_factors():
    errors = held_out_errors(records.load_runs())["error"]
    assert errors.median() <= 1.5 and errors.quantile(0.9) <= 3


def test_a_gpu_is_a_range_and_an_unknown_one_is_refused():
    low, high = gpu_seconds(1e15, "NVIDIA A100")
    assert low == pytest.approx(1e15 / (19.5e12 * 0.4)) and high == pytest.approx(4 * low)
    with pytest.raises(UserError, match="known are"):
        gpu_seconds(1, "abacus")


def test_a_makespan_is_never_below_the_longest_run_or_the_mean():
    runs = [5.0, 4.0, 3.0, 3.0, 3.0]
    assert makespan(runs, 1) == 18 and makespan(runs, 2) == 10 and makespan(runs, 9) == 5
    assert makespan(runs, 2, efficiency=0.5) == 20
    with pytest.raises(UserError):
        makespan(runs, 0)
    assert cost_model.makespan([], 3) == 0
