"""Lay out what the site is built from: notebooks, their pictures beside them, Markdown pages."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import nbformat

from helpers.errors import UserError
from tools.site.site_glossary import PAGE, glossary_page, read_terms
from tools.site.site_published import PAGE as PUBLISHED
from tools.site.site_published import published_page
from tools.site.site_tables import arranged, bare_table, plain, unbroken

MADE = "made-by-build"  # the tag of cells that the notebooks' build added
PAGES = ("CHECKLIST.md", "TEACHING.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
CODE = re.compile(r"(```.*?```|`[^`]*`)", re.DOTALL)
HEADLESS = re.compile(r"^\| \|(?=[^\n]*\n\|[-|: ]+\|\n\| (\S))", re.MULTILINE)  # the first column
SLIDER = re.compile(r"\b(explore|explorer)\(")
STILL = (
    "*A picture of the first state. In JupyterLab {what} once the notebook runs; here, "
    '<a href="{up}explorer.html">the explorer</a> answers without a kernel.*'
)
DOORS = """\
- [Begin with notebook {first}](notebooks/{stem}.ipynb)
- <a href="explorer.html">Open the explorer</a>: describe your situation, see what the rule says and
  what was measured near it. It needs neither Python nor a network.
- [See what others have published](published.md): figures from papers and repositories, beside ours.
- [Look a word up](glossary.md)
"""


def stage(root: Path, folder: Path) -> None:
    """Write into `folder` all that Sphinx reads, from the repository at `root`.

    Raises UserError where there is no built notebook.
    """
    notebooks = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not notebooks:
        raise UserError(f"No built notebook in {root / 'notebooks'}: run `make notebooks` first.")
    titles = {path.stem: stage_notebook(path, root, folder) for path in notebooks}
    pages = [name for name in PAGES if (root / name).exists()]
    for name in pages:
        text = (root / name).read_text(encoding="utf-8")
        write(folder / name, local_links(text, root / name, root, folder))
    write(folder / f"{PAGE}.md", glossary_page(read_terms()))
    told = local_links(published_page(), root / f"{PUBLISHED}.md", root, folder)
    write(folder / f"{PUBLISHED}.md", told)
    write(folder / "index.md", landing_page(root, folder, titles, pages))


def write(path: Path, text: str) -> None:
    """Write a text file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def landing_page(root: Path, folder: Path, titles: dict[str, str], pages: list[str]) -> str:
    """Return the README as the first page, with the ways in and the tables of contents."""
    readme = root / "README.md"
    text = local_links(readme.read_text(encoding="utf-8"), readme, root, folder)
    text = text.replace("`build/site/explorer.html`", '<a href="explorer.html">this page</a>')
    title, opening, rest = text.split("\n\n", 2)
    first = next(iter(titles))
    doors = DOORS.format(first=first[:2], stem=first)
    listed = [f"{stem[:2]} · {title} <notebooks/{stem}>" for stem, title in titles.items()]
    more = [PAGE, PUBLISHED, *(name.removesuffix(".md") for name in pages)]
    trees = contents("Notebooks", listed) + contents("More", more)
    return f"{title}\n\n{opening}\n\n{doors}\n{rest}\n{trees}"


def contents(caption: str, entries: list[str]) -> str:
    """Return a part of the side bar's navigation."""
    lines = "\n".join(entries)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{lines}\n```\n"


def stage_notebook(path: Path, root: Path, folder: Path) -> str:
    """Write a notebook as the site shows it, and its pictures beside it; return its title."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "python"}
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            cell.source = local_links(cell.source, path, root, folder)
        elif cell.cell_type == "code":
            for output in cell.outputs:
                if text := output.get("data", {}).get("text/markdown"):
                    output.data["text/markdown"] = local_links(text, path, root, folder)
            outputs = [
                shown(output, folder / "notebooks" / f"{path.stem}-{place:03d}-{number}.png")
                for number, output in enumerate(cell.outputs)
            ]
            still = still_words(cell)
            cell.outputs = outputs + [_markdown(still)] * bool(still)
    if MADE in notebook.cells[-1].metadata.get("tags", []):  # the page has its own way on
        notebook.cells[-1].source = "[All notebooks](../index.md#the-notebooks)"
    write(folder / "notebooks" / path.name, nbformat.writes(notebook))
    return notebook.cells[0].source.partition("\n")[0].lstrip("# ").strip()


def still_words(cell: nbformat.NotebookNode) -> str:
    """Return what stands below a slider's picture; nothing for other cells."""
    called = SLIDER.search(cell.source)
    drawn = any("image/png" in output.get("data", {}) for output in cell.outputs)
    if not (called and drawn):
        return ""
    what = "it is a slider" if called[1] == "explore" else "it has sliders"
    return STILL.format(what=what, up="../")


def shown(output: nbformat.NotebookNode, picture: Path) -> nbformat.NotebookNode:
    """Return an output as the site shows it: pictures as files with alt text, bare tables."""
    data = output.get("data", {})
    if "image/png" in data and "text/html" in data:  # a diagram: both drawings are in the HTML
        del data["image/png"]
        return output
    if "image/png" in data:
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(base64.b64decode(data["image/png"]))
        alt = output.metadata.get("image/png", {}).get("alt", "")
        return _markdown(f"![{plain(alt)}]({picture.name})")
    if "text/html" in data:
        data["text/html"] = arranged(bare_table(data["text/html"]))
    return output


def local_links(text: str, page: Path, root: Path, folder: Path) -> str:
    """Return Markdown whose local links lead to pages of the site or to files copied beside them.

    A link to a folder, or to what is not there, becomes plain words.
    """

    def moved(link: re.Match[str]) -> str:
        bang, words, target = link.groups()
        address, _, anchor = target.partition("#")
        if re.match(r"\w+:", target) or not address:
            return link[0]
        there = (page.parent / address).resolve()
        if there == root / "README.md":
            up = "../" * len(page.relative_to(root).parts[1:])
            return f"{bang}[{words}]({up}index.md{'#' * bool(anchor)}{anchor})"
        if not (there.is_file() and there.is_relative_to(root)):
            return words
        within = there.relative_to(root)
        if within.as_posix() not in PAGES and within.parts[0:1] != ("notebooks",):
            _copy(there, folder / within)
        return link[0]

    text = HEADLESS.sub(lambda table: "| no. |" if table[1].isdigit() else "| done |", text)
    return "".join(
        part if part.startswith("`") else unbroken(LINK.sub(moved, part))
        for part in CODE.split(text)
    )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _markdown(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("display_data", data={"text/markdown": text})
