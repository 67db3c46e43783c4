"""Outputs longer than a slide, cut into what goes on one: lines, blocks, rows of a table."""

import re
from collections.abc import Iterator, Sequence

import nbformat
from nbformat.v4 import new_code_cell

ROOM = 18  # lines of output on one slide
LETTERS = 96  # of one printed line
WORDS = 72  # letters of one line of text
HEAD = re.compile(r"\A(\|[^\n]*\n\|[-:| ]+\|)\n")  # of a table in Markdown


def is_picture(cell: nbformat.NotebookNode) -> bool:
    """Tell whether a cell put out a picture."""
    return any("image/png" in one.get("data", {}) for one in cell.get("outputs", ()))


def apart(cells: Sequence[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Return cells so that what one printed before its picture stands in a cell of its own."""
    made = []
    for cell in cells:
        outputs = cell.get("outputs", [])
        first = next((n for n, one in enumerate(outputs) if "image/png" in one.get("data", {})), 0)
        if first:
            shown = not cell.metadata.transient.remove_source
            made.append(_with(cell, outputs[:first], code=shown))
            cell = _with(cell, outputs[first:], code=False)
        made.append(cell)
    return made


def pages(cells: Sequence[nbformat.NotebookNode]) -> list[list[nbformat.NotebookNode]]:
    """Return a slide's cells as the slides that they fill.

    A long output begins a slide of its own, so that the text before it keeps its size; its code,
    where it is shown, stays with the text.
    """
    made: list[list[nbformat.NotebookNode]] = [[]]
    for cell in cells:
        outputs = cell.get("outputs", ())
        cut = [list(cut_output(output)) for output in outputs]
        if not any(len(parts) > 1 for parts in cut):
            made[-1].append(cell)
            continue
        if not cell.metadata.transient.remove_source:
            made[-1].append(_with(cell, [], code=True))
        made += [[_with(cell, [part], code=False)] for parts in cut for part in parts]
    return made


def cut_output(output: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    """Yield an output in parts that fit a slide each; most have one part."""
    text = output.get("data", {}).get("text/markdown")
    if output.output_type == "stream":
        parts = filled(output.text.rstrip("\n").split("\n"), "\n", LETTERS)
        yield from (nbformat.from_dict({**output, "text": part}) for part in parts)
    elif text and "image/png" not in output.data:
        blocks = [row for block in re.split(r"\n{2,}", text.strip()) for row in table_parts(block)]
        for part in filled(blocks, "\n\n", WORDS):
            yield nbformat.from_dict({**output, "data": {"text/markdown": part}})
    else:
        yield output


def filled(pieces: Sequence[str], between: str, letters: int) -> Iterator[str]:
    """Yield the pieces joined to as much as fits; pieces that are one paragraph stay together."""
    if sum(lines(piece, letters) for piece in pieces) <= ROOM:
        yield between.join(pieces)
        return
    now: list[str] = []
    for paragraph in paragraphs(pieces) if between == "\n" else [[piece] for piece in pieces]:
        begun = _height(now, letters)
        if begun > ROOM // 4 and begun + _height(paragraph, letters) > ROOM:
            yield between.join(now).strip("\n")
            now = []
        for piece in paragraph:
            if now and _height(now, letters) + lines(piece, letters) > ROOM + 1:
                yield between.join(now).strip("\n")
                now = []
            now.append(piece)
    if now:
        yield between.join(now).strip("\n")


def paragraphs(printed: Sequence[str]) -> list[list[str]]:
    """Return printed lines in groups that stay together: a heading with what it heads, an item."""
    made: list[list[str]] = [[]]
    for line in printed:
        said = [one for one in made[-1] if one.strip()]
        heads = said and (said[-1].startswith("#") or said[-1].endswith(":"))
        if line.startswith("#") or not heads and (line.startswith("- ") or not line.strip()):
            made.append([])
        made[-1].append(line)
    return made


def lines(piece: str, letters: int) -> int:
    """Return how many lines a piece takes; a table's rows count by their longest cell."""
    if HEAD.match(piece + "\n"):
        return sum(
            max(-(-len(cell) // (letters // 2)) or 1 for cell in row.strip("| ").split("|"))
            for row in piece.split("\n")
        )
    return sum(max(1, -(-len(line) // letters)) for line in piece.split("\n"))


def table_parts(block: str) -> Iterator[str]:
    """Yield a block as it is, and a long table in parts that each have its head."""
    head = HEAD.match(block)
    parts = -(-lines(block, WORDS) // ROOM)
    if not head or parts == 1:
        yield block
        return
    now: list[str] = []
    even = 2 + -(-lines(block, WORDS) // parts)  # the head's lines, and as much on each
    for row in block[head.end() :].split("\n"):
        if now and lines("\n".join([head[1], *now, row]), WORDS) > even:
            yield "\n".join([head[1], *now])
            now = []
        now.append(row)
    yield "\n".join([head[1], *now])


def _height(pieces: Sequence[str], letters: int) -> int:
    return sum(lines(piece, letters) for piece in pieces)


def _with(
    cell: nbformat.NotebookNode, outputs: list[nbformat.NotebookNode], *, code: bool
) -> nbformat.NotebookNode:
    """Return a cell with other outputs, and with or without its code."""
    metadata = nbformat.from_dict({"transient": {"remove_source": not code}})
    return new_code_cell(cell.source, outputs=outputs, metadata=metadata)
