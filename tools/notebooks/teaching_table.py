"""The table of TEACHING.md: what each notebook takes of a lesson, counted and measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

WORDS_A_MINUTE = 200  # slow reading, with figures to look at
HEAD = (
    "| | runs in (min) | memory (MB) | words | reading (min) | lines of code | exercises |",
    "|---|---|---|---|---|---|---|",
)


def words_in(cells: Iterable[Any]) -> int:
    """Return how many words the text cells hold, code in backticks and links' targets left out."""
    text = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "", text))
    return len(re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text))


def exercises_in(cells: Iterable[Any]) -> int:
    """Return how many exercises the code cells check."""
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    return len(set(re.findall(r'check\(\s*"(\d\d\.\d+)"', code)))


def lines_in(cells: Iterable[Any]) -> int:
    """Return how many lines the code cells show, blank ones left out."""
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    return sum(bool(line.strip()) for source in code for line in source.splitlines())


def minutes(number: str, cells: Iterable[Any], seconds: Mapping[str, float]) -> float:
    """Return how long a notebook takes to read and to run."""
    return words_in(cells) / WORDS_A_MINUTE + seconds.get(number, 0.0) / 60


def row(
    number: str, cells: list[Any], seconds: Mapping[str, float], megabytes: Mapping[str, float]
) -> str:
    """Return the line of one notebook; what was not measured says so."""
    words = words_in(cells)
    ran = f"{seconds[number] / 60:.1f}" if number in seconds else "not measured"
    memory = f"{megabytes[number]:,.0f}" if number in megabytes else "not measured"
    reading = max(1, round(words / WORDS_A_MINUTE))
    counts = f"{words:,} | {reading} | {lines_in(cells)} | {exercises_in(cells)}"
    return f"| {number} | {ran} | {memory} | {counts} |"
