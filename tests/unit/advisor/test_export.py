"""Folders that earlier versions exported find what loads them, and answer as they did then.

What lies in exports/ was written at commit ffcfda3, from the tiny pictures and texts of the tests;
one label in each test.csv is wrong, so that an accuracy of 1 would be an error. probabilities.json
holds what that version answered. Pictures are named there by absolute paths, here by their names.
"""

import contextlib
import errno
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from own import with_splits, write_texts
from PIL import Image

import helpers.advisor
from helpers.advisor import export, model_folder
from helpers.advisor.export import load_model, write_export
from helpers.advisor.race.runs import RaceFile, RaceRun, execute
from helpers.advisor.read.any_format import read_data
from helpers.advisor.task import make_own_task
from helpers.errors import UserError
from tools.attack import subjects

# The import of `load_me.py` in folders that were exported before the package had rooms.
BEFORE = "from helpers.advisor.exporting import load_model\n"
EXPORTS = Path(__file__).parent / "exports"
OLD_EXPORTS = ("image_lora", "image_classical", "text_head", "text_classical")


def test_load_model_is_where_exported_folders_look_for_it(tmp_path):
    script = tmp_path / "load_me.py"
    script.write_text(BEFORE, encoding="utf-8")
    found = runpy.run_path(str(script))["load_model"]
    assert found is export.load_model is helpers.advisor.load_model


def test_a_folder_that_is_exported_today_imports_a_package():
    assert "\nfrom helpers.advisor import load_model" in export.LOADER


def as_exported(name, folder):
    """Copy an old export; its test examples are named by their full paths, as it wrote them."""
    shutil.copytree(EXPORTS / name, folder)
    listed = folder / "test.csv"
    text = listed.read_text(encoding="utf-8")
    for picture in (EXPORTS / "pictures").iterdir():
        text = text.replace(picture.name, str(picture))
    listed.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", OLD_EXPORTS)
def test_an_old_export_answers_as_it_did(name, tmp_path):
    model = load_model(as_exported(name, tmp_path / name))
    assert model.test_accuracy() == pytest.approx(5 / 6)
    assert model.recipe["test"]["accuracy"] == pytest.approx(5 / 6)
    rows = (model.folder / "test.csv").read_text(encoding="utf-8").splitlines()[1:]
    answered = model.probabilities([row.rpartition(",")[0] for row in rows])
    expected = json.loads((model.folder / "probabilities.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(answered, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["image_lora", "text_head"])
def test_files_that_cannot_be_read_are_named_together(name, tmp_path):
    model = load_model(as_exported(name, tmp_path / name))
    broken = [tmp_path / f"{number}.txt" for number in range(7)]
    for file in broken:
        file.write_bytes(b"k\xf6ln")
    with pytest.raises(
        UserError, match=r"^7 of 7 files .* \(0.txt, .*, 4.txt and 2 more\); the fir"
    ):
        model.classify(broken)
    with pytest.raises(UserError, match="^[^;]*0.txt is not"):
        model.classify(broken[:1])


def test_the_script_of_an_old_export_runs(tmp_path, monkeypatch, capsys):
    folder = as_exported("text_classical", tmp_path / "model")
    # It lies here under another suffix, since it is none of the sources that are linted.
    script = (folder / "load_me.txt").rename(folder / "load_me.py")
    monkeypatch.setattr(sys, "argv", [str(script), "whiskers and fur"])
    runpy.run_path(str(script))
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script))
    told = capsys.readouterr().out
    assert BEFORE.partition("\n")[0] in script.read_text(encoding="utf-8")
    assert "test accuracy, as reported: 0.8333 (n = 6)" in told
    assert "whiskers and fur: cat" in told.splitlines()
    assert told.splitlines()[-1] == "test accuracy, worked out again: 0.8333"


# --- other pictures under the same names ----------------------------------------------------------


def bright_and_dark(folder, drawn):
    """Class folders of 30 pictures each, of one time; drawn(label, rng): a picture's values."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("defect", "sound")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(30):
            file = folder / name / f"{number:03}.bmp"
            Image.fromarray(drawn(label, rng).astype(np.uint8)).save(file)
            os.utime(file, (1.6e9, 1.6e9))
    return folder


def reported_and_worked_out(data, model):
    """Accuracy of a model on its test: as decoded for the training, and as its export finds it."""
    own = subjects.own_task(data)
    kept = subjects.trained(own, "classical", 0)
    right = load_model(kept).predict(own.task.test.inputs) == own.task.test.labels
    write_export(kept, own, {"accuracy": float(right.mean()), "n": len(right)}, model)
    loaded = load_model(model)
    return loaded.recipe["test"]["accuracy"], loaded.test_accuracy()


def easy(label, rng):
    return rng.integers(0, 60, (28, 28)) + 150 * label


CHANGES = {
    "noise in their place": ("a/photos", lambda label, rng: rng.integers(0, 256, (28, 28)), False),
    "the classes changed over": ("a/photos", lambda label, rng: easy(1 - label, rng), True),
    "a folder of that name elsewhere": ("b/photos", lambda label, rng: easy(0, rng), False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_reported_is_of_the_pixels_that_are_there(change, tmp_path, monkeypatch):
    """Names, sizes and times of all files are those of pictures that were looked at before."""
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    place, drawn, learned = CHANGES[change]
    first = bright_and_dark(tmp_path / "a" / "photos", easy)
    assert set(reported_and_worked_out(first, tmp_path / "first")) == {1.0}
    stamps = [(f.name, f.stat().st_size, f.stat().st_mtime) for f in sorted(first.rglob("*.bmp"))]
    other = bright_and_dark(tmp_path / place, drawn)
    assert stamps == [
        (f.name, f.stat().st_size, f.stat().st_mtime) for f in sorted(other.rglob("*.bmp"))
    ]
    reported, worked_out = reported_and_worked_out(other, tmp_path / "second")
    assert reported == worked_out
    assert reported == 1.0 if learned else reported < 0.9


# --- one export over another ----------------------------------------------------------------------

FIRST, SECOND = {"accuracy": 0.25, "n": 1}, {"accuracy": 0.75, "n": 2}


class Exports:
    """Two models of the same data, which differ in their strength of regularisation."""

    def __init__(self, own, kept, folder):
        self.own, self.kept, self.folder = own, kept, folder

    def write(self, number, test):
        write_export(self.kept[number], self.own, test, self.folder)


@pytest.fixture
def exports(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    own = make_own_task(with_splits(read_data(write_texts(tmp_path / "cats.csv"))), None)
    race, kept = RaceFile(own, "minilm", 16), []
    for lr in (0.01, 10.0):
        job = RaceRun("classical", len(own.task.train), 0, lr, 1, 0)
        execute(job, race, backbone=None)
        kept.append(race.model_folder(job))
    return Exports(own, kept, tmp_path / "model")


def test_a_new_export_takes_an_old_one_s_place_and_leaves_what_is_not_its_own(exports, tmp_path):
    as_exported("text_classical", exports.folder)
    (exports.folder / "notes.txt").write_text("mine")
    exports.write(0, FIRST)
    model = load_model(exports.folder)
    assert model.recipe["test"] == FIRST and model.test_accuracy() > 0.5
    exports.write(1, SECOND)
    assert load_model(exports.folder).recipe["test"] == SECOND
    names = sorted(file.name for file in exports.folder.glob("*.*"))
    assert len(names) == 7, names  # ours, notes.txt, and two that came with the old one
    assert "notes.txt" in names and "model.safetensors" not in names and "test.csv" not in names


@pytest.mark.parametrize("name", ["test.csv", "model.safetensors", "notes.txt"])
def test_files_of_the_same_names_that_no_export_wrote_are_left(exports, name):
    for number in (0, 1):  # into a folder that has such a file, and over an export that got one
        exports.folder.mkdir(exist_ok=True)
        (exports.folder / name).write_text("mine", encoding="utf-8")
        exports.write(number, FIRST)
        assert (exports.folder / name).read_text(encoding="utf-8") == "mine"
    load_model(exports.folder)


def test_a_recipe_that_no_export_wrote_is_left(exports):
    exports.folder.mkdir()
    (exports.folder / "recipe.json").write_text('{"soup": 1}', encoding="utf-8")
    with pytest.raises(UserError, match="name another folder"):
        exports.write(0, FIRST)
    assert [file.name for file in exports.folder.iterdir()] == ["recipe.json"]


@pytest.mark.parametrize("place", ["a b", "/"])
def test_the_script_runs_from_any_folder(exports, tmp_path, place):
    exports.write(0, FIRST)
    here = tmp_path / place
    here.mkdir(exist_ok=True)
    (tmp_path / "cat.txt").write_text("whiskers and fur", encoding="utf-8")
    script, text = (os.path.relpath(file, here)
                    for file in (exports.folder / "load_me.py", tmp_path / "cat.txt"))  # fmt: skip
    done = subprocess.run(
        [sys.executable, script, text], cwd=here, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"{text}: cat"


@pytest.mark.parametrize(
    ("number", "there"),
    [(errno.ENOSPC, "an export"), (errno.EIO, "a file of yours"), (errno.EDQUOT, "nothing")],
)
def test_a_full_disk_leaves_what_was_there_whole(exports, monkeypatch, number, there):
    exports.folder.mkdir()
    if there == "an export":
        exports.write(0, FIRST)
    elif there == "a file of yours":
        (exports.folder / "test.csv").write_text("mine", encoding="utf-8")
    before = {file.name: file.read_bytes() for file in exports.folder.iterdir()}
    real, left = export.write_whole, []

    def full(path, data, **how):
        left.append(left.pop() - 1)
        if not left[-1]:
            raise OSError(number, os.strerror(number))
        real(path, data, **how)

    for module in (export, model_folder):
        monkeypatch.setattr(module, "write_whole", full)
    for stop in (2, 3, 4):  # tensors, test examples, the recipe
        left[:] = [stop]
        with pytest.raises(UserError, match=os.strerror(number)):
            exports.write(1, SECOND)
        after = {f.name: f.read_bytes() for f in exports.folder.iterdir()}
        if there != "an export":  # what loads it may lie there alone, and then says so
            after.pop("load_me.py")
            with pytest.raises(UserError, match="recipe.json"):
                load_model(exports.folder)
        assert after == before


@pytest.mark.parametrize("part", ["model-*.safetensors", "test-*.csv"])
def test_parts_of_two_models_are_refused(exports, tmp_path, part):
    exports.write(0, FIRST)
    (first,) = exports.folder.glob(part)
    before = first.read_bytes()
    exports.write(1, SECOND)
    (mine,) = exports.folder.glob(part)
    whole = mine.read_bytes()
    for content in {b"", whole[:-1], whole + b" ", before} - {whole}:
        mine.write_bytes(content)
        with pytest.raises(UserError, match=f"{mine.name} was altered.*export the model again"):
            load_model(exports.folder).test_accuracy()


def test_every_byte_of_a_recipe_counts(exports):
    exports.write(0, FIRST)
    file = exports.folder / "recipe.json"
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UserError):
            load_model(exports.folder)


@pytest.mark.parametrize(
    "recipe",
    [b"", b"[]", b"7", b"null", b'"x"', b"[" * 100_000, b"9" * 30, b"{}", b"\xff\xfe",
     b'{"approach": ["lora"]}', b'{"approach": "classical", "modality": 1e99, "lr": []}',
     b'{"files": 3}', b'{"seal": [], "files": {}}'],
)  # fmt: skip
def test_a_recipe_of_any_kind_is_refused_in_one_sentence(tmp_path, recipe):
    folder = as_exported("text_classical", tmp_path / "model")
    (folder / "recipe.json").write_bytes(recipe)
    with pytest.raises(UserError) as error:
        load_model(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [None, [], "x", 10**30, [[[]]], 1e400], ids=repr)
@pytest.mark.parametrize(
    ("name", "key"),
    [*(("text_classical", key) for key in ("approach", "modality", "classes", "vocabulary", "lr")),
     *(("image_lora", key) for key in ("seed", "image_size", "settings", "backbone"))],
)  # fmt: skip
def test_values_of_other_kinds_in_an_old_recipe_are_refused_or_harmless(tmp_path, name, key, value):
    folder = as_exported(name, tmp_path / name)
    recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    assert key in recipe
    (folder / "recipe.json").write_text(json.dumps(recipe | {key: value}), encoding="utf-8")
    with contextlib.suppress(UserError):
        load_model(folder).test_accuracy()


def test_a_damaged_model_of_the_cache_is_trained_again(exports, capsys):
    (file,) = exports.kept[0].glob("model-*.safetensors")
    file.write_bytes(bytes(file.stat().st_size))
    assert not model_folder.is_kept(exports.kept[0]) and "is damaged" in capsys.readouterr().err
    assert model_folder.is_kept(exports.kept[1]) and not exports.kept[0].exists()
