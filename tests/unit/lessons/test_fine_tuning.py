"""Sentences of notebook 03 follow their numbers; BatchNorm is watched; remedies are a table."""

import numpy as np
import pandas as pd
import pytest
import torch
from rows import make_row

from helpers.approaches import TransferModel, freeze
from helpers.backbones import load_backbone
from helpers.lessons import fine_tuning
from helpers.tasks import load_task
from helpers.training.loop import History


def test_steps_are_compared_with_the_one_before():
    made = [(v, s, 0.5 + v / 10 + s / 100, 0.0, 1.0 + v) for v in (0, 1, 3) for s in range(3)]
    rows = pd.DataFrame(made, columns=["top_stages", "seed", "accuracy", "validation", "seconds"])
    first, second = fine_tuning.steps_in_words(rows, "top_stages").splitlines()
    assert "From 0 to 1 stages: **+10.0 points**" in first and "2.0 times" in first
    assert "From 1 to 3 stages: **+20.0 points**" in second
    assert fine_tuning.by_value(rows, "top_stages")["mean"].tolist() == pytest.approx(
        [0.51, 0.61, 0.81]
    )


def test_the_rate_is_chosen_on_validation():
    made = [(1e-4, 0, 0.60, 0.5), (1e-3, 0, 0.80, 0.9), (1e-2, 0, 0.81, 0.7), (1e-1, 0, 0.3, 0.2)]
    rows = pd.DataFrame(made, columns=["lr", "seed", "accuracy", "validation"])
    told = fine_tuning.rates_in_words(rows)
    assert "**0.001**" in told and "**0.800**" in told and "50.0 points" in told
    assert "0.001 to 0.01" in told


def test_a_finder_names_the_lowest_smoothed_loss_and_the_sweeps_choice():
    grown = np.geomspace(1e-5, 1e-1, 41)
    losses = (np.log10(grown) + 3) ** 2  # lowest at 1e-3
    losses[0] = -50  # one lucky step is smoothed away
    losses[:5] += 40
    made = [(1e-4, 0, 0.60, 0.9), (1e-3, 0, 0.80, 0.5)]
    swept = pd.DataFrame(made, columns=["lr", "seed", "accuracy", "validation"])
    told = fine_tuning.finder_in_words(grown, losses, swept)
    assert "lowest at a rate of 0.001" in told and "**0.0001**." in told
    drawn = fine_tuning.plot_finder(grown, [3.0, *losses[1:]])
    assert drawn.axes[0].get_ylim() == (0, 6.0)


def test_statistics_drift_unless_they_are_frozen():
    images = load_task("digits", n_train=64, image_size=28).train.inputs
    pocket = load_backbone("pocket")
    loose = fine_tuning.watch(TransferModel(load_backbone("pocket"), 5), images, (0, 40), 100)
    fixed = fine_tuning.watch(TransferModel(freeze(pocket), 5), images, (0, 40), 100)
    assert loose[0] == fixed[0] == fixed[40] and loose[40] < loose[0]


def test_a_fall_within_the_noise_is_a_stall():
    def told(accuracy):
        history = History(val_accuracy=accuracy, val_loss=[0.5, 0.4, 0.6], best_epoch=2)
        return fine_tuning.overfit_in_words(fine_tuning.Tiny(history, [0.9, 1.0], 100))

    assert "**stalls**" in told([0.7, 0.8, 0.78]) and "**drops**" in told([0.7, 0.8, 0.6])
    assert "+50%" in told([0.7, 0.8, 0.78])
    assert "(epoch 2, whose weights were kept)" in told([0.8, 0.8, 0.8])


def test_remedies_and_a_tiny_set_run(monkeypatch):
    near, tuned = load_task("products_near", n_train=20, n_test=50), []
    kept = fine_tuning.source_accuracy
    monkeypatch.setattr(
        fine_tuning, "source_accuracy", lambda net, *how: tuned.append(net) or kept(net, *how)
    )
    table, told = fine_tuning.remedies(near, seeds=(0,), epochs=2).split("\n\n")
    still = dict(load_backbone("pocket").named_buffers())
    held = [torch.equal(v, still[name]) for net in tuned for name, v in net.cpu().named_buffers()]
    assert held and all(held)  # BatchNorm's statistics, as in recorded runs
    assert "gradual unfreezing" in table and table.count("\n") == 4
    first, *_, last = told.splitlines()
    assert first.startswith("- on the old task, *falling rates (0.5 a stage)* against *same rate")
    assert last.startswith("- on the new task, *gradual unfreezing*") and len(_) == 2
    tiny = fine_tuning.tune_tiny(20, epochs=2, n_validation=50)
    assert len(tiny.train_accuracy) == len(tiny.history.val_loss) == 2 and tiny.n_validation == 50


def test_running_statistics_are_compared_draw_by_draw_at_each_ones_chosen_rate(monkeypatch):
    rows = [
        make_row(
            approach="full_fine_tuning", sweep=sweep, seed=seed, lr=lr, test_accuracy=accuracy,
            val_accuracy=accuracy, settings=f"norm={norm};augment=mirror",
        )
        for norm, rate, gain in (("frozen", 1e-3, 0.0), ("running", 1e-4, 0.1))
        for seed in range(3)
        for sweep, lr, accuracy in (
            [("a/tuning", rate, 0.5 + gain), ("a/tuning", 0.1, 0.9)] if seed == 0
            else [("a", rate, 0.5 + gain + seed / 100)]
        )
    ]  # fmt: skip
    alone = make_row(approach="lp_ft", sweep="a", seed=1, settings="norm=frozen")
    monkeypatch.setattr(fine_tuning, "load_runs", lambda: pd.DataFrame([*rows, alone]))
    (told,) = fine_tuning.running_statistics().to_dict("records")
    assert told["draws"] == 3 and told["test (points)"] == pytest.approx(10.0)
    assert told["task and network"] == "digits on pocket"
    bounds = {"test, 95 % low": 5.0, "test, 95 % high": 15.0}
    words = fine_tuning.running_in_words(pd.DataFrame([told | bounds]))
    assert "+10.0 to +10.0 points**, clearly up in 1 and clearly down in 0 of 1" in words
