"""A Chromium and a JupyterLab for tests, and what a reader does in them."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page

from tools.lab import jupyterlab
from tools.lab.jupyterlab import BROWSERS, FLAGS, find_browser, wait_for

__all__ = ["FLAGS", "ROOT", "START", "chromium", "lab", "run_all_cells", "wait_for"]

ROOT = Path(__file__).resolve().parents[2]
START = ROOT / "notebooks" / "00_start_here.ipynb"
RUN_SECONDS = 600  # for all cells of notebook 00, in the fast profile on a busy machine


@pytest.fixture(scope="module")
def chromium():
    """Return the browser's path. Without one: a skip, or a failure where one is required."""
    found = find_browser()
    if found is None:
        reason = f"no browser is installed (looked for {', '.join(BROWSERS)})"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture
def lab(chromium, tmp_path):
    """Serve a folder with `make lab`'s command; return what puts a notebook in and opens it."""
    work = tmp_path / "work" / "notebooks"
    work.mkdir(parents=True)
    with jupyterlab.serve(work.parent, tmp_path) as page_of:

        def put(notebook: nbformat.NotebookNode) -> str:
            nbformat.write(notebook, work / START.name)
            return page_of(f"notebooks/{START.name}")

        yield put


def run_all_cells(page: Page, notebook: nbformat.NotebookNode) -> None:
    """Choose Run > Run All Cells as a reader does, and wait for the last cell."""
    count = sum(cell.cell_type == "code" for cell in notebook.cells)
    jupyterlab.run_all_cells(page, count, RUN_SECONDS)
