"""A JupyterLab as `make lab` starts it, and what a reader does in its page in a browser."""

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
TOKEN = "for-this-run"
# No windowing, so that every cell is in the page.
SETTINGS = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}
POP_UPS = ".jp-toast-message, .Toastify__toast, .jp-Dialog"
STATE = """() => {
  const notebook = document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden)');
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


class NotSeen(AssertionError):
    """What was waited for in a page did not come, or an error did."""


def find_browser() -> str | None:
    """Return the path of a browser of the Chromium family, None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def serve(root: Path, state: Path) -> Iterator[Callable[[str], str]]:
    """Serve a folder; yields what turns a path below it into the address of its page.

    state: a folder for JupyterLab's settings, workspaces and log.
    """
    for name, settings in SETTINGS.items():
        file = state / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={TOKEN}"]
    command += [f"--LabApp.user_settings_dir={state / 'settings'}"]
    command += [f"--LabApp.workspaces_dir={state / 'workspaces'}"]

    def page_of(path: str) -> str:
        wait_for(lambda: _answers(f"{address}/api?token={TOKEN}"), 90, "JupyterLab does not answer")
        return f"{address}/lab/tree/{path}?token={TOKEN}&reset"  # nothing else is open

    with (state / "lab.log").open("w", encoding="utf-8") as log:
        # As `make lab` does: no questions about news and updates.
        config = {**os.environ, "JUPYTER_CONFIG_PATH": str(FOLDER)}
        server = subprocess.Popen(command, cwd=root, stdout=log, stderr=log, env=config)
        try:
            yield page_of
        finally:
            server.terminate()
            server.wait(timeout=30)


def run_all_cells(page: Page, code_cells: int, seconds: float) -> None:
    """Choose Run > Run All Cells as a reader does, and wait for the last of so many cells.

    Raises NotSeen where a cell fails, or where they are not through after so many seconds.
    """
    page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=90_000)
    # The notebook's own sign says idle before there is a kernel; the bar below names the kernel.
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=90_000)
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Run All Cells", exact=True).click()

    def finished() -> bool:
        state: dict[str, Any] = page.evaluate(STATE)
        if state["errors"]:
            raise NotSeen(f"a cell failed: {state['errors'][0]}")
        return state["done"] == code_cells and not state["waiting"] and state["kernel"] == "idle"

    wait_for(finished, seconds, "the cells did not finish", page)


def wait_for(
    condition: Callable[[], bool], seconds: float, complaint: str, page: Page | None = None
) -> None:
    """Wait until a condition holds; raises NotSeen with the complaint after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise NotSeen(f"{complaint} in {seconds:.0f} s")
        if page is None:
            time.sleep(0.3)
        else:
            page.wait_for_timeout(300)  # lets the page's own events through


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
