"""Count what a reader meets in each notebook: words, code, lines on a model, names of helpers.

    python -m tools.notebooks.count_cells [FOLDER ...]

prints a table of `notebooks/`, or of each folder of notebooks that is named, such as one of an
older commit. Words and lines of code are those of TEACHING.md.

A line touches a model where it has one of MODEL's words outside strings, comments and imports: a
tensor library, a network, a part or a parameter of one, an optimizer, a loss, or a call that
builds, frees, fits or trains. A helper's name is one that a notebook imports from `helpers`; of a
module it is each name that is reached through it, such as `photos.live_race`.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from tools.notebooks.build_notebooks import MADE
from tools.notebooks.teaching_table import lines_in, words_in

MODEL = re.compile(
    r"\b(torch|nn|timm|peft|AdamW|SGD|LBFGS|optimizer|solver|nets?|networks?|models?|backbones?|"
    r"lite|pocket|minilm|layers?|parameters|state_dict|requires_grad_?|classifier|head(?!\()|loss|"
    r"(fit|train|tune|build|backward|forward|eval|step|freeze|load_backbone|load_lite_weights|"
    r"get_approach|get_peft_model)\w*(?=\())\b"
)
UNSAID = (tokenize.STRING, tokenize.COMMENT)
HEAD = "| | words | lines of code | on a model | helper names |\n|---|---|---|---|---|"


class Counted(NamedTuple):
    """What one notebook holds."""

    words: int
    lines: int
    on_a_model: int
    helper_names: int


def count(cells: Iterable[Any]) -> Counted:
    """Count the cells of a notebook, those left out that the build makes."""
    cells = [cell for cell in cells if MADE not in cell.metadata.get("tags", [])]
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    touching = sum(lines_on_a_model(source) for source in code)
    return Counted(words_in(cells), lines_in(cells), touching, len(helper_names(code)))


def lines_on_a_model(source: str) -> int:
    """Return how many lines of a cell touch a model."""
    lines = [list(line) for line in source.splitlines()]
    for token in tokenize.generate_tokens(io.StringIO(source + "\n").readline):
        if token.type in UNSAID:
            _blank(lines, token.start, token.end)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            _blank(lines, (node.lineno, 0), (node.end_lineno, node.end_col_offset))
    return sum(bool(MODEL.search("".join(line))) for line in lines)


def helper_names(code: Iterable[str]) -> set[str]:
    """Return the names that code cells import from `helpers`, or reach through what they import."""
    trees = [node for source in code for node in ast.walk(ast.parse(source))]
    imported = {
        alias.asname or alias.name
        for node in trees
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "helpers"
        for alias in node.names
    }
    reached = {
        (node.value.id, node.attr)
        for node in trees
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in imported
    }
    modules = {module for module, _ in reached}
    return (imported - modules) | {".".join(pair) for pair in reached}


def _blank(lines: list[list[str]], start: tuple[int, int], end: tuple[int, int]) -> None:
    """Replace a stretch of text by spaces; lines are counted from 1."""
    for number in range(start[0], end[0] + 1):
        line = lines[number - 1]
        first = start[1] if number == start[0] else 0
        last = end[1] if number == end[0] else len(line)
        line[first:last] = " " * (last - first)


def table(folder: Path) -> str:
    """Return a row for each notebook of a folder, and their sums."""
    paths = sorted(folder.glob("[0-9]*.ipynb"))
    found = {path.stem[:2]: count(nbformat.read(path, as_version=4).cells) for path in paths}
    rows = [*found.items(), ("all", Counted(*map(sum, zip(*found.values(), strict=True))))]
    shown = (f"| {name} | " + " | ".join(f"{n:,}" for n in one) + " |" for name, one in rows)
    return "\n".join([HEAD, *shown])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table for each folder; returns the exit status."""
    folders = sys.argv[1:] if arguments is None else arguments
    for folder in folders or ["notebooks"]:
        print(f"{folder}\n\n{table(Path(folder))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
