"""Make what a class gets: `make student`, or `python -m tools.classroom.make_student [NN ...]`.

Writes a course folder for nbgrader to build/student:

    source/NN_slug/NN_slug.ipynb     with the worked answers: for the teacher
    release/NN_slug/NN_slug.ipynb    with stubs, made by nbgrader: for the class
    nbgrader_config.py               so that `nbgrader autograde NN_slug` works there

    python -m tools.classroom.make_student 10 --trial    hand in the worked answers and a blank,
    grade both
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.classroom.student_cells import student_notebook
from tools.notebooks.build_notebooks import ROOT, Collection, write, write_notebook

CONFIG = '''\
"""nbgrader's settings for this course: https://nbgrader.readthedocs.io"""

import os
import sys
from pathlib import Path

# Grading runs every notebook of every student: in the small sizes, which change no answer.
os.environ.setdefault("TL_PROFILE", "fast")
# nbgrader calls `alembic` by its bare name, and a virtual environment need not be activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

c = get_config()
c.CourseDirectory.course_id = "freeze-tune-adapt"
c.ClearSolutions.code_stub = {
    "python": "# Your work stands above: replace the dots, or mend the code."
}
# A cell may train a network.
c.Execute.timeout = 600
'''
MISSING = 'nbgrader, which makes the release, is not installed: pip install -e ".[classroom]"'
SOLVED, BLANK = "solved", "blank"


@dataclass(frozen=True)
class Marks:
    """What one submission of a trial earned, out of how much."""

    assignment: str
    student: str
    score: float
    highest: float


def write_sources(course: Path, collection: Collection, sources: Iterable[Path]) -> None:
    """Write the course's settings and the notebooks with answers."""
    write(course / "nbgrader_config.py", CONFIG)
    for source in sources:
        notebook = student_notebook(collection, source)
        write_notebook(course / "source" / source.stem / f"{source.stem}.ipynb", notebook)


def nbgrader_api(course: Path) -> Any:
    """Return nbgrader's interface to a course folder, with the course's own settings."""
    from nbgrader.apps import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
    config.CourseDirectory.root = str(course)
    return NbGraderAPI(CourseDirectory(config=config), config=config)


def release(course: Path, names: Iterable[str]) -> None:
    """Let nbgrader make the stubs; raises RuntimeError with its log where it refuses."""
    api = nbgrader_api(course)
    for name in names:
        _succeed(api.generate_assignment(name, force=True, create=True))


def trial(course: Path, names: Iterable[str]) -> list[Marks]:
    """Hand in the worked answers and a blank of each released notebook; let nbgrader grade them.

    Raises RuntimeError with nbgrader's log where it fails.
    """
    from nbgrader.api import Gradebook

    api, marks = nbgrader_api(course), []
    for name in names:
        for student, taken in ((SOLVED, "source"), (BLANK, "release")):
            handed_in = course / "submitted" / student / name / f"{name}.ipynb"
            handed_in.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(course / taken / name / f"{name}.ipynb", handed_in)
            _succeed(api.autograde(name, student, force=True, create=True))
            with Gradebook(api.coursedir.db_url, api.coursedir.course_id) as book:
                found = book.find_submission(name, student)
                marks.append(Marks(name, student, found.score, found.max_score))
    return marks


def _succeed(told: dict[str, Any]) -> None:
    if not told["success"]:
        raise RuntimeError(told["log"] or told["error"])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="numbers, such as 03; every notebook without")
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "student", help="the folder")
    parser.add_argument("--trial", action="store_true", help="grade worked answers and blanks")
    options = parser.parse_args(arguments)
    collection = Collection()
    sources = [collection.find(name) for name in options.names] or collection.sources
    course = options.to.resolve()
    write_sources(course, collection, sources)
    names = [source.stem for source in sources]
    if importlib.util.find_spec("nbgrader") is None:
        print(
            f"{course / 'source'}: {len(names)} notebooks with answers. {MISSING}", file=sys.stderr
        )
        return 1
    try:
        release(course, names)
        marks = []
        if options.trial:  # elsewhere: the course's gradebook is for its students
            with tempfile.TemporaryDirectory() as folder:
                write_sources(Path(folder), collection, sources)
                release(Path(folder), names)
                marks = trial(Path(folder), names)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{course / 'release'}: {len(names)} notebooks with stubs")
    for one in marks:
        print(f"{one.assignment}, {one.student}: {one.score:g} of {one.highest:g} points")
    return int(any(one.score != (one.highest if one.student == SOLVED else 0) for one in marks))


if __name__ == "__main__":
    sys.exit(main())
