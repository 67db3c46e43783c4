"""The one way from a source to a notebook: whole or not at all, and equal for equal runs."""

import json
import textwrap

import nbformat
import pytest

from tools.notebooks import build_notebooks as build
from tools.notebooks.notebook_cleaning import VIEW

FIRST = """\
# %% [markdown]
# # Is one enough?
#
# Yes. **Needs:** nothing but
# the clone.

# %%
import sys
from tqdm import tqdm
from helpers.display import figure
from helpers.lessons.profile import profile
from helpers.display import explore

# %% [markdown]
# Look at the slider.

# %%
def draw(n):
    made, ax = figure(f"n = {n}", width=3, height=2)
    ax.bar(["n"], [n])
    return made


explore(draw, n=(1, 3, 1))

# %% [markdown]
# Look at the words.

# %%
for _ in tqdm(range(30)):
    pass
print("one", end="")
print("\\rtwo", profile())
print("warned", file=sys.stderr)
"""
SECOND = """\
# %% [markdown]
# # Are two better?

# %%
1 + 1
"""


@pytest.fixture
def collection(tmp_path, monkeypatch):
    """Return a repository of two sources and a README, on a machine with nothing else to do."""
    monkeypatch.setattr(build.psutil, "cpu_percent", lambda interval: 0.0)
    sources = tmp_path / "notebooks" / "sources"
    sources.mkdir(parents=True)
    (sources / "00_first.py").write_text(FIRST, encoding="utf-8")
    (sources / "01_second.py").write_text(SECOND, encoding="utf-8")
    marks = "# Title\n<!-- notebooks -->\n<!-- /notebooks -->\nend\n"
    for name in build.PAGES:
        (tmp_path / name).write_text(marks, encoding="utf-8")
    return build.Collection(tmp_path)


def built(collection, place=0):
    return collection.built(collection.sources[place])


def test_a_build_is_clean_and_an_equal_run_gives_an_equal_file(collection):
    source = collection.sources[0]
    assert build.build(collection, source)
    first = built(collection).read_bytes()
    assert build.build(collection, source)
    assert built(collection).read_bytes() == first
    notebook = nbformat.reads(first.decode(), as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert VIEW not in first.decode()
    assert not any("execution" in cell.metadata for cell in notebook.cells)
    slider, words = (cell.outputs for cell in notebook.cells if cell.get("outputs"))
    assert set(slider[0].data) == {"image/png", "text/plain"}
    assert [(out.name, out.text) for out in words] == [
        ("stdout", "two full\n"),
        ("stderr", "warned\n"),
    ]


def test_times_navigation_and_table_are_written(collection):
    assert all(build.build(collection, source) for source in collection.sources)
    assert not collection.minutes.exists() and not collection.memory.exists()
    assert all(build.build(collection, source, fresh=True) for source in collection.sources)
    build.refresh(collection)
    assert build.check(collection) == []
    cells = nbformat.read(built(collection), as_version=4).cells
    assert cells[1].source == "Runs in under a minute on two CPU cores."
    assert "[next: Are two better?](01_second.ipynb)" in cells[-1].source
    assert "previous" not in cells[-1].source
    seconds = json.loads(collection.minutes.read_text(encoding="utf-8"))
    assert set(seconds) == {"00", "01"}
    assert all(0 < value < 60 for value in seconds.values())
    readme, teaching = (page.read_text(encoding="utf-8") for page in collection.pages)
    link = "[Is one enough?](notebooks/00_first.ipynb)"
    assert f"| 00 | {link} | under a minute | nothing but the clone |" in readme
    assert readme.startswith("# Title\n")
    assert readme.endswith("\nend\n")
    taken = json.loads(collection.memory.read_text(encoding="utf-8"))
    assert set(taken) == {"00", "01"} and all(
        20 < megabytes < 4_000 for megabytes in taken.values()
    )
    assert f"| 00 | {seconds['00'] / 60:.1f} | {taken['00']:,.0f} | 17 | 1 | 15 | 0 |" in teaching


def test_a_first_run_finds_what_was_fetched_alone(collection, tmp_path, monkeypatch):
    usual = tmp_path / "cache"
    monkeypatch.setenv("TRANSFER_CACHE", str(usual))
    for name in ("assets/weights", "stamps/weights", "features/old"):
        (usual / name).parent.mkdir(parents=True)
        (usual / name).write_text("1", encoding="utf-8")
    listing = "import os\nfrom pathlib import Path\nhere = Path(os.environ['TRANSFER_CACHE'])\n"
    listing += "print(sorted(p.name for p in here.iterdir()))\n(here / 'assets/new').touch()\n"
    source = collection.sources[1]
    source.write_text(f"{SECOND}\n# %%\n{listing}", encoding="utf-8")
    assert build.build(collection, source, fresh=True)
    assert "['assets', 'stamps']" in built(collection, 1).read_text(encoding="utf-8")
    found = [str(file.relative_to(usual)) for file in usual.rglob("*") if file.is_file()]
    assert sorted(found) == ["assets/weights", "features/old", "stamps/weights"]


def test_a_failing_cell_leaves_the_old_notebook(collection, capsys):
    source = collection.sources[1]
    assert build.build(collection, source)
    before = built(collection, 1).read_bytes()
    source.write_text(SECOND + "\n# %%\n1 / 0\n", encoding="utf-8")
    assert not build.build(collection, source)
    assert built(collection, 1).read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert list(collection.folder.glob(".*")) == []


def test_a_fast_try_stays_out_of_the_way(collection):
    assert build.build(collection, collection.sources[0], "fast")
    assert not built(collection).exists()
    assert not collection.minutes.exists()
    tried = collection.tries / "00_first.ipynb"
    assert "two fast" in tried.read_text(encoding="utf-8")


def test_check_names_what_differs(collection):
    source = collection.sources[1]
    build.build(collection, source)
    build.refresh(collection)
    assert build.check(collection) == ["notebooks/00_first.ipynb is not built"]
    source.write_text(SECOND.replace("1 + 1", "1 + 2"), encoding="utf-8")
    built(collection).with_name("07_lost.ipynb").write_text("{}", encoding="utf-8")
    wrong = "\n".join(build.check(collection))
    assert "01_second.ipynb differs from its source" in wrong
    assert "07_lost.ipynb has no source" in wrong
    source.write_text(SECOND.replace("two better", "three or more better"), encoding="utf-8")
    wrong = "\n".join(build.check(collection))
    assert "README.md holds an old table" in wrong
    assert "TEACHING.md holds an old table" in wrong


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "an unmeasured time"), (5, "under a minute"), (90, "under two minutes")]
    + [(130, "about 2 minutes"), (200, "about 4 minutes"), (290, "about 5 minutes")],
)
def test_words_for_times(seconds, words):
    assert build.words_for(seconds) == words


def test_an_unknown_number_is_refused(collection):
    with pytest.raises(SystemExit, match="'09'"):
        collection.find("09")


def test_sources_lose_metadata_and_empty_cells(tmp_path):
    source = tmp_path / "00_x.py"
    source.write_text(
        textwrap.dedent("""\
            # %% [markdown] tags=["a"]
            # text

            # %%

            # %% tags=["b"]
            1
            """),
        encoding="utf-8",
    )
    cells = build.read_source(source)
    assert [(cell.cell_type, cell.source) for cell in cells] == [
        ("markdown", "text"),
        ("code", "1"),
    ]
    assert not any(cell.metadata for cell in cells)


def test_a_page_without_marks_is_refused(collection):
    for page in collection.pages:
        page.write_text("# Title\n", encoding="utf-8")
        with pytest.raises(SystemExit, match=f"{page.name} lacks <!-- notebooks -->"):
            collection.page_text(page)


def test_a_busy_machine_measures_no_time(collection, monkeypatch, capsys):
    monkeypatch.setattr(build.psutil, "cpu_percent", lambda interval: 90.0)
    assert build.build(collection, collection.sources[1], fresh=True)
    assert not collection.minutes.exists()
    assert "others used 90 %" in capsys.readouterr().out


def test_minutes_in_a_text_are_worked_out_and_refreshed(collection):
    source = collection.sources[1]
    told = "# %% [markdown]\n# Takes {minutes 00 01} minutes.\n"
    source.write_text(SECOND + told, encoding="utf-8")
    collection.minutes.write_text('{"00": 600, "01": 60}', encoding="utf-8")
    assert build.build(collection, source, profile="fast")
    build.write_notebook(
        built(collection, 1), nbformat.read(collection.tries / built(collection, 1).name, 4)
    )
    assert nbformat.read(built(collection, 1), 4).cells[-2].source == "Takes 11 minutes."
    collection.minutes.write_text('{"00": 1200, "01": 60}', encoding="utf-8")
    assert any("01_second" in fault for fault in build.check(collection))
    build.refresh(collection)
    assert nbformat.read(built(collection, 1), 4).cells[-2].source == "Takes 21 minutes."
    assert not any("01_second" in fault for fault in build.check(collection))
