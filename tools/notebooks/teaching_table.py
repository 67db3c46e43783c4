"""The table of TEACHING.md: what each notebook takes of a lesson, counted and measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

WORDS_A_MINUTE = 200  # slow reading, with figures to look at
HEAD = (
    "| | runs in (min) | memory (MB) | words | reading (min) | exercises |",
    "|---|---|---|---|---|---|",
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


def row(
    number: str, cells: list[Any], seconds: Mapping[str, float], megabytes: Mapping[str, float]
) -> str:
    """Return the line of one notebook; what was not measured says so."""
    words = words_in(cells)
    ran = f"{seconds[number] / 60:.1f}" if number in seconds else "not measured"
    memory = f"{megabytes[number]:,.0f}" if number in megabytes else "not measured"
    reading = max(1, round(words / WORDS_A_MINUTE))
    return f"| {number} | {ran} | {memory} | {words:,} | {reading} | {exercises_in(cells)} |"
