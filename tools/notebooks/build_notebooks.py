"""Build what people read: notebooks/sources/NN_slug.py -> notebooks/NN_slug.ipynb, executed.

    python -m tools.notebooks.build_notebooks 03            one notebook, or several
    python -m tools.notebooks.build_notebooks --all         every one
    python -m tools.notebooks.build_notebooks --check       are the two sides alike? nothing runs
    python -m tools.notebooks.build_notebooks --refresh     navigation, tables of README, TEACHING
    python -m tools.notebooks.build_notebooks 03 --fresh    with nothing cached, and timed
    python -m tools.notebooks.build_notebooks 03 --profile fast     a quick try, kept out of git

A notebook is written only when it ran to its end. Widget views, timestamps, random ids and
progress bars are left out, so an equal run gives an equal file. The line that says how long it
takes, the navigation at its end and the tables of README and TEACHING are written here, not typed.
What they say of minutes and memory is that of a first run (`--fresh`), before anything is cached.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.paths import cache_dir
from tools.notebooks.kernel_memory import watched_children
from tools.notebooks.notebook_cleaning import KERNEL, clean
from tools.notebooks.teaching_table import HEAD, minutes, row

ROOT = Path(__file__).resolve().parents[2]
CELL_SECONDS = 1200  # a cell that runs longer hangs
MADE = "made-by-build"  # the tag of cells that no source has
PAGES = ("README.md", "TEACHING.md")  # each has its table between MARKS
MARKS = ("<!-- notebooks -->", "<!-- /notebooks -->")
MINUTES = re.compile(r"\{minutes ((?:\d\d ?)+)\}")  # in a text: these notebooks, read and run
FETCHED = ("assets", "stamps")  # of the cache: what `python -m helpers fetch` fills
BUSY = 15  # percent of the processors that others use, over which a time says nothing


class Collection:
    """The notebooks of one repository: where each side lies and what stands between them."""

    def __init__(self, root: Path = ROOT) -> None:
        self.folder = root / "notebooks"
        self.pages = [root / name for name in PAGES]
        self.tries = root / "data" / "cache" / "notebooks"
        self.minutes = self.folder / "minutes.json"
        self.memory = self.folder / "memory.json"
        self.sources = sorted((self.folder / "sources").glob("[0-9][0-9]_*.py"))

    def find(self, name: str) -> Path:
        """Return the source whose number or name is `name`; raises SystemExit where none is."""
        found = [source for source in self.sources if source.stem.startswith(name)]
        if len(found) != 1:
            raise SystemExit(f"{len(found)} files in notebooks/sources start with {name!r}: want 1")
        return found[0]

    def built(self, source: Path) -> Path:
        """Return the file that people read."""
        return self.folder / f"{source.stem}.ipynb"

    def measured(self, file: Path) -> dict[str, float]:
        """Return what was measured of each notebook, by its number."""
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def note(self, file: Path, source: Path, value: float) -> None:
        """Keep what a full run took; a run alike (within a fifth) changes nothing."""
        known = self.measured(file)
        before = known.get(source.stem[:2], 0.0)
        if abs(value - before) > 0.2 * before:
            known[source.stem[:2]] = round(value, 1)
            write(file, json.dumps(dict(sorted(known.items())), indent=1) + "\n")

    def footer(self, source: Path) -> str:
        """Return the navigation line: previous, contents, next."""
        place = self.sources.index(source)
        parts = ["[contents](../README.md#the-notebooks)"]
        if place > 0:
            before = self.sources[place - 1]
            parts.insert(0, f"[previous: {title(before)}]({before.stem}.ipynb)")
        if place + 1 < len(self.sources):
            after = self.sources[place + 1]
            parts.append(f"[next: {title(after)}]({after.stem}.ipynb)")
        return "---\n" + " | ".join(parts)

    def cells(self, source: Path) -> list[nbformat.NotebookNode]:
        """Return the cells a notebook has: those of its source, the time line and the footer."""
        parts = read_source(source)
        takes = words_for(self.measured(self.minutes).get(source.stem[:2]))
        parts.insert(1, _made(f"Runs in {takes} on two CPU cores."))
        parts.append(_made(self.footer(source)))
        for place, cell in enumerate(parts):
            cell["id"] = f"{source.stem[:2]}-{place:03d}"
            if cell.cell_type == "markdown":
                cell.source = MINUTES.sub(lambda found: self.minutes_of(found[1]), cell.source)
        return parts

    def minutes_of(self, numbers: str) -> str:
        """Return how long several notebooks take to read and run, such as "25"."""
        taken = self.measured(self.minutes)
        chosen = [(number, self.find(number)) for number in numbers.split()]
        return f"{sum(minutes(number, read_source(one), taken) for number, one in chosen):.0f}"

    def readme_table(self) -> str:
        """Return the README's table of notebooks."""
        rows, seconds = ["| | question | takes | needs |", "|---|---|---|---|"], self.minutes
        for source in self.sources:
            number = source.stem[:2]
            takes = words_for(self.measured(seconds).get(number))
            link = f"[{title(source)}](notebooks/{source.stem}.ipynb)"
            rows.append(f"| {number} | {link} | {takes} | {needs(source)} |")
        return "\n".join(rows)

    def teaching_table(self) -> str:
        """Return TEACHING's table of what each notebook takes."""
        taken = self.measured(self.minutes), self.measured(self.memory)
        return "\n".join([*HEAD, *(row(s.stem[:2], read_source(s), *taken) for s in self.sources)])

    def page_text(self, page: Path) -> str:
        """Return a page with today's table between its two marks."""
        table = self.readme_table() if page.name == PAGES[0] else self.teaching_table()
        before, begin, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
        _, end, after = rest.partition(MARKS[1])
        if not end:
            raise SystemExit(f"{page.name} lacks {MARKS[0]} or {MARKS[1]}: its table goes between")
        return f"{before}{begin}\n{table}\n{end}{after}"


def read_source(source: Path) -> list[nbformat.NotebookNode]:
    """Return the cells of a percent file, without metadata of their own."""
    cells = []
    for cell in jupytext.read(source, fmt="py:percent").cells:
        if cell.source.strip():
            new = new_markdown_cell if cell.cell_type == "markdown" else new_code_cell
            cells.append(new(cell.source.strip()))
    return cells


def title(source: Path) -> str:
    """Return a notebook's title: the first heading of its first cell."""
    first = read_source(source)[0].source
    return first.splitlines()[0].lstrip("# ").strip()


def needs(source: Path) -> str:
    """Return what `**Needs:** …` of the first cell says, up to an empty line."""
    found = re.search(r"\*\*Needs:\*\*\s*(.+?)(\n\s*\n|\Z)", read_source(source)[0].source, re.S)
    return " ".join(found[1].split()).rstrip(".") if found else "this clone"


def words_for(seconds: float | None) -> str:
    """Return a time as a reader plans with it."""
    if seconds is None:
        return "an unmeasured time"
    if seconds <= 60:
        return "under a minute"
    return f"about {round(seconds / 60 + 0.25)} minutes" if seconds > 105 else "under two minutes"


@contextmanager
def fetched_alone() -> Iterator[dict[str, str]]:
    """Give variables that name a cache with what was fetched and no feature, picture or answer."""
    usual = cache_dir()
    with tempfile.TemporaryDirectory(dir=usual, prefix="first_run_") as folder:
        for name in FETCHED:
            if (usual / name).is_dir():
                shutil.copytree(usual / name, Path(folder, name), copy_function=os.link)
        yield {"TRANSFER_CACHE": folder}


def execute(
    collection: Collection, source: Path, profile: str, fresh: bool = False
) -> nbformat.NotebookNode:
    """Return the executed notebook, cleaned; raises nbclient's errors where a cell fails."""
    notebook = new_notebook(cells=collection.cells(source), metadata={"kernelspec": KERNEL})
    place = {"metadata": {"path": str(collection.folder)}}
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources=place,
        record_timing=False,
    )
    with fetched_alone() if fresh else nullcontext({}) as variables:
        client.execute(env={**os.environ, **variables, "TL_PROFILE": profile})
    return clean(notebook)


def build(collection: Collection, source: Path, profile: str = "full", fresh: bool = False) -> bool:
    """Run one source and write its notebook; return whether it ran to its end.

    fresh: as a reader's first run, with nothing cached; only its minutes and memory are kept.
    """
    busy = psutil.cpu_percent(interval=1.0)
    begun = time.perf_counter()
    try:
        with watched_children() as peak:
            notebook = execute(collection, source, profile, fresh)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"{source.name} stopped, and nothing was written:\n{error}", file=sys.stderr)
        return False
    seconds = time.perf_counter() - begun
    target = collection.built(source)
    if profile == "full":
        if fresh:
            collection.note(collection.memory, source, peak.megabytes)
            if busy <= BUSY:
                collection.note(collection.minutes, source, seconds)
            else:
                print(f"the time is not kept: others used {busy:.0f} % of the processors")
        notebook.cells[1].source = collection.cells(source)[1].source
    else:
        target = collection.tries / target.name
    write_notebook(target, notebook)
    print(f"{target}: {seconds:.0f} s, {target.stat().st_size / 1e6:.2f} MB")
    return True


def refresh(collection: Collection) -> None:
    """Write today's navigation into every notebook, and today's tables into README and TEACHING."""
    for source in collection.sources:
        target = collection.built(source)
        if target.exists():
            notebook = nbformat.read(target, as_version=4)
            fresh = [cell.source for cell in collection.cells(source)]
            notebook.cells[1].source, notebook.cells[-1].source = fresh[1], fresh[-1]
            typed = [place for place, one in enumerate(read_source(source)) if _timed(one)]
            for place in typed if len(fresh) == len(notebook.cells) else ():
                notebook.cells[place + 1].source = fresh[place + 1]  # the time line is the second
            write_notebook(target, notebook)
    for page in collection.pages:
        write(page, collection.page_text(page))


def check(collection: Collection) -> list[str]:
    """Return what differs between sources, notebooks and the pages' tables, one sentence each."""
    wrong = []
    names = {source.stem for source in collection.sources}
    for orphan in sorted(collection.folder.glob("*.ipynb")):
        if orphan.stem not in names:
            wrong.append(f"notebooks/{orphan.name} has no source in notebooks/sources")
    for source in collection.sources:
        target = collection.built(source)
        if not target.exists():
            wrong.append(f"notebooks/{target.name} is not built")
            continue
        there = nbformat.read(target, as_version=4).cells
        if _plain(there) != _plain(collection.cells(source)):
            wrong.append(f"notebooks/{target.name} differs from its source: build it again")
    for page in collection.pages:
        if page.read_text(encoding="utf-8") != collection.page_text(page):
            wrong.append(f"{page.name} holds an old table: say --refresh")
    return wrong


def write_notebook(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Write a notebook if it is valid, whole or not at all."""
    nbformat.validate(notebook)
    write(path, nbformat.writes(notebook) + "\n")


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all, and leave an equal one alone."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(text, encoding="utf-8", newline="\n")
    half.replace(path)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="numbers, such as 03")
    parser.add_argument("--all", action="store_true", help="every notebook")
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument("--refresh", action="store_true", help="navigation and tables only")
    parser.add_argument("--fresh", action="store_true", help="with nothing cached, and timed")
    parser.add_argument("--profile", choices=("full", "fast"), default="full")
    options = parser.parse_args(arguments)
    collection = Collection()
    if options.check:
        wrong = check(collection)
        print("\n".join(wrong) or f"{len(collection.sources)} notebooks equal their sources")
        return int(bool(wrong))
    chosen = collection.sources if options.all else [collection.find(n) for n in options.names]
    if not (chosen or options.refresh):
        parser.error("name a notebook, or say --all, --check or --refresh")
    done = [build(collection, source, options.profile, options.fresh) for source in chosen]
    if options.profile == "full":
        refresh(collection)
    return int(not all(done))


def _made(text: str) -> nbformat.NotebookNode:
    return new_markdown_cell(text, metadata={"tags": [MADE]})


def _timed(cell: Any) -> bool:
    return cell.cell_type == "markdown" and bool(MINUTES.search(cell.source))


def _plain(cells: Iterable[Any]) -> list[tuple[str, str, str]]:
    return [(cell.id, cell.cell_type, cell.source) for cell in cells]


if __name__ == "__main__":
    sys.exit(main())
