"""Pages in a real Chromium: JupyterLab runs a notebook to its end, and its slider moves."""

import jupyterlab_page
import nbformat
import pytest
from jupyterlab_page import FLAGS, START, run_all_cells, wait_for
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import sync_playwright

from tools.lab import read_notebooks

pytestmark = pytest.mark.browser
chromium, lab = jupyterlab_page.chromium, jupyterlab_page.lab  # fixtures


@pytest.fixture
def page(chromium):
    """Return an empty page of a headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()


def test_notebook_00_runs_and_its_slider_moves(lab, page):
    notebook = nbformat.read(START, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    page.goto(lab(notebook), timeout=90_000)
    run_all_cells(page, notebook)
    assert page.locator(".jp-toast-message, .Toastify__toast, .jp-Dialog").count() == 0
    handle = page.locator(".widget-slider .noUi-handle").first
    handle.scroll_into_view_if_needed()
    picture = page.locator(".jp-OutputArea .widget-html img").first
    before = picture.get_attribute("src")
    assert before.startswith("data:image/png;base64,")
    assert picture.get_attribute("alt")
    assert picture.evaluate("image => image.naturalWidth") > 100
    handle.focus()
    page.keyboard.press("ArrowRight")
    wait_for(lambda: picture.get_attribute("src") != before, 60, "the picture did not change", page)
    assert picture.evaluate("image => image.naturalWidth") > 100


def test_a_failing_cell_is_seen(lab, page):
    notebook = new_notebook(cells=[new_code_cell("1 / 0"), new_code_cell("2")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    page.goto(lab(notebook), timeout=90_000)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_all_cells(page, notebook)


def test_a_control_that_does_nothing_is_told(chromium, tmp_path, monkeypatch, capsys):
    source = (
        "import ipywidgets\n"
        "works, idle = (ipywidgets.IntSlider(description=name) for name in ('works', 'idle'))\n"
        "said = ipywidgets.Label()\n"
        "works.observe(lambda change: setattr(said, 'value', f'now {change.new}'), 'value')\n"
        "ipywidgets.VBox([works, idle, said])"
    )
    notebook = new_notebook(cells=[new_code_cell(source)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "00_made.ipynb")
    monkeypatch.setattr(read_notebooks, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(read_notebooks, "REDRAWN_SECONDS", 2)
    assert read_notebooks.main(["--pictures", str(tmp_path / "pictures")]) == 1
    told = capsys.readouterr().out
    assert "1 of 2 controls changed their cell" in told and told.strip().endswith("idle")
    assert list((tmp_path / "pictures").glob("00_made_00.png"))
