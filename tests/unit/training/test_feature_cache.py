"""Cached features: equal to computing them each time, keyed by content, safe on a full disk."""

import errno
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_task, tiny_text_task

from helpers.approaches import get_approach
from helpers.approaches.fine_tuning import PartialOptions
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.runtime import release_pages
from helpers.storage import upkeep
from helpers.training import feature_cache


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """A cache folder per test, so that nothing is found there but what the test put in."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(feature_cache, "cache_dir", lambda: folder)
    return folder


@pytest.fixture
def pocket():
    return load_backbone("pocket", pretrained=False, seed=0)


def test_features_equal_a_plain_forward_pass(pocket):
    inputs = tiny_task(150).train.inputs
    cached = feature_cache.extract_features(pocket, inputs)
    with torch.inference_mode():
        plain = pocket.pool(pocket(pocket.prepare(torch.from_numpy(inputs))))
    assert cached.shape == (150, pocket.feature_size)
    assert np.allclose(cached, plain.numpy(), atol=1e-5)


@pytest.mark.parametrize(("shape", "together"), [((28, 28, 3), 64), ((128, 128, 3), 64),
                                                 ((224, 224, 3), 20), ((4_000, 4_000, 3), 1),
                                                 ((64,), 64)])  # fmt: skip
def test_fewer_large_pictures_go_through_together(shape, together):
    assert feature_cache._batch_size(np.empty((5, *shape), np.uint8)) == together


def test_a_second_call_computes_nothing(pocket, monkeypatch):
    inputs = tiny_task().train.inputs
    first = feature_cache.extract_features(pocket, inputs)

    def refuse(*args):
        raise AssertionError("computed again")

    monkeypatch.setattr(feature_cache, "_compute", refuse)
    assert np.array_equal(feature_cache.extract_features(pocket, inputs), first)


def test_other_weights_inputs_or_stages_are_computed_anew(pocket, own_cache):
    task = tiny_task()
    feature_cache.frozen_prefix(pocket, task.train.inputs, 2)
    count = len(list(own_cache.rglob("facts.json")))
    other = load_backbone("pocket", pretrained=False, seed=1)
    feature_cache.frozen_prefix(other, task.train.inputs, 2)
    feature_cache.frozen_prefix(pocket, task.test.inputs, 2)
    feature_cache.frozen_prefix(pocket, task.train.inputs, 3)
    feature_cache.frozen_prefix(pocket, task.train.inputs, 2, augment="mirror", view=1)
    assert len(list(own_cache.rglob("facts.json"))) == count + 4
    with torch.no_grad():  # weights above the cut do not matter to what lies below
        pocket.stages[4].conv1.weight += 1
    feature_cache.frozen_prefix(pocket, task.train.inputs, 2)
    assert len(list(own_cache.rglob("facts.json"))) == count + 4


def test_features_in_bfloat16_are_entries_of_their_own():
    texts, minilm = tiny_text_task().test.inputs, load_backbone("minilm", pretrained=False)
    whole = feature_cache.frozen_prefix(minilm, texts, minilm.n_stages).arrays[0]
    with torch.autocast("cpu", torch.bfloat16):
        half = feature_cache.frozen_prefix(minilm, texts, minilm.n_stages).arrays[0]
    assert not np.array_equal(whole, half) and np.allclose(whole, half, atol=0.1)


@pytest.mark.parametrize("top_stages", [1, 2, 4])
def test_partial_fine_tuning_on_cached_prefixes_equals_the_uncached_run(pocket, top_stages):
    task = tiny_task(96)
    approach = get_approach("partial_fine_tuning")
    config = approach.config("image", 96, epochs=3, batch_size=16, device="cpu")
    options = PartialOptions(top_stages=top_stages)
    runs = [
        approach.fit(load_backbone("pocket", pretrained=False), task, config, options, cache=cache)
        for cache in (True, False)
    ]
    assert runs[0].model.start and not runs[1].model.start
    assert np.allclose(runs[0].history.train_loss, runs[1].history.train_loss, atol=1e-4)
    assert torch.allclose(runs[0].predict(task.test), runs[1].predict(task.test), atol=1e-3)


def test_text_prefixes_equal_the_uncached_run():
    task = tiny_text_task()
    approach = get_approach("partial_fine_tuning")
    config = approach.config("text", 24, epochs=2, batch_size=8, device="cpu")
    runs = [
        approach.fit(load_backbone("minilm", size=16), task, config, cache=cache)
        for cache in (True, False)
    ]
    # Batches are drawn by length, which cached and raw texts report alike.
    assert np.allclose(runs[0].history.train_loss, runs[1].history.train_loss, atol=1e-3)


def test_augmentation_is_cached_as_several_views(pocket):
    task = tiny_task()
    approach = get_approach("feature_extraction")
    plain = feature_cache.frozen_prefix(pocket, task.train.inputs, pocket.n_stages).arrays[0]
    views = [
        feature_cache.frozen_prefix(
            pocket, task.train.inputs, pocket.n_stages, augment="mirror+shift", view=v
        ).arrays[0]
        for v in range(3)
    ]
    assert np.array_equal(views[0], plain)
    assert not np.allclose(views[1], plain, atol=1e-3)
    assert not np.allclose(views[1], views[2], atol=1e-3)
    options = replace(approach.options(), augment="mirror+shift", views=3)
    config = approach.config("image", 64, epochs=6)
    fitted = approach.fit(pocket, task, config, options)
    assert fitted.prepare_seconds > 0
    assert fitted.accuracy(task.test) > 0.5


def test_without_a_cache_nothing_stays_on_disk(pocket, own_cache):
    made = feature_cache.frozen_prefix(pocket, tiny_task().train.inputs, 2, cache=False)
    assert made.arrays[0].shape == (64, 14, 14, 24)
    assert not list(own_cache.rglob("*.npy"))


def test_a_full_disk_gives_one_sentence_and_leaves_no_half_file(pocket, own_cache, monkeypatch):
    real = np.lib.format.write_array_header_1_0

    def full(file, header):
        real(file, header)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(UserError, match="disk is full.*No space left.*TRANSFER_CACHE"):
        feature_cache.extract_features(pocket, tiny_task().train.inputs)
    assert not list(own_cache.rglob("*.npy"))
    monkeypatch.undo()


def test_the_cache_forgets_what_was_used_longest_ago(pocket, own_cache, monkeypatch):
    task = tiny_task()
    feature_cache.frozen_prefix(pocket, task.train.inputs, 2)
    monkeypatch.setitem(upkeep.KINDS, "features", ("features/*/*", 1e-9))
    feature_cache.frozen_prefix(pocket, task.test.inputs, 2)
    assert len(list(own_cache.rglob("facts.json"))) == 1


def test_trimming_leaves_what_another_process_is_making(pocket, own_cache, monkeypatch):
    making = own_cache / "features" / "pocket" / "1.partial"
    making.mkdir(parents=True)
    (making / "0.npy").write_bytes(b"half")
    monkeypatch.setitem(upkeep.KINDS, "features", ("features/*/*", 1e-9))
    feature_cache.extract_features(pocket, tiny_task().train.inputs)
    assert (making / "0.npy").exists()


@pytest.mark.parametrize("name", ["0.npy", "marks.npy", "facts.json"])
def test_a_changed_byte_is_said_and_computed_again(pocket, own_cache, name, capsys):
    inputs = tiny_task(40).train.inputs
    whole = np.array(feature_cache.extract_features(pocket, inputs))
    (file,) = own_cache.rglob(name)
    data = bytearray(file.read_bytes())
    data[-40] ^= 1
    file.write_bytes(data)
    assert np.array_equal(feature_cache.extract_features(pocket, inputs), whole)
    assert "is damaged" in capsys.readouterr().err
    assert np.array_equal(feature_cache.extract_features(pocket, inputs), whole)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", ["zeroed", "zeroed after its header", "of other inputs", "gone"])
def test_a_file_that_is_no_longer_its_own_is_computed_again(pocket, own_cache, damage):
    inputs = tiny_task(40).train.inputs
    whole = np.array(feature_cache.extract_features(pocket, inputs))
    (file,) = own_cache.rglob("0.npy")
    data = file.read_bytes()
    if damage == "of other inputs":  # as whole as can be, and of the same shape
        feature_cache.extract_features(pocket, inputs[::-1].copy())
        (other,) = set(own_cache.rglob("0.npy")) - {file}
        file.write_bytes(other.read_bytes())
    elif damage == "gone":
        file.unlink()
    else:
        file.write_bytes(data[: 128 * (damage != "zeroed")].ljust(len(data), b"\0"))
    assert whole.any()
    assert np.array_equal(feature_cache.extract_features(pocket, inputs), whole)


def test_damaged_rows_are_not_shared(pocket, own_cache, capsys):
    inputs = tiny_task(40).train.inputs
    feature_cache.extract_features(pocket, inputs)
    wanted = feature_cache.marks(pocket.encode(inputs))
    assert len(feature_cache.held(pocket, pocket.n_stages, wanted)) == 1
    (file,) = own_cache.rglob("0.npy")
    file.write_bytes(bytes(file.stat().st_size))
    assert feature_cache.held(pocket, pocket.n_stages, wanted) == []
    assert "is damaged" in capsys.readouterr().err
    assert not file.exists(), "it would be read, and said, each time"


def test_the_cache_may_be_deleted_while_features_are_computed(pocket, own_cache, monkeypatch):
    real, deleted = feature_cache.marks, []

    def marks(encoded):
        if not deleted:
            deleted.append(shutil.rmtree(own_cache))
        return real(encoded)

    monkeypatch.setattr(feature_cache, "marks", marks)
    found = feature_cache.extract_features(pocket, tiny_task(40).train.inputs)
    assert found.shape == (40, pocket.feature_size) and deleted


def test_trimming_bears_folders_that_come_and_go(own_cache):
    """Another process makes and renames entries all the while."""
    place = own_cache / "features" / "pocket"
    place.mkdir(parents=True)
    code = (
        "import pathlib, shutil, sys, time\n"
        "place, end, i = pathlib.Path(sys.argv[1]), time.time() + 3, 0\n"
        "while time.time() < end:\n"
        "    i += 1\n"
        "    scratch = place / f'{i}.partial'\n"
        "    scratch.mkdir()\n"
        "    (scratch / 'facts.json').write_text('{}')\n"
        "    scratch.rename(place / str(i))\n"
        "    shutil.rmtree(place / str(i))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(place)]) as other:
        while other.poll() is None:
            upkeep.trim("features", own_cache)
    assert other.returncode == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells of pages")
def test_pages_of_a_map_are_let_go_and_read_again_and_other_arrays_stay(tmp_path):
    def mapped_kb():
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))

    np.save(tmp_path / "a.npy", np.full((32, 1_000_000), 3, dtype=np.uint8))
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    before = mapped_kb()
    assert array.sum(dtype=int) == 96_000_000 and mapped_kb() > before + 25_000
    release_pages(array)
    assert mapped_kb() < before + 5_000 and array[31, 999_999] == 3
    changed = np.load(tmp_path / "a.npy", mmap_mode="c")
    changed[0] = 9
    release_pages(changed)
    release_pages(np.zeros(3))
    assert changed[0, 0] == 9
