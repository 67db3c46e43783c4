"""Folders that `advise --export` wrote in earlier versions load, and answer as they did then.

What lies in exports/ was written at commit ffcfda3, from the tiny pictures and texts of the tests;
one label in each test.csv is wrong, so that an accuracy of 1 would be an error. probabilities.json
holds what that version answered. Pictures are named there by absolute paths, here by their names.
"""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import helpers.advisor
from helpers.advisor import export
from helpers.advisor.export import load_model

EXPORTS = Path(__file__).parent / "exports"
OLD_EXPORTS = ("image_lora", "image_classical", "text_head", "text_classical")


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


def test_the_loader_of_an_old_export_runs(tmp_path):
    folder = as_exported("text_classical", tmp_path / "model")
    (folder / "load_me.txt").rename(folder / "load_me.py")  # not one of the sources that are linted
    done = subprocess.run(
        [sys.executable, str(folder / "load_me.py"), "whiskers and fur"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "test accuracy, as reported: 0.8333 (n = 6)" in done.stdout
    assert done.stdout.splitlines()[-1] == "whiskers and fur: cat"


# The import of `load_me.py` in folders that were exported before the package had rooms.
BEFORE = "from helpers.advisor.exporting import load_model\n"


def test_load_model_is_where_exported_folders_look_for_it(tmp_path):
    script = tmp_path / "load_me.py"
    script.write_text(BEFORE, encoding="utf-8")
    found = runpy.run_path(str(script))["load_model"]
    assert found is export.load_model is helpers.advisor.load_model


def test_a_folder_that_is_exported_today_imports_a_package():
    assert "\nfrom helpers.advisor import load_model" in export.LOADER
