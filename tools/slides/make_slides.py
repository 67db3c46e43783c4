"""Make slides of the notebooks as they were built: `make slides`, or with numbers, such as 03.

Each deck is one HTML file in build/slides that asks nobody for anything: reveal.js, the styles and
the pictures stand in it. Arrow keys move, S opens the speaker's notes, and `?print-pdf` prints.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
from pathlib import Path

import latex2mathml.converter
import nbformat
from nbconvert.exporters import SlidesExporter

from helpers.display.theme import LIGHT
from helpers.errors import UserError
from helpers.storage.install import asset_path
from tools.notebooks.build_notebooks import ROOT, Collection, write
from tools.site.site_tables import arranged, unbroken
from tools.slides.slide_cells import deck

OWN = Path(__file__).resolve().parent
TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
PRINTED = re.compile(r"<pre>.*?</pre>", re.DOTALL)
COLUMNS = re.compile(r"\S {3,}(?=\S)")
BROKEN = 100  # letters of the longest line of a text that was broken into lines when printed
CODE_OR_MATH = re.compile(r"(```.*?```|`[^`]*`)|\$\$(.+?)\$\$|\$([^$\n]+)\$", re.DOTALL)


def page(cells: nbformat.NotebookNode, parts: dict[str, str]) -> str:
    """Return the HTML of a deck from its marked cells; parts: from `inlined`."""
    exporter = SlidesExporter(
        template_name=OWN.name, extra_template_basedirs=[str(OWN.parent)], anchor_link_text=""
    )
    shown = nbformat.from_dict(cells)
    for cell in shown.cells:
        if cell.cell_type == "markdown":
            cell.source = unbroken(with_mathml(cell.source))
        for output in cell.get("outputs", ()):
            if text := output.get("data", {}).get("text/markdown"):
                output.data["text/markdown"] = unbroken(text)
    made = exporter.from_notebook_node(shown, resources={"deck": parts})[0]
    slides, end, scripts = made.partition("</main>")
    slides = TABLE.sub(lambda table: arranged(table[0]), slides)
    slides = PRINTED.sub(lambda printed: in_lines(printed[0]), slides)
    return slides + end + scripts + "\n"


def in_lines(printed: str) -> str:
    """Return a printed text, marked where its lines are to stay: of a table, of a long text."""
    rows = html.unescape(printed).split("\n")
    table = sum(bool(COLUMNS.search(row)) for row in rows) > 1
    long = len(rows) > 4 and max(map(len, rows)) <= BROKEN
    return printed.replace("<pre>", '<pre class="lines">', 1) if table or long else printed


def inlined() -> dict[str, str]:
    """Return what stands in every deck: reveal.js, our style and our script.

    Raises UserError, with the command that gets it, while reveal.js is not fetched.
    """
    reveal = asset_path("reveal")
    colours = ";".join(f"--{name}:{value}" for name, value in LIGHT.items())
    return {
        "reveal_css": _text(reveal / "dist" / "reveal.css"),
        "reveal_js": script(_text(reveal / "dist" / "reveal.js")),
        "notes_js": script(_text(reveal / "plugin" / "notes" / "notes.js")),
        "css": f":root{{{colours}}}\n" + _text(OWN / "slides.css"),
        "js": script(_text(OWN / "slides.js")),
    }


def script(text: str) -> str:
    """Return a script as it may stand inside a page, where "</script" would end it."""
    return re.sub("<(/script|!--)", r"<\\\1", text, flags=re.IGNORECASE)


def with_mathml(text: str) -> str:
    """Return Markdown with its formulas as MathML, which browsers draw without a script."""

    def put(found: re.Match[str]) -> str:
        code, display, inline = found.groups()
        if code:
            return code
        way = "block" if display else "inline"
        return latex2mathml.converter.convert((display or inline).strip(), display=way)

    return CODE_OR_MATH.sub(put, text)


def make(collection: Collection, source: Path, folder: Path) -> Path:
    """Write the deck of one notebook, and return its path."""
    if not collection.built(source).exists():
        raise UserError(
            f"{source.stem} is not built: tools/notebooks/build_notebooks.py {source.stem[:2]}"
        )
    built = nbformat.read(collection.built(source), as_version=4)
    path = folder / f"{source.stem}.html"
    write(path, page(deck(source, built), inlined()))
    return path


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns 2 with a sentence where a deck can't be made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="numbers, such as 03; every notebook without")
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "slides", help="the folder")
    options = parser.parse_args(arguments)
    collection = Collection()
    try:
        for source in [collection.find(n) for n in options.names] or collection.sources:
            path = make(collection, source, options.to)
            print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    except (UserError, OSError) as error:
        print(f"cannot make slides: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
