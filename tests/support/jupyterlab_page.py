"""A Chromium and a JupyterLab for tests, and what a reader does in them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]


START = ROOT / "notebooks" / "00_start_here.ipynb"


TOKEN = "for-this-test"


RUN_SECONDS = 600  # for all cells of notebook 00, in the fast profile on a busy machine


FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


NAMES = ("chromium", "chromium-browser", "google-chrome")


# No windowing, so that every cell is in the page.
SETTINGS = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}


STATE = """() => {
  const notebook = document.querySelector('.jp-NotebookPanel');
  const prompts = [...notebook.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
  const status = notebook.querySelector('.jp-Notebook-ExecutionIndicator');
  return {
    waiting: prompts.filter(p => p.textContent.includes('*')).length,
    done: prompts.filter(p => /\\d/.test(p.textContent)).length,
    kernel: status && status.dataset.status,
    errors: [...notebook.querySelectorAll('[data-mime-type="application/vnd.jupyter.stderr"]')]
      .map(e => e.textContent).filter(text => /Traceback|\\w+Error: /.test(text)),
  };
}"""


@pytest.fixture(scope="module")
def chromium():
    """Return the browser's path. Without one: a skip, or a failure where one is required."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = f"no browser is installed (looked for {', '.join(NAMES)})"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture
def lab(chromium, tmp_path):
    """Serve a folder with `make lab`'s command; return what puts a notebook in and opens it."""
    work = tmp_path / "work" / "notebooks"
    work.mkdir(parents=True)
    for name, settings in SETTINGS.items():
        file = tmp_path / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={TOKEN}"]
    command += [f"--LabApp.user_settings_dir={tmp_path / 'settings'}"]
    command += [f"--LabApp.workspaces_dir={tmp_path / 'workspaces'}"]

    def serve(notebook: nbformat.NotebookNode) -> str:
        nbformat.write(notebook, work / START.name)
        wait_for(lambda: answers(f"{address}/api?token={TOKEN}"), 90, "JupyterLab does not answer")
        return f"{address}/lab/tree/notebooks/{START.name}?token={TOKEN}"

    with (tmp_path / "lab.log").open("w", encoding="utf-8") as log:
        # As `make lab` does: no questions about news and updates.
        config = {**os.environ, "JUPYTER_CONFIG_PATH": str(ROOT / "tools" / "lab")}
        server = subprocess.Popen(command, cwd=work.parent, stdout=log, stderr=log, env=config)
        try:
            yield serve
        finally:
            server.terminate()
            server.wait(timeout=30)


def run_all_cells(page: Page, notebook: nbformat.NotebookNode) -> None:
    """Choose Run > Run All Cells as a reader does, and wait for the last cell."""
    page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=90_000)
    count = sum(cell.cell_type == "code" for cell in notebook.cells)
    # The notebook's own sign says idle before there is a kernel; the bar below names the kernel.
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=90_000)
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Run All Cells", exact=True).click()

    def finished() -> bool:
        state = page.evaluate(STATE)
        assert state["errors"] == []
        return state["done"] == count and state["waiting"] == 0 and state["kernel"] == "idle"

    wait_for(finished, RUN_SECONDS, "the cells did not finish", page)


def wait_for(condition, seconds: float, complaint: str, page: Page | None = None) -> None:
    """Wait until a condition holds; fails with a complaint after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"{complaint} in {seconds:.0f} s")
        if page is None:
            time.sleep(0.3)
        else:
            page.wait_for_timeout(300)  # lets the page's own events through


def answers(url: str) -> bool:
    """Tell whether a server answers at an address."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
