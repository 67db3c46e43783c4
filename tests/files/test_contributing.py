"""CONTRIBUTING.md's examples: 15 lines each, and in notebook 00's races by being there."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import helpers.approaches
import helpers.backbones
import helpers.tasks
from helpers.approaches import APPROACHES
from helpers.backbones import BACKBONES
from helpers.registry import import_members
from helpers.tasks import TASKS
from helpers.vocabulary import APPROACH_STYLE, looks
from tools.notebooks import build_notebooks as build

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


@pytest.fixture(scope="module")
def notebook(root, contributed):
    """Run notebook 00 up to the tracks; return its names and what its cells showed."""
    names, shown = {}, []
    for cell in build.read_source(root / "notebooks" / "sources" / "00_start_here.py"):
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "notebook 00", "exec"), names)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), "notebook 00", "eval"), names))
        if cell.source.startswith("plot_tracks("):
            return names, shown
    raise AssertionError("notebook 00 has no cell that starts with plot_tracks(")


def legend(picture):
    return [text.get_text() for text in picture.axes[0].get_legend().get_texts()]


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


def test_the_new_approach_is_in_the_race_and_its_figure(notebook):
    names, shown = notebook
    race = names["race"].set_index("approach")
    assert set(race.index) == set(APPROACHES) and "bias_tuning" in race.index
    row = race.loc["bias_tuning"]
    assert row.trainable_params < race.loc["full_fine_tuning"].trainable_params
    assert row.trainable_params > race.loc["feature_extraction"].trainable_params
    _, drawn, *_ = [one for one in shown if hasattr(one, "axes")]  # after the grid of photos
    assert "bias tuning" in legend(drawn)
    assert any("| Bias tuning |" in getattr(one, "data", "") for one in shown)


def test_the_new_task_and_backbone_are_on_the_tracks(notebook):
    names, shown = notebook
    assert names["missing"] == []
    tracks = set(names["laps"].track)
    assert {"pocket on small_digits", "pocket_lower on small_digits"} <= tracks
    assert "pocket_lower on products_near" in tracks
    assert not any("products_source" in track for track in tracks)
    labels = [tick.get_text() for tick in shown[-1].axes[0].get_yticklabels()]
    assert set(labels) == tracks


def test_the_new_approach_looks_like_no_other():
    found = looks([*APPROACH_STYLE, "bias_tuning", "another"])
    assert len({(look.colour, look.marker) for look in found.values()}) == len(found)
    assert len({look.marker for look in found.values()}) == len(found)
    assert found["bias_tuning"].label == "bias tuning"
