"""CONTRIBUTING.md's examples: 15 lines each, and in notebook 00's race by being there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import helpers.approaches
import helpers.backbones
import helpers.tasks
from helpers.approaches import APPROACHES
from helpers.backbones import BACKBONES, load_backbone
from helpers.display import plot_approaches
from helpers.display.diagrams import anatomy
from helpers.lessons import photos
from helpers.registry import import_members
from helpers.tasks import TASKS
from helpers.vocabulary import APPROACH_STYLE, looks

REGISTRIES = {"tasks": TASKS, "backbones": BACKBONES, "approaches": APPROACHES}
TABLES = (*REGISTRIES.values(), APPROACH_STYLE)
NAMES = {"tasks": "small_digits", "backbones": "pocket_lower", "approaches": "bias_tuning"}
LINES = 15


def examples(root):
    """Return the code of each example, by the package that its file goes into."""
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.findall(r"`helpers/(\w+)/(\w+)\.py`:\n\n```python\n(.+?)```", text, re.DOTALL)
    return {package: (name, code) for package, name, code in found}


@pytest.fixture(scope="module")
def contributed(root, tmp_path_factory):
    """Put each example into its package, as a contributor would, and take it out again."""
    before = {package: dict(entries) for package, entries in REGISTRIES.items()}
    held = [dict(table) for table in TABLES]
    folders = {}
    for package, (name, code) in examples(root).items():
        folders[package] = str(tmp_path_factory.mktemp(package))
        Path(folders[package], f"{name}.py").write_text(code, encoding="utf-8")
        getattr(helpers, package).__path__.append(folders[package])
        import_members(f"helpers.{package}")
    yield {package: set(REGISTRIES[package]) - set(before[package]) for package in before}
    for package, folder in folders.items():
        getattr(helpers, package).__path__.remove(folder)
        sys.modules.pop(f"helpers.{package}.{NAMES[package]}", None)
    for table, entries in zip(TABLES, held, strict=True):
        table.clear()
        table.update(entries)


@pytest.mark.parametrize("package", NAMES)
def test_an_example_has_fifteen_lines_and_is_clean(root, package):
    name, code = examples(root)[package]
    assert name == NAMES[package]
    assert sum(bool(line.strip()) for line in code.splitlines()) <= LINES
    command = [sys.executable, "-m", "ruff", "check", "--stdin-filename", f"{name}.py", "-"]
    done = subprocess.run(command, input=code, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_file_that_is_there_is_found(contributed):
    assert contributed == {package: {name} for package, name in NAMES.items()}


def test_the_new_approach_is_in_the_race_and_in_the_diagram(contributed):
    names = photos.entrants()
    assert names == [*photos.WAIT_FOR, "bias_tuning"]
    rows = photos.live_race("digits", "pocket", n_train=30, seeds=(0,), epochs=1, n_test=40)
    assert set(rows["approach"]) == set(names)
    drawn = plot_approaches()
    assert "Bias tuning" in [text.get_text() for text in drawn.axes[0].texts]
    parts = anatomy(APPROACHES["bias_tuning"], load_backbone("pocket"))
    assert all(0 < part.share < 1 and not part.inserted for part in parts)


def test_the_new_task_and_backbone_race_by_name(contributed):
    names = ("feature_extraction", "bias_tuning")
    how = {"names": names, "n_train": 40, "seeds": (0,), "epochs": 1, "n_test": 50}
    for task in ("small_digits", "products_near"):
        rows = photos.live_race(task, "pocket_lower", **how)
        assert rows["approach"].tolist() == list(names) and rows["accuracy"].between(0, 1).all()


def test_the_new_approach_looks_like_no_other():
    found = looks([*APPROACH_STYLE, "bias_tuning", "another"])
    assert len({(look.colour, look.marker) for look in found.values()}) == len(found)
    assert len({look.marker for look in found.values()}) == len(found)
    assert found["bias_tuning"].label == "bias tuning"
