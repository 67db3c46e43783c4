"""Parts of a pool share a frozen prefix: equal to computing it, each example once, no more."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from own import write_pictures
from tiny import tiny_task, tiny_text_task

from helpers.advisor.costs import Cost
from helpers.advisor.data import OwnData
from helpers.advisor.folds import Folds, folds_of, part_of
from helpers.advisor.hyperparameters import settings_of
from helpers.advisor.probe import frozen_features
from helpers.advisor.race.runs import RaceFile, RaceRun, execute, judged, right_of
from helpers.advisor.task import make_own_task
from helpers.approaches import get_approach, parse_options
from helpers.approaches.base import entering_examples
from helpers.backbones import clone, load_backbone
from helpers.tasks import Split
from helpers.training import feature_cache, subset_features


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """A cache folder per test, so that nothing is found there but what the test put in."""
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pocket():
    return load_backbone("pocket", pretrained=False, seed=0)


@pytest.fixture
def own(tmp_path):
    """Eighty pictures to learn and choose from, as own data."""
    root = write_pictures(tmp_path / "bars")
    files = sorted(root.rglob("*.png"))
    labels = np.array([int(file.parent.name[-1]) for file in files])
    splits = np.array([file.parent.parent.name for file in files])
    data = OwnData(Path(root), "image", files, labels, ("bar 0", "bar 1", "bar 2"), splits, None)
    return make_own_task(data, 28, 1)


def counted(backbone):
    """Count the rows that enter each stage of a backbone, and of its clones."""
    rows = Counter()
    for number, stage in enumerate(backbone.stages):

        def count(_module, given, number=number):
            state = given[0][0] if isinstance(given[0], tuple) else given[0]
            rows[number] += len(state)

        stage.register_forward_pre_hook(count)
    return rows


def pool_of(task):
    return subset_features.Pool(task.train, task.validation)


def plain(split):
    """The same examples as a split that knows of no pool."""
    return Split(split.inputs, split.labels)


def three_parts(task):
    """Rows of parts that overlap: some, most, and all in another order."""
    n = len(task.train) + len(task.validation)
    return [np.arange(0, n, 5), np.arange(n)[n // 3 :], np.random.default_rng(0).permutation(n)]


@pytest.mark.parametrize("stop", [2, 5])
def test_a_part_of_pictures_equals_the_direct_pass(pocket, stop, monkeypatch):
    monkeypatch.setattr(subset_features, "CHUNK", 17)  # so that a part lies in many entries
    task = tiny_task()
    pool = pool_of(task)
    everything = np.concatenate([task.train.inputs, task.validation.inputs])
    with torch.inference_mode():
        state = pocket(pocket.prepare(torch.from_numpy(everything)), stop=stop)
        pooled = stop == pocket.n_stages
        direct = (pocket.pool(state) if pooled else state.permute(0, 2, 3, 1)).numpy()
    for rows in three_parts(task):
        (found,) = subset_features.prefix(pocket, pool.part(rows), stop).arrays
        assert found.shape == (len(rows), *direct.shape[1:])
        assert np.allclose(found[np.arange(len(rows))], direct[rows], atol=1e-5)


@pytest.mark.parametrize("stop", [3, 7])
def test_a_part_of_texts_equals_the_direct_pass(stop, monkeypatch):
    monkeypatch.setattr(subset_features, "CHUNK", 7)
    minilm, task = load_backbone("minilm", size=16), tiny_text_task()
    pool = pool_of(task)
    for rows in three_parts(task):
        found = subset_features.prefix(minilm, pool.part(rows), stop).arrays
        direct = feature_cache.frozen_prefix(minilm, pool.take(rows), stop, cache=False).arrays
        assert len(found) == len(direct) == (1 if stop == minilm.n_stages else 2)
        mask = direct[-1] if len(direct) == 2 else None
        longest = direct[0].shape[1]
        shown = found[0][:][:, :longest]
        if mask is not None:
            assert np.array_equal(found[1][:, :longest], mask)
            assert not found[1][:, longest:].any()
            shown, direct = shown[mask], (direct[0][mask],)  # padding is read by nobody
        assert np.allclose(shown, direct[0], atol=1e-5)


def test_only_what_is_missing_is_computed_and_a_small_part_costs_a_small_part(pocket):
    rows, pool = counted(pocket), pool_of(tiny_task())
    subset_features.prefix(pocket, pool.part(np.arange(10)), 2)
    assert rows[0] == rows[1] == 10
    subset_features.prefix(pocket, pool.part(np.arange(5, 30)), 2)
    assert rows[0] == 30
    again = subset_features.Pool(*pool.splits)  # such as in another process
    subset_features.prefix(pocket, again.part(np.arange(29, -1, -1)), 2)
    assert rows[0] == 30
    subset_features.prefix(pocket, pool.part(np.arange(4)), 3)  # another cut is another question
    assert rows[0] == 34
    with torch.no_grad():
        next(pocket.stages[0].parameters()).add_(1)
    subset_features.prefix(pocket, pool.part(np.arange(4)), 2)
    assert rows[0] == 38


def test_each_example_passes_once_for_each_cut_across_folds_and_sizes(own, pocket, own_cache):
    race, rows = RaceFile(own, "pocket", 28), counted(pocket)
    asked = [(20, 0), (48, 0), (30, 3), (48, 1), (48, 2)]
    n = len(own.pool)
    for name, expected in {"feature_extraction": n, "partial_fine_tuning": 2 * n}.items():
        for place, (n_train, fold) in enumerate(asked):
            row = execute(RaceRun(name, n_train, fold, 1e-3, 2, 0), race, pocket)
            if place == 0:
                assert rows[0] == expected - n + 20 + len(own.task.validation)
        assert rows[0] == expected
        assert row["prepare_seconds"] < row["seconds"]
    entries = sorted(own_cache.rglob("facts.json"))
    execute(RaceRun("lp_ft", 48, 1, 1e-3, 2, 0), race, pocket)  # its probe reads the same features
    assert sorted(own_cache.rglob("facts.json")) == entries


def test_a_race_reads_the_features_that_the_look_computed(own, pocket):
    rows = counted(pocket)
    found = frozen_features(pocket, own)
    assert rows[0] == len(own.data)
    part = part_of(own.task, folds_of(own), 2, 30, own.examples)
    made = subset_features.prefix(pocket, part.train, pocket.n_stages)
    assert rows[0] == len(own.data)
    assert np.array_equal(made.arrays[0], found[own.pool[part.train.rows]])


@pytest.mark.parametrize("name", ["feature_extraction", "partial_fine_tuning", "lp_ft"])
def test_a_run_predicts_what_it_did_without_a_pool(own, pocket, name):
    approach, job = get_approach(name), RaceRun(name, 30, 2, 1e-3, 3, 0)
    row = SimpleNamespace(**execute(job, RaceFile(own, "pocket", 28), pocket))
    shared = part_of(own.task, folds_of(own), 2, 30, own.examples)
    apart = replace(shared, train=plain(shared.train), validation=plain(shared.validation))
    config = approach.config("image", 30, lr=1e-3, epochs=3, batch_size=32)
    logits = []
    for task in (shared, apart):
        options = parse_options(approach.options, settings_of(name, "image"))
        fitted = approach.fit(clone(pocket), task, config, options)
        logits.append(fitted.predict(task.validation))
    assert torch.allclose(*logits, atol=1e-4)
    assert np.array_equal(right_of(row), judged(fitted, apart.validation, job.seed))


def test_texts_are_trained_on_in_the_same_batches():
    task, minilm = tiny_text_task(), load_backbone("minilm", size=16)
    labels = np.concatenate([task.train.labels, task.validation.labels])
    shared = part_of(task, Folds(labels, len(task.train)), 1, 16)
    apart = replace(shared, train=plain(shared.train), validation=plain(shared.validation))
    approach = get_approach("partial_fine_tuning")
    config = approach.config("text", 16, epochs=2, batch_size=8)
    losses, logits = [], []
    for one in (shared, apart):
        fitted = approach.fit(clone(minilm), one, config)
        losses.append(fitted.history.train_loss)
        logits.append(fitted.predict(one.validation))
    assert np.allclose(*losses, atol=1e-4)
    assert torch.allclose(*logits, atol=1e-3)


def test_activations_stay_on_the_disk_and_inputs_are_not_read(pocket):
    pool = pool_of(tiny_task())
    subset_features.prefix(pocket, pool.part(np.arange(0, 90, 2)), 2)
    part = pool.part(np.arange(0, 60, 4))
    model = SimpleNamespace(backbone=pocket, start=2)
    examples, seconds, _ = entering_examples(model, part, None, None)
    assert all(isinstance(array, np.memmap) for array in examples.views[0][0].arrays)
    assert "inputs" not in vars(part)
    assert 0 < seconds <= pool.seconds


def test_augmented_views_are_those_of_the_split_itself(pocket):
    part = pool_of(tiny_task()).part(np.arange(3, 40))
    shared = subset_features.prefix(pocket, part, 2, augment="mirror", view=1).arrays[0]
    direct = feature_cache.frozen_prefix(pocket, part.inputs, 2, augment="mirror", view=1).arrays[0]
    assert np.array_equal(shared, direct)
    assert not np.allclose(shared, subset_features.prefix(pocket, part, 2).arrays[0][:], atol=1e-3)


def test_an_entry_without_marks_is_left_alone(pocket, own_cache):
    pool, rows = pool_of(tiny_task()), counted(pocket)
    subset_features.prefix(pocket, pool.part(np.arange(10)), 2)
    (file,) = own_cache.rglob(feature_cache.MARKS)
    file.unlink()
    subset_features.prefix(pocket, pool.part(np.arange(5)), 2)
    assert rows[0] == 15


def test_a_part_is_a_split():
    task = tiny_task()
    pool = pool_of(task)
    both = np.concatenate([task.train.inputs, task.validation.inputs])
    part = pool.part(np.array([70, 3, 64, 5])).take(slice(1, 3))
    assert len(part) == 2 and np.array_equal(part.inputs, both[[3, 64]])
    assert np.array_equal(part.labels, pool.labels[[3, 64]])
    whole = pool.part(np.arange(len(task.train)))
    assert np.shares_memory(whole.inputs, task.train.inputs)  # a large split is not copied
    texts = tiny_text_task()
    assert pool_of(texts).part(np.array([25, 0])).inputs == [
        texts.validation.inputs[1],
        texts.train.inputs[0],
    ]


def test_equal_texts_have_equal_marks_however_they_are_padded():
    short, long = np.array([[5, 6, 0]], np.int32), np.array([[5, 6, 0, 0, 0], [5, 6, 7, 0, 0]])
    long = long.astype(np.int32)
    assert (
        feature_cache.marks(short)[0]
        == feature_cache.marks(long)[0]
        != feature_cache.marks(long)[1]
    )
    flat, tall = np.zeros((1, 2, 6, 1), np.uint8), np.zeros((1, 6, 2, 1), np.uint8)
    assert feature_cache.marks(flat)[0] != feature_cache.marks(tall)[0]


def test_a_first_run_on_everything_leaves_no_prefix_to_be_computed():
    folds = Folds(np.arange(60) % 3, 40)
    first, other = (set(np.concatenate(folds.rows(fold))) for fold in (0, 2))
    assert first == set(range(60)) and other <= first


def test_a_prefix_that_is_there_costs_nothing_again():
    cost = Cost("partial_fine_tuning", 0.5, 0.01, 0.01, 0.0, 1.0, 1.0, 1.0, 10)
    recipe = SimpleNamespace(share=1.0, epochs=2)
    cold, warm = cost.seconds(recipe, 30, 10), cost.seconds(recipe, 30, 10, missing=0)
    assert cold - warm == pytest.approx(0.5 * 40)
    assert cost.seconds(recipe, 30, 10, missing=4) - warm == pytest.approx(0.5 * 4)
