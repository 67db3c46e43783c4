"""What is committed of the notebooks: paired, by the rules, linked, with worked exercises."""

import importlib
from pathlib import Path

import nbformat
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from helpers.display.figures import figure, png_bytes
from helpers.display.sliders import encode
from tools.notebooks import build_notebooks as build
from tools.notebooks import notebook_rules as rules
from tools.notebooks.notebook_cleaning import VIEW

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCES = sorted((ROOT / "notebooks" / "sources").glob("*.py"))
PAGES = [*ROOT.glob("*.md"), *(ROOT / "data").glob("*.md")]
GOOD = {
    "title": "# Is it so?\n\nYes.\n\n**Needs:** nothing.",
    "imports": "from helpers.display import explore",
    "look": "**Predict first:** which one is higher?",
    "explore": "explore(draw, n=(1, 2, 1))",
    "remember": "## What to remember\n\nIt is so.\n\n## Exercises",
    "exercise": "answer = ...\ncheck('00.1', answer)",
}


def by_name(path):
    return path.stem


@pytest.mark.files
def test_notebooks_equal_their_sources():
    assert build.check(build.Collection()) == []


@pytest.mark.files
@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_a_notebook_keeps_the_rules(path):
    assert path.stat().st_size <= rules.LARGEST_FILE
    cells = nbformat.read(path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if not rules.is_code(cell))
    assert rules.faults(cells) + list(rules.link_faults(text, path.parent)) == []


@pytest.mark.files
@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_links_of_a_page_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    assert list(rules.link_faults(text, path.parent)) == []


@pytest.mark.files
@pytest.mark.parametrize("path", SOURCES, ids=by_name)
def test_exercises_have_answers_and_solutions(path):
    number = path.stem[:2]
    asked = rules.exercises(path.read_text(encoding="utf-8"))
    answers = importlib.import_module(f"helpers.lessons.exercises.n{number}").ANSWERS
    worked = (ROOT / "notebooks" / "solutions" / path.name).read_text(encoding="utf-8")
    assert asked == sorted(set(asked)) == sorted(answers)
    assert asked == rules.exercises(worked)
    assert all(one.startswith(f"{number}.") for one in asked)
    assert all(answer.hints for answer in answers.values())


# The rules themselves: a good notebook has no fault, and each fault is seen.


def good_cells(**changes):
    """Return the cells of a notebook that keeps the rules, with some of its cells changed."""
    made = []
    for name, source in (GOOD | changes).items():
        if name in ("imports", "explore", "exercise"):
            output = new_output("stream", name="stdout", text="1\n")
            made.append(new_code_cell(source, outputs=[output], execution_count=1))
        else:
            made.append(new_markdown_cell(source))
    return made


def picture(alt="A line", width=5.0, height=3.0):
    drawn, _ = figure("x", width=width, height=height)
    data = {"image/png": encode(png_bytes(drawn))}
    return new_output("display_data", data=data, metadata={"image/png": {"alt": alt}})


def table(rows):
    return new_output("display_data", data={"text/html": "<table>" + "<tr></tr>" * rows})


def with_output(output):
    cells = good_cells()
    cells[3].outputs = [output]
    return cells


def test_a_good_notebook_has_no_fault():
    assert rules.faults(good_cells()) == []
    assert rules.faults(with_output(picture())) == []
    assert rules.faults(with_output(table(13))) == []


@pytest.mark.parametrize(
    ("part", "source", "fault"),
    [
        ("title", "# It is so.\n\n**Needs:** nothing.", "not a title that asks"),
        ("title", "# Is it so?\n\nYes.", "no line **Needs:**"),
        ("imports", "x = 1", "imports nothing"),
        ("imports", "from helpers.display import *", "import *"),
        ("imports", "from helpers.display.plots import plot_race", "the package around it"),
        ("imports", "import helpers.results.runs as runs", "the package around it"),
        ("explore", "import math\nexplore(draw, n=(1, 2, 1))", "only the first code cell does"),
        ("explore", "\n".join(["explore(draw)"] * 16), "has 16 lines"),
        ("explore", "%time explore(draw)", "magic"),
        ("explore", "!ls explore(", "shell"),
        ("explore", "os.environ['A']; explore(draw)", "os.environ"),
        ("explore", "draw(1)", "no explore()"),
        ("explore", 'explore(load_task("clothing", n_train=60))', "print the task"),
        ("exercise", "answer = 1", "no check()"),
        ("look", "Which one is higher?", "predicted"),
        ("look", "Predict. It reached 0.731 here.", "types '0.731'"),
        ("look", "Predict. It took 12 seconds.", "types '12 seconds'"),
        ("look", "Predict. It gained 3.5 points.", "types '3.5 points'"),
        ("look", "Predict. <div>it</div>", "markup"),
        ("remember", "## Exercises\n\n## What to remember", "the last two sections"),
    ],
)
def test_each_fault_of_the_text_is_seen(part, source, fault):
    found = rules.faults(good_cells(**{part: source}))
    assert any(fault in one for one in found), found


@pytest.mark.parametrize(
    "words",
    ["a 95 % interval", "`lr=0.001`", "$0.25 x$", "It reached 82.44 % (Deitsch et al., 2019)."],
)
def test_settings_and_published_numbers_may_be_typed(words):
    assert rules.faults(good_cells(look=f"Predict. {words}")) == []


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        (new_output("error", ename="ValueError", evalue="", traceback=[]), "failed: ValueError"),
        (new_output("stream", name="stderr", text="UserWarning"), "warned"),
        (new_output("stream", name="stdout", text="<A at 0x7f00aa11>"), "memory address"),
        (new_output("stream", name="stdout", text="a word " * 16), "breaks within words"),
        (picture(alt=""), "without alt text"),
        (table(20), "more than twelve rows"),
        (new_output("display_data", data={VIEW: {}}), "widget's view"),
        (
            new_output("display_data", data={"text/markdown": "won **nan%**"}),
            "no number",
        ),
        (new_output("display_data", data={"text/html": "<td>full fine-...</td>"}), "cut off"),
        (new_output("display_data", data={"text/html": "<tbody>\n </tbody>"}), "empty table"),
    ],
)
def test_each_fault_of_an_output_is_seen(output, fault):
    found = rules.faults(with_output(output))
    assert any(fault in one for one in found), found


def test_a_notebook_that_says_which_data_it_read_has_no_fault():
    cells = good_cells(explore='explore(load_task("clothing", n_train=60))')
    text = "clothing: 10 classes, 60 train, 100 validation, 372 test (the shipped sample)\n"
    cells[3].outputs = [new_output("stream", name="stdout", text=text)]
    assert rules.faults(cells) == []


def test_large_pictures_are_seen():
    large = Figure(figsize=(9, 3), dpi=100)
    output = picture()
    output.data["image/png"] = encode(png_bytes(large))
    assert any("900 by 300 pixels" in one for one in rules.faults(with_output(output)))
    assert rules.faults(with_output(picture(width=8.0, height=5.0))) == []


def test_bare_neighbours_and_stale_cells_are_seen():
    cells = good_cells()
    del cells[2]
    assert any("without a text cell" in one for one in rules.faults(cells))
    cells = good_cells()
    cells[3].execution_count = None
    assert any("was not run" in one for one in rules.faults(cells))
    cells = good_cells()
    for cell in cells:
        if rules.is_code(cell):
            cell.outputs = []
    assert any("nothing was run" in one for one in rules.faults(cells))


def test_links_are_followed(tmp_path):
    (tmp_path / "there.md").write_text("# One `thing`, here\n", encoding="utf-8")
    good = "[a](there.md) [b](there.md#one-thing-here) [c](https://example.org) `[d](gone)`"
    assert list(rules.link_faults(good, tmp_path)) == []
    bad = "[a](gone.md) [b](there.md#two) [c](/there.md)"
    assert len(list(rules.link_faults(bad, tmp_path))) == 3


def test_exercises_are_found_in_order():
    text = 'check("03.1", answer)\ncheck(\n    "03.2",\n    answer,\n)'
    assert rules.exercises(text) == ["03.1", "03.2"]
