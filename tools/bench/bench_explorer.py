"""How fast the explorer answers, in milliseconds, for tools/bench/bench.py.

These rows are no ratios: `ratio` is the median, `low` and `high` the 5th and 95th percentile.
"""

from __future__ import annotations

import random
import shutil
import time

from helpers.errors import UserError
from helpers.paths import data_dir
from tools.bench.timing import percentiles

MOVES, LOADS = 400, 9
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def slider_update_ms() -> tuple[float, float, float, str]:
    """Milliseconds from a moved slider to the new HTML: decide, look up, redraw; at random."""
    from helpers.display.explorer.notebook import SLIDERS, Explorer

    chance, made, spent = random.Random(0), Explorer(), []
    made.controls["modality"].value = "text"  # draws what else is drawn once, like a first look
    made.controls["modality"].value = "image"
    while len(spent) < MOVES:
        control = made.controls[chance.choice(SLIDERS)]
        value = chance.choice([one[1] for one in control.options])
        if value == control.value:
            continue
        if len(spent) % 40 == 39:
            kind = made.controls["modality"]
            kind.value = "text" if kind.value == "image" else "image"
        started = time.perf_counter()
        control.value = value
        spent.append(1000 * (time.perf_counter() - started))
    what = (
        f"ms (no ratio; at most 50, 95th percentile 120) from a moved slider to the explorer's new "
        f"answer, median, 5th and 95th percentile of {MOVES} random moves"
    )
    return *percentiles(spent), what


def explorer_page_first_paint_ms() -> tuple[float, float, float, str]:
    """Milliseconds until Chromium first paints the page from its file, network off."""
    from playwright.sync_api import sync_playwright

    file = data_dir().parent / "build" / "site" / "explorer.html"
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not file.is_file() or browser_path is None:
        raise UserError("the page's first paint needs Chromium and the page: run make site first")
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    spent = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for _ in range(LOADS):
            context = browser.new_context(offline=True)
            page = context.new_page()
            page.goto(file.as_uri())
            page.wait_for_function(f"{paint} > 0")
            spent.append(float(page.evaluate(paint)))
            context.close()
        browser.close()
    size = file.stat().st_size / 1e6
    what = (
        f"ms (no ratio; at most 1000) to the explorer page's first contentful paint, {size:.2f} MB "
        f"from a file, offline: median, 5th and 95th percentile of {LOADS} loads"
    )
    return *percentiles(spent), what
