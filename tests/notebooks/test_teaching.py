"""TEACHING.md and its table keep what they say: minutes add up, sections and commands exist."""

import re
import time

import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.notebooks import kernel_memory, teaching_table

PAGES = ("TEACHING.md", "README.md", "CONTRIBUTING.md")
CELLS = [
    new_markdown_cell("# Is one enough?\n\nSee [this page](https://a.b/c_d) and `some_code(1)`."),
    new_code_cell('answer = ...\ncheck("03.1", answer)'),
    new_code_cell('check(\n    "03.2",\n    1,\n)\ncheck("03.1", 2)'),
]


@pytest.fixture(scope="module")
def teaching(root):
    return (root / "TEACHING.md").read_text(encoding="utf-8")


def section(text, title):
    """Return what stands below a heading, up to the next of its level or above."""
    level = title.count("#")
    _, found, rest = text.partition(f"\n{title}")
    assert found, f"TEACHING.md has no section {title}"
    return re.split(rf"\n#{{1,{level}}} ", rest)[0]


@pytest.mark.files
@pytest.mark.parametrize(("plan", "minutes"), [("### 90 minutes", 90), ("### Half a day", 240)])
def test_the_minutes_of_a_plan_add_up(teaching, plan, minutes):
    rows = re.findall(r"^\| (\d+) \|", section(teaching, plan), re.MULTILINE)
    assert sum(map(int, rows)) == minutes


@pytest.mark.files
def test_a_term_has_fourteen_weeks_and_every_notebook_once(teaching):
    rows = re.findall(r"^\| (\d+) \| ([^:]+):", section(teaching, "### A term"), re.MULTILINE)
    assert [int(week) for week, _ in rows] == list(range(1, 15))
    notebooks = [number for _, what in rows for number in re.findall(r"\b\d\d\b", what)]
    assert sorted(notebooks) == [f"{number:02d}" for number in range(16)]


@pytest.mark.files
def test_named_sections_are_there(root, teaching):
    named = re.findall(r"\| (\d\d), \"(.+?)\" \|", teaching)
    assert len(named) >= 25
    for number, title in named:
        (source,) = (root / "notebooks" / "sources").glob(f"{number}_*.py")
        headings = re.findall(r"^# #{2,3} (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE)
        assert title in headings, f"{source.name} has no section {title!r}: {headings}"


@pytest.mark.files
@pytest.mark.parametrize("page", PAGES)
def test_named_commands_are_there(root, page):
    text = (root / page).read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = set(re.findall(r"(?:`|^)make (?:\w+=\S+ )?([a-z]+)", text, re.MULTILINE))
    assert asked and asked <= targets, asked - targets
    for tool in set(re.findall(r"tools/[\w/]+\.py", text)):
        assert (root / tool).is_file(), tool


@pytest.mark.files
def test_every_question_names_a_section(teaching):
    rows = section(teaching, "## Questions that start an argument").splitlines()
    asked = [row for row in rows if row.startswith("| ") and "?" in row.split("|")[1]]
    assert len(asked) >= 12
    assert all(re.search(r"\| \d\d, \".+\" \|$", row) for row in asked)
    # The records speak in the notebooks: no number of theirs is typed here.
    assert not re.search(r"\b0\.\d\d|\d\s?%", "\n".join(asked))


def test_a_row_counts_words_and_exercises():
    assert teaching_table.words_in(CELLS) == 7
    assert teaching_table.exercises_in(CELLS) == 2
    assert teaching_table.lines_in(CELLS) == 7
    made = teaching_table.row("03", CELLS, {"03": 90}, {})
    assert made == "| 03 | 1.5 | not measured | 7 | 1 | 7 | 2 |"
    assert teaching_table.minutes("03", CELLS, {"03": 90}) == 7 / 200 + 1.5
    assert "| not measured | 1,500 |" in teaching_table.row("03", CELLS, {}, {"03": 1500.4})


def test_memory_of_children_is_their_highest(monkeypatch):
    class Child:
        taken = iter([1e6, 3e6, 2e6])

        def memory_info(self):
            return type("Info", (), {"rss": next(self.taken, 1e6)})

    class Gone:
        def memory_info(self):
            raise psutil.NoSuchProcess(1)

    monkeypatch.setattr(kernel_memory, "EVERY", 0.01)
    monkeypatch.setattr(psutil.Process, "children", lambda self, recursive: [Child(), Gone()])
    with kernel_memory.watched_children() as peak:
        deadline = time.monotonic() + 5
        while peak.megabytes < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert peak.megabytes == 3.0
