"""Verdicts that committed notebooks begin with are what the records say today."""

import importlib
import re

import nbformat
import pytest

from helpers.lessons.claims import verdict_box

CALL = re.compile(r"verdict_box\(([\d, ]+)\)")


def boxes(root):
    """Yield (notebook, ids of the claims, what was shown) of each verdict box."""
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            found = CALL.search(cell.source) if cell.cell_type == "code" else None
            if found and cell.outputs:
                ids = tuple(int(one) for one in found[1].split(","))
                yield path.stem, ids, cell.outputs[-1]["data"]["text/markdown"]


def test_a_verdict_box_says_what_the_records_say(root):
    found = list(boxes(root))
    assert {name[:2] for name, *_ in found} >= {"00", "02", "03", "08", "12"}
    stale = [name for name, ids, shown in found if shown != verdict_box(*ids)]
    assert stale == [], "build these again"


@pytest.mark.parametrize("number", ["00", "01", "02", "03", "08", "12"])
def test_the_first_output_is_a_verdict(root, number):
    (path,) = (root / "notebooks").glob(f"{number}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    first = next(cell for cell in cells if cell.cell_type == "code" and cell.outputs)
    assert first.outputs[0]["data"]["text/markdown"].startswith(">")


FOUND = re.compile(r"^Markdown\((\w+)\.findings\(\)\)$", re.MULTILINE)


@pytest.mark.parametrize("number", ["08", "12"])
def test_what_is_to_be_remembered_is_what_the_records_say(root, number):
    (path,) = (root / "notebooks").glob(f"{number}_*.ipynb")
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    (cell,) = [cell for cell in cells if FOUND.search(cell.source)]
    lesson = importlib.import_module(f"helpers.lessons.{FOUND.search(cell.source)[1]}")
    assert cell.outputs[-1]["data"]["text/markdown"] == lesson.findings(), "build it again"
