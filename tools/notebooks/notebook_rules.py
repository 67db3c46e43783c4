"""The rules of a notebook, as functions that return what is wrong, one sentence per fault."""

import ast
import base64
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helpers.tasks.registry import ORIGINS

LONGEST_CELL = 15  # lines that are not blank
LARGEST_FILE = 1_000_000  # bytes
LARGEST_FIGURE = (800, 500)  # pixels: 8 by 5 inches at 100 dpi
LONGEST_LINE = 110  # characters of print, in JupyterLab on a laptop
LONGEST_TABLE = 14  # rows in HTML: twelve and the header's
LAST_SECTIONS = ["## What to remember", "## Exercises"]
FORBIDDEN = ("sys.path", "os.environ", "TL_PROFILE", "pyplot", "import *")
CODE_SPAN = re.compile(r"```.*?```|`[^`]*`|\$[^$]*\$", re.DOTALL)
# A module inside a package of ours; a lesson's topics are the notebooks' own.
INSIDE = re.compile(r"helpers\.(?!lessons\.|display\.explorer$)\w+\.\w+")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
RAW_HTML = re.compile(r"</?(div|span|table|tr|td|img|br|details|summary|style|font|p|b)\b[^>]*>")
MEASURED = re.compile(r"\b0\.\d{2,}\b|\b\d+(\.\d+)?\s?(%|points?\b|seconds?\b|ms\b)")
# Data that a clone has a sample of; a printed task says which was read.
SAMPLED = re.compile(r"load_(?:task|or_fallback)\([^)]*\"(?:clothing|products)")
SOURCED = re.compile(r"\]\(http|arXiv|\bdoi\b|\(\w[^()]*\b(19|20)\d\d\)")


def faults(cells: list[Any]) -> list[str]:
    """Return what is wrong with a notebook's cells, as they are saved."""
    found = []
    for rule in (code_faults, import_faults, text_faults, order_faults, output_faults, data_faults):
        found += [f"{rule.__name__[:-7]}: {fault}" for fault in rule(cells)]
    return found


def code_faults(cells: list[Any]) -> Iterator[str]:
    """Yield cells that are too long, meddle, or follow another without a word between."""
    before = None
    for place, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            lines = [line for line in cell["source"].splitlines() if line.strip()]
            if len(lines) > LONGEST_CELL:
                yield f"cell {place} has {len(lines)} lines, {LONGEST_CELL} at most"
            if before == "code":
                yield f"cell {place} follows code without a text cell between"
            for word in FORBIDDEN:
                if word in cell["source"]:
                    yield f"cell {place} has {word}"
            if any(line.lstrip().startswith(("!", "%")) for line in lines):
                yield f"cell {place} has a shell or magic command"
        before = cell["cell_type"]


def import_faults(cells: list[Any]) -> Iterator[str]:
    """Yield imports outside the first code cell or from within a package, and a lack of them."""
    code = [(place, cell["source"]) for place, cell in enumerate(cells) if is_code(cell)]
    for order, (place, source) in enumerate(code):
        try:
            tree = ast.parse(source)
        except SyntaxError:
            continue  # said by `code_faults` as a magic command, or by the build
        imports = [n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
        if order > 0 and imports:
            yield f"cell {place} imports: only the first code cell does"
        if order == 0 and not imports:
            yield f"cell {place} is the first code cell and imports nothing"
        for node in imports:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            for name in names:
                if INSIDE.match(name or ""):
                    yield f"cell {place} imports {name}: a notebook imports the package around it"


def text_faults(cells: list[Any]) -> Iterator[str]:
    """Yield typed measurements and markup that GitHub does not render."""
    for place, cell in enumerate(cells):
        if is_code(cell):
            continue
        words = CODE_SPAN.sub("", cell["source"])
        if RAW_HTML.search(words) or ":::" in words:
            yield f"cell {place} has markup that GitHub's Markdown does not show"
        for part in words.split("\n\n"):
            number = MEASURED.search(part.replace("95 %", ""))
            if number and not SOURCED.search(part):
                yield f"cell {place} types {number[0]!r}: let a cell print it, or cite its source"


def order_faults(cells: list[Any]) -> Iterator[str]:
    """Yield parts that every notebook has and this one lacks."""
    first = cells[0]["source"] if cells else ""
    if not re.match(r"# .+\?$", first.partition("\n")[0]):
        yield "the first line is not a title that asks"
    if "**Needs:**" not in first:
        yield "the first cell has no line **Needs:**"
    text = "\n".join(cell["source"] for cell in cells if not is_code(cell))
    headings = [line.strip() for line in text.splitlines() if line.startswith("## ")]
    if headings[-2:] != LAST_SECTIONS:
        yield f"the last two sections are {headings[-2:]}, not {LAST_SECTIONS}"
    if not re.search(r"\bpredict", text, re.IGNORECASE):
        yield "nothing is to be predicted before a figure"
    code = "\n".join(cell["source"] for cell in cells if is_code(cell))
    for call in ("explore(", "check("):
        if call not in code:
            yield f"there is no {call})"


def output_faults(cells: list[Any]) -> Iterator[str]:
    """Yield saved outputs that are missing, failed, too large, or without words."""
    code = [(place, cell) for place, cell in enumerate(cells) if is_code(cell)]
    if not any(cell["outputs"] for _, cell in code):
        yield "nothing was run"
    for place, cell in code:
        if cell["execution_count"] is None:
            yield f"cell {place} was not run"
        for output in cell["outputs"]:
            yield from (f"cell {place} {fault}" for fault in _output_faults(output))


def data_faults(cells: list[Any]) -> Iterator[str]:
    """Yield the first cell that loads what may be a sample, where no output says which it was."""
    printed = [str(output.get("text", "")) for cell in cells for output in cell.get("outputs", ())]
    if any(f"({words})" in text for words in ORIGINS.values() for text in printed):
        return
    for place, cell in enumerate(cells):
        if is_code(cell) and SAMPLED.search(cell["source"]):
            yield f"cell {place} loads data that may be a clone's sample; print the task"
            return


def _output_faults(output: Any) -> Iterator[str]:
    kind, data = output["output_type"], output.get("data", {})
    if kind == "error":
        yield f"failed: {output['ename']}"
    if kind == "stream" and output["name"] == "stderr":
        yield f"warned: {output['text'][:80]!r}"
    if any("widget" in mime for mime in data):
        yield "keeps a widget's view"
    if "image/png" in data:
        if not output.get("metadata", {}).get("image/png", {}).get("alt", ""):
            yield "shows a picture without alt text"
        width, height = png_size(data["image/png"])
        if width > LARGEST_FIGURE[0] or height > LARGEST_FIGURE[1]:
            yield f"shows a picture of {width} by {height} pixels"
    text = output.get("text", "") + data.get("text/plain", "") + data.get("text/html", "")
    if max(map(len, output.get("text", "").splitlines()), default=0) > LONGEST_LINE:
        yield f"prints a line of more than {LONGEST_LINE} characters, which breaks within words"
    if re.search(r"\bat 0x[0-9a-f]{6,}", text):
        yield "prints a memory address"
    if re.search(r"(?<![\w.:/])/(home|root|tmp|work|Users|opt|mnt)/", text):
        yield "prints where a file lies on the machine that built it"
    if re.search(r"\b(nan|NaN)\b", data.get("text/markdown", "") + data.get("text/html", "")):
        yield "tells what is no number"
    if re.search(r"<tbody>\s*</tbody>", data.get("text/html", "")):
        yield "shows an empty table"
    if re.search(r"\.\.\.</t[dh]>", data.get("text/html", "")):
        yield "shows a table with words cut off"
    if data.get("text/html", "").count("<tr") > LONGEST_TABLE:
        yield "shows a table of more than twelve rows"


def is_code(cell: Any) -> bool:
    """Tell whether a cell is code."""
    return cell["cell_type"] == "code"


def png_size(text: str) -> tuple[int, int]:
    """Return width and height, in pixels, of a PNG that a notebook holds as text."""
    return struct.unpack(">II", base64.b64decode(text)[16:24])


def link_faults(text: str, folder: Path) -> Iterator[str]:
    """Yield local links of a Markdown text in `folder` that lead nowhere."""
    for link in LINK.findall(CODE_SPAN.sub("", text)):
        target, _, anchor = link.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        path = folder / target
        if target and not path.exists():
            yield f"{link} leads to no file"
        elif target.startswith("/"):
            yield f"{link} is not relative"
        elif anchor and target.endswith(".md") and anchor not in anchors(path):
            yield f"{link} leads to no heading"


def anchors(path: Path) -> set[str]:
    """Return the names that GitHub gives the headings of a Markdown file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    headings = [line.lstrip("#").strip().lower() for line in lines if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def exercises(source: str) -> list[str]:
    """Return the numbers of the exercises that a text checks, in order."""
    return re.findall(r"check\(\s*[\"']([^\"']+)[\"']", source)
