"""What is expected before measuring, what a race says, and how data become a task."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from own import write_texts
from rows import made
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from helpers.advisor.answer import _open_reasons, held_records
from helpers.advisor.data import OwnData
from helpers.advisor.export import load_model
from helpers.advisor.folds import Folds, part_of
from helpers.advisor.hyperparameters import recipes
from helpers.advisor.pipeline import Request, advise, export_model
from helpers.advisor.prior import expected_accuracies, recorded_gains
from helpers.advisor.probe import (
    AT_CHANCE,
    SOLVER_STEPS,
    ProbeScore,
    Probing,
    _classical,
    _cuts,
    mcnemar,
)
from helpers.advisor.race.runs import judged
from helpers.advisor.task import make_own_task
from helpers.approaches import APPROACHES, Fitted
from helpers.errors import UserError
from helpers.results import runs as records
from helpers.results.expected_regret import CHEAPER, cheapest_credible
from helpers.results.learning_curves import RUN_NOISE, measured_curves
from helpers.results.schema import COMPARED
from helpers.tasks import Split
from helpers.training.loop import History
from helpers.training.subset_features import Pool
from helpers.vocabulary import phrase_of


def probing(accuracy=0.7, chance=0.2):
    score = ProbeScore(accuracy, accuracy - 0.05, accuracy + 0.05, 300)
    return Probing(score, score, chance, 1.0, 0.5, "made", 1.0, 0.0)


def texts(n=40, groups=None):
    labels = np.arange(n) % 2
    splits = np.array((["train"] * 5 + ["validation"] * 2 + ["test"] * 3) * n)[:n]
    items = [f"text {i} of {label}" for i, label in enumerate(labels)]
    from pathlib import Path

    return OwnData(Path("made"), "text", items, labels, ("a", "b"), splits, groups)


def test_the_cheaper_is_taken_only_where_it_is_clearly_cheaper_and_near():
    short = pd.Series({"lora": 0.0, "feature_extraction": 0.004, "classical": 0.02})
    seconds = {"lora": 30.0, "feature_extraction": 30.0 / CHEAPER, "classical": 0.1}
    assert cheapest_credible(short, seconds) == "feature_extraction"
    assert cheapest_credible(short, seconds | {"feature_extraction": 25.0}) == "lora"


def test_the_epoch_that_judges_is_chosen_by_others():
    """Epochs right by chance alone: the best of twenty flatters, its judgement does not."""
    rng = np.random.default_rng(0)
    labels, flattering, fair = np.arange(100) % 2, [], []
    split = Split([""] * 100, labels)
    for _ in range(200):
        right = [rng.random(100) < 0.7 for _ in range(20)]
        losses = [np.where(one, 0.3, 1.0).astype(np.float32) for one in right]
        history = History(example_right=right, example_losses=losses)
        flattering.append(max(one.mean() for one in right))
        fair.append(judged(Fitted(None, None, history), split, 0).mean())
    assert np.mean(flattering) > 0.76
    assert np.mean(fair) == pytest.approx(0.7, abs=0.01)
    single = History(example_right=right[:1], example_losses=losses[:1])
    assert (judged(Fitted(None, None, single), split, 0) == right[0]).all()


def test_an_epoch_that_is_best_everywhere_judges():
    best, worse = np.arange(40) > 3, np.arange(40) > 20
    history = History(
        example_right=[worse, best, worse], example_losses=[np.ones(40), np.zeros(40), np.ones(40)]
    )
    split = Split([""] * 40, np.arange(40) % 2)
    assert (judged(Fitted(None, None, history), split, 0) == best).all()


def test_weights_from_before_training_are_judged_where_they_are_kept():
    """No epoch is as good as the start, which is what a run then keeps."""
    right, worse = np.arange(40) > 1, np.arange(40) % 2 == 0
    history = History()
    history.record_start(torch.full((40,), 0.1), torch.from_numpy(right))
    for _ in range(5):
        history.record_validation(torch.full((40,), 9.0), torch.from_numpy(worse))
    split = Split([""] * 40, np.arange(40) % 2)
    assert history.best[0] == pytest.approx(0.95)
    assert (judged(Fitted(None, None, history), split, 0) == right).all()


@pytest.mark.parametrize("modality", [kind for kind, recipe in COMPARED.items() if recipe])
def test_runs_scatter_as_the_records_do(modality):
    """RUN_NOISE: the deviation between seeds of a network's runs, times the root of their size."""
    noise = []
    for one in measured_curves(records.load_runs()).curves:
        for size, table in one.accuracy.items():
            own = table.drop(columns=["classical", "from_scratch"], errors="ignore")
            own = own.loc[:, own.count() >= 3].dropna()
            if one.dial or one.modality != modality or len(own) < 3 or own.shape[1] < 4:
                continue
            gaps = [own[a] - own[b] for a, b in itertools.combinations(own, 2)]
            noise.append(size * np.mean([gap.var() for gap in gaps]) / 2)
    assert len(noise) > {"image": 10, "text": 2}[modality]
    assert np.sqrt(np.mean(noise)) == pytest.approx(RUN_NOISE[modality], rel=0.2)


def test_mcnemar_counts_disagreements_alone():
    both = np.ones(500, dtype=bool)
    assert mcnemar(both, both) == 1.0
    one, other = np.zeros(16, dtype=bool), np.ones(16, dtype=bool)
    one[:4], other[:4] = True, False
    assert mcnemar(one, other) == pytest.approx(0.0768, abs=1e-3)


def test_a_probe_is_judged_against_chance():
    assert probing(0.22, 0.2).verdict == AT_CHANCE
    assert probing(0.7, 0.2).verdict == "features transfer"
    assert probing(0.3, 0.2).verdict == "doubtful"


def test_the_baseline_out_of_fold_is_that_of_the_whole_pipeline():
    """Pictures are made small once, not in every fold; what is predicted stays the same."""
    data, rng = texts(60), np.random.default_rng(0)
    pictures = rng.integers(0, 256, (60, 40, 40, 3), dtype=np.uint8)
    pictures[np.arange(60) % 2 == 1] //= 2
    split = Pool(Split(pictures, np.arange(60) % 2)).part(np.arange(60))
    own = SimpleNamespace(data=data, task=SimpleNamespace(modality="image"))
    classical = _classical(own, split, _cuts(own, np.arange(60), split.labels, 0), 0)
    approach = APPROACHES["classical"]
    pipeline = approach.pipeline("image", approach.config("image", 60).lr, 0, SOLVER_STEPS)
    cuts = StratifiedKFold(5, shuffle=True, random_state=0)
    plain = cross_val_predict(pipeline, pictures, split.labels, cv=cuts)
    assert (classical == plain).all() and (plain == split.labels).mean() > 0.9


def test_expectations_leave_out_what_is_excluded():
    runs = records.load_runs()
    whole, less = (
        expected_accuracies(probing(), recorded_gains("image", held_records(runs, gone), 20))
        for gone in ((), ("textile",))
    )
    assert set(whole) == set(less) and len(whole) > 4
    for name, one in whole.items():
        assert one.low <= one.accuracy <= one.high
        if name not in ("feature_extraction", "classical"):
            assert less[name].runs < one.runs
    assert not any(c.task == "textile" for c in held_records(runs, ("textile",)).curves)


def test_recipes_cover_every_approach_and_fall_back_on_defaults():
    for n in (200, 5_000):  # six epochs, as the first round of texts had, are too few
        found = recipes(records.load_runs(), "minilm", "text", n)
        assert set(found) == set(APPROACHES)
        assert found["lora"].epochs == APPROACHES["lora"].config("text", n).epochs
    none = recipes(records.load_runs(), "timm:unheard", "image", 200)
    for name, one in none.items():
        default = APPROACHES[name].config("image", 200).lr
        assert one.lr == (0.1 if name == "feature_extraction" else default)  # the probe's strength
        assert one.other > one.lr or name == "feature_extraction"


@pytest.mark.parametrize("best", [0, 5, 20, 58])
def test_epochs_foreseen_are_those_to_the_best_and_the_patience_of_the_race(best):
    """Records run all of their epochs; a race stops when its own patience is over."""
    values = {name: [0.9] * 3 for name in ("full_fine_tuning", "feature_extraction", "lora")}
    how = {"backbone": "efficientnet_lite0", "image_size": 64, "epochs": 58, "best_epoch": best}
    held = recipes(made(values, 200, **how), "efficientnet_lite0", "image", 200)
    found, config = held["full_fine_tuning"], APPROACHES["full_fine_tuning"].config("image", 200)
    assert (found.epochs, config.patience) == (24, 8)
    assert found.share * 24 == pytest.approx(min(24, 24 * best / 58 + 8))
    assert held["adapter"].share == held["classical"].share == 1.0  # nothing is recorded of them


@pytest.mark.parametrize("grouped", [False, True])
def test_folds_judge_each_example_once_and_keep_groups_together(grouped):
    labels = np.arange(60) % 3
    groups = np.arange(60) // 4 if grouped else None
    folds = Folds(labels, 40, groups)
    judged = np.concatenate([folds.rows(fold)[1] for fold in range(1, folds.count + 1)])
    assert sorted(judged) == list(range(60))
    for fold in range(folds.count + 1):
        train, held = folds.rows(fold)
        assert not set(train) & set(held)
        if grouped and fold:
            assert not set(groups[train]) & set(groups[held])


def test_a_part_never_holds_the_test_split():
    own = make_own_task(texts(), None)
    folds = Folds(own.data.labels[own.pool], len(own.task.train))
    for fold in range(3):
        part = part_of(own.task, folds, fold, 10)
        assert len(part.train) == 10
        assert not set(own.task.test.inputs) & {*part.train.inputs, *part.validation.inputs}


def test_the_name_follows_the_content():
    first, again = make_own_task(texts(), None), make_own_task(texts(), None)
    assert first.name == again.name
    changed = texts()
    changed.items[0] = "another text"
    assert make_own_task(changed, None).name != first.name


def test_a_class_without_training_examples_is_refused():
    data = texts()
    data.splits[data.labels == 1] = "test"
    with pytest.raises(UserError, match="no training example|no validation"):
        make_own_task(data, None)


def test_texts_are_advised_and_the_classical_model_comes_back(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    advice = advise(Request(write_texts(tmp_path / "cats.csv"), image_size=16, minutes=0.0045))
    told = advice.as_dict()
    assert told["n_classes"] == 2 and told["settings"]["backbone"] == "minilm"
    assert {row["approach"] for row in told["candidates"]} >= {"feature_extraction", "classical"}
    assert told["approach"] == "classical"  # nothing else fits into so little time
    export_model(advice, tmp_path / "model")
    model = load_model(tmp_path / "model")
    assert model.classify(["purrs and fur whiskers", "piston torque gear"]) == ["cat", "engine"]
    assert model.test_accuracy() == pytest.approx(model.recipe["test"]["accuracy"])


def test_an_open_choice_names_the_likeliest_and_counts_the_others():
    assert _open_reasons([]) == []
    names = list(APPROACHES)[:5]
    (told,) = _open_reasons(names)
    assert all(phrase_of(name) in told for name in names[:3])
    assert "and 2 more" in told and phrase_of(names[4]) not in told
    assert "more" not in _open_reasons(names[:1])[0]
