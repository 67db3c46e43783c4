"""Read notebooks as a reader does: in JupyterLab in a browser, every cell run, every control moved.

    python -m tools.lab.read_notebooks 00 12 --pictures FOLDER

prints a line for each notebook: seconds until the last cell, errors, pop-ups, and of the sliders
and menus how many changed what they belong to, with the slowest. The notebooks are copies, so that
what JupyterLab saves touches nothing. With `--pictures` a picture of every screenful is kept.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import nbformat

from tools.lab.jupyterlab import FLAGS, POP_UPS, NotSeen, find_browser, run_all_cells, serve

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
RUN_SECONDS, REDRAWN_SECONDS = 600, 4
PANE = ".jp-NotebookPanel .jp-WindowedPanel-outer"
VIEW = {"width": 1400, "height": 1000}
# What a control's cell shows, its own knob and number left out.
SHOWN = """node => {
  const cell = node.closest('.jp-CodeCell').cloneNode(true);
  const own = '.widget-readout, .widget-slider, .noUi-base, select, .jp-InputPrompt, .jp-InputArea';
  cell.querySelectorAll(own).forEach(part => part.remove());
  return cell.innerHTML;
}"""


class Moved(NamedTuple):
    """A control that was moved, and after how many seconds its cell had changed; None: never."""

    label: str
    seconds: float | None


def read(page: Page, address: str, code_cells: int) -> tuple[float, list[Moved], int]:
    """Run a notebook and move what it has: seconds of running, the controls, pop-ups seen."""
    page.goto(address, timeout=90_000)
    start = time.monotonic()
    run_all_cells(page, code_cells, RUN_SECONDS)
    seconds = time.monotonic() - start
    moved = list(_moved(page))
    return seconds, moved, page.locator(POP_UPS).count()


def _moved(page: Page) -> Iterator[Moved]:
    """Move each slider, by a step first and then to its ends, and go through each menu."""
    for knob in page.locator(".jp-OutputArea .noUi-handle").all():
        moves = [
            functools.partial(_press, page, knob, key) for key in ("ArrowRight", "Home", "End")
        ]
        yield _move(page, knob, moves)
    for menu in page.locator(".jp-OutputArea .widget-dropdown select").all():
        places = range(menu.locator("option").count())
        yield _move(page, menu, [functools.partial(menu.select_option, index=n) for n in places])


def _press(page: Page, knob: Locator, key: str) -> None:
    knob.focus()
    page.keyboard.press(key)


def _move(page: Page, control: Locator, moves: Sequence[Callable[[], object]]) -> Moved:
    """Make one move after the other until the control's cell changes."""
    box = control.locator("xpath=ancestor::*[contains(@class,'widget-inline-hbox')][1]")
    label = (box.first.inner_text() if box.count() else "?").split("\n")[0]
    control.scroll_into_view_if_needed()
    before = control.evaluate(SHOWN)
    for move in moves:
        start = time.monotonic()
        move()
        while time.monotonic() - start < REDRAWN_SECONDS:
            page.wait_for_timeout(20)
            if control.evaluate(SHOWN) != before:
                return Moved(label, time.monotonic() - start)
    return Moved(label, None)


def take_pictures(page: Page, folder: Path, name: str) -> None:
    """Keep a picture of every screenful of the open notebook."""
    pane = page.locator(PANE).first
    pane.evaluate("pane => pane.scrollTo(0, 0)")
    height, view = pane.evaluate("pane => [pane.scrollHeight, pane.clientHeight]")
    for number in range(int(height // view) + 1):
        pane.evaluate("(pane, top) => pane.scrollTo(0, top)", number * view)
        page.wait_for_timeout(150)
        page.screenshot(path=folder / f"{name}_{number:02}.png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the notebooks; returns how many failed, popped up, or had a control that did nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", help="such as 00 and 12; none: all")
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of every screenful")
    asked = parser.parse_args(arguments)
    browser = find_browser()
    if browser is None:
        sys.exit("no browser of the Chromium family is installed")
    from playwright.sync_api import sync_playwright

    if asked.pictures:
        asked.pictures.mkdir(parents=True, exist_ok=True)
    bad = 0
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
            if not asked.numbers or path.name[:2] in asked.numbers:
                page = launched.new_page(viewport=VIEW)
                told, good = _read_copy(page, path, asked.pictures)
                page.close()
                print(f"{path.stem}: {told}", flush=True)
                bad += not good
    return bad


def _read_copy(page: Page, path: Path, pictures: Path | None) -> tuple[str, bool]:
    """Read a copy in a JupyterLab of its own, with which its kernel ends: the line, and if well."""
    from playwright.sync_api import Error

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        work = Path(place, "notebooks")
        work.mkdir()
        cells = _without_outputs(path, work)
        with serve(work.parent, Path(place)) as page_of:
            try:
                took, moved, pop_ups = read(page, page_of(f"notebooks/{path.name}"), cells)
            except (NotSeen, Error) as error:  # the second where it did not even open
                told, good = str(error), False
            else:
                idle = [control.label for control in moved if control.seconds is None]
                told, good = _line(took, moved, idle, pop_ups), not (idle or pop_ups)
            if pictures and page.locator(PANE).count():
                take_pictures(page, pictures, path.stem)
    return told, good


def _without_outputs(path: Path, folder: Path) -> int:
    """Copy a notebook without what it put out; returns how many cells of code it has."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, folder / path.name)
    return len(code)


def _line(took: float, moved: list[Moved], idle: list[str], pop_ups: int) -> str:
    times = [control.seconds for control in moved if control.seconds is not None]
    slowest = f", the slowest in {max(times):.2f} s" if times else ""
    still = f"; without effect: {', '.join(idle)}" if idle else ""
    return (
        f"{took:.0f} s, {pop_ups} pop-ups, {len(times)} of {len(moved)} controls changed "
        f"their cell{slowest}{still}"
    )


if __name__ == "__main__":
    sys.exit(main())
