"""The student version: stubs without answers, and nbgrader gives its points to the right ones."""

import importlib.util
import warnings

import nbformat
import pytest

from helpers.lessons.exercises.check import grade
from helpers.lessons.exercises.grading import Exercise, Score
from tools.classroom import make_student, student_cells
from tools.notebooks.build_notebooks import Collection
from tools.notebooks.notebook_rules import exercises, is_code

COLLECTION = Collection()
GRADED = ("07", "10")  # the quickest ones
MARKS = {"grade", "solution", "locked", "task", "schema_version", "grade_id"}


def by_name(path):
    return path.stem


@pytest.fixture(scope="module", params=COLLECTION.sources, ids=by_name)
def pair(request):
    """Return a source's text and its student notebook."""
    text = request.param.read_text(encoding="utf-8")
    return text, student_cells.student_notebook(COLLECTION, request.param)


@pytest.mark.files
def test_every_exercise_has_a_task_an_answer_and_a_test(pair):
    text, notebook = pair
    nbformat.validate(notebook)
    marked = {c.metadata.nbgrader.grade_id: c for c in notebook.cells if "nbgrader" in c.metadata}
    names = [name.replace(".", "-") for name in exercises(text)]
    wanted = [f"{kind}-{name}" for name in names for kind in ("task", "answer", "test")]
    assert list(marked) == wanted
    for name, cell in marked.items():
        meta, kind = cell.metadata.nbgrader, name.partition("-")[0]
        assert set(meta) - {"points"} == MARKS
        assert meta.schema_version == 3
        assert is_code(cell) == (kind != "task")
        assert (meta.solution, meta.grade) == (kind == "answer", kind == "test")
        assert meta.locked == (kind != "answer")
        assert ("points" in meta) == (kind == "test")


@pytest.mark.files
def test_what_is_outside_the_marks_gives_no_answer_away(pair):
    _, notebook = pair
    for cell in notebook.cells:
        assert "solutions/" not in cell.source
        assert "](../" not in cell.source
        if "nbgrader" not in cell.metadata or not is_code(cell):
            continue
        opening = "### BEGIN SOLUTION" if cell.metadata.nbgrader.solution else "### BEGIN HIDDEN"
        assert cell.source.count(opening) == 1
        before = cell.source.partition(opening)[0]
        assert "grade(" not in before


def test_two_calls_make_equal_notebooks(tmp_path):
    source = COLLECTION.find("07")
    for folder in ("a", "b"):
        make_student.write_sources(tmp_path / folder, COLLECTION, [source])
    paths = [tmp_path / f / "source" / source.stem / f"{source.stem}.ipynb" for f in ("a", "b")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_comes_before_the_first_exercise_belongs_to_its_answer(tmp_path):
    path = tmp_path / "99_x.py"
    path.write_text(
        "# %%\nfrom math import pi\n\nfrom helpers.lessons import check\n\n"
        '# %% [markdown]\n# **99.1** Double.\n\n# %%\nanswer = 2 * pi\ncheck("99.1", answer)\n\n'
        '# %%\nx = 1\n\n# %%\nanswer = x\ncheck("99.2", answer)\n',
        encoding="utf-8",
    )
    found = student_cells.worked(path)
    assert found == {
        "99.1": "from math import pi\n\nanswer = 2 * pi",
        "99.2": "x = 1\n\nanswer = x",
    }


def test_a_stub_of_code_stays_for_the_class():
    stub = 'def answer(x):\n    return x\n\n\ncheck("10.1", answer)'
    solution, _ = student_cells.exercise_cells("10.1", stub, "def answer(x):\n    return 2 * x")
    head, rest = solution.source.split("### BEGIN SOLUTION\n")
    assert head.strip() == "def answer(x):\n    return x"
    assert rest.startswith("def answer(x):\n    return 2 * x\n### END SOLUTION\n")
    assert rest.endswith('check("10.1", answer)')


def test_texts_are_cut_at_each_exercise_and_lose_ways_to_the_answers():
    text = (
        "## Exercises\n\nRun it. Worked answers lie in\n`solutions/00_start_here.py`.\n\n"
        "**00.1** See [here](../data/README.md) and [there](https://x.org).\n\n**00.2 Twice.** Say."
    )
    cells = list(student_cells.text_cells(text))
    assert [cell.source for cell in cells] == [
        "## Exercises\n\nRun it.",
        "**00.1** See here and [there](https://x.org).",
        "**00.2 Twice.** Say.",
    ]
    ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in cells]
    assert ids == [None, "task-00-1", "task-00-2"]


def test_the_points_of_an_exercise_are_read_from_its_answer(monkeypatch):
    module = importlib.import_module("helpers.lessons.exercises.n10")
    monkeypatch.setitem(module.ANSWERS, "10.9", Exercise(lambda _: True, ("?",), points=5))
    _, test = student_cells.exercise_cells("10.9", "answer = ...", "answer = 1")
    assert test.metadata.nbgrader.points == 5
    assert 'grade("10.9", answer, points=5)' in test.source
    assert test.source.startswith("# Exercise 10.9, 5 points: ")


@pytest.mark.slow
@pytest.mark.notebooks
def test_nbgrader_gives_full_marks_to_the_solutions_and_none_to_blanks(tmp_path):
    pytest.importorskip(
        "nbgrader", reason='nbgrader is not installed: pip install -e ".[classroom]"'
    )
    sources = [COLLECTION.find(number) for number in GRADED]
    names = [source.stem for source in sources]
    make_student.write_sources(tmp_path, COLLECTION, sources)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nbgrader's, of its database
        make_student.release(tmp_path, names)
        for name in names:
            released = nbformat.read(tmp_path / "release" / name / f"{name}.ipynb", as_version=4)
            text = "\n".join(cell.source for cell in released.cells)
            assert "SOLUTION" not in text
            assert "HIDDEN" not in text
            assert "answer = ..." in text
        marks = make_student.trial(tmp_path, names)
    assert len(marks) == 2 * len(names)
    for one in marks:
        assert one.highest > 0
        assert one.score == (one.highest if one.student == make_student.SOLVED else 0), one


@pytest.mark.slow
@pytest.mark.notebooks
def test_nbgrader_takes_part_of_the_points_from_the_last_line(tmp_path, monkeypatch):
    pytest.importorskip(
        "nbgrader", reason='nbgrader is not installed: pip install -e ".[classroom]"'
    )
    from nbgrader.utils import determine_grade

    module = importlib.import_module("helpers.lessons.exercises.n10")
    monkeypatch.setitem(
        module.ANSWERS, "10.9", Exercise(lambda _: Score(0.25, ""), ("?",), points=4)
    )
    _, test = student_cells.exercise_cells("10.9", "answer = ...", "answer = 1")
    text = {"text/plain": repr(grade("10.9", 1, points=4))}
    test.outputs = [nbformat.v4.new_output("execute_result", data=text)]
    assert determine_grade(test) == (1.0, 4.0)


def test_without_nbgrader_the_answers_are_there_and_the_mend_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert make_student.main(["07", "--to", str(tmp_path)]) == 1
    assert (tmp_path / "source" / "07_domain_distance" / "07_domain_distance.ipynb").exists()
    said = capsys.readouterr().err
    assert "1 notebooks with answers" in said
    assert 'pip install -e ".[classroom]"' in said


def test_a_notebook_without_worked_answers_is_named(tmp_path):
    with pytest.raises(SystemExit, match="solutions/99_x.py is missing"):
        student_cells.worked(tmp_path / "99_x.py")
