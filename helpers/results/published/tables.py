"""Load `data/published/`, and refuse what breaks its schema with one sentence."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.errors import UserError
from helpers.paths import data_dir
from helpers.registry import find
from helpers.results.published import schema
from helpers.results.schema import Column
from helpers.vocabulary import APPROACH_STYLE

SOURCES, DATA_SETS = "sources.csv", "data_sets.csv"


@dataclass(frozen=True)
class Published:
    """The three tables.

    sources: by key. data_sets: by name. figures: one row a number, with its data set's modality,
    domain and distance and its source's grade beside it.
    """

    sources: pd.DataFrame
    data_sets: pd.DataFrame
    figures: pd.DataFrame

    @property
    def compared(self) -> pd.DataFrame:
        """The figures that may be compared; those that stand as context alone are left out."""
        return self.figures[self.figures["use"] != schema.CONTEXT]


def load_published(folder: Path | None = None) -> Published:
    """Return the published tables, checked (shared between callers: copy before you change them).

    folder: `data/published/` when None. Raises UserError, naming file and line, for a row that
    names no source or an unknown one, a source without citation or grade, an approach that is none
    of ours, a value that its metric can't have, a figure that stands there twice, and whatever else
    breaks `schema`.
    """
    return _load((folder or data_dir() / "published").resolve())


@cache
def _load(folder: Path) -> Published:
    sources = _table(folder / SOURCES, schema.SOURCE_COLUMNS, "key")
    data_sets = _table(folder / DATA_SETS, schema.DATA_SET_COLUMNS, "data_set")
    paths = [path for path in sorted(folder.glob("*.csv")) if path.name not in (SOURCES, DATA_SETS)]
    known = dict.fromkeys(sources.index), dict.fromkeys(data_sets.index)
    rows = [row for path in paths for row in _figures(path, *known)]
    for key in sources.index:
        if key not in {path.stem for path in paths}:
            raise UserError(f"source {key!r} has no figures: add {folder / key}.csv")
    figures = _frame(rows, schema.FIGURE_COLUMNS)
    figures = figures.join(data_sets, on="data_set").join(sources["grade"], on="source")
    return Published(sources, data_sets, figures)


def _figures(
    path: Path, sources: dict[str, None], data_sets: dict[str, None]
) -> list[dict[str, Any]]:
    """The figures of one source, each checked against the names that are known."""
    seen: dict[tuple, int] = {}

    def check(row: dict[str, Any], line: int) -> None:
        find("source", row["source"], sources)
        find("data set", row["data_set"], data_sets)
        find("metric", row["metric"], schema.METRICS)
        if row["approach"]:
            find("approach", row["approach"], APPROACH_STYLE)
        _check(row, path.stem)
        first = seen.setdefault(tuple(row[name] for name in schema.IDENTITY), line)
        if first != line:
            raise UserError(f"it says what line {first} says; leave one of them out")

    return _rows(path, schema.FIGURE_COLUMNS, check)


def _check(row: dict[str, Any], source: str) -> None:
    """Raise UserError for what columns can't tell one by one."""
    if row["source"] != source:
        raise UserError(f"its source is {row['source']!r}, so it belongs into {row['source']}.csv")
    if row["value"] is None:
        raise UserError("column 'value' must have a value, and it is missing")
    metric = schema.METRICS[row["metric"]]
    if not metric.low <= row["value"] <= metric.high:
        raise UserError(
            f"{row['metric']} must lie in {metric.low:g} to {metric.high:g}, and it is "
            f"{row['value']:g}"
        )
    if (row["use"] == schema.CONTEXT) != bool(row["reason"]):
        raise UserError(
            "a figure that is not to be compared needs a reason, and no other has one; see the "
            "columns 'use' and 'reason'"
        )


def _table(path: Path, columns: Sequence[Column], key: str) -> pd.DataFrame:
    """Return a table by its key, each of which stands there once."""
    seen: set[str] = set()

    def check(row: dict[str, Any], _: int) -> None:
        if row[key] in seen:
            raise UserError(f"{row[key]!r} stands there twice")
        seen.add(row[key])

    return _frame(_rows(path, columns, check), columns).set_index(key)


def _rows(
    path: Path, columns: Sequence[Column], check: Callable[[dict[str, Any], int], None]
) -> list[dict[str, Any]]:
    """Cleaned cells of each row; an error of `check(row, line)`, too, says where it is."""
    names = [column.name for column in columns]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            head, *lines = csv.reader(file)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path} ({error}); take it back from git") from error
    if head != names:
        raise UserError(f"{path} must have the columns {', '.join(names)}, not {', '.join(head)}")
    rows = []
    for line, cells in enumerate(lines, 2):
        try:
            if len(cells) != len(names):
                raise UserError(f"it has {len(cells)} cells, and the head has {len(names)}")
            rows.append({c.name: c.parse(cell) for c, cell in zip(columns, cells, strict=True)})
            check(rows[-1], line)
        except UserError as error:
            raise UserError(f"{path.name}, line {line}: {error}") from error
    return rows


def _frame(rows: list[dict[str, Any]], columns: Sequence[Column]) -> pd.DataFrame:
    """Rows as a table: text as str, numbers as float (NaN where nothing is stated)."""
    frame = pd.DataFrame(rows, columns=[column.name for column in columns])
    return frame.astype({c.name: "str" if c.kind == "text" else "float64" for c in columns})
