"""Slides: what stands on them; a deck asks nobody for anything, and the arrows move it."""

import re

import jupyterlab_page
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import sync_playwright

from helpers.lessons.exercises.check import find
from helpers.storage.assets import all_assets
from helpers.storage.install import find_asset
from tools.notebooks.build_notebooks import Collection
from tools.notebooks.notebook_rules import exercises, is_code
from tools.slides import make_slides, slide_cells, slide_outputs

COLLECTION = Collection()
BUILT = [source for source in COLLECTION.sources if COLLECTION.built(source).exists()]
SHOWN = ("07", "15")  # a short one with pictures, formulas, tables and lists; one with long tables
FETCHED = re.compile(
    r"<(?:script|img|iframe|link|source)[^>]*\b(?:src|href)=(?![\"']?data:)|url\((?![\"']?data:)|@import",
    re.IGNORECASE,
)
STATE = """() => ({
  at: Object.values(Reveal.getIndices()).join('/'),
  last: Reveal.isLastSlide() && !Reveal.availableFragments().next,
  height: Reveal.getCurrentSlide().scrollHeight,
  wide: Reveal.getCurrentSlide().scrollWidth,
  broken: [...Reveal.getCurrentSlide().querySelectorAll('img')]
    .filter(image => !image.naturalWidth || !image.alt).length,
})"""
chromium = jupyterlab_page.chromium  # a fixture
needs_reveal = pytest.mark.skipif(
    find_asset(all_assets()["reveal"]) is None,
    reason="reveal.js is not fetched: python -m helpers fetch reveal",
)


def by_name(path):
    return path.stem


def marked(source):
    """Return the cells of a deck."""
    return slide_cells.deck(source, nbformat.read(COLLECTION.built(source), as_version=4))


def kind(cell):
    return cell.metadata.get("slideshow", {}).get("slide_type", "")


@pytest.mark.files
@pytest.mark.parametrize("source", BUILT, ids=by_name)
def test_a_deck_has_the_sections_the_pictures_and_the_exercises(source):
    built = nbformat.read(COLLECTION.built(source), as_version=4)
    made = marked(source)
    assert [kind(cell) for cell in made.cells[:3]] == ["slide", "fragment", "notes"]
    assert all(kind(cell) for cell in made.cells)
    shown = "\n".join(cell.source for cell in made.cells if kind(cell) != "notes")
    text = "\n".join(cell.source for cell in built.cells if not is_code(cell))
    for heading in re.findall(r"^##+ .+$", text, re.MULTILINE):
        assert heading in shown or heading == "## Exercises"
    for exercise in exercises("\n".join(cell.source for cell in built.cells)):
        assert f"**{exercise}" in shown
        notes = [cell.source for cell in made.cells if kind(cell) == "notes"]
        assert any(find(exercise).hints[-1] in note for note in notes)
    assert pictures(made) == pictures(built)
    assert "solutions/" not in shown


def pictures(notebook):
    """Return the pictures of a notebook."""
    outputs = (one for cell in notebook.cells if is_code(cell) for one in cell.outputs)
    return [one.data["image/png"] for one in outputs if "image/png" in one.get("data", {})]


# The rules, on made-up notebooks.


def lesson(tmp_path, *cells):
    """Return a source file and its built notebook: a title, these cells, and what a build adds."""
    title = new_markdown_cell("# Is it so?\n\nYes, it is. Mostly.\n\n**Needs:** nothing.")
    source = tmp_path / "99_x.py"
    lines = []
    for cell in (title, *cells):
        head = "# %%" if is_code(cell) else "# %% [markdown]"
        tags = f" tags={cell.metadata.pop('tags')}" if "tags" in cell.metadata else ""
        body = cell.source if is_code(cell) else re.sub("^", "# ", cell.source, flags=re.M)
        lines.append(f"{head}{tags}\n{body}\n".replace("'", '"'))
    source.write_text("\n".join(lines), encoding="utf-8")
    added = [new_markdown_cell("Runs in a minute."), new_markdown_cell("---\nnext")]
    return source, new_notebook(cells=[title, added[0], *cells, added[1]])


def told(source, built):
    """Return the deck as pairs of a cell's kind and what it shows."""
    return [(kind(cell), cell.source) for cell in slide_cells.deck(source, built).cells]


PRINTS = [new_output("stream", name="stdout", text="1\n")]
DRAWS = [new_output("display_data", data={"image/png": "aa"})]


def test_a_slide_is_a_text_and_the_output_that_follows(tmp_path):
    text = "## 1. Look\n\nFirst. Second.\n\n**Predict first:** up or down?"
    source, built = lesson(tmp_path, new_markdown_cell(text), new_code_cell("x", outputs=DRAWS))
    assert told(source, built) == [
        ("slide", "# Is it so?"),
        ("fragment", "Yes, it is."),
        ("notes", "Yes, it is. Mostly."),
        ("slide", "## 1. Look\n\nFirst.\n\n**Predict first:** up or down?"),
        ("fragment", "x"),
        ("notes", text),
    ]
    assert slide_cells.deck(source, built).metadata["title"] == "Is it so?"


def test_without_a_prediction_the_output_is_there_at_once(tmp_path):
    cells = [new_markdown_cell("## 1. Look"), new_code_cell("x", outputs=DRAWS)]
    assert told(*lesson(tmp_path, *cells))[-2:] == [("slide", "## 1. Look"), ("-", "x")]


def test_sentences_without_an_output_are_for_the_speaker(tmp_path):
    cells = [
        new_markdown_cell("## 1. Look"),
        new_code_cell("x", outputs=DRAWS),
        new_markdown_cell("It rose.\n\n## 2. Again"),
        new_code_cell("y", outputs=DRAWS),
    ]
    assert told(*lesson(tmp_path, *cells))[3:] == [
        ("slide", "## 1. Look"),
        ("-", "x"),
        ("notes", "It rose."),
        ("slide", "## 2. Again"),
        ("-", "y"),
    ]


def test_a_section_waits_for_its_first_output(tmp_path):
    cells = [
        new_markdown_cell("## 1. Look"),
        new_code_cell("x = 1\ny = 2\nz = 3"),
        new_markdown_cell("Now draw it."),
        new_code_cell("z", outputs=DRAWS),
    ]
    assert told(*lesson(tmp_path, *cells))[3:] == [
        ("slide", "## 1. Look"),
        ("-", "Now draw it."),
        ("-", "z"),
    ]


@pytest.mark.parametrize(
    ("code", "outputs", "tags", "shown", "with_code"),
    [
        ("print(1)", PRINTS, [], True, True),
        ("x = 1\n" * 8 + "print(x)", PRINTS, [], True, False),
        ("draw()", DRAWS, [], True, False),
        ("draw()", DRAWS, ["code"], True, True),
        ("print(1)", PRINTS, ["hide"], True, False),
        ("def tune(model):\n    return model", [], [], True, True),
        ("def look(n):\n    return n", [], [], False, False),
        ("def tune(model):\n    return model\n\n\ntune(1)", DRAWS, [], True, False),
        ("x = 1", [], [], False, False),
    ],
)
def test_which_code_is_shown(tmp_path, code, outputs, tags, shown, with_code):
    cell = new_code_cell(code, outputs=outputs, metadata={"tags": tags} if tags else {})
    slider = new_code_cell("explore(look, n=[1])", outputs=DRAWS)
    cells = [new_markdown_cell("## Look"), cell, new_markdown_cell("## Try"), slider]
    made = slide_cells.deck(*lesson(tmp_path, *cells)).cells
    found = [one for one in made if is_code(one) and one.source == code]
    assert bool(found) == shown
    if shown:
        assert found[0].metadata.transient.remove_source != with_code


def test_code_to_mend_stands_on_the_slide_of_its_exercise(tmp_path):
    stub = 'def loop(x):\n    return x\n\n\nanswer = loop\ncheck("03.2", answer)'
    cells = [
        new_markdown_cell("**03.2 Fix it.** Two bugs."),
        new_code_cell(stub, outputs=PRINTS),
        new_markdown_cell("**03.3** Say."),
        new_code_cell('answer = ...\ncheck("03.3", answer)', outputs=PRINTS),
    ]
    made = told(*lesson(tmp_path, *cells))[3:]
    assert [shown for _, shown in made if not shown.startswith("Hints: ")] == [
        "**03.2 Fix it.** Two bugs.",
        "def loop(x):\n    return x",
        "**03.3** Say.",
    ]


def test_tags_skip_a_cell_or_show_all_of_a_text(tmp_path):
    cells = [
        new_markdown_cell("## A\n\nOne. Two.", metadata={"tags": ["all"]}),
        new_markdown_cell("## B\n\nThree.", metadata={"tags": ["skip"]}),
    ]
    assert told(*lesson(tmp_path, *cells))[3:] == [("slide", "## A\n\nOne. Two.")]


def test_a_notebook_that_is_older_than_its_source_is_refused(tmp_path):
    source, built = lesson(tmp_path, new_markdown_cell("## A"))
    built.cells.pop(2)
    with pytest.raises(SystemExit, match="build it again"):
        slide_cells.deck(source, built)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("It is 0.5 m. Then more.", "It is 0.5 m."),
        ("Hu et al. 2021 did it. They won.", "Hu et al. 2021 did it."),
        ("Use e.g. LoRA here. Or not.", "Use e.g. LoRA here."),
        ("Is it? Yes.", "Is it?"),
        ("`a.b` is set. `c` too.", "`a.b` is set."),
        ("No end", "No end"),
        ("**A cut. And bold.** Then plain. Last.", "**A cut. And bold.** Then plain."),
    ],
)
def test_the_first_sentence(text, first):
    assert slide_cells.short(text) == first


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (
            "## 1. Look\n\nFirst.\n\n**Predict first:** up\nor down?",
            "**Predict first:** up or down?",
        ),
        ("Curves jump. How far? **Predict first.**", "How far? **Predict first.**"),
        ("**Predict.** Which one?", "**Predict.** Which one?"),
        ("Nothing is asked.", ""),
    ],
)
def test_what_a_text_asks(text, asked):
    assert slide_cells.question_of(text) == asked
    assert asked in slide_cells.short(text)


def test_a_picture_below_more_than_two_lines_has_a_slide_of_its_own(tmp_path):
    text = "## 1. Look\n\nFirst. Second.\n\nThird.\n\n**Predict first:** up or down?"
    outputs = [*PRINTS, *DRAWS]
    source, built = lesson(tmp_path, new_markdown_cell(text), new_code_cell("x", outputs=outputs))
    made = slide_cells.deck(source, built).cells[3:]
    assert [kind(cell) for cell in made] == ["slide", "fragment", "notes", "subslide", "-", "notes"]
    assert made[0].source.endswith("**Predict first:** up or down?")
    assert made[1].outputs == PRINTS and made[4].outputs == DRAWS
    assert made[3].source == "**Predict first:** up or down?"


def test_a_long_print_goes_on_to_further_slides(tmp_path):
    rows = [f"line {n}" for n in range(40)]
    printed = new_output("stream", name="stdout", text="\n".join(rows) + "\n")
    cells = [new_markdown_cell("## 1. Look"), new_code_cell("tell()", outputs=[printed])]
    made = slide_cells.deck(*lesson(tmp_path, *cells)).cells[3:]
    assert [kind(cell) for cell in made] == ["slide", "-", "subslide", "subslide", "subslide"]
    assert made[1].source == "tell()" and made[1].outputs == []
    said = [cell.outputs[0].text for cell in made[2:]]
    assert "\n".join(said).split("\n") == rows
    assert max(text.count("\n") for text in said) <= slide_outputs.ROOM


def test_a_heading_and_an_item_are_not_cut_off_from_what_follows():
    printed = ["# A", "", "text", "", "Look:", "- one", "  more", "- two"]
    assert slide_outputs.paragraphs(printed) == [
        [],
        ["# A", "", "text"],
        ["", "Look:", "- one", "  more"],
        ["- two"],
    ]


def test_each_part_of_a_long_table_has_the_head():
    head, rows = "| no. | claim |\n|---|---|", [f"| {n} | it holds |" for n in range(50)]
    table = new_output("display_data", data={"text/markdown": "\n".join([head, *rows])})
    parts = [part.data["text/markdown"] for part in slide_outputs.cut_output(table)]
    assert len(parts) == 3
    assert all(part.startswith(head) for part in parts)
    assert "\n".join(part.removeprefix(head + "\n") for part in parts).split("\n") == rows


def test_lists_and_quotes_stay_whole():
    text = "Two things. Not three.\n\n- One. Yes.\n- Two.\n\n> **Note.** A. B."
    assert slide_cells.short(text) == text.replace(" Not three.", "")


# The page.


def test_formulas_become_mathml_and_code_stays():
    made = make_slides.with_mathml("`$x$` and $\\sqrt{n}$ and\n\n$$a = b$$")
    assert made.startswith("`$x$` and <math")
    assert "<msqrt>" in made
    assert 'display="block"' in made
    assert "$" not in made.replace("`$x$`", "")


def test_lines_that_are_a_table_are_not_broken():
    assert make_slides.in_lines("<pre>a    1\nb    2</pre>").startswith('<pre class="lines">')
    assert make_slides.in_lines("<pre>some words\nand   more</pre>").startswith("<pre>")


def test_a_script_cannot_end_its_element():
    assert "</script" not in make_slides.script('a = "</script>"; b = "<!-- </SCRIPT>"').lower()


@pytest.fixture(scope="module", params=SHOWN)
def path(request, tmp_path_factory):
    """Return the file of a deck."""
    folder = tmp_path_factory.mktemp("slides")
    return make_slides.make(COLLECTION, COLLECTION.find(request.param), folder)


@needs_reveal
@pytest.mark.files
def test_a_deck_asks_for_nothing(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 3_000_000
    # Inside scripts and texts such words may stand: only what a browser would load counts.
    page = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert FETCHED.search(page) is None
    assert "<title>" in page
    assert "No description has been provided" not in page
    assert page.count('alt="') == page.count("<img") > 1
    assert '<html lang="en">' in page


@needs_reveal
@pytest.mark.browser
def test_arrows_move_and_nothing_is_asked_or_cut_off(path, chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=jupyterlab_page.FLAGS)
        context = browser.new_context(
            offline=True, viewport={"width": 1280, "height": 720}, reduced_motion="reduce"
        )
        page = context.new_page()
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_function("Reveal.isReady()")
        states = walk(page)
        page.keyboard.press("ArrowLeft")
        assert page.evaluate(STATE)["at"] != states[-1]["at"]
        browser.close()
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert said == []
    assert len(states) > 10
    assert len({state["at"] for state in states}) == len(states)
    for state in states:
        assert state["height"] <= 720, state
        assert state["wide"] <= 1280, state
        assert state["broken"] == 0, state


def walk(page):
    """Press the right arrow to the end; return what each step shows."""
    states = []
    for _ in range(300):
        states.append(page.evaluate(STATE))
        if states[-1]["last"]:
            break
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "at => Object.values(Reveal.getIndices()).join('/') !== at", arg=states[-1]["at"]
        )
    return states
