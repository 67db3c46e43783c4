"""Make the README's two pictures: python -m tools.site.make_pictures [decision] [explorer]

    docs/decision.png    what the rule says over size and distance, and what won there, as recorded
                         and as published; README's sentence under it and its short answer are
                         written as well
    docs/explorer.png    the explorer's page as it opens, seen in Chromium (after `make site`)

Make them anew when runs were added or the page has changed. A picture is a PNG of 256 colours and
at most 200 kB.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from playwright.sync_api import sync_playwright

from helpers.decision import FALLBACK, Situation, decide
from helpers.display.explorer.elsewhere import compared_cases
from helpers.display.figures import Picture, figure, png_bytes
from helpers.errors import UserError
from helpers.lessons.rule_trial import published_sentence
from helpers.results import runs
from helpers.results.learning_curves import measured_curves
from helpers.vocabulary import APPROACH_STYLE, MODALITIES, looks
from tools.site.evidence_map import (
    BANDS,
    LEAST,
    MOST,
    TICKS,
    boxes,
    own_marks,
    published_marks,
)
from tools.site.short_answer import short_answer

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs"
PAGE = ROOT / "build" / "site" / "explorer.html"
LARGEST = 200_000  # bytes
VIEW = {"width": 1180, "height": 800}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SPREAD = 0.04  # decades by which points that would cover each other are moved apart


def all_marks() -> pd.DataFrame:
    """Return the map's marks, here and published, that are of pictures or texts."""
    held = measured_curves(runs.load_runs())
    marks = pd.concat([own_marks(held), published_marks(compared_cases())], ignore_index=True)
    return marks[marks["modality"].isin(MODALITIES)].reset_index(drop=True)


def map_sentence(marks: pd.DataFrame) -> str:
    """Return what the map shows, counted, as README says it under the picture."""
    own, others = (marks[marks["evidence"] == name] for name in ("own", "published"))
    named, tried = others[others["rule"] != ""], others.dropna(subset="gives_up")
    return (
        f"Filled marks are what came first in {len(own)} situations measured here; each of the "
        f"{len(others)} hollow ones is a published data set at one size, from "
        f"{others['n'].min():,} to {others['n'].max():,} examples. {_gave_up(own)} "
        f"{len(named)} of the hollow ones have a judged distance, and {len(tried)} of these tried "
        f"what is named there. {_gave_up(tried)}"
    )


def _gave_up(marks: pd.DataFrame) -> str:
    """What the rule gave up where it speaks, and our fallback where it is silent."""
    marks = marks.dropna(subset="gives_up")
    facts = zip(marks["n"], marks["distance"], marks["modality"], marks["llm"], strict=True)
    silent = np.array([decide(Situation(*fact)).rule == FALLBACK for fact in facts])
    told = [
        f"{name} in {len(own)} of them and gave up {own.mean():.1f} points on average"
        for name, own in (
            ("The rule speaks (R1 to R4)", marks["gives_up"][~silent]),
            ("it is silent", marks["gives_up"][silent]),
        )
    ]
    return f"{told[0]}; {told[1]}, with our fallback, to freeze."


def decision_picture(marks: pd.DataFrame) -> Picture:
    """Draw the rule's boxes and what came first: filled as measured here, hollow as published.

    marks: from `all_marks`.
    """
    counts = marks["evidence"].value_counts()
    title = "What the rule says (boxes), and what came first: filled, in\n"
    title += f"{counts.get('own', 0)} situations measured here; hollow, in "
    title += f"{counts.get('published', 0)} published"
    made, ax = figure(title, width=8.0, height=4.8)
    _shade(ax)
    place = marks.groupby(["evidence", "n", (marks["distance"] / 0.04).round()]).cumcount()
    spread = marks["n"].clip(upper=MOST) * 10 ** (SPREAD * place.where(place % 2 == 0, -place - 1))
    for name, look in looks(marks["approach"]).items():
        for evidence in ("published", "own"):
            own = marks[(marks["approach"] == name) & (marks["evidence"] == evidence)]
            filled = evidence == "own"
            style = {"marker": look.marker, "ls": "", "ms": 9 if look.marker == "*" else 6}
            style |= {"mfc": look.colour if filled else "none", "alpha": 1.0 if filled else 0.75}
            style |= {"mec": "white" if filled else look.colour, "mew": 0.6 if filled else 1.1}
            ax.plot(spread[own.index], own["distance"], **style)
        total = (marks["approach"] == name).sum()
        label = f"{look.label} ({total})"
        ax.plot([], [], marker=look.marker, ls="", color=look.colour, label=label)
    ax.set(xscale="log", xlim=(LEAST, MOST), ylim=(BANDS[""][0], 1))
    ax.set_xticks(TICKS, [f"{tick:,}" for tick in TICKS])
    ax.set_yticks([0, 0.33, 0.67, 1])
    ax.set(
        xlabel="training examples (log scale; marks of one size are spread)",
        ylabel="distance (below 0: not judged)",
    )
    ax.minorticks_off()
    ax.grid(visible=False)
    where = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    ax.legend(title="came first (times)", fontsize="small", title_fontsize="small", **where)
    return made


def _shade(ax) -> None:
    """Shade what `decide` answers: one rectangle for each pair of a size and a distance."""
    for (low, high), (bottom, top), rule, approach in boxes():
        look = APPROACH_STYLE[approach]
        ax.fill_between([low, high], bottom, top, color=look.colour, alpha=0.13, lw=0)
        words = f"{rule}: {look.short}"
        ax.text(low * 1.08, top - 0.015, words, size=7.5, va="top", color="#333333")
        ax.plot([low, low], [bottom, top], color="#595959", lw=0.6)
        ax.plot([low, high], [bottom, bottom], color="#595959", lw=0.6)


def write_block(page: Path, name: str, text: str) -> None:
    """Put a text between a page's two marks of that name. Raises UserError without them."""
    marks = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, found, rest = page.read_text(encoding="utf-8").partition(marks[0])
    _, closed, tail = rest.partition(marks[1])
    if not (found and closed):
        raise UserError(f"{page.name} lacks {marks[0]} and {marks[1]}")
    lines = [
        line if "|" in line[:3] else textwrap.fill(
            line, 104, subsequent_indent="  " * line.startswith("- "), break_on_hyphens=False,
            break_long_words=False,
        )
        for line in text.splitlines()
    ]  # fmt: skip
    made = "\n".join([head + marks[0], *lines, marks[1] + tail])
    page.write_text(made, encoding="utf-8", newline="\n")


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
        "decision": lambda: png_bytes(decision_picture(marks)),
        "explorer": lambda: explorer_picture(PAGE),
    }
    if unknown := set(names) - set(makers):
        parser.error(f"{', '.join(sorted(unknown))} is none of {', '.join(makers)}")
    try:
        if "decision" in names:
            marks = all_marks()
            write_block(ROOT / "README.md", "map", f"{map_sentence(marks)} {published_sentence()}")
            write_block(ROOT / "README.md", "short", short_answer())
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
