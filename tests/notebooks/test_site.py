"""What the site is staged from, and its glossary: no browser needed (`test_site_browser.py`)."""

import html
import re

import nbformat
import pandas as pd
import pytest
from docutils import nodes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.display import plot_low_rank
from helpers.display.figures import figure, png_bytes
from helpers.display.sliders import encode
from helpers.errors import UserError
from helpers.results.published.cases import comparable_cases
from helpers.results.published.schema import GRADES
from helpers.results.published.tables import load_published
from tools.site import site_glossary as glossary
from tools.site import site_published, site_stage, site_tables
from tools.site.site_pages import build_pages

README = """# A title

What it is about: a probe.

```
make lab
```

## The notebooks

| | question |
|---|---|
| 00 | [Is it so?](notebooks/00_first.ipynb) |

See [the licence](LICENSE), [data](data/), [nothing](gone.md) and [contents](#the-notebooks).
"""
FRAME = """<div>
<style scoped>
    .dataframe tbody tr th { vertical-align: middle; }
</style>
<table border="1" class="dataframe">
  <thead>
    <tr style="text-align: right;">
      <th></th>
      <th>gain</th>
    </tr>
  </thead>
  <tbody>
    <tr>
      <th>0</th>
      <td>1.5</td>
    </tr>
  </tbody>
</table>
</div>"""


def drawn(alt, kind="display_data"):
    made, _ = figure("x", width=3.0, height=2.0)
    data = {"image/png": encode(png_bytes(made)), "text/plain": alt}
    return new_output(kind, data=data, metadata={"image/png": {"alt": alt}})


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Build the site of a repository with one notebook; return its folder and the warnings."""
    root = tmp_path_factory.mktemp("root").resolve()
    (root / "notebooks").mkdir()
    (root / "README.md").write_text(README, encoding="utf-8")
    (root / "LICENSE").write_text("MIT\n", encoding="utf-8")
    slider = new_code_cell("explore(draw, n=[1, 2])", outputs=[drawn("Gain *by* size [%]")])
    table = new_output("display_data", data={"text/html": FRAME, "text/plain": "0 1.5"})
    listed = new_output("display_data", data={"text/markdown": "| | what |\n|---|---|\n| ☐ | a |"})
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Is it so?\n\nA `probe` in code. A linear\nprobe, then a probe."),
            new_code_cell("frame", outputs=[table]),
            new_markdown_cell("A list:"),
            new_code_cell("listed", outputs=[listed]),
            new_markdown_cell("## Of a seed\n\nIt costs $n^2$ each: see [README](../README.md)."),
            slider,
            new_markdown_cell("---\n[next: gone](01.ipynb)", metadata={"tags": ["made-by-build"]}),
        ]
    )
    nbformat.write(notebook, root / "notebooks" / "00_first.ipynb")
    folder = tmp_path_factory.mktemp("site") / "site"
    return folder, build_pages(root, folder)


def read(folder, name):
    return (folder / name).read_text(encoding="utf-8")


def test_a_small_site_builds_without_a_warning(small):
    assert small[1] == []


def test_the_readme_is_the_first_page(small):
    page = read(small[0], "index.html")
    assert "<title>Freeze, Tune, or Adapt?</title>" in page
    assert 'href="notebooks/00_first.html"' in page and 'href="explorer.html"' in page
    assert re.search(r'href="_downloads/\w+/LICENSE"', page)
    assert "See " in page and ".ipynb" not in page and "gone.md" not in page
    assert page.index("make lab") > page.index("Open the explorer")
    assert re.search(r'<th class="head"><p>no\.</p></th>', page)  # a head for the numbers


def test_a_table_that_a_cell_tells_in_markdown_is_a_table(small):
    page = read(small[0], "notebooks/00_first.html")
    assert re.search(r'<th class="head"><p>done</p></th>\s*<th class="head"><p>what</p></th>', page)
    assert "| what |" not in page


def test_a_picture_is_a_file_with_its_words(small):
    page = read(small[0], "notebooks/00_first.html")
    found = re.findall(r'<img alt="([^"]*)" src="\.\./(_images/[^"]+)"', page)
    assert [alt for alt, _ in found] == ["Gain *by* size [%]"]
    assert (small[0] / found[0][1]).read_bytes().startswith(b"\x89PNG")
    assert "data:image/png" not in page


def test_a_slider_says_what_it_is_elsewhere(small):
    page = read(small[0], "notebooks/00_first.html")
    assert "In JupyterLab it is a slider once the notebook runs" in page
    assert 'href="../explorer.html">the explorer</a>' in page


def test_the_notebooks_own_navigation_gives_way_to_the_pages(small):
    page = read(small[0], "notebooks/00_first.html")
    assert "next: gone" not in page
    assert 'href="../index.html#the-notebooks"' in page


def test_a_formula_needs_no_script(small):
    page = read(small[0], "notebooks/00_first.html")
    assert "<math" in page and "<msup>" in page
    assert not any("math" in source for source in re.findall(r"<script[^>]*src=\"([^\"]*)", page))


def test_the_first_use_of_a_term_leads_to_its_entry_and_back(small):
    page = read(small[0], "notebooks/00_first.html")
    assert len(re.findall(r'href="\.\./glossary\.html#term-probe"', page)) == 1
    used = re.search(r'id="use-probe">(<a.*?</a>)', page, re.DOTALL)[1]
    assert "linear\nprobe" in re.sub("<.*?>", "", used)  # a term across two lines; not the code
    assert "term-seed" not in page  # a heading stays a heading
    entry = read(small[0], "glossary.html").partition('id="term-probe"')[2].partition("<dt")[0]
    assert 'href="notebooks/00_first.html#use-probe">00 first</a>' in entry
    assert 'href="index.html#use-probe">first page</a>' in entry


def test_an_entry_leads_to_the_others_it_needs(small):
    page = read(small[0], "glossary.html")
    entry = page.partition('id="term-probe"')[2].partition("<dt")[0]
    assert 'href="#term-frozen"' in entry and 'href="#term-probe"' not in entry.partition("<dd")[2]
    assert 'id="use-' not in page


def test_an_equal_build_replaces_the_old_pages_alone(small, tmp_path):
    root = tmp_path / "root"
    (root / "notebooks").mkdir(parents=True)
    (root / "README.md").write_text("# T\n\nOpening.\n\nRest.\n", encoding="utf-8")
    with pytest.raises(UserError, match="No built notebook in .*make notebooks"):
        build_pages(root, tmp_path / "site")
    assert not (tmp_path / "site").exists()
    notebook = new_notebook(cells=[new_markdown_cell("# Is it so?")])
    nbformat.write(notebook, root / "notebooks" / "00_first.ipynb")
    other = tmp_path / "other"
    other.mkdir()
    (other / "own.txt").write_text("mine", encoding="utf-8")
    build_pages(root, other)
    assert (other / "own.txt").exists() and (other / "index.html").exists()


def test_published_evidence_is_a_page_with_a_part_for_each_source(small):
    index, page = read(small[0], "index.html"), read(small[0], "published.html")
    assert index.count('href="published.html"') >= 2  # in the text and in the navigation
    published = load_published()
    for key, source in published.sources.iterrows():
        part = page.partition(f'id="source-{key.replace("_", "-")}"')[2].partition("<section")[0]
        assert source["link"] in part and source["title"] in html.unescape(part)
        words = " ".join(html.unescape(re.sub("<.*?>", "", part)).replace("’", "'").split())
        assert source["caveat"] in words and source["licence"] in words
        assert GRADES[source["grade"]].replace("'", "") in words.replace("'", "")
    assert f"{len(published.figures):,}" in page


def test_the_page_of_published_evidence_shows_every_case_and_no_figure_that_must_not_be_compared():
    page = site_published.published_page()
    cases = comparable_cases()
    shown = re.findall(r"The cases \((\d+)\)", page)
    assert sum(map(int, shown)) == len(cases)
    folded = page.partition("## MedMNIST")[2].partition("<details")[2].partition("</details>")[0]
    assert folded.count("<tr>") == 1 + (cases["source"] == "medmnistplus").sum()
    assert "chestmnist" not in folded and "SAM" not in folded
    assert "nan" not in re.sub("<.*?>", " ", page).lower().split()


def test_words_stand_left_and_numbers_to_the_same_digit():
    frame = pd.DataFrame({"who": ["a", "b"], "n": [1200.0, None], "gain": [1.25, -3.0]}, ["x", "y"])
    table = site_tables.table_of(frame, 1).partition("</thead>")
    assert [part.count('class="words"') for part in table] == [1, 0, 4]
    assert re.findall(r"<td>(.*?)</td>", table[2]) == ["1,200", "1.2", "", "-3.0"]


def test_a_table_has_its_cells_named():
    table = site_tables.bare_table(FRAME)
    assert table.startswith('<div class="table-frame">')
    assert "style" not in table and "border" not in table and "<th></th>" not in table
    assert '<th scope="col">gain</th>' in table and '<th scope="row">0</th>' in table


def test_a_frame_is_shown_with_its_words_left_and_no_column_that_only_counts():
    frame = pd.DataFrame({"who": ["a", "b"], "n": [1.0, 2.0], "interval": ["-1 to +2", ""]})
    shown = site_tables.arranged(frame.to_html())
    assert re.findall(r"<t[hd]\b([^>]*)>", shown) == [
        *(' class="words"', "", ""),
        *(' class="words"', "", "") * 2,
    ]
    kept = site_tables.arranged(frame.set_index("who").to_html())
    assert kept.count("<tr") == 3 and ">who</th>" in kept.partition("</thead>")[0]
    assert ">a</th>" in kept
    picked = site_tables.arranged(frame.iloc[1:].to_html())
    assert ">1</th>" in picked
    told = site_tables.arranged(pd.DataFrame({"x": ["word " * 9]}).to_html())
    assert 'class="long words"' in told


def test_a_number_stays_with_its_per_cent_sign():
    assert site_tables.unbroken("95 % of 3 % and %") == "95\xa0% of 3\xa0% and %"


@pytest.mark.parametrize(
    ("source", "output", "words"),
    [
        ("explore(draw, n=[1])", drawn("x"), "it is a slider"),
        ("explorer()", drawn("x"), "it has sliders"),
        ("explore(draw, n=[1])", new_output("stream", text="x"), ""),
        ("plot_explored(1)", drawn("x"), ""),
    ],
)
def test_what_stands_below_a_slider(source, output, words):
    said = site_stage.still_words(new_code_cell(source, outputs=[output]))
    assert words in said and bool(said) == bool(words)


def test_every_term_has_one_entry_of_one_to_three_sentences():
    terms = glossary.read_terms()
    assert len(terms) >= 45
    assert len({term.slug for term in terms}) == len(terms)
    for term in terms:
        assert term.text.endswith(".")
        assert 1 <= len(re.findall(r"[.?](?=\s|$)", re.sub(r"et al\.", "", term.text))) <= 3, term


def test_a_word_that_leads_to_two_entries_is_refused(tmp_path):
    file = tmp_path / "terms.toml"
    entry = '[[term]]\nname = "{}"\nmatch = ["base"]\ntext = "It is."\n'
    file.write_text(entry.format("one") + entry.format("two"), encoding="utf-8")
    with pytest.raises(UserError, match="'base' leads to one and to two"):
        glossary.read_terms(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Probes beat it.", ["Probes"]),
        ("a linear\nprobe", ["linear\nprobe"]),
        ("full fine-tuning, fine-tuned", ["full fine-tuning", "fine-tuned"]),
        ("ahead, header, subtask, multi-task, tasked", []),
        ("probe, then fine-tune", ["probe, then fine-tune"]),
        ("Fréchet distances", ["Fréchet distances"]),
    ],
)
def test_words_that_are_terms(text, words):
    finder, _ = glossary.pattern(glossary.read_terms())
    assert [match[0] for match in finder.finditer(text)] == words


def test_texts_are_joined_and_nothing_is_lost():
    parent = nodes.paragraph("", "", nodes.Text("a linear"), nodes.Text("\n"), nodes.Text("probe"))
    glossary.join_texts(parent)
    assert [child.astext() for child in parent.children] == ["a linear\nprobe"]
    kept = nodes.paragraph("", "", nodes.Text("a"), nodes.literal("b", "b"), nodes.Text("c"))
    glossary.join_texts(kept)
    assert len(kept.children) == 3 and all(child.parent is kept for child in kept.children)


def test_a_diagram_keeps_both_drawings_and_the_rules_that_choose(tmp_path):
    bundle, metadata = plot_low_rank(100, 4)._repr_mimebundle_()
    bundle["image/png"] = encode(bundle["image/png"])
    output = new_output("display_data", bundle, metadata=metadata)
    told = site_stage.shown(output, tmp_path / "a.png").data
    assert "image/png" not in told and not (tmp_path / "a.png").exists()
    assert 'body[data-theme="auto"]' in told["text/html"] and told["text/html"].count("<img") == 2
