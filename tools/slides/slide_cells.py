"""Which cells of a notebook make its slides, and what of their text stands on them.

A slide is a text cell and the outputs of the code cell that follows it. Of the text it shows
headings, lists, formulas and the first sentence of each paragraph; all of it goes to the speaker's
notes. A picture below more than two lines of text, and outputs longer than a slide, go on to slides
of their own (`slide_outputs.py`). A source may overrule this for a cell, `# %% tags=["skip"]`:

    skip   not on a slide                      code   show the code, not its outputs alone
    all    the whole text is on the slide      hide   outputs alone, without the code
"""

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jupytext
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.classroom.student_cells import text_cells
from tools.notebooks.notebook_rules import exercises, is_code
from tools.slides.slide_outputs import apart, is_picture, pages

HEADING = re.compile(r"^(?=#{1,3} )", re.MULTILINE)
# A sentence ends before a capital, a number, or markup; not after an initial or "et al.".
SENTENCE = re.compile(r"(?<=[^.\s][.?!])(?<!et al\.)(?<!e\.g\.)(?<!i\.e\.)\s+(?=[A-Z\"'`*$(\d])")
PREDICT = re.compile(r"\*\*[^*]*predict[^*]*\*\*", re.IGNORECASE)
EXERCISE = re.compile(r"\*\*(\d\d\.\d+)\b")
MARKUP = re.compile(r"^(?:#|[-*>] |\d+\. |\$\$|\|)", re.MULTILINE)  # what a slide shows whole
SHORT_CODE = 4  # lines of code that may stand beside what they print
MOST_PARAGRAPHS = 3  # first sentences on one slide
LINE, LINES = 60, 2  # letters of a line of text; how many may stand above a picture
DEFINED = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)
DRAWN = re.compile(r"explore\(\s*(\w+)")


@dataclass
class Slide:
    """One slide while it is made: texts above, what a cell put out below, notes for the speaker."""

    texts: list[str]
    notes: list[str] = field(default_factory=list)
    outputs: list[nbformat.NotebookNode] = field(default_factory=list)

    @property
    def opens(self) -> bool:
        """True where a section begins, or an exercise: what follows does not join it."""
        return self.texts[0].startswith("#") or bool(EXERCISE.match(self.texts[0]))

    @property
    def bare(self) -> bool:
        """True for sentences alone: without an output they are for the speaker to say."""
        return not (self.opens or self.outputs or MARKUP.search("\n\n".join(self.texts)))

    @property
    def crowded(self) -> bool:
        """True where the text leaves a picture less than most of the slide."""
        rows = [row for text in self.texts for row in text.split("\n") if not row.startswith("#")]
        return sum(-(-len(row) // LINE) for row in rows) > LINES

    def sheets(self) -> Iterator[tuple[list[str], list[nbformat.NotebookNode]]]:
        """Yield texts and outputs, slide by slide: what has no room below goes on to the next.

        A picture that was asked about has the question above it again.
        """
        now, later = apart(self.outputs), []
        pictures = [place for place, shown in enumerate(now) if is_picture(shown)]
        if pictures and self.crowded:
            now, rest = now[: pictures[0]], now[pictures[0] :]
            asked = [question for text in self.texts if (question := question_of(text))]
            later = [(asked, rest)]
        first, *following = pages(now) or [[]]
        yield self.texts, first
        yield from (([], page) for page in following)
        yield from later

    def cells(self) -> Iterator[nbformat.NotebookNode]:
        """Yield the slide, and those it goes on to, as cells marked for nbconvert's exporter."""
        asks = any(PREDICT.search(text) for text in self.texts)
        for number, (texts, outputs) in enumerate(self.sheets()):
            opening = "slide" if number == 0 and texts[0].startswith("#") else "subslide"
            kinds = [opening] + ["-"] * (len(texts) + len(outputs) - 1)
            if asks and number == 0 and outputs:
                kinds[len(texts)] = "fragment"
            shown = [*(_cell(text, "-") for text in texts), *outputs]
            for cell, kind in zip(shown, kinds, strict=True):
                cell.metadata["slideshow"] = {"slide_type": kind}
                yield cell
            if self.notes:
                yield _cell("\n\n".join(self.notes), "notes")


def deck(source: Path, built: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a built notebook as the cells of its slides, marked for nbconvert's exporter."""
    cells, wants = lesson(source, built)
    drawn = {name for cell in cells for name in DRAWN.findall(cell.source) if is_code(cell)}
    title = cells[0].source
    slides = []
    for cell, tags in zip(cells[1:], wants[1:], strict=True):
        if "skip" in tags:
            continue
        if is_code(cell) and exercises(cell.source):
            if slides and DEFINED.search(cell.source):  # code to mend
                slides[-1].outputs += [new_code_cell(cell.source.rpartition("\n\n\n")[0])]
            continue
        if not is_code(cell):
            for part in parts(cell.source):
                add_text(slides, part, whole="all" in tags)
        elif slides:
            slides[-1].outputs += code_slides(cell, tags, drawn)
    made = [*title_cells(title), *(cell for slide in told(slides) for cell in slide.cells())]
    result = new_notebook(cells=made, metadata=dict(built.metadata))
    result.metadata["title"] = title.splitlines()[0].lstrip("# ")
    for place, cell in enumerate(result.cells):
        cell["id"] = f"slide-{place:03d}"
    return result


def title_cells(text: str) -> list[nbformat.NotebookNode]:
    """Return the first slide: the question, and its answer once the class has guessed."""
    question, _, rest = text.partition("\n")
    answer = rest.partition("**Needs:**")[0].strip()
    return [
        _cell(question, "slide"),
        _cell(sentences(answer)[0], "fragment"),
        _cell(answer, "notes"),
    ]


def add_text(slides: list[Slide], text: str, whole: bool = False) -> None:
    """Put a text on a slide of its own, or on the last one where that still waits for an output."""
    asked = EXERCISE.match(text)
    shown = text if whole or asked else short(text)
    notes = ["Hints: " + " ".join(hints(asked[1]))] if asked else [text] * (shown != text)
    slide = Slide([shown], notes)
    last = slides[-1] if slides else None
    if last and not (slide.opens or last.outputs or EXERCISE.match(last.texts[0])):
        last.texts += slide.texts
        last.notes += slide.notes
    else:
        slides.append(slide)


def told(slides: list[Slide]) -> Iterator[Slide]:
    """Yield the slides; sentences without an output go to the notes of the slide before."""
    before = None
    for slide in slides:
        if before and slide.bare:
            before.notes += slide.notes or slide.texts
            continue
        if before:
            yield before
        before = slide
    if before:
        yield before


def lesson(
    source: Path, built: nbformat.NotebookNode
) -> tuple[list[nbformat.NotebookNode], list[set[str]]]:
    """Return a notebook's cells without what the build adds, and the tags its source gives them.

    Raises SystemExit where the two sides differ in their cells.
    """
    read = jupytext.read(source, fmt="py:percent").cells
    wants = [set(cell.metadata.get("tags", ())) for cell in read if cell.source.strip()]
    cells = [built.cells[0], *built.cells[2:-1]]
    if len(cells) != len(wants):
        raise SystemExit(f"{source.stem}.ipynb differs from its source: build it again")
    return cells, wants


def parts(text: str) -> Iterator[str]:
    """Yield the pieces of a text cell that are slides of their own: sections and exercises."""
    for section in HEADING.split(text):
        for cell in text_cells(section):
            if not cell.source.startswith("## Exercises"):
                yield cell.source


def hints(exercise: str) -> tuple[str, ...]:
    """Return the hints of an exercise, from gentle to plain."""
    return (
        importlib.import_module(f"helpers.lessons.exercises.n{exercise[:2]}")
        .ANSWERS[exercise]
        .hints
    )


def short(text: str) -> str:
    """Return what of a text stands on its slide."""
    kept, paragraphs = [], 0
    for block in re.split(r"\n{2,}", text.strip()):
        if MARKUP.match(block):
            kept.append(block)
            continue
        asked = question_of(block)
        before = " ".join(block.split()).removesuffix(asked).strip()
        if before and paragraphs < MOST_PARAGRAPHS:
            kept.append(sentences(before)[0])
            paragraphs += 1
        if asked:
            kept.append(asked)
    return "\n\n".join(kept)


def question_of(text: str) -> str:
    """Return what a text asks to predict, on one line; the sentence before where that is it all."""
    for block in re.split(r"\n{2,}", text.strip()):
        words = " ".join(block.split())
        if asked := PREDICT.search(words):
            bare = words[asked.start() :].strip() == asked[0]
            before = sentences(words[: asked.start()])[-1] if bare else ""
            return f"{before} {words[asked.start() :]}".strip()
    return ""


def sentences(text: str) -> list[str]:
    """Return a text's sentences, each on one line; one does not end inside bold type."""
    made = [""]
    for part in SENTENCE.split(" ".join(text.split())):
        if made[-1].count("**") % 2:
            made[-1] += f" {part}"
        else:
            made.append(part)
    return made[1:] or [""]


def code_slides(
    cell: nbformat.NotebookNode, tags: set[str], drawn: set[str]
) -> list[nbformat.NotebookNode]:
    """Return a code cell as it is shown: with or without its code, or nothing."""
    defines = DEFINED.findall(cell.source)
    plain = all(one.output_type == "stream" for one in cell.outputs)
    subject = plain and bool(defines) and not drawn & set(defines)
    brief = plain and bool(cell.outputs) and len(cell.source.splitlines()) <= SHORT_CODE
    with_code = ("code" in tags or subject or brief) and "hide" not in tags
    if not with_code and not cell.outputs:
        return []
    shown = nbformat.from_dict(dict(cell))
    shown.metadata = nbformat.from_dict({"transient": {"remove_source": not with_code}})
    return [shown]


def _cell(text: str, kind: str) -> nbformat.NotebookNode:
    return new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}})
