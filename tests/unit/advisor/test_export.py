"""Folders that earlier versions exported find what loads them."""

import runpy

import helpers.advisor
from helpers.advisor import export

# The import of `load_me.py` in folders that were exported before the package had rooms.
BEFORE = "from helpers.advisor.exporting import load_model\n"


def test_load_model_is_where_exported_folders_look_for_it(tmp_path):
    script = tmp_path / "load_me.py"
    script.write_text(BEFORE, encoding="utf-8")
    found = runpy.run_path(str(script))["load_model"]
    assert found is export.load_model is helpers.advisor.load_model


def test_a_folder_that_is_exported_today_imports_a_package():
    assert "\nfrom helpers.advisor import load_model" in export.LOADER
