"""The student version of one notebook: its cells, marked the way nbgrader reads them.

A notebook's source has its exercises as stubs, its solutions file has the worked answers. Both are
laid into one source notebook: every exercise becomes a text cell that is locked, a solution cell
with the worked answer between BEGIN SOLUTION and END SOLUTION, and a locked test cell whose hidden
part hands the answer to the same check that readers use. nbgrader makes the release from it.
"""

import importlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.notebooks.build_notebooks import Collection, read_source
from tools.notebooks.notebook_cleaning import KERNEL
from tools.notebooks.notebook_rules import exercises, is_code

SCHEMA = 3  # of nbgrader's cell metadata: https://nbgrader.readthedocs.io, "Metadata format"
STATEMENT = re.compile(r"^(?=\*\*(\d\d)\.(\d+)\b)", re.MULTILINE)
LOCAL_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:)[^)]*\)")
# A sentence that names a file of answers; it starts with a line or after another sentence.
TELLS_ANSWERS = re.compile(
    r"(?:^|(?<=[.?!])\s+)(?:[^.?!`\n]|\n(?!\n))*`solutions/[^`]*`\.?", re.MULTILINE
)
CHECK = re.compile(r"^check\(.*\)$", re.MULTILINE)
# The notebook imports `check` in its first cell; whatever else a solution imports stays.
CHECK_IMPORT = re.compile(r"^from helpers\.lessons import check(?:\n|(, )|\Z)", re.MULTILINE)


def student_notebook(collection: Collection, source: Path) -> nbformat.NotebookNode:
    """Return the notebook that nbgrader makes the release from, with answers and hidden tests."""
    answers = worked(collection.folder / "solutions" / source.name)
    cells = []
    for cell in collection.cells(source)[
        :-1
    ]:  # the last one links to files that are not handed out
        asked = exercises(cell.source) if is_code(cell) else []
        if asked:
            cells += exercise_cells(asked[0], cell.source, answers[asked[0]])
        elif is_code(cell):
            cells.append(new_code_cell(cell.source))
        else:
            cells += text_cells(cell.source)
    number_ids(cells, source.stem[:2])
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def worked(path: Path) -> dict[str, str]:
    """Return the worked answer of each exercise, without its check, by the exercise's number.

    What a solutions file does before its first exercise (its imports) belongs to the first answer.
    Raises SystemExit where the file is missing.
    """
    if not path.exists():
        raise SystemExit(
            f"notebooks/solutions/{path.name} is missing: each exercise needs an answer"
        )
    found, waiting = {}, []
    for cell in read_source(path):
        if not is_code(cell):
            continue
        asked = exercises(cell.source)
        code = CHECK_IMPORT.sub(_without_check, CHECK.sub("", cell.source)).strip()
        if code:
            waiting.append(code)
        if asked:
            found[asked[0]] = "\n\n".join(waiting)
            waiting = []
    return found


def _without_check(found: re.Match[str]) -> str:
    """An import of `check` and others, without `check`."""
    return "from helpers.lessons import " if found[1] else ""


def exercise_cells(exercise: str, stub: str, answer: str) -> list[nbformat.NotebookNode]:
    """Return the solution cell and the test cell of one exercise."""
    given = CHECK.sub("", stub).strip()
    hints = f'check("{exercise}", answer)'
    solved = f"{given}\n### BEGIN SOLUTION\n{answer}\n### END SOLUTION\n{hints}"
    points = points_of(exercise)
    hidden = f'from helpers.lessons import grade\n\ngrade("{exercise}", answer, points={points})'
    tested = (
        f"# Exercise {exercise}, {points} point{'s' * (points != 1)}: graded here, leave this cell "
        f"as it is.\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
    )
    name = exercise.replace(".", "-")
    return [
        mark(new_code_cell(solved), f"answer-{name}", solution=True),
        mark(new_code_cell(tested), f"test-{name}", grade=True, locked=True, points=points),
    ]


def points_of(exercise: str) -> int:
    """Return what a right answer is worth."""
    return (
        importlib.import_module(f"helpers.lessons.exercises.n{exercise[:2]}")
        .ANSWERS[exercise]
        .points
    )


def text_cells(text: str) -> Iterator[nbformat.NotebookNode]:
    """Yield a text as cells: each exercise in one of its own, locked, and no way to the answers."""
    text = LOCAL_LINK.sub(r"\1", TELLS_ANSWERS.sub("", text))
    starts = [0, *(found.start() for found in STATEMENT.finditer(text)), len(text)]
    for start, end in itertools.pairwise(starts):
        words = text[start:end].strip()
        if not words:
            continue
        cell = new_markdown_cell(words)
        if asked := STATEMENT.match(words):
            mark(cell, f"task-{asked[1]}-{asked[2]}", locked=True)
        yield cell


def mark(
    cell: nbformat.NotebookNode,
    grade_id: str,
    *,
    grade: bool = False,
    solution: bool = False,
    locked: bool = False,
    points: int | None = None,
) -> nbformat.NotebookNode:
    """Write nbgrader's metadata on a cell, and return it."""
    cell.metadata["nbgrader"] = {
        "schema_version": SCHEMA,
        "grade_id": grade_id,
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
    } | ({} if points is None else {"points": points})
    return cell


def number_ids(cells: list[nbformat.NotebookNode], number: str) -> None:
    """Give every cell an id that stays the same from one call to the next."""
    for place, cell in enumerate(cells):
        cell["id"] = f"{number}-student-{place:03d}"
