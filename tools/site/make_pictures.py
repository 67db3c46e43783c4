"""Make the README's two pictures: python -m tools.site.make_pictures [decision] [explorer]

    docs/decision.png    what the rule says over size and distance, and what won there, as recorded
    docs/explorer.png    the explorer's page as it opens, seen in Chromium (after `make site`)

Make them anew when runs were added or the page has changed. A picture is a PNG of 256 colours and
at most 200 kB.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from playwright.sync_api import sync_playwright

from helpers.decision import Situation, Thresholds, decide
from helpers.display.figures import Picture, figure, png_bytes
from helpers.errors import UserError
from helpers.results import rival_rules, runs
from helpers.results.learning_curves import measured_curves
from helpers.vocabulary import APPROACH_STYLE, looks

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs"
PAGE = ROOT / "build" / "site" / "explorer.html"
LARGEST = 200_000  # bytes
VIEW = {"width": 1180, "height": 800}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SPREAD = 0.045  # decades by which points that would cover each other are moved apart
NEAR = 0.02  # accuracy: what one may give up and still call it close


def winners(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each situation: the approach with the best mean, and what the rule says.

    table: from `rival_rules.situations`. `gives_up` is how far the rule's approach is below the
    best one.
    """
    best = table.loc[table.groupby("case", sort=False)["mean"].idxmax()].copy()
    asked = zip(best["n_train"], best["distance"], best["modality"], strict=True)
    best["rule"] = [decide(Situation(*one)).approach for one in asked]
    regret = table.set_index(["case", "approach"])["regret"]
    asked = pd.MultiIndex.from_frame(best[["case", "rule"]])
    best["gives_up"] = regret.reindex(asked).to_numpy()  # NaN where it was not run
    return best.sort_values(["n_train", "distance"], ignore_index=True)


def decision_picture(table: pd.DataFrame) -> Picture:
    """Draw the rule's boxes and, in each measured situation, the approach that came first."""
    best, limits = winners(table), Thresholds()
    first, near = (best["gives_up"] <= 0).sum(), (best["gives_up"] <= NEAR).sum()
    title = f"What the rule says (boxes), and what came first in {len(best)} measured situations.\n"
    title += f"The rule's approach was first in {first}, within {100 * NEAR:.0f} points in {near}"
    made, ax = figure(title, width=8.0, height=4.4)
    left, right = 0.15 * best["n_train"].min(), max(1.8 * best["n_train"].max(), 8 * limits.small)
    _boxes(ax, limits, left, right)
    place = best.groupby(["n_train", (best["distance"] / 0.04).round()]).cumcount()
    x = best["n_train"] * 10 ** (SPREAD * np.where(place % 2, place + 1, -place))
    for name, look in looks(best["approach"]).items():
        own = best["approach"] == name
        style = {
            "color": look.colour,
            "marker": look.marker,
            "ls": "",
            "ms": 11 if look.marker == "*" else 7,
        }
        style["mec"] = "white"
        ax.plot(x[own], best["distance"][own], label=f"{look.label} ({own.sum()})", **style)
    ax.set(
        xscale="log",
        xlim=(left, right),
        ylim=(0, 1),
        xlabel="training examples (log scale; marks of one size are spread)",
    )
    ax.set_ylabel("distance from the pretraining data")
    sizes = sorted({*best["n_train"], limits.small})
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.minorticks_off()
    ax.grid(visible=False)
    where = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    ax.legend(title="came first (times)", fontsize="small", title_fontsize="small", **where)
    return made


def _boxes(ax, limits: Thresholds, left: float, right: float) -> None:
    """Shade what `decide` answers: one rectangle for each pair of a size and a distance."""
    heights = [0.0, limits.distant, limits.very_distant, 1.0]
    for low, high in ((left, limits.small), (limits.small, right)):
        for bottom, top in zip(heights, heights[1:], strict=False):
            told = decide(Situation(int((low * high) ** 0.5), (bottom + top) / 2))
            look = APPROACH_STYLE[told.approach]
            ax.fill_between([low, high], bottom, top, color=look.colour, alpha=0.13, lw=0)
            words = f"{told.rule}: {look.short}"
            ax.text(low * 1.06, top - 0.015, words, size=8, va="top", color="#333333")
    ax.axvline(limits.small, color="#595959", lw=0.8)
    for height in heights[1:-1]:
        ax.axhline(height, color="#595959", lw=0.8)


def explorer_picture(page: Path, browser: str | None = None) -> bytes:
    """Open the explorer's page in Chromium, offline, and return what one sees, as PNG.

    Raises UserError where the page was not made or no Chromium is installed.
    """
    browser = browser or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not page.is_file():
        raise UserError(f"{page} is not there: run `make site` first")
    if browser is None:
        raise UserError(f"no browser is installed (looked for {', '.join(BROWSERS)})")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        try:
            view = opened.new_context(viewport=VIEW, offline=True, reduced_motion="reduce")
            seen = view.new_page()
            seen.goto(page.as_uri())
            return seen.screenshot()
        finally:
            opened.close()


def small_png(data: bytes) -> bytes:
    """Return a picture as PNG with a palette of 256 colours. Raises UserError over `LARGEST`."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    buffer = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    if buffer.tell() > LARGEST:
        raise UserError(
            f"the picture has {buffer.tell():,} bytes, over {LARGEST:,}: make it smaller"
        )
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="decision, explorer, or both")
    names = parser.parse_args(arguments).names or ["decision", "explorer"]
    makers = {
        "decision": lambda: png_bytes(
            decision_picture(rival_rules.situations(measured_curves(runs.load_runs()))[0])
        ),
        "explorer": lambda: explorer_picture(PAGE),
    }
    if unknown := set(names) - set(makers):
        parser.error(f"{', '.join(sorted(unknown))} is none of {', '.join(makers)}")
    try:
        for name in names:
            data = small_png(makers[name]())
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / f"{name}.png").write_bytes(data)
            print(f"docs/{name}.png: {len(data) / 1e3:.0f} kB")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
